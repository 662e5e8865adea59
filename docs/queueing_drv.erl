%% SPDX-License-Identifier: 0BSD
%%
%% Waits for an answer of queueing_drv. Then closes the port while a job works.
%% The port exists until the job is back.
%%
%% Compile queueing_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors queueing_drv.erl
%%   erl -noshell -s queueing_drv main -s erlang halt
%%
%% It prints:
%%
%%   open:   15
%%   closed: the port waits
%%   later:  the port is gone
-module(queueing_drv).
-export([load/0, ask/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "queueing_drv").

ask(Port, Number) ->
    true = port_command(Port, [Number]),
    receive {Port, {data, [Answer]}} -> Answer end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "queueing_drv 3"}, []),
    io:format("open:   ~b~n", [ask(Port, 5)]),
    true = port_command(Port, [6]),
    true = port_close(Port),
    io:format("closed: ~s~n", [state(Port)]),
    timer:sleep(200),
    io:format("later:  ~s~n", [state(Port)]),
    ok = erl_ddll:unload_driver("queueing_drv").

state(Port) ->
    case lists:member(Port, erlang:ports()) of
        true -> "the port waits";
        false -> "the port is gone"
    end.
