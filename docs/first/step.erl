%% SPDX-License-Identifier: 0BSD
%%
%% Plays a step of the tutorial: a short command, a long one, and one whose port is closed at once.
%%
%% The head of the step's C file says how the two files are compiled and run, and what they print.
-module(step).
-export([main/1]).

main([Driver]) ->
    Name = atom_to_list(Driver),
    ok = erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), Name),
    Port = open_port({spawn_driver, Name}, []),
    io:format("short:     ~s~n", [ask(Port, 1)]),
    io:format("long:      ~s~n", [ask(Port, 20)]),
    true = port_command(Port, [20]),
    true = port_close(Port),
    io:format("closed:    ~s~n", [answer(Port, 100)]),
    ok = erl_ddll:unload_driver(Name).

ask(Port, Steps) ->
    true = port_command(Port, [Steps]),
    answer(Port, 2000).

answer(Port, Wait) ->
    receive {Port, {data, Answer}} -> Answer after Wait -> "no answer" end.
