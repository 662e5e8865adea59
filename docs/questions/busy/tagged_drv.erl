%% SPDX-License-Identifier: 0BSD
%%
%% Sends commands to tagged_drv until its port is busy, and gets an answer for each.
%%
%% Compile tagged_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors tagged_drv.erl
%%   erl -noshell -s tagged_drv main -s erlang halt
%%
%% It prints:
%%
%%   a taken: true
%%   b taken: true
%%   c taken: false
%%   c taken: true, when a job was back
%%   answers: abc
-module(tagged_drv).
-export([load/0, send/3, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "tagged_drv").

%% Waits while the port is busy; with [nosuspend] it returns false instead.
send(Port, Command, Options) ->
    port_command(Port, Command, Options).

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "tagged_drv"}, []),
    io:format("a taken: ~w~n", [send(Port, [$a, 200], [nosuspend])]),
    io:format("b taken: ~w~n", [send(Port, [$b, 200], [nosuspend])]),
    io:format("c taken: ~w~n", [send(Port, [$c, 10], [nosuspend])]),
    io:format("c taken: ~w, when a job was back~n", [send(Port, [$c, 10], [])]),
    Answers = [receive {Port, {data, Tag}} -> Tag end || _ <- "abc"],
    io:format("answers: ~s~n", [lists:sort(Answers)]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("tagged_drv").
