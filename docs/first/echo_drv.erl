%% SPDX-License-Identifier: 0BSD
%%
%% Sends echo_drv a command and waits for the answer.
%%
%% Compile echo_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors echo_drv.erl
%%   erl -noshell -s echo_drv main -s erlang halt
%%
%% It prints:
%%
%%   hello
-module(echo_drv).
-export([main/0]).

main() ->
    ok = erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "echo_drv"),
    Port = open_port({spawn_driver, "echo_drv"}, []),
    true = port_command(Port, "hello"),
    receive {Port, {data, Answer}} -> io:format("~s~n", [Answer]) end,
    true = port_close(Port),
    ok = erl_ddll:unload_driver("echo_drv").
