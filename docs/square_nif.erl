%% SPDX-License-Identifier: 0BSD
%%
%% Squares a number with square_nif.
%%
%% Compile square_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors square_nif.erl
%%   erl -noshell -s square_nif main -s erlang halt
%%
%% It prints:
%%
%%   49
-module(square_nif).
-export([square/1, main/0]).
-nifs([square/1]).
-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "square_nif"), 0).

square(_N) ->
    erlang:nif_error(not_loaded).

main() ->
    io:format("~b~n", [square(7)]),
    ok.
