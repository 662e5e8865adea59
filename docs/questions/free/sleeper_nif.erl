%% SPDX-License-Identifier: 0BSD
%%
%% Waits for an answer of sleeper_nif. Then kills a process before its answer comes.
%%
%% Compile sleeper_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors sleeper_nif.erl
%%   erl -noshell -s sleeper_nif main -s erlang halt
%%
%% It prints:
%%
%%   answer: done
%%   killed: no answer
-module(sleeper_nif).
-export([sleep/1, main/0]).
-nifs([sleep/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "sleeper_nif"), 0).

sleep(_Ms) ->
    erlang:nif_error(not_loaded).

main() ->
    io:format("answer: ~s~n", [sleep(50)]),
    {Pid, Monitor} = spawn_monitor(fun() -> exit({answer, sleep(50)}) end),
    receive after 10 -> ok end, % so that the function runs
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, {answer, Answer}} ->
            io:format("killed: ~s~n", [Answer]);
        {'DOWN', Monitor, process, Pid, killed} ->
            io:format("killed: no answer~n")
    end,
    done = sleep(200), % meanwhile the function of the killed process frees its block
    ok.
