%% SPDX-License-Identifier: 0BSD
%%
%% Holds files open with free_nif, and kills processes that are opening them.
%%
%% Compile free_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors free_nif.erl
%%   erl -noshell -s free_nif main -s erlang halt
%%
%% It prints:
%%
%%   one file:                 1 open
%%   no such file:             {error,2}
%%   closed, and closed again: true, false
%%   a hundred killed at once: 0 open
%%   a hundred killed later:   0 open
-module(free_nif).
-export([open/1, close/1, count/0, main/0]).
-nifs([open_nif/1, close/1, count/0]).
-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "free_nif"), 0).

%% Returns {ok, File}, or {error, Errno} with the number of the system's error.
open(Name) ->
    open_nif(<<(iolist_to_binary(Name))/binary, 0>>).

open_nif(_Name) ->
    erlang:nif_error(not_loaded).

close(_File) ->
    erlang:nif_error(not_loaded).

count() ->
    erlang:nif_error(not_loaded).

main() ->
    Name = code:which(?MODULE),
    {ok, File} = open(Name),
    io:format("one file:                 ~b open~n", [count()]),
    io:format("no such file:             ~p~n", [open(Name ++ ".no")]),
    io:format("closed, and closed again: ~p, ~p~n", [close(File), close(File)]),
    [exit(Each, kill) || Each <- openers(Name)],
    io:format("a hundred killed at once: ~b open~n", [settled()]),
    [receive {Each, open} -> exit(Each, kill) end || Each <- openers(Name)],
    io:format("a hundred killed later:   ~b open~n", [settled()]).

%% Starts a hundred processes. Each opens the file, sends `open' and holds the file.
openers(Name) ->
    Main = self(),
    [spawn(fun() -> hold(open(Name), Main) end) || _ <- lists:seq(1, 100)].

hold({ok, File}, Main) ->
    Main ! {self(), open},
    receive after infinity -> File end.

%% Waits until no descriptor is open. The destructors run after the processes have ended.
settled() ->
    settled(count()).

settled(0) -> 0;
settled(_) -> receive after 1 -> settled() end.
