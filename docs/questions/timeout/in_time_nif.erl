%% SPDX-License-Identifier: 0BSD
%%
%% Asks in_time_nif for short work, for long work, and for short work again.
%%
%% Compile in_time_nif.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors in_time_nif.erl
%%   erl -noshell -s in_time_nif main -s erlang halt
%%
%% It prints:
%%
%%   1 step:    done
%%   200 steps: timeout
%%   1 step:    done
-module(in_time_nif).
-export([ask/1, main/0]).
-nifs([work/2]).
-on_load(load/0).

load() ->
    Folder = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Folder, "in_time_nif"), 0).

work(_Steps, _End) ->
    erlang:nif_error(not_loaded).

%% The time begins here.
ask(Steps) ->
    work(Steps, erlang:monotonic_time(millisecond) + 200).

main() ->
    io:format("1 step:    ~s~n", [ask(1)]),
    io:format("200 steps: ~s~n", [ask(200)]),
    io:format("1 step:    ~s~n", [ask(1)]).
