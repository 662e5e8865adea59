%% SPDX-License-Identifier: 0BSD
%%
%% Gives jobs to tagged_nif until it is busy, and gets an answer for each.
%%
%% Compile tagged_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors tagged_nif.erl
%%   erl -noshell -s tagged_nif main -s erlang halt
%%
%% It prints:
%%
%%   a taken: true
%%   b taken: true
%%   c taken: false
%%   c taken: true, when a job was back
%%   answers: abc
-module(tagged_nif).
-export([open/0, work/3, open_jobs/1, main/0]).
-nifs([open/0, work/3, open_jobs/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "tagged_nif"), 0).

open() ->
    erlang:nif_error(not_loaded).

work(_Pool, _Tag, _Ms) ->
    erlang:nif_error(not_loaded).

open_jobs(_Pool) ->
    erlang:nif_error(not_loaded).

%% Starts a job in a process of its own. The answer is the reason with which it ends.
request(Pool, Tag, Ms) ->
    {Pid, _} = spawn_monitor(fun() -> exit(work(Pool, Tag, Ms)) end),
    Pid.

answer(Pid) ->
    receive {'DOWN', _, process, Pid, Answer} -> Answer end.

%% Returns when so many jobs have begun.
until_open(Pool, Jobs) ->
    open_jobs(Pool) =:= Jobs orelse until_open(Pool, Jobs).

main() ->
    Pool = open(),
    One = request(Pool, $a, 200),
    until_open(Pool, 1),
    io:format("a taken: true~n"),
    Two = request(Pool, $b, 200),
    until_open(Pool, 2),
    io:format("b taken: true~n"),
    io:format("c taken: ~w~n", [work(Pool, $c, 10) =/= busy]),
    A = answer(One),
    C = work(Pool, $c, 10),
    io:format("c taken: ~w, when a job was back~n", [C =/= busy]),
    io:format("answers: ~s~n", [lists:sort([A, answer(Two), C])]).
