%% SPDX-License-Identifier: 0BSD
%%
%% Sends small and large binaries to capitals_drv. Then closes a port before its answer comes.
%%
%% Compile capitals_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors capitals_drv.erl
%%   erl -noshell -s capitals_drv main -s erlang halt
%%
%% It prints:
%%
%%   HELLO, DRIVER
%%   1002 bytes
-module(capitals_drv).
-export([load/0, open/0, capitals/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "capitals_drv").

open() ->
    open_port({spawn_driver, "capitals_drv"}, [binary]).

capitals(Port, Data) ->
    true = port_command(Port, Data),
    receive {Port, {data, Answer}} -> Answer end.

main() ->
    ok = load(),
    Port = open(),
    io:format("~s~n", [capitals(Port, ["hello", <<", driver">>])]),
    Large = binary:copy(<<"x">>, 1000),
    io:format("~b bytes~n", [byte_size(capitals(Port, [1, Large, 2]))]),
    true = port_command(Port, Large),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("capitals_drv").
