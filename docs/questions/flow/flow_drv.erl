%% flow_drv.erl: gets squares from flow_drv.c, and matches replies by their tags.
%% The head of flow_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(flow_drv).
-export([open/0, close/1, square/2, request/2, await/1, main/0]).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "flow_drv") of
        ok -> open_port({spawn_driver, "flow_drv"}, []);
        {error, Why} -> error({flow_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("flow_drv").

square(Port, Number) ->
    await(request(Port, Number)).

%% Any process may call it, also several times before it calls await/1.
request(Port, Number) when Number >= 0, Number < 1 bsl 32 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, <<Tag:64, Number:32>>) catch error:badarg -> closed end,
    {Port, Tag, Monitor}.

%% The port sends no reply after 'DOWN', so no message is left in the mailbox.
await({Port, Tag, Monitor}) ->
    receive
        {Port, Tag, Square} ->
            erlang:demonitor(Monitor, [flush]),
            {ok, Square};
        {'DOWN', Monitor, port, Port, _} ->
            {error, closed}
    end.

main() ->
    Port = open(),
    {ok, 49} = square(Port, 7),
    io:format("7 squared: 49~n"),
    Requests = [request(Port, N) || N <- lists:seq(1, 10)],
    Answers = [await(R) || R <- lists:reverse(Requests)],
    true = Answers =:= [{ok, N * N} || N <- lists:seq(10, 1, -1)],
    io:format("ten requests at once, awaited in reverse: each got its own answer~n"),
    Late = request(Port, 9),
    ok = close(Port),
    io:format("a close met a request: ~p~n", [await(Late)]),
    {error, closed} = square(Port, 9),
    io:format("after the close: {error,closed}~n").
