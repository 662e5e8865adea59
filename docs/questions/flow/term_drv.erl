%% term_drv.erl: has term_drv.c count primes, and gets messages about the progress.
%% The head of term_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(term_drv).
-export([open/0, close/1, count/3, main/0]).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "term_drv") of
        ok -> open_port({spawn_driver, "term_drv"}, []);
        {error, Why} -> error({term_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("term_drv").

%% Returns {ok, Primes} or {error, closed}. It calls Progress for each message on the way.
count(Port, Limit, Progress) when Limit >= 0, Limit < 1 bsl 24 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, <<Tag:64, Limit:24>>) catch error:badarg -> closed end,
    await(Port, Tag, Monitor, Progress).

await(Port, Tag, Monitor, Progress) ->
    receive
        {Port, Tag, {progress, Percent}} ->
            Progress(Percent),
            await(Port, Tag, Monitor, Progress);
        {Port, Tag, {done, Primes}} ->
            erlang:demonitor(Monitor, [flush]),
            {ok, Primes};
        {'DOWN', Monitor, port, Port, _} ->
            {error, closed}
    end.

main() ->
    Port = open(),
    {ok, 9592} = count(Port, 100000, fun(Percent) -> io:format("~b% ", [Percent]) end),
    io:format("9592 primes below 100000~n"),
    Self = self(),
    Pid = spawn(fun() -> count(Port, 10000000, fun(_) -> Self ! begun end) end),
    receive begun -> exit(Pid, kill) end,
    {ok, 25} = count(Port, 100, fun(_) -> ok end),
    io:format("a caller was killed at 10%: its job ends at 20%~n"),
    ok = close(Port),
    {error, closed} = count(Port, 100, fun(_) -> ok end),
    io:format("after the close: {error,closed}~n").
