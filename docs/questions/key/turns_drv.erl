%% SPDX-License-Identifier: 0BSD
%%
%% Sends three commands to turns_drv without waiting, the longest first, and collects the answers.
%%
%% Compile turns_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors turns_drv.erl
%%   erl +A 4 -noshell -s turns_drv main -s erlang halt
%%
%% It prints:
%%
%%   commands: [60,30,10]
%%   answers:  [60,30,10]
-module(turns_drv).
-export([load/0, answers/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "turns_drv").

answers(Port, Commands) ->
    [true = port_command(Port, [Ms]) || Ms <- Commands],
    [receive {Port, {data, [Ms]}} -> Ms end || _ <- Commands].

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "turns_drv"}, []),
    Commands = [60, 30, 10],
    io:format("commands: ~w~n", [Commands]),
    io:format("answers:  ~w~n", [answers(Port, Commands)]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("turns_drv").
