%% SPDX-License-Identifier: 0BSD
%%
%% Asks header_drv in three ways for the version of the driver interface.
%%
%% Compile header_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors header_drv.erl
%%   erl +A 4 -noshell -s header_drv main -s erlang halt
%%
%% `+A` is the number of async threads; without it there is one. It prints:
%%
%%   port_command: 3.3, ... async threads, 8 bytes asked
%%   port_control: 3.3
%%   port_call:    {3,3}
%%   the emulator says the same: true
%%   an operation that the driver does not have: badarg
-module(header_drv).
-export([load/0, open/0, async_version/1, version/1, version_term/1, main/0]).

-define(VERSION, 1).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "header_drv").

open() ->
    open_port({spawn_driver, "header_drv"}, [binary]).

%% Call it in the process that opened the port. The port sends the answer to that process.
async_version(Port) ->
    true = port_command(Port, <<"version?">>),
    receive
        {Port, {data, Text}} -> Text
    end.

version(Port) ->
    port_control(Port, ?VERSION, []).

version_term(Port) ->
    erlang:port_call(Port, ?VERSION, []).

main() ->
    ok = load(),
    Port = open(),
    io:format("port_command: ~s~n", [async_version(Port)]),
    io:format("port_control: ~s~n", [version(Port)]),
    io:format("port_call:    ~w~n", [version_term(Port)]),
    io:format("the emulator says the same: ~p~n", [erlang:system_info(driver_version) =:= version(Port)]),
    Unknown = try port_control(Port, 2, []) catch error:Reason -> Reason end,
    io:format("an operation that the driver does not have: ~p~n", [Unknown]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("header_drv").
