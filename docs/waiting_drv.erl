%% SPDX-License-Identifier: 0BSD
%%
%% Waits for an answer of waiting_drv. Then closes the port while a job works.
%% That takes as long as the job.
%%
%% Compile waiting_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors waiting_drv.erl
%%   erl -noshell -s waiting_drv main -s erlang halt
%%
%% It prints:
%%
%%   open:   15
%%   port_close returned after the job
-module(waiting_drv).
-export([load/0, ask/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "waiting_drv").

ask(Port, Number) ->
    true = port_command(Port, [Number]),
    receive {Port, {data, [Answer]}} -> Answer end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "waiting_drv 3"}, []),
    io:format("open:   ~b~n", [ask(Port, 5)]),
    true = port_command(Port, [6]),
    Start = erlang:monotonic_time(millisecond),
    true = port_close(Port),
    case erlang:monotonic_time(millisecond) - Start of
        Short when Short < 20 -> io:format("port_close returned at once~n");
        _ -> io:format("port_close returned after the job~n")
    end,
    ok = erl_ddll:unload_driver("waiting_drv").
