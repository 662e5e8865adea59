%% SPDX-License-Identifier: 0BSD
%%
%% Opens ports of state_drv and asks them for their counts.
%%
%% Compile state_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors state_drv.erl
%%   erl -noshell -s state_drv main -s erlang halt
%%
%% It prints:
%%
%%   first port:  1 of 1
%%   second port: 11 of 2
%%   first port:  2 of 3
%%   the number of a port is no number: badarg
%%   the number of a port is too large: erange
-module(state_drv).
-export([load/0, open/0, open/1, count/1, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "state_drv").

%% With spawn in place of spawn_driver, the emulator would start a program of this name if
%% the driver were not loaded.
open() ->
    open_port({spawn_driver, "state_drv"}, [binary]).

open(First) ->
    open_port({spawn_driver, "state_drv " ++ First}, [binary]).

%% Call it in the process that opened the port. The port sends the answer to that process.
count(Port) ->
    true = port_command(Port, []),
    receive
        {Port, {data, Text}} -> Text
    end.

main() ->
    ok = load(),
    One = open(),
    Two = open("10"),
    io:format("first port:  ~s~n", [count(One)]),
    io:format("second port: ~s~n", [count(Two)]),
    io:format("first port:  ~s~n", [count(One)]),
    io:format("the number of a port is no number: ~p~n", [refused("ten")]),
    io:format("the number of a port is too large: ~p~n", [refused("99999999999999999999")]),
    true = port_close(One),
    true = port_close(Two),
    ok = erl_ddll:unload_driver("state_drv").

refused(First) ->
    try open(First) of
        Port -> Port
    catch
        error:Reason -> Reason
    end.
