%% SPDX-License-Identifier: 0BSD
%%
%% Adds pieces to two streams of key_nif without a pause.
%% Then it compares the checksums with those that Erlang computes.
%%
%% Compile key_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors key_nif.erl
%%   erl -noshell -s key_nif main -s erlang halt
%%
%% It prints:
%%
%%   first stream in order:  true
%%   second stream in order: true
%%   dropped with a thousand pieces under way
-module(key_nif).
-export([new/0, add/2, answer/1, main/0]).
-nifs([new/0, add_nif/3]).
-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "key_nif"), 0).

%% A stream exists as long as a term refers to it.
new() ->
    erlang:nif_error(not_loaded).

add_nif(_Stream, _Ref, _Piece) ->
    erlang:nif_error(not_loaded).

%% Does not wait for the answer.
add(Stream, Piece) ->
    Ref = make_ref(),
    ok = add_nif(Stream, Ref, Piece),
    {Stream, Ref}.

%% Returns the checksum after the piece. Call it in the process that added the piece.
%% The guard uses Stream, so the process keeps a reference to it while it waits.
%% Without that, the emulator could end the stream before the answer.
answer({Stream, Ref}) ->
    receive
        {Ref, Sum} when is_reference(Stream) -> Sum
    end.

main() ->
    One = new(),
    Two = new(),
    Pieces = [integer_to_binary(N) || N <- lists:seq(1, 200)],
    Backwards = lists:reverse(Pieces),
    {Firsts, Seconds} = lists:unzip([{add(One, P), add(Two, Q)} || {P, Q} <- lists:zip(Pieces, Backwards)]),
    io:format("first stream in order:  ~p~n", [[answer(Each) || Each <- Firsts] =:= sums(Pieces)]),
    io:format("second stream in order: ~p~n", [[answer(Each) || Each <- Seconds] =:= sums(Backwards)]),
    {Pid, Monitor} = spawn_monitor(fun() -> Short = new(), [add(Short, <<"more">>) || _ <- lists:seq(1, 1000)] end),
    receive
        {'DOWN', Monitor, process, Pid, normal} -> io:format("dropped with a thousand pieces under way~n")
    end.

%% The checksums that Erlang computes, one after each piece.
sums(Pieces) ->
    {Sums, _} = lists:mapfoldl(fun(Piece, Sum) -> both(erlang:adler32(Sum, Piece)) end, erlang:adler32(<<>>), Pieces),
    Sums.

both(Sum) ->
    {Sum, Sum}.
