%% SPDX-License-Identifier: 0BSD
%%
%% Ends three ports of spool_drv that have three bytes to write. The first is closed. The
%% second drops its bytes and is closed. The third is killed.
%%
%% Compile spool_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors spool_drv.erl
%%   erl -noshell -s spool_drv main -s erlang halt
%%
%% It prints:
%%
%%   closed:  normal, the port is there, port_command raises badarg
%%   later:   the port is gone
%%   dropped: the port is gone
%%   killed:  killed, the port is gone
-module(spool_drv).
-export([load/0, left/1, drop/1, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "spool_drv").

left(Port) -> hd(port_control(Port, 0, "")).

drop(Port) -> hd(port_control(Port, 1, "")).

main() ->
    process_flag(trap_exit, true),
    ok = load(),
    One = open(),
    true = port_close(One),
    {'EXIT', {badarg, _}} = (catch port_command(One, "d")),
    io:format("closed:  ~p, the port is ~s, port_command raises badarg~n", [reason(One), state(One)]),
    timer:sleep(500),
    io:format("later:   the port is ~s~n", [state(One)]),
    Two = open(),
    true = port_close(Two),
    0 = drop(Two),
    io:format("dropped: the port is ~s~n", [state(Two)]),
    Three = open(),
    true = exit(Three, kill),
    io:format("killed:  ~p, the port is ~s~n", [reason(Three), state(Three)]),
    ok = erl_ddll:unload_driver("spool_drv").

open() ->
    Port = open_port({spawn_driver, "spool_drv"}, []),
    true = port_command(Port, "abc"),
    Port.

reason(Port) ->
    receive {'EXIT', Port, Reason} -> Reason end.

state(Port) ->
    case erlang:port_info(Port) of
        undefined -> "gone";
        _ -> "there"
    end.
