%% drain_drv.erl: appends to a file with drain_drv.c, and closes it.
%% drain_drv.c tells how to compile and run both.
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

%% If a write fails, the port ends with the reason, and so does its owner.
append(Port, Data) ->
    true = port_command(Port, Data).

%% For the owner: returns when everything is written, or could not be. A port
%% that is closing can send nothing, so from here on nobody learns of an error.
close(Port) ->
    Port ! {self(), close},
    closed(Port),
    ok = erl_ddll:unload("drain_drv").

%% There is no message if somebody else has closed the port.
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
    %% The driver is unloaded when its last port has ended.
    Unloaded = erl_ddll:monitor(driver, {"drain_drv", unloaded}),
    exit(Owner, kill),
    receive {'DOWN', Unloaded, driver, _, unloaded} -> ok end,
    20000000 = filelib:file_size(File),
    io:format("a thousand more, and the owner was killed: all are in the file~n"),
    ok = file:delete(File).
