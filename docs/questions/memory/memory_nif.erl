%% SPDX-License-Identifier: 0BSD
%%
%% Calls memory_nif with short and long texts, and kills a caller.
%%
%% Compile memory_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors memory_nif.erl
%%   erl -noshell -s memory_nif main -s erlang halt
%%
%% It prints:
%%
%%   short: HI
%%   empty: <<>>
%%   long:  1000000 bytes, all in capitals
%%   no text: badarg
%%   killed in the middle: killed
-module(memory_nif).
-export([shout/1, main/0]).
-nifs([shout/1]).
-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "memory_nif"), 0).

shout(_Text) ->
    erlang:nif_error(not_loaded).

main() ->
    io:format("short: ~s~n", [shout(<<"hi">>)]),
    io:format("empty: ~p~n", [shout(<<>>)]),
    Long = shout(binary:copy(<<"a">>, 1000000)),
    Long = binary:copy(<<"A">>, 1000000),
    io:format("long:  ~b bytes, all in capitals~n", [byte_size(Long)]),
    io:format("no text: ~p~n", [try shout(hi) catch error:Reason -> Reason end]),
    {Pid, Monitor} = spawn_monitor(fun() -> again(Long) end),
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, Why} -> io:format("killed in the middle: ~p~n", [Why])
    end.

again(Text) ->
    shout(Text),
    again(Text).
