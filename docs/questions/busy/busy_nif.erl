%% busy_nif.erl: submits requests to busy_nif.c, and waits when its queue is full.
%% The head of busy_nif.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(busy_nif).
-export([open/0, close/1, submit/3, await/1, all/2, main/0]).
-nifs([open/0, close/1, submit/3]).
-on_load(load/0).

load() ->
    Dir = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Dir, "busy_nif"), 0).

open() -> erlang:nif_error(not_loaded).
close(_Worker) -> erlang:nif_error(not_loaded).

%% Returns ok, full or closed. Only after ok, {Ref, done} or {Ref, closed} follows.
submit(_Worker, _Ref, _Milliseconds) -> erlang:nif_error(not_loaded).

await(Ref) ->
    receive {Ref, Answer} -> Answer end.

%% Submits every request. When the queue is full, it waits for the oldest answer.
all(Worker, Times) ->
    all(Worker, Times, []).

all(_Worker, [], Refs) ->
    [await(Ref) || Ref <- Refs];
all(Worker, [Ms | Rest] = Times, Refs) ->
    Ref = make_ref(),
    case {submit(Worker, Ref, Ms), Refs} of
        {ok, _} -> all(Worker, Rest, Refs ++ [Ref]);
        {full, [Oldest | Others]} -> [await(Oldest) | all(Worker, Times, Others)];
        {full, []} -> timer:sleep(1), all(Worker, Times, []); % other processes fill the queue
        {closed, _} -> [await(R) || R <- Refs] ++ [closed || _ <- Times]
    end.

main() ->
    Worker = open(),
    Refs = [make_ref() || _ <- lists:seq(1, 6)],
    Taken = [submit(Worker, Ref, 20) || Ref <- Refs],
    io:format("six at once: ~w~n", [Taken]),
    [done = await(Ref) || {Ref, ok} <- lists:zip(Refs, Taken)],
    io:format("ten, as it takes them: ~w~n", [all(Worker, lists:duplicate(10, 5))]),
    Last = [make_ref() || _ <- lists:seq(1, 3)],
    [ok = submit(Worker, Ref, 60000) || Ref <- Last],
    ok = close(Worker),
    io:format("a close met three of a minute each: ~w~n", [[await(Ref) || Ref <- Last]]),
    closed = submit(Worker, make_ref(), 1),
    Self = self(),
    Owner = spawn(fun() -> Self ! {self(), open()}, receive stop -> ok end end),
    Owned = receive {Owner, Resource} -> Resource end,
    Ref = make_ref(),
    ok = submit(Owned, Ref, 60000),
    exit(Owner, kill),
    io:format("the owner was killed during a job: ~w~n", [await(Ref)]).
