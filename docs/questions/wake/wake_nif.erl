%% wake_nif.erl: gets squares from wake_nif.c, where a thread of the NIF's own computes
%% them.
%% The head of wake_nif.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(wake_nif).
-export([open/0, close/1, submit/3, square/2, request/2, await/1, main/0]).
-nifs([open/0, close/1, submit/3]).
-on_load(load/0).

load() ->
    Dir = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Dir, "wake_nif"), 0).

open() -> erlang:nif_error(not_loaded).
close(_Worker) -> erlang:nif_error(not_loaded).

%% Returns ok or closed. Only after ok, {Ref, Answer} follows.
submit(_Worker, _Ref, _Number) -> erlang:nif_error(not_loaded).

square(Worker, Number) ->
    await(request(Worker, Number)).

%% Any process may call it, also several times before it calls await/1.
request(Worker, Number) ->
    Ref = make_ref(),
    {submit(Worker, Ref, Number), Ref}.

await({ok, Ref}) ->
    receive {Ref, Answer} -> Answer end;
await({closed, _Ref}) ->
    {error, closed}.

main() ->
    Worker = open(),
    {ok, 49} = square(Worker, 7),
    io:format("7 squared: 49~n"),
    Requests = [request(Worker, N) || N <- lists:seq(1, 1000)],
    Answers = [await(R) || R <- Requests],
    true = Answers =:= [{ok, N * N} || N <- lists:seq(1, 1000)],
    io:format("a thousand requests at once: each got its own answer~n"),
    Late = request(Worker, 9),
    ok = close(Worker),
    io:format("a close met a request: ~p~n", [await(Late)]),
    {error, closed} = square(Worker, 9),
    io:format("after the close: {error,closed}~n").
