%% SPDX-License-Identifier: 0BSD
%%
%% Waits for an answer of caps_drv. Then closes a port before its answer comes.
%%
%% Compile caps_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors caps_drv.erl
%%   erl -noshell -s caps_drv main -s erlang halt
%%
%% It prints:
%%
%%   waited: HELLO
%%   closed before the answer
-module(caps_drv).
-export([load/0, capitals/2, wait/0, close/0, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "caps_drv").

capitals(Port, Text) ->
    true = port_command(Port, Text),
    receive {Port, {data, Answer}} -> Answer end.

wait() ->
    Port = open_port({spawn_driver, "caps_drv"}, []),
    io:format("waited: ~s~n", [capitals(Port, "hello")]),
    true = port_close(Port).

close() ->
    Port = open_port({spawn_driver, "caps_drv"}, []),
    true = port_command(Port, "hello"),
    true = port_close(Port),
    timer:sleep(100),
    io:format("closed before the answer~n").

main() ->
    ok = load(),
    wait(),
    close(),
    ok = erl_ddll:unload_driver("caps_drv").
