%% SPDX-License-Identifier: 0BSD
%%
%% Asks version_nif for the version of the driver interface.
%%
%% Compile version_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors version_nif.erl
%%   erl -noshell -s version_nif main -s erlang halt
%%
%% It prints:
%%
%%   version of the driver interface: 3.3
-module(version_nif).
-export([version/0, main/0]).
-nifs([version/0]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "version_nif"), 0).

version() ->
    erlang:nif_error(not_loaded).

main() ->
    io:format("version of the driver interface: ~s~n", [version()]).
