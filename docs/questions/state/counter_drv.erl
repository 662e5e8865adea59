%% SPDX-License-Identifier: 0BSD
%%
%% Opens two ports of counter_drv and sends commands to both.
%%
%% Compile counter_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors counter_drv.erl
%%   erl -noshell -s counter_drv main -s erlang halt
%%
%% It prints:
%%
%%   first:  1
%%   second: 1
%%   first:  2
-module(counter_drv).
-export([load/0, open/0, count/1, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "counter_drv").

open() ->
    open_port({spawn_driver, "counter_drv"}, []).

count(Port) ->
    true = port_command(Port, "next"),
    receive {Port, {data, Count}} -> Count end.

main() ->
    ok = load(),
    One = open(),
    Two = open(),
    io:format("first:  ~s~n", [count(One)]),
    io:format("second: ~s~n", [count(Two)]),
    io:format("first:  ~s~n", [count(One)]),
    true = port_close(One),
    true = port_close(Two),
    ok = erl_ddll:unload_driver("counter_drv").
