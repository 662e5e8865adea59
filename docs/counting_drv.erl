%% SPDX-License-Identifier: 0BSD
%%
%% Waits for an answer of counting_drv. Then closes the port while a job works.
%%
%% Compile counting_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors counting_drv.erl
%%   erl -noshell -s counting_drv main -s erlang halt
%%
%% It prints:
%%
%%   open:   15
%%   closed: no answer
-module(counting_drv).
-export([load/0, ask/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "counting_drv").

ask(Port, Number) ->
    true = port_command(Port, [Number]),
    receive {Port, {data, [Answer]}} -> Answer end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "counting_drv 3"}, []),
    io:format("open:   ~b~n", [ask(Port, 5)]),
    true = port_command(Port, [6]),
    true = port_close(Port),
    receive
        {Port, {data, [Answer]}} -> io:format("closed: ~b~n", [Answer])
    after 200 ->
        io:format("closed: no answer~n")
    end,
    ok = erl_ddll:unload_driver("counting_drv").
