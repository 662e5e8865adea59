%% drain_drv.erl: appends to a file through drain_drv.c, and closes the port.
%% The head of drain_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(drain_drv).
-export([open/1, append/2, close/1, main/0]).

open(File) ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "drain_drv") of
        ok ->
            try open_port({spawn_driver, "drain_drv " ++ File}, [])
            catch error:Why -> ok = erl_ddll:unload("drain_drv"), error(Why)
            end;
        {error, Why} ->
            error({drain_drv, erl_ddll:format_error(Why)})
    end.

%% If a write fails, the port ends with the error as its reason. The owner is linked
%% to the port and ends as well.
append(Port, Data) ->
    true = port_command(Port, Data).

%% Call it in the owner of the port. It returns when every command has been written
%% or has failed. A port that is closing sends no message, so an error of a write is
%% not reported any more.
close(Port) ->
    Port ! {self(), close},
    closed(Port),
    ok = erl_ddll:unload("drain_drv").

%% If another process has closed the port, no {Port, closed} comes. So it also asks
%% whether the port still exists.
closed(Port) ->
    receive
        {Port, closed} -> ok
    after 100 ->
        erlang:port_info(Port, id) =:= undefined orelse closed(Port)
    end.

main() ->
    File = "drain_drv.out",
    _ = file:delete(File),
    Port = open(File),
    Block = binary:copy(<<"x">>, 10000),
    [append(Port, Block) || _ <- lists:seq(1, 1000)],
    ok = close(Port),
    10000000 = filelib:file_size(File),
    io:format("a thousand blocks, closed: all are in the file~n"),
    Self = self(),
    Owner = spawn(fun() ->
        Killed = open(File),
        [append(Killed, Block) || _ <- lists:seq(1, 1000)],
        Self ! {self(), ready},
        receive stop -> ok end
    end),
    receive {Owner, ready} -> ok end,
    %% The emulator unloads the driver when its last port has ended.
    Unloaded = erl_ddll:monitor(driver, {"drain_drv", unloaded}),
    exit(Owner, kill),
    receive {'DOWN', Unloaded, driver, _, unloaded} -> ok end,
    20000000 = filelib:file_size(File),
    io:format("a thousand more, and the owner was killed: all are in the file~n"),
    ok = file:delete(File).
