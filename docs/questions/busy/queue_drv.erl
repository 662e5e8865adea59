%% queue_drv.erl: gets answers from queue_drv.c in the order of the commands.
%% The head of queue_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(queue_drv).
-export([open/0, close/1, request/2, await/1, main/0]).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "queue_drv") of
        ok -> open_port({spawn_driver, "queue_drv"}, []);
        {error, Why} -> error({queue_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("queue_drv").

request(Port, Milliseconds) when Milliseconds >= 0, Milliseconds < 1 bsl 16 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, <<Tag:64, Milliseconds:16>>) catch error:badarg -> closed end,
    {Port, Tag, Monitor}.

%% Returns done, full or closed.
await({Port, Tag, Monitor}) ->
    receive
        {Port, Tag, Answer} ->
            erlang:demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, port, Port, _} ->
            closed
    end.

main() ->
    Port = open(),
    Times = [30, 10, 20],
    Sent = [{Tag, Ms, Monitor} || Ms <- Times, {_, Tag, Monitor} <- [request(Port, Ms)]],
    Order = [receive {Port, Tag, done} -> answered(Tag, Sent) end || _ <- Times],
    true = Order =:= Times,
    io:format("the jobs took ~w ms, and were answered in this order~n", [Order]),
    Requests = [request(Port, 20) || _ <- lists:seq(1, 10)],
    io:format("ten at once: ~w~n", [[await(R) || R <- Requests]]),
    Last = [request(Port, 20) || _ <- lists:seq(1, 5)],
    ok = close(Port),
    io:format("a close met five: ~w~n", [[await(R) || R <- Last]]).

answered(Tag, Sent) ->
    {Tag, Ms, Monitor} = lists:keyfind(Tag, 1, Sent),
    erlang:demonitor(Monitor, [flush]),
    Ms.
