%% SPDX-License-Identifier: 0BSD
%%
%% Asks waker_nif twice and waits for both answers.
%% Then closes the worker before the answer to a third request comes.
%%
%% Compile waker_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors waker_nif.erl
%%   erl -noshell -s waker_nif main -s erlang halt
%%
%% It prints:
%%
%%   answers: done done
%%   closed:  no answer
-module(waker_nif).
-export([start/0, ask/1, close/1, main/0]).
-nifs([start/0, ask/1, close/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "waker_nif"), 0).

start() ->
    erlang:nif_error(not_loaded).

ask(_Worker) ->
    erlang:nif_error(not_loaded).

close(_Worker) ->
    erlang:nif_error(not_loaded).

main() ->
    Worker = start(),
    [ok = ask(Worker) || _ <- [1, 2]],
    Answers = [receive done -> done end || _ <- [1, 2]],
    io:format("answers: ~s ~s~n", Answers),
    ok = ask(Worker),
    ok = close(Worker),
    receive
        done -> io:format("closed:  done~n")
    after 200 ->
        io:format("closed:  no answer~n")
    end.
