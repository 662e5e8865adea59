%% SPDX-License-Identifier: 0BSD
%%
%% Calls trip_nif, and calls it in other processes while this one goes on.
%%
%% Compile trip_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors trip_nif.erl
%%   erl -noshell -s trip_nif main -s erlang halt
%%
%% It prints:
%%
%%   7 squared: 49
%%   three at once: [1,4,9]
-module(trip_nif).
-export([square/1, request/1, await/1, main/0]).
-nifs([square/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "trip_nif"), 0).

square(_Number) ->
    erlang:nif_error(not_loaded).

%% The caller goes on meanwhile. The monitor also reports a process that was killed.
request(Number) ->
    spawn_monitor(fun() -> exit({square, square(Number)}) end).

await({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {square, Square}} -> {ok, Square};
        {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
    end.

main() ->
    io:format("7 squared: ~b~n", [square(7)]),
    Requests = [request(Number) || Number <- [1, 2, 3]],
    Squares = [Square || {ok, Square} <- [await(Request) || Request <- Requests]],
    io:format("three at once: ~w~n", [Squares]).
