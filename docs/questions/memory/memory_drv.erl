%% SPDX-License-Identifier: 0BSD
%%
%% Sends short and long texts to memory_drv, and closes a port that still has jobs.
%%
%% Compile memory_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors memory_drv.erl
%%   erl -noshell -s memory_drv main -s erlang halt
%%
%% It prints:
%%
%%   short: HI
%%   empty: <<>>
%%   long:  1000000 bytes, all in capitals
%%   closed with ten jobs under way
%%   unloaded: every job is released
-module(memory_drv).
-export([load/0, open/0, shout/2, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "memory_drv").

open() ->
    open_port({spawn_driver, "memory_drv"}, [binary]).

%% Call it in the process that opened the port. The port sends the answer to that process.
shout(Port, Text) ->
    true = port_command(Port, Text),
    receive
        {Port, {data, Loud}} -> Loud
    end.

main() ->
    ok = load(),
    Port = open(),
    io:format("short: ~s~n", [shout(Port, "hi")]),
    io:format("empty: ~p~n", [shout(Port, "")]),
    Long = shout(Port, binary:copy(<<"a">>, 1000000)),
    Long = binary:copy(<<"A">>, 1000000),
    io:format("long:  ~b bytes, all in capitals~n", [byte_size(Long)]),
    [true = port_command(Port, Long) || _ <- lists:seq(1, 10)],
    true = port_close(Port),
    io:format("closed with ten jobs under way~n"),
    %% The emulator counts the jobs. This call returns when the last one is released.
    ok = erl_ddll:unload_driver("memory_drv"),
    io:format("unloaded: every job is released~n").
