%% SPDX-License-Identifier: 0BSD
%%
%% Sends two commands to waker_drv and waits for both answers.
%% Then closes the port before the answer to a third command comes.
%%
%% Compile waker_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors waker_drv.erl
%%   erl -noshell -s waker_drv main -s erlang halt
%%
%% It prints:
%%
%%   answers: done done
%%   closed:  no answer
-module(waker_drv).
-export([load/0, main/0]).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "waker_drv").

main() ->
    ok = load(),
    Port = open_port({spawn_driver, "waker_drv"}, []),
    [true = port_command(Port, []) || _ <- [1, 2]],
    Answers = [receive {Port, {data, Answer}} -> Answer end || _ <- [1, 2]],
    io:format("answers: ~s ~s~n", Answers),
    true = port_command(Port, []),
    true = port_close(Port),
    receive
        {Port, {data, Late}} -> io:format("closed:  ~s~n", [Late])
    after 200 ->
        io:format("closed:  no answer~n")
    end,
    ok = erl_ddll:unload_driver("waker_drv").
