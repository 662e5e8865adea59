%% wake_drv.erl: asks wake_drv.c for squares, which a thread of its own works out.
%% wake_drv.c tells how to compile and run both.
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

%% For the process that has opened the port: it has loaded the driver as well.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("wake_drv").

square(Port, Number) ->
    await(request(Port, Number)).

%% For the process that has opened the port: driver_output() answers to that one.
request(Port, Number) when Number >= 0, Number < 1 bsl 32 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% If the port is closed, the monitor tells.
    try port_command(Port, <<Tag:64, Number:32>>) catch error:badarg -> closed end,
    {Port, Tag, Monitor}.

%% After 'DOWN' no answer can come, so that nothing is left in the mailbox.
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
