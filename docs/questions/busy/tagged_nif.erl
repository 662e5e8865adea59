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
-export([open/0, take/1, work/3, main/0]).
-nifs([open/0, take/1, work/3]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "tagged_nif"), 0).

open() ->
    erlang:nif_error(not_loaded).

take(_Pool) ->
    erlang:nif_error(not_loaded).

work(_Slot, _Tag, _Ms) ->
    erlang:nif_error(not_loaded).

%% Does the work in a process of its own, whose exit reason is the answer.
request(Slot, Tag, Ms) ->
    {Pid, _} = spawn_monitor(fun() -> exit({answer, work(Slot, Tag, Ms)}) end),
    Pid.

answer(Pid) ->
    receive {'DOWN', _, process, Pid, {answer, Tag}} -> Tag end.

main() ->
    Pool = open(),
    One = take(Pool),
    io:format("a taken: ~w~n", [One =/= busy]),
    Two = take(Pool),
    io:format("b taken: ~w~n", [Two =/= busy]),
    io:format("c taken: ~w~n", [take(Pool) =/= busy]),
    First = request(One, $a, 50),
    Second = request(Two, $b, 100),
    A = answer(First),
    Three = take(Pool),
    io:format("c taken: ~w, when a job was back~n", [Three =/= busy]),
    Third = request(Three, $c, 10),
    io:format("answers: ~s~n", [[A, answer(Second), answer(Third)]]).
