%% SPDX-License-Identifier: 0BSD
%%
%% Sends three commands to a process that calls turns_nif, the longest first, and collects
%% the answers.
%%
%% Compile turns_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors turns_nif.erl
%%   erl -noshell -s turns_nif main -s erlang halt
%%
%% It prints:
%%
%%   commands: [60,30,10]
%%   answers:  [60,30,10]
-module(turns_nif).
-export([start/0, answers/2, main/0]).
-nifs([work/1]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "turns_nif"), 0).

work(_Ms) ->
    erlang:nif_error(not_loaded).

%% The mailbox of this process keeps the commands in order.
start() ->
    spawn_link(fun serve/0).

serve() ->
    receive
        {From, Ms} -> From ! {self(), work(Ms)}, serve();
        stop -> ok
    end.

answers(Server, Commands) ->
    [Server ! {self(), Ms} || Ms <- Commands],
    [receive {Server, Ms} -> Ms end || _ <- Commands].

main() ->
    Server = start(),
    Commands = [60, 30, 10],
    io:format("commands: ~w~n", [Commands]),
    io:format("answers:  ~w~n", [answers(Server, Commands)]),
    Server ! stop,
    ok.
