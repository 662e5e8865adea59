%% SPDX-License-Identifier: 0BSD
%%
%% Gives a text to shout_nif.
%%
%% Compile shout_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors shout_nif.erl
%%   erl -noshell -s shout_nif main -s erlang halt
%%
%% It prints:
%%
%%   answered: HI
-module(shout_nif).
-export([shout/1, main/0]).
-nifs([shout/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "shout_nif"), 0).

shout(_Text) ->
    erlang:nif_error(not_loaded).

main() ->
    io:format("answered: ~s~n", [shout(<<"hi">>)]).
