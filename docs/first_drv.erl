%% SPDX-License-Identifier: 0BSD
%%
%% Sends commands to first_drv. Cancels one request, and closes the port while another one is open.
%%
%% Compile first_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors first_drv.erl
%%   erl -noshell -s first_drv main -s erlang halt
%%
%% It prints:
%%
%%   short:     done
%%   long:      timeout
%%   two:       busy, done
%%   cancel:    cancelled, done
%%   closed:    no answer
-module(first_drv).
-export([load/0, ask/2, cancel/1, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "first_drv").

ask(Port, Steps) ->
    true = port_command(Port, [Steps]),
    answer(Port).

answer(Port) ->
    receive {Port, {data, Answer}} -> Answer after 2000 -> "no answer" end.

cancel(Port) ->
    port_control(Port, 0, []).

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "first_drv"}, []),
    io:format("short:     ~s~n", [ask(Port, 1)]),
    io:format("long:      ~s~n", [ask(Port, 200)]),
    true = port_command(Port, [1]),
    true = port_command(Port, [1]),
    io:format("two:       ~s, ~s~n", [answer(Port), answer(Port)]),
    true = port_command(Port, [200]),
    io:format("cancel:    ~s, ~s~n", [cancel(Port), ask(Port, 1)]),
    true = port_command(Port, [200]),
    true = port_close(Port),
    receive
        {Port, {data, Answer}} -> io:format("closed:    ~s~n", [Answer])
    after 200 ->
        io:format("closed:    no answer~n")
    end,
    ok = erl_ddll:unload_driver("first_drv").
