%% flow_nif.erl: gets squares from flow_nif.c.
%% The head of flow_nif.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(flow_nif).
-export([square/1, request/1, await/1, main/0]).
-nifs([square/1]).
-on_load(load/0).

load() ->
    Dir = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Dir, "flow_nif"), 0).

square(_Number) ->
    erlang:nif_error(not_loaded).

%% The process returns the answer as its exit reason. The 'DOWN' message of the monitor
%% brings the answer, and also tells if the process was killed.
request(Number) ->
    spawn_monitor(fun() -> exit({ok, square(Number)}) end).

await({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {ok, Square}} -> {ok, Square};
        {'DOWN', Monitor, process, Pid, Why} -> {error, Why}
    end.

main() ->
    49 = square(7),
    io:format("7 squared: 49~n"),
    Requests = [request(N) || N <- lists:seq(1, 10)],
    Answers = [await(R) || R <- lists:reverse(Requests)],
    true = Answers =:= [{ok, N * N} || N <- lists:seq(10, 1, -1)],
    io:format("ten requests at once, awaited in reverse: each got its own answer~n"),
    Late = {Pid, _} = request(9),
    exit(Pid, kill),
    io:format("a kill met a request: ~p~n", [await(Late)]).
