%% SPDX-License-Identifier: 0BSD
%%
%% Sends a text to shout_drv, and closes a port that still has jobs.
%%
%% Compile shout_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors shout_drv.erl
%%   erl -noshell -s shout_drv main -s erlang halt
%%
%% It prints:
%%
%%   answered: HI
%%   unloaded: every block is freed
-module(shout_drv).
-export([load/0, shout/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "shout_drv").

shout(Port, Text) ->
    true = port_command(Port, Text),
    receive {Port, {data, Loud}} -> Loud end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "shout_drv"}, []),
    io:format("answered: ~s~n", [shout(Port, "hi")]),
    [true = port_command(Port, "hi") || _ <- lists:seq(1, 10)],
    true = port_close(Port),
    %% This call returns when every job has ended and every free callback has returned.
    ok = erl_ddll:unload_driver("shout_drv"),
    io:format("unloaded: every block is freed~n").
