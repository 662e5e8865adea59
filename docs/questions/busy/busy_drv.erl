%% busy_drv.erl: sends commands to busy_drv.c until its port is busy.
%% The head of busy_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(busy_drv).
-export([open/0, close/1, request/2, try_request/2, await/1, main/0]).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "busy_drv") of
        ok -> open_port({spawn_driver, "busy_drv"}, []);
        {error, Why} -> error({busy_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("busy_drv").

%% Sends a command. While the port is busy, the caller is suspended.
request(Port, Milliseconds) ->
    send(Port, Milliseconds, []).

%% Sends a command, or returns `busy' at once if the port is busy.
try_request(Port, Milliseconds) ->
    send(Port, Milliseconds, [nosuspend]).

send(Port, Milliseconds, Options) when Milliseconds >= 0, Milliseconds < 1 bsl 16 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed, or was closed while the caller was
    %% suspended. The monitor reports that, too.
    case
        try port_command(Port, <<Tag:64, Milliseconds:16>>, Options)
        catch error:badarg -> true
        end
    of
        true ->
            {Port, Tag, Monitor};
        false ->
            erlang:demonitor(Monitor, [flush]),
            busy
    end.

await({Port, Tag, Monitor}) ->
    receive
        {Port, Tag, done} ->
            erlang:demonitor(Monitor, [flush]),
            done;
        {'DOWN', Monitor, port, Port, _} ->
            {error, closed}
    end.

main() ->
    Port = open(),
    Accepted = until_busy(Port, 50),
    io:format("~b commands of 50 ms, then the port was busy~n", [length(Accepted)]),
    Next = request(Port, 1),
    io:format("the next command waited until the port was open again~n"),
    [done = await(R) || R <- [Next | Accepted]],
    io:format("all are done~n"),
    Last = until_busy(Port, 50),
    {_, Monitor} = spawn_monitor(fun() -> exit(await(request(Port, 1))) end),
    ok = close(Port),
    receive {'DOWN', Monitor, process, _, Why} -> ok end,
    io:format("a close met ~b jobs and a sender that waits: ~p~n", [length(Last), Why]).

until_busy(Port, Milliseconds) ->
    case try_request(Port, Milliseconds) of
        busy -> [];
        Request -> [Request | until_busy(Port, Milliseconds)]
    end.
