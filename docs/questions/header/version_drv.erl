%% SPDX-License-Identifier: 0BSD
%%
%% Asks version_drv for the version of the driver interface.
%%
%% Compile version_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors version_drv.erl
%%   erl -noshell -s version_drv main -s erlang halt
%%
%% It prints:
%%
%%   version of the driver interface: 3.3
-module(version_drv).
-export([load/0, version/1, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "version_drv").

version(Port) ->
    true = port_command(Port, "version?"),
    receive {Port, {data, Version}} -> Version end.

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "version_drv"}, []),
    io:format("version of the driver interface: ~s~n", [version(Port)]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("version_drv").
