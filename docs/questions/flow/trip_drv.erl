%% SPDX-License-Identifier: 0BSD
%%
%% Sends a command to trip_drv and waits for the answer.
%% Sends a second command after the port was closed.
%%
%% Compile trip_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors trip_drv.erl
%%   erl -noshell -s trip_drv main -s erlang halt
%%
%% It prints:
%%
%%   7 squared: 49
%%   closed: {error,closed}
-module(trip_drv).
-export([load/0, square/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "trip_drv").

%% Call it in the process that opened the port. The monitor reports a port that is closed.
square(Port, Number) ->
    Monitor = erlang:monitor(port, Port),
    try port_command(Port, [Number]) catch error:badarg -> closed end,
    receive
        {Port, {data, Text}} ->
            erlang:demonitor(Monitor, [flush]),
            {ok, list_to_integer(Text)};
        {'DOWN', Monitor, port, Port, _} ->
            {error, closed}
    end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "trip_drv"}, []),
    {ok, Square} = square(Port, 7),
    io:format("7 squared: ~b~n", [Square]),
    true = port_close(Port),
    io:format("closed: ~p~n", [square(Port, 7)]),
    ok = erl_ddll:unload_driver("trip_drv").
