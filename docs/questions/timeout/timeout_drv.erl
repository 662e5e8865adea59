%% timeout_drv.erl: sends requests to timeout_drv.c, each with a time limit.
%% The head of timeout_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(timeout_drv).
-export([open/0, close/1, request/3, await/1, main/0]).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "timeout_drv") of
        ok -> open_port({spawn_driver, "timeout_drv"}, []);
        {error, Why} -> error({timeout_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("timeout_drv").

%% Submits a job of Work milliseconds. The driver answers within Limit milliseconds.
request(Port, Work, Limit) when Work >= 0, Work < 1 bsl 16, Limit >= 0, Limit < 1 bsl 32 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, <<Tag:64, Work:16, Limit:32>>) catch error:badarg -> closed end,
    {Port, Tag, Monitor}.

%% Returns done, timeout, busy or closed. There is no `after' here, because the
%% driver keeps the time limit. With an `after', an answer that comes later would
%% stay in the mailbox.
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
    io:format("1 ms of work within 10 s: ~w~n", [await(request(Port, 1, 10000))]),
    io:format("300 ms of work within 30 ms: ~w~n", [await(request(Port, 300, 30))]),
    io:format("the next, perhaps behind the late one: ~w~n", [await(request(Port, 1, 10000))]),
    Requests = [{request(Port, 400, Limit), Limit} || Limit <- [120, 30, 90, 60]],
    Answers = [next_answer(Port, Requests) || _ <- Requests],
    io:format("four limits, in the order of their answers: ~w~n", [Answers]),
    receive
        {Port, _, Second} -> error({second_answer, Second})
    after 500 ->
        io:format("no late result became an answer~n")
    end,
    Last = [request(Port, 100, 10000) || _ <- lists:seq(1, 3)],
    ok = close(Port),
    io:format("a close met three: ~w~n", [[await(R) || R <- Last]]).

next_answer(Port, Requests) ->
    receive
        {Port, Tag, Answer} ->
            [{Monitor, Limit}] = [{M, L} || {{_, T, M}, L} <- Requests, T =:= Tag],
            erlang:demonitor(Monitor, [flush]),
            {Limit, Answer}
    end.
