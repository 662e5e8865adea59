%% SPDX-License-Identifier: 0BSD
%%
%% Opens two counters of counter_nif and counts with both.
%%
%% Compile counter_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors counter_nif.erl
%%   erl -noshell -s counter_nif main -s erlang halt
%%
%% It prints:
%%
%%   first:  1
%%   second: 1
%%   first:  2
-module(counter_nif).
-export([open/0, count/1, main/0]).
-nifs([open/0, count/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "counter_nif"), 0).

open() ->
    erlang:nif_error(not_loaded).

count(_Counter) ->
    erlang:nif_error(not_loaded).

main() ->
    One = open(),
    Two = open(),
    io:format("first:  ~b~n", [count(One)]),
    io:format("second: ~b~n", [count(Two)]),
    io:format("first:  ~b~n", [count(One)]).
