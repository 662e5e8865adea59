%% SPDX-License-Identifier: 0BSD
%%
%% Asks in_time_drv for short work, for long work, and for short work again.
%%
%% Compile in_time_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors in_time_drv.erl
%%   erl -noshell -s in_time_drv main -s erlang halt
%%
%% It prints:
%%
%%   1 step:    done
%%   200 steps: timeout
%%   1 step:    done
-module(in_time_drv).
-export([load/0, ask/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "in_time_drv").

ask(Port, Steps) ->
    true = port_command(Port, [Steps]),
    receive {Port, {data, Answer}} -> Answer end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "in_time_drv"}, []),
    io:format("1 step:    ~s~n", [ask(Port, 1)]),
    io:format("200 steps: ~s~n", [ask(Port, 200)]),
    io:format("1 step:    ~s~n", [ask(Port, 1)]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("in_time_drv").
