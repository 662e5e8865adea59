%% SPDX-License-Identifier: 0BSD
%%
%% Cancels a job of steps_drv while it runs, and a second job after its answer.
%%
%% Compile steps_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors steps_drv.erl
%%   erl -noshell -s steps_drv main -s erlang halt
%%
%% It prints:
%%
%%   200 steps: cancelled
%%   3 steps:   done, too late
-module(steps_drv).
-export([load/0, cancel/1, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "steps_drv").

cancel(Port) ->
    port_control(Port, 1, []).

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "steps_drv"}, []),
    true = port_command(Port, [200]),
    io:format("200 steps: ~s~n", [cancel(Port)]),
    true = port_command(Port, [3]),
    receive {Port, {data, Answer}} -> ok end,
    io:format("3 steps:   ~s, ~s~n", [Answer, cancel(Port)]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("steps_drv").
