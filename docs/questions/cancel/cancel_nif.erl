%% cancel_nif.erl: has cancel_nif.c count primes, and cancels some of the requests.
%% The head of cancel_nif.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(cancel_nif).
-export([new/0, cancel/1, count/2, request/1, await/1, main/0]).
-nifs([new/0, cancel/1, count/2]).
-on_load(load/0).

load() ->
    Dir = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Dir, "cancel_nif"), 0).

new() -> erlang:nif_error(not_loaded).
cancel(_Flag) -> erlang:nif_error(not_loaded).

%% Returns {ok, Primes} or cancelled.
count(_Flag, _Limit) -> erlang:nif_error(not_loaded).

%% Runs count/2 in a process of its own. The caller makes the flag, so the count also
%% ends when the caller ends.
request(Limit) ->
    Flag = new(),
    {Pid, Monitor} = spawn_monitor(fun() -> exit({answer, count(Flag, Limit)}) end),
    {Flag, Pid, Monitor}.

await({_Flag, Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {answer, Answer}} -> Answer;
        {'DOWN', Monitor, process, Pid, Why} -> {error, Why}
    end.

main() ->
    {ok, 1229} = await(request(10000)),
    io:format("1229 primes below 10000~n"),
    %% Without a cancel each of these would occupy its dirty scheduler for hours.
    Long = [request(16#ffffffff) || _ <- lists:seq(1, 8)],
    [ok = cancel(Flag) || {Flag, _, _} <- Long],
    io:format("eight long jobs: ~w~n", [[await(R) || R <- Long]]),
    Self = self(),
    Owner = spawn(fun() ->
        [Self ! {self(), request(16#ffffffff)} || _ <- lists:seq(1, 8)],
        receive stop -> ok end
    end),
    Pids = [receive {Owner, {_, Pid, _}} -> Pid end || _ <- lists:seq(1, 8)],
    Monitors = [erlang:monitor(process, Pid) || Pid <- Pids],
    exit(Owner, kill),
    [receive {'DOWN', M, process, _, Why} -> {answer, cancelled} = Why end || M <- Monitors],
    io:format("their owner was killed: all eight have ended~n"),
    {_, Killed, Monitor} = request(16#ffffffff),
    exit(Killed, kill),
    receive {'DOWN', Monitor, process, Killed, killed} -> ok end,
    {ok, 25} = await(request(100)),
    io:format("the schedulers are back: 25 primes below 100~n").
