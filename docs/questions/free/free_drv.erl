%% SPDX-License-Identifier: 0BSD
%%
%% Holds files open with free_drv. Closes ports before, while and after their jobs run.
%%
%% Compile free_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors free_drv.erl
%%   erl -noshell -s free_drv main -s erlang halt
%%
%% It prints:
%%
%%   one file:                    0 jobs, 1 open
%%   no such file:                enoent
%%   a hundred, closed at once:   0 jobs, 1 open
%%   a hundred, closed when open: 0 jobs, 1 open
-module(free_drv).
-export([load/0, open/1, main/0]).

-define(COUNTS, 1).

load() ->
    erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "free_drv").

%% Returns {ok, Port} or {error, Reason}.  port_close/1 closes the file.
open(Name) ->
    wait(open_port({spawn_driver, "free_drv " ++ Name}, [binary])).

wait(Port) ->
    Monitor = erlang:monitor(port, Port),
    receive
        {Port, {data, <<"open">>}} ->
            erlang:demonitor(Monitor, [flush]),
            {ok, Port};
        {'DOWN', Monitor, port, Port, Reason} ->
            {error, Reason}
    end.

main() ->
    %% The port is linked to this process, and ends with a reason that is to be printed.
    process_flag(trap_exit, true),
    ok = load(),
    File = code:which(?MODULE),
    {ok, Port} = open(File),
    io:format("one file:                    ~s~n", [counts(Port)]),
    {error, Reason} = open(File ++ ".no"),
    io:format("no such file:                ~p~n", [Reason]),
    Hasty = [open_port({spawn_driver, "free_drv " ++ File}, []) || _ <- lists:seq(1, 100)],
    [true = port_close(Each) || Each <- Hasty],
    io:format("a hundred, closed at once:   ~s~n", [settled(Port)]),
    Open = [begin {ok, Each} = open(File), Each end || _ <- lists:seq(1, 100)],
    [true = port_close(Each) || Each <- Open],
    io:format("a hundred, closed when open: ~s~n", [settled(Port)]),
    true = port_close(Port),
    ok = erl_ddll:unload_driver("free_drv").

counts(Port) ->
    port_control(Port, ?COUNTS, []).

%% Waits until no job is left. Jobs may run after their port was closed.
settled(Port) ->
    case counts(Port) of
        "0 jobs" ++ _ = Counts -> Counts;
        _ -> receive after 1 -> settled(Port) end
    end.
