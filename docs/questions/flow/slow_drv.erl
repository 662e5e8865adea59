%% slow_drv.erl: opens a port of slow_drv.c, which first reads a file.
%% The head of slow_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(slow_drv).
-export([open/1, close/1, read/3, main/0]).
-define(READ, 1).

%% Returns {ok, Port} when the file has been read, or {error, Reason}.
open(File) ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "slow_drv") of
        ok ->
            try {ok, open_port({spawn_driver, "slow_drv " ++ File}, [])}
            catch error:Why -> ok = erl_ddll:unload("slow_drv"), {error, Why}
            end;
        {error, Why} ->
            error({slow_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("slow_drv").

read(Port, Offset, Length) ->
    list_to_binary(port_control(Port, ?READ, <<Offset:32, Length:32>>)).

main() ->
    File = code:which(?MODULE),
    {ok, Port} = open(File),
    io:format("the file begins with ~p~n", [read(Port, 0, 4)]),
    {ok, Bytes} = file:read_file(File),
    Bytes = read(Port, 0, 16#ffffffff),
    io:format("and is as the file module reads it~n"),
    ok = close(Port),
    io:format("a file that is not there: ~p~n", [open("no such file")]),
    io:format("a folder: ~p~n", [open(".")]),
    {Opener, Monitor} = spawn_monitor(fun() -> open(File), receive stop -> ok end end),
    exit(Opener, kill),
    receive {'DOWN', Monitor, process, Opener, killed} -> ok end,
    Unloaded = erl_ddll:monitor(driver, {"slow_drv", unloaded}),
    receive {'DOWN', Unloaded, driver, _, unloaded} -> ok end,
    io:format("an opener was killed at some moment: port and driver are gone~n").
