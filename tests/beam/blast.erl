%% SPDX-License-Identifier: 0BSD
%%
%% Drives blast_drv and says how long it took.
%%
%%   erlc +warnings_as_errors blast.erl
%%   erl +A 1 -noinput -run blast main 1000000 100 -s erlang halt
%%
%% The first argument is the number of jobs, the second the number of ports that share them.  Each port is opened by a
%% process of its own, which sends it one command and waits until all its jobs are done.  Prints one line, the number
%% of jobs and the nanoseconds they took together.
-module(blast).
-export([main/1]).

main([JobsText, PortsText]) ->
    Ports = list_to_integer(PortsText),
    Each = list_to_integer(JobsText) div Ports,
    Command = "blast_drv " ++ integer_to_list(Each),
    Schedulers = erlang:system_info(schedulers_online),
    ok = erl_ddll:load_driver(".", "blast_drv"),
    Begin = erlang:monotonic_time(nanosecond),
    Started = [spawn_opt(fun() -> process(Command) end, [monitor, {scheduler, N rem Schedulers + 1}])
               || N <- lists:seq(1, Ports)],
    lists:foreach(fun ended/1, Started),
    End = erlang:monotonic_time(nanosecond),
    io:format("~b ~b~n", [Each * Ports, End - Begin]).

process(Command) ->
    Port = open_port({spawn_driver, Command}, [binary]),
    true = port_command(Port, <<>>),
    receive
        {Port, done} -> port_close(Port)
    end.

ended({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason
    end.
