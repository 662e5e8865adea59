%% SPDX-License-Identifier: 0BSD
%%
%% Squares a number with the program square_port.
%%
%% Compile square_port.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors square_port.erl
%%   erl -noshell -s square_port main -s erlang halt
%%
%% It prints:
%%
%%   49
-module(square_port).
-export([main/0]).

main() ->
    Program = filename:join(filename:dirname(code:which(?MODULE)), "square_port"),
    Port = open_port({spawn_executable, Program}, [{line, 80}]),
    true = port_command(Port, [7]),
    receive {Port, {data, {eol, Square}}} -> io:format("~s~n", [Square]) end,
    true = port_close(Port),
    ok.
