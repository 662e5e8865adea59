%% wake_drv.erl: gets squares from wake_drv.c, where a thread of the driver's own
%% computes them.
%% The head of wake_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(wake_drv).
-export([open/0, close/1, square/2, request/2, await/1, main/0]).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "wake_drv") of
        ok ->
            try open_port({spawn_driver, "wake_drv"}, [binary])
            catch error:Why -> ok = erl_ddll:unload("wake_drv"), error(Why)
            end;
        {error, Why} ->
            error({wake_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("wake_drv").

square(Port, Number) ->
    await(request(Port, Number)).

%% Call it in the process that opened the port. driver_output() sends to the owner.
request(Port, Number) when Number >= 0, Number < 1 bsl 32 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, <<Tag:64, Number:32>>) catch error:badarg -> closed end,
    {Port, Tag, Monitor}.

%% The port sends no answer after 'DOWN', so no message is left in the mailbox.
await({Port, Tag, Monitor}) ->
    receive
        {Port, {data, <<Tag:64, Square:64>>}} ->
            erlang:demonitor(Monitor, [flush]),
            {ok, Square};
        {'DOWN', Monitor, port, Port, _} ->
            {error, closed}
    end.

main() ->
    Port = open(),
    {ok, 49} = square(Port, 7),
    io:format("7 squared: 49~n"),
    Requests = [request(Port, N) || N <- lists:seq(1, 1000)],
    Answers = [await(R) || R <- Requests],
    true = Answers =:= [{ok, N * N} || N <- lists:seq(1, 1000)],
    io:format("a thousand requests at once: each got its own answer~n"),
    Late = request(Port, 9),
    ok = close(Port),
    io:format("a close met a request: ~p~n", [await(Late)]),
    {error, closed} = square(Port, 9),
    io:format("after the close: {error,closed}~n").
