%% SPDX-License-Identifier: 0BSD
%%
%% Sends the pieces of two streams to two ports of key_drv without a pause.
%% Then it compares the checksums with those that Erlang computes.
%%
%% Compile key_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors key_drv.erl
%%   erl +A 4 -noshell -s key_drv main -s erlang halt
%%
%% It prints:
%%
%%   200 answers from each port
%%   first stream in order:  true
%%   second stream in order: true
%%   closed with a thousand jobs under way, unloaded
-module(key_drv).
-export([load/0, open/0, add/2, answer/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "key_drv").

open() ->
    open_port({spawn_driver, "key_drv"}, [binary]).

%% Does not wait for the answer. The driver numbers the pieces of a port from 1, in the
%% order of the calls.
add(Port, Piece) ->
    true = port_command(Port, Piece).

%% Returns the checksum of the pieces 1 to Number. Call it in the process that opened
%% the port.
answer(Port, Number) ->
    receive
        {Port, {data, <<Number:32, Sum:32>>}} -> Sum
    end.

main() ->
    ok = load(),
    One = open(),
    Two = open(),
    Pieces = [integer_to_binary(N) || N <- lists:seq(1, 200)],
    Backwards = lists:reverse(Pieces),
    [begin add(One, P), add(Two, Q) end || {P, Q} <- lists:zip(Pieces, Backwards)],
    Firsts = [answer(One, N) || N <- lists:seq(1, 200)],
    Seconds = [answer(Two, N) || N <- lists:seq(1, 200)],
    io:format("~b answers from each port~n", [length(Firsts)]),
    io:format("first stream in order:  ~p~n", [Firsts =:= sums(Pieces)]),
    io:format("second stream in order: ~p~n", [Seconds =:= sums(Backwards)]),
    [add(One, <<"more">>) || _ <- lists:seq(1, 1000)],
    true = port_close(One),
    true = port_close(Two),
    ok = erl_ddll:unload_driver("key_drv"),
    io:format("closed with a thousand jobs under way, unloaded~n").

%% The checksums that Erlang computes, one after each piece.
sums(Pieces) ->
    {Sums, _} = lists:mapfoldl(fun(Piece, Sum) -> both(erlang:adler32(Sum, Piece)) end, erlang:adler32(<<>>), Pieces),
    Sums.

both(Sum) ->
    {Sum, Sum}.
