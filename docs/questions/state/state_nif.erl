%% SPDX-License-Identifier: 0BSD
%%
%% Opens counters of state_nif and asks them for their counts.
%%
%% Compile state_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors state_nif.erl
%%   erl -noshell -s state_nif main -s erlang halt
%%
%% It prints:
%%
%%   first counter:  1 of 1
%%   second counter: 11 of 2
%%   first counter:  2 of 3
%%   the number of a counter is no number: badarg
%%   the owner of a counter has died: badarg
-module(state_nif).
-export([open/1, count/1, main/0]).
-nifs([open/1, count/1]).
-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "state_nif"), 0).

%% The caller owns the counter. When it has ended, count/1 fails with badarg in every
%% process.
open(_First) ->
    erlang:nif_error(not_loaded).

count(_Counter) ->
    erlang:nif_error(not_loaded).

main() ->
    One = open(0),
    Two = open(10),
    io:format("first counter:  ~b of ~b~n", tuple_to_list(count(One))),
    io:format("second counter: ~b of ~b~n", tuple_to_list(count(Two))),
    io:format("first counter:  ~b of ~b~n", tuple_to_list(count(One))),
    io:format("the number of a counter is no number: ~p~n", [failure(fun() -> open(ten) end)]),
    Orphan = orphan(),
    io:format("the owner of a counter has died: ~p~n", [failure(fun() -> until_closed(Orphan) end)]).

%% Returns a counter whose owner has sent it to this process and has ended.
orphan() ->
    Main = self(),
    {Owner, Monitor} = spawn_monitor(fun() -> Main ! {self(), open(0)} end),
    receive
        {'DOWN', Monitor, process, Owner, normal} -> ok
    end,
    receive
        {Owner, Counter} -> Counter
    end.

%% Calls count/1 until it fails. The emulator may call the resource's `down` after it has
%% sent the 'DOWN' message to this process.
until_closed(Counter) ->
    count(Counter),
    until_closed(Counter).

failure(Call) ->
    try Call() of
        Result -> Result
    catch
        error:Reason -> Reason
    end.
