%% cancel_drv.erl: has cancel_drv.c count primes, and cancels some of the requests.
%% The head of cancel_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(cancel_drv).
-export([open/0, close/1, request/2, cancel/1, await/1, main/0]).
-define(CANCEL, 1).

open() ->
    Dir = filename:dirname(code:which(?MODULE)),
    case erl_ddll:load(Dir, "cancel_drv") of
        ok -> open_port({spawn_driver, "cancel_drv"}, []);
        {error, Why} -> error({cancel_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("cancel_drv").

request(Port, Limit) when Limit >= 0, Limit < 1 bsl 32 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, <<Tag:64, Limit:32>>) catch error:badarg -> closed end,
    {Port, Tag, Monitor}.

%% Any process may cancel. The process that called request/2 gets the answer, and
%% reads it with await/1.
cancel({Port, Tag, _}) ->
    try port_control(Port, ?CANCEL, <<Tag:64>>) of
        [1] -> in_time;
        [0] -> too_late
    catch
        error:badarg -> closed
    end.

%% Returns {ok, Primes}, cancelled or closed.
await({Port, Tag, Monitor}) ->
    receive
        {Port, Tag, Answer} ->
            erlang:demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, port, Port, _} ->
            closed
    end.

main() ->
    Port = open(),
    Quick = request(Port, 10000),
    {ok, 1229} = await(Quick),
    too_late = cancel(Quick),
    io:format("1229 primes below 10000; to cancel now is too late~n"),
    %% Without a cancel each of these would occupy its async thread for hours.
    Long = [request(Port, 16#ffffffff) || _ <- lists:seq(1, 8)],
    [in_time = cancel(R) || R <- Long],
    io:format("eight long jobs: ~w~n", [[await(R) || R <- Long]]),
    {ok, 25} = await(request(Port, 100)),
    io:format("the threads are back: 25 primes below 100~n"),
    Lost = request(Port, 16#ffffffff),
    ok = close(Port),
    io:format("a close met a long job: ~w~n", [await(Lost)]),
    closed = cancel(Lost),
    ok.
