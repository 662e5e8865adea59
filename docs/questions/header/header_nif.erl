%% SPDX-License-Identifier: 0BSD
%%
%% Asks header_nif on which threads its functions run, and for which version.
%%
%% Compile header_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors header_nif.erl
%%   erl -noshell -s header_nif main -s erlang halt
%%
%% It prints:
%%
%%   version() ran on:       scheduler
%%   dirty_version() ran on: dirty_io_scheduler
%%   the emulator says the same version: true
%%   compiled for that or an older one:  true
-module(header_nif).
-export([version/0, dirty_version/0, compiled/0, main/0]).
-nifs([version/0, dirty_version/0, compiled/0]).
-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "header_nif"), 0).

version() ->
    erlang:nif_error(not_loaded).

dirty_version() ->
    erlang:nif_error(not_loaded).

compiled() ->
    erlang:nif_error(not_loaded).

main() ->
    {{Major, Minor} = Version, Scheduler} = version(),
    {Version, Dirty} = dirty_version(),
    io:format("version() ran on:       ~p~n", [Scheduler]),
    io:format("dirty_version() ran on: ~p~n", [Dirty]),
    Said = lists:concat([Major, ".", Minor]) =:= erlang:system_info(nif_version),
    io:format("the emulator says the same version: ~p~n", [Said]),
    io:format("compiled for that or an older one:  ~p~n", [compiled() =< Version]).
