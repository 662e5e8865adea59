%% SPDX-License-Identifier: 0BSD
%%
%% Drives bench_drv and says how long it took.
%%
%%   erlc +warnings_as_errors bench.erl
%%   erl +A 1 -noinput -run bench main 10000 1 -s erlang halt
%%   erl +A 1 -noinput -run bench main 100000 10000 -s erlang halt
%%
%% The first argument is the number of jobs, the second how many of them may be outstanding at a time: 1 is one job
%% there and back after the other.  Prints one line, the number of jobs and the nanoseconds they took together.
-module(bench).
-export([main/1]).

main([JobsText, WindowText]) ->
    Jobs = list_to_integer(JobsText),
    Window = max(1, min(Jobs, list_to_integer(WindowText))),
    ok = erl_ddll:load_driver(".", "bench_drv"),
    Port = open_port({spawn_driver, "bench_drv"}, [binary]),
    Begin = erlang:monotonic_time(nanosecond),
    commands(Port, Window),
    one_for_one(Port, Jobs - Window),
    replies(Port, Window),
    End = erlang:monotonic_time(nanosecond),
    true = port_close(Port),
    io:format("~b ~b~n", [Jobs, End - Begin]).

commands(_Port, 0) ->
    ok;
commands(Port, Left) ->
    true = port_command(Port, <<"x">>),
    commands(Port, Left - 1).

%% A new command for each reply keeps the window full.
one_for_one(_Port, 0) ->
    ok;
one_for_one(Port, Left) ->
    replies(Port, 1),
    commands(Port, 1),
    one_for_one(Port, Left - 1).

replies(_Port, 0) ->
    ok;
replies(Port, Left) ->
    receive
        {Port, {data, <<"ok">>}} -> replies(Port, Left - 1)
    end.
