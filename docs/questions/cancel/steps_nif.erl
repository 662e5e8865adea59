%% SPDX-License-Identifier: 0BSD
%%
%% Cancels a job of steps_nif while it runs, and a second job after its answer.
%%
%% Compile steps_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors steps_nif.erl
%%   erl -noshell -s steps_nif main -s erlang halt
%%
%% It prints:
%%
%%   200 steps: cancelled
%%   3 steps:   done, too late
-module(steps_nif).
-export([new/0, work/2, cancel/1, main/0]).
-nifs([new/0, work/2, cancel/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "steps_nif"), 0).

new() ->
    erlang:nif_error(not_loaded).

work(_Job, _Steps) ->
    erlang:nif_error(not_loaded).

cancel(_Job) ->
    erlang:nif_error(not_loaded).

main() ->
    Long = new(),
    {Pid, Monitor} = spawn_monitor(fun() -> exit(work(Long, 200)) end),
    receive after 35 -> ok end, % for some steps
    cancelled = cancel(Long),
    receive
        {'DOWN', Monitor, process, Pid, End} -> io:format("200 steps: ~s~n", [End])
    end,
    Short = new(),
    io:format("3 steps:   ~s, ~s~n", [work(Short, 3), cancel(Short)]).
