%% SPDX-License-Identifier: 0BSD
%%
%% judge: plays the scenarios on the real emulator.
%%
%%   erl +A 2 +S 2 -noinput -run judge main Directory many close_running:40 ...
%%   erl +A 2 +S 2 -noinput -run judge main Directory once halt_flush
%%
%% A scenario is a function here and one of the same name in scenarios.py.  Each run is a process of its own, on scheduler
%% 1; when it has played, the ports are gone and the jobs given back, the log is printed as one line: the scenario's name,
%% a tab, the events.  A run that ends in an error prints the name, a tab, `!` and the reason.
%%
%% What the drivers are told is in judge.py.
-module(judge).
-compile([export_all, nowarn_export_all]).

-define(RESET, 1).
-define(QUIET, 2).
-define(GIVE, 3).
-define(MARK, 4).
-define(PRINT, 5).
-define(SAY, 6).
-define(AT_ONCE, 7).

main([Directory, How | Plan]) ->
    logger:set_primary_config(level, none), % only the log is printed
    persistent_term:put(directory, Directory),
    ok = erl_ddll:load_driver(Directory, "judge_log"),
    register(judge_log, open_port({spawn_driver, "judge_log"}, [binary])),
    Drivers = ["judge", "judge_other", "judge_lock", "judge_bare", "judge_no_ready", "judge_no_flush", "judge_soft"],
    [ok = erl_ddll:load_driver(Directory, Driver) || Driver <- Drivers],
    case How of
        "many" ->
            lists:foreach(fun several/1, Plan),
            erlang:halt(0, [{flush, false}]);
        "once" ->
            port_control(judge_log, ?AT_ONCE, []),
            once(list_to_atom(hd(Plan))),
            erlang:halt(1, [{flush, false}])
    end.

several(Item) ->
    [Name, Runs] = string:split(Item, ":"),
    [once(list_to_atom(Name)) || _ <- lists:seq(1, list_to_integer(Runs))].

once(Name) ->
    {_, Ref} = spawn_opt(fun() -> play(Name) end, [monitor, {scheduler, 1}]),
    receive
        {'DOWN', Ref, process, _, normal} -> port_control(judge_log, ?PRINT, atom_to_list(Name));
        {'DOWN', Ref, process, _, Reason} -> port_control(judge_log, ?SAY, io_lib:format("~s\t!~0p~n", [Name, Reason]))
    end.

play(Name) ->
    process_flag(trap_exit, true),
    port_control(judge_log, ?RESET, []),
    quiet(0),
    spend(),
    ?MODULE:Name(),
    quiet(0).

%% In every third run use up most of the time slice, so that the process is scheduled out somewhere in what it plays.
spend() ->
    case erlang:phash2(make_ref(), 3) of
        0 -> erlang:bump_reductions(2500 + erlang:phash2(make_ref(), 1500));
        _ -> ok
    end.

%% Wait until all ports are gone and all jobs given back.
quiet(Tries) ->
    case port_control(judge_log, ?QUIET, []) of
        [1] -> ok;
        [0] when Tries < 20 -> erlang:yield(), quiet(Tries + 1);
        [0] -> receive after 1 -> quiet(Tries) end
    end.

%% The words of the scenarios.

open(Driver) -> open(Driver, "").
open(Driver, Scripts) -> open(Driver, Scripts, []).
open(Driver, Scripts, Options) ->
    open_port({spawn_driver, atom_to_list(Driver) ++ " " ++ Scripts}, [binary | Options]).

load() -> load(load_driver).
load(How) -> ok = erl_ddll:How(persistent_term:get(directory), "judge_unloaded").

cmd(Port, Script) -> port_command(Port, Script).
cmd(Port, Script, Option) -> port_command(Port, Script, [Option]).

control(Port, Script) -> port_control(Port, 0, Script).

close(Port) -> mark("port_close"), port_close(Port).

command(Port, Script) -> Port ! {self(), {command, Script}}.

%% Log that Erlang's side has come here.
mark() -> mark("send").
mark(Name) -> port_control(judge_log, ?MARK, Name).

%% Open a gate; wait for the driver, or for another process, to tell something.
give(Gate) -> port_control(judge_log, ?GIVE, [Gate]).
await(Flag) -> receive {tell, Flag} -> ok end.
tell(Pid, Flag) -> Pid ! {tell, Flag}.

on(Scheduler, Function) -> spawn_opt(fun() -> spend(), Function() end, [{scheduler, min(Scheduler, schedulers())}]).

schedulers() -> erlang:system_info(schedulers).
threads() -> erlang:system_info(thread_pool_size).

message() -> receive Message when not is_tuple(Message); element(1, Message) =/= 'EXIT' -> Message end.

%% What the port ended with.
exit_reason(Port) -> receive {'EXIT', Port, Reason} -> Reason end.

%% Wait for the message that something monitored is gone.
gone(Kind) -> receive {'DOWN', _, Kind, _, _} -> ok end.

%% Have messages built outside the heap.
off_heap() -> process_flag(message_queue_data, off_heap).

%% Take so many messages.
drain(0) -> ok;
drain(Times) -> message(), drain(Times - 1).

%% Whether no message is there.
no_message() -> receive _ -> false after 0 -> true end.

%% How a BIF fails.
failure(Function) ->
    try Function() of _ -> none
    catch error:Reason -> Reason
    end.

%% A process that does nothing more.
stay() -> receive never -> ok end.

%% The scenarios.

round_trip() ->
    P = open(judge, "r:s1"),
    cmd(P, "n"),
    await(1),
    close(P).

second_command() ->
    P = open(judge, "r:s1"),
    cmd(P, "n(w2)"),
    cmd(P, "n"),
    give(2),
    await(1), await(1),
    close(P).

no_key() ->
    P = open(judge, "r:s1"),
    cmd(P, "nnn"),
    await(1), await(1), await(1),
    close(P).

one_key() ->
    P = open(judge, "r:s1"),
    cmd(P, "k7k7k7"),
    await(1), await(1), await(1),
    close(P).

congruent_keys() ->
    P = open(judge, "r:s1"),
    cmd(P, "k1k5"),
    await(1), await(1),
    close(P).

two_keys() ->
    P = open(judge, "r:s1"),
    cmd(P, "k0k1"),
    await(1), await(1),
    close(P).

key_written_back() ->
    P = open(judge, "r:s1"),
    Queue = 7 rem threads(),
    [Queue] = control(P, "V7v="),
    [Queue] = control(P, "v="),
    await(1), await(1),
    close(P).

close_running() ->
    P = open(judge),
    cmd(P, "n(s1w2)"),
    await(1),
    close(P),
    give(2).

close_queued() ->
    P = open(judge),
    cmd(P, "k0(s1w2)k0"),
    await(1),
    close(P),
    give(2).

close_at_once() ->
    P = open(judge),
    cmd(P, "n"),
    close(P).

no_key_shared_count() ->
    P = open(judge, "r:s1"), Q = open(judge_other, "r:s1"),
    cmd(P, "n(w2)"),
    cmd(Q, "n"),
    cmd(P, "n"),
    give(2),
    await(1), await(1), await(1),
    close(P),
    close(Q).

key_counts_too() ->
    P = open(judge, "r:s1"),
    cmd(P, "n(w2)k0n"),
    give(2),
    await(1), await(1), await(1),
    close(P).

two_ports_one_key() ->
    P = open(judge, "r:s1"), Q = open(judge, "r:s1"),
    cmd(P, "k3(w2)"),
    cmd(Q, "k3"),
    give(2),
    await(1), await(1),
    close(P),
    close(Q).

two_drivers_one_key() ->
    P = open(judge, "r:s1"), Q = open(judge_other, "r:s1"),
    cmd(P, "k3(w2)"),
    cmd(Q, "k3"),
    give(2),
    await(1), await(1),
    close(P),
    close(Q).

starved_by_collision() ->
    P = open(judge, "r:s1 r3:s3"),
    cmd(P, "k0(s2w4)k4k1"),
    await(2),
    threads() > 1 andalso await(3),
    mark(),
    give(4),
    threads() == 1 andalso await(3),
    await(1), await(1),
    close(P).

two_schedulers_one_key() ->
    P = open(judge, "r:s1"),
    on(2, fun() -> cmd(P, "k0") end),
    cmd(P, "k0"),
    await(1), await(1),
    close(P).

answers_overtake() ->
    P = open(judge, "r1:s1 r2:g3s1"), Q = open(judge),
    cmd(P, "k0(w2)"),
    on(2, fun() -> cmd(P, "k0") end),
    cmd(Q, "g2w3"),
    await(1), await(1),
    close(P),
    close(Q).

port_key() ->
    P = open(judge),
    Number = list_to_integer(lists:droplast(lists:nthtail(length("#Port<0."), port_to_list(P)))),
    [Key] = control(P, "Y"),
    Key = Number rem 100,
    close(P).

no_ready_async() ->
    P = open(judge_no_ready, "a:s1"),
    cmd(P, "n"),
    await(1),
    close(P).

no_ready_no_free() ->
    P = open(judge_no_ready),
    cmd(P, "N(s1)"),
    await(1),
    close(P).

no_free_open() ->
    P = open(judge, "r:s1"),
    cmd(P, "N"),
    await(1),
    close(P).

no_free_closed() ->
    P = open(judge),
    cmd(P, "N(s1w2)"),
    await(1),
    close(P),
    give(2).

close_two_at_once() ->
    P = open(judge),
    cmd(P, "k0k0"),
    close(P).

done_before_close() ->
    P = open(judge),
    cmd(P, "n(g1)w1f").

refused() ->
    P = open(judge),
    cmd(P, "fn"),
    badarg = failure(fun() -> cmd(P, "n") end).

start_refuses() ->
    einval = failure(fun() -> open(judge, "s:R-1") end),
    enoent = failure(fun() -> open(judge, "s:R-2") end),
    badarg = failure(fun() -> open(judge, "s:R-3") end).

start_refuses_with_job() ->
    einval = failure(fun() -> open(judge, "s:nR-1") end).

job_from_start() ->
    P = open(judge, "s:n r:s1"),
    await(1),
    close(P).

job_from_stop() ->
    P = open(judge, "z:n"),
    close(P).

job_from_flush() ->
    P = open(judge, "f:n r:d1"),
    cmd(P, "q1"),
    close(P).

job_from_ready_async() ->
    P = open(judge, "r1:n r2:s1"),
    cmd(P, "n"),
    await(1),
    close(P).

job_from_timeout() ->
    P = open(judge, "t:n r:s1"),
    cmd(P, "t0"),
    await(1),
    close(P).

queue_keeps_port() ->
    P = open(judge, "r:d1"),
    cmd(P, "q1n(s1w2)"),
    await(1),
    close(P),
    badarg = failure(fun() -> cmd(P, "n") end),
    badarg = failure(fun() -> close(P) end),
    [1] = control(P, "z"),
    give(2).

flush_empties() ->
    P = open(judge, "f:d1"),
    cmd(P, "q1"),
    close(P),
    badarg = failure(fun() -> control(P, "z") end).

flush_by_timer() ->
    P = open(judge, "f:t0 t:d1"),
    cmd(P, "q1"),
    close(P).

timer_before_flush() ->
    P = open(judge, "t:d1"),
    cmd(P, "q1t1"),
    close(P).

no_flush() ->
    P = open(judge_no_flush, "r:d1"),
    cmd(P, "q1n(s1w2)"),
    await(1),
    close(P),
    give(2).

control_empties() ->
    P = open(judge),
    cmd(P, "q2"),
    close(P),
    [2, 1, 0] = control(P, "zd1zd1z"),
    badarg = failure(fun() -> control(P, "z") end).

deq_too_much() ->
    P = open(judge, "f:d5d2"),
    [2] = control(P, "q2d3z"),
    close(P).

kill_skips_flush() ->
    P = open(judge),
    cmd(P, "q1n(s1w2)"),
    await(1),
    exit(P, kill),
    killed = exit_reason(P),
    give(2).

exit_flushes() ->
    P = open(judge, "f:d1"),
    cmd(P, "q1"),
    exit(P, normal),
    normal = exit_reason(P).

owner_ends() ->
    on(1, fun() -> cmd(open(judge), "n(s1w2)") end),
    await(1),
    give(2).

owner_killed() ->
    Owner = on(1, fun() -> cmd(open(judge), "n(s1w2)"), stay() end),
    await(1),
    exit(Owner, kill),
    give(2).

linked_process_ends() ->
    P = open(judge, "r:s1"),
    End = fun(Reason) -> link(P), cmd(P, ""), exit(Reason) end,
    on(1, fun() -> End(normal) end),
    on(1, fun() -> End(other) end),
    other = exit_reason(P).

close_message() ->
    P = open(judge),
    P ! {self(), close},
    receive {P, closed} -> mark("receive") end.

close_waits_for_callback() ->
    P = open(judge),
    on(2, fun() -> cmd(P, "s1w2o") end),
    await(1),
    give(2),
    close(P).

job_beside_callback() ->
    P = open(judge, "r:s1"),
    cmd(P, "n(g2)w2o"),
    await(1),
    close(P).

job_beside_driver_lock() ->
    P = open(judge_lock, "r:s1"),
    cmd(P, "n(g2)w2o"),
    await(1),
    close(P).

ready_async_waits() ->
    P = open(judge, "r:s1"),
    cmd(P, "n(w2g3)"),
    on(2, fun() -> cmd(P, "g2w3o") end),
    await(1),
    close(P).

driver_lock() ->
    P = open(judge_lock), Q = open(judge_lock),
    on(2, fun() -> cmd(P, "s1w2o") end),
    await(1),
    give(2),
    cmd(Q, "o"),
    close(P),
    close(Q).

port_lock() ->
    P = open(judge), Q = open(judge),
    on(2, fun() -> cmd(P, "s1w2o") end),
    await(1),
    cmd(Q, "g2"),
    close(P),
    close(Q).

stop_waits_for_job() ->
    P = open(judge, "z:w2"),
    cmd(P, "n(s1w3g2)"),
    await(1),
    give(3),
    close(P).

fail_in_output() ->
    P = open(judge),
    true = cmd(P, "nf"),
    judged = exit_reason(P).

fail_in_control() ->
    P = open(judge),
    [3] = control(P, "V3n=f"),
    judged = exit_reason(P).

fail_in_ready_async() ->
    P = open(judge, "r1:f"),
    cmd(P, "k0k0(w2)"),
    judged = exit_reason(P),
    give(2).

fail_in_timeout() ->
    P = open(judge, "t:f"),
    cmd(P, "n(s1w2)"),
    await(1),
    control(P, "t0"),
    judged = exit_reason(P),
    give(2).

fail_in_flush() ->
    P = open(judge, "f:f"),
    cmd(P, "q1"),
    close(P),
    normal = exit_reason(P).

fail_drops_queue() ->
    P = open(judge),
    cmd(P, "q1f"),
    judged = exit_reason(P).

fail_while_closing() ->
    P = open(judge),
    cmd(P, "q1"),
    close(P),
    control(P, "f"),
    badarg = failure(fun() -> control(P, "") end).

fail_posix() ->
    P = open(judge),
    cmd(P, "y"),
    enoent = exit_reason(P).

fail_number() ->
    P = open(judge),
    cmd(P, "F"),
    -1 = exit_reason(P).

eof_closes() ->
    P = open(judge),
    cmd(P, "ne"),
    normal = exit_reason(P).

eof_option() ->
    P = open(judge, "r:s1", [eof]),
    cmd(P, "ne"),
    receive {P, eof} -> ok end,
    await(1),
    close(P).

exit_tells_nobody() ->
    P = open(judge),
    cmd(P, "nx"),
    badarg = failure(fun() -> cmd(P, "") end),
    true = no_message().

unload_in_flight() ->
    load(),
    P = open(judge_unloaded),
    cmd(P, "n(s1w2)"),
    await(1),
    erl_ddll:monitor(driver, {"judge_unloaded", unloaded}),
    {ok, pending_driver} = erl_ddll:try_unload("judge_unloaded", []),
    driver_unloaded = exit_reason(P),
    give(2),
    gone(driver).

unload_blocks() ->
    load(),
    P = open(judge_unloaded),
    cmd(P, "n"),
    ok = erl_ddll:unload_driver("judge_unloaded"),
    mark().

unload_after_close() ->
    load(),
    P = open(judge_unloaded),
    cmd(P, "n(s1w2)"),
    await(1),
    close(P),
    erl_ddll:monitor(driver, {"judge_unloaded", unloaded}),
    {ok, pending_driver} = erl_ddll:try_unload("judge_unloaded", []),
    give(2),
    gone(driver).

unload_waits_for_port() ->
    load(load),
    P = open(judge_unloaded, "r:s1"),
    erl_ddll:monitor(driver, {"judge_unloaded", unloaded}),
    {ok, pending_driver} = erl_ddll:try_unload("judge_unloaded", []),
    cmd(P, "n"),
    await(1),
    Q = open(judge_unloaded),
    close(P),
    close(Q),
    gone(driver).

loader_ends() ->
    Self = self(),
    Loader = on(1, fun() -> load(), tell(Self, 3), await(4) end),
    await(3),
    P = open(judge_unloaded),
    cmd(P, "n(s1w2)"),
    await(1),
    erl_ddll:monitor(driver, {"judge_unloaded", unloaded}),
    tell(Loader, 4),
    driver_unloaded = exit_reason(P),
    give(2),
    gone(driver).

loader_owns_port() ->
    P = loaded_and_opened(load_driver),
    driver_unloaded = exit_reason(P),
    gone(driver).

loader_owns_port_load() ->
    P = loaded_and_opened(load),
    normal = exit_reason(P),
    gone(driver).

%% A port of a process that loads the driver, and ends when this one is linked to the port.
loaded_and_opened(How) ->
    Self = self(),
    Loader = on(2, fun() ->
        load(How),
        P = open(judge_unloaded, "f:d1"),
        cmd(P, "q1"),
        Self ! {port, P},
        await(4)
    end),
    Port = receive {port, P} -> P end,
    link(Port),
    erl_ddll:monitor(driver, {"judge_unloaded", unloaded}),
    tell(Loader, 4),
    Port.

busy_suspends() ->
    P = open(judge),
    cmd(P, "b1"),
    on(2, fun() -> cmd(P, "s1") end),
    control(P, "b0"),
    await(1),
    close(P).

busy_until_ready() ->
    P = open(judge, "r:b0s1"),
    cmd(P, "b1n"),
    cmd(P, "b1n"),
    await(1), await(1),
    close(P).

busy_message() ->
    P = open(judge, "r:b0s1"),
    cmd(P, "b1n"),
    command(P, "n"),
    await(1), await(1),
    close(P).

busy_nosuspend() ->
    P = open(judge),
    cmd(P, "b1"),
    false = cmd(P, "o", nosuspend),
    control(P, "b0"),
    true = cmd(P, "o", nosuspend),
    close(P).

busy_force_refused() ->
    P = open(judge),
    cmd(P, "b1"),
    notsup = failure(fun() -> cmd(P, "o", force) end),
    close(P).

busy_force() ->
    P = open(judge_soft),
    cmd(P, "b1"),
    true = cmd(P, "o", force),
    close(P).

busy_close() ->
    P = open(judge), Self = self(),
    cmd(P, "b1"),
    on(2, fun() -> badarg = failure(fun() -> cmd(P, "o") end), tell(Self, 2) end),
    control(P, ""),
    close(P),
    await(2).

busy_queue() ->
    P = open(judge),
    on(2, fun() -> cmd(P, "l100s1w2o") end),
    await(1),
    give(2),
    command(P, lists:duplicate(120, $ )),
    command(P, "s3"),
    mark(),
    await(3),
    close(P).

messages_wait() ->
    P = open(judge),
    on(2, fun() -> cmd(P, "s1w2o") end),
    await(1),
    erlang:yield(), % if it were scheduled out before it gives, this scheduler would wait for the port's lock
    command(P, "s3"),
    mark(),
    give(2),
    await(3),
    close(P).

held_while_busy() ->
    P = open(judge),
    on(2, fun() -> cmd(P, "s1w2b1o") end),
    await(1),
    erlang:yield(), % if it were scheduled out before it gives, this scheduler would wait for the port's lock
    command(P, "s3"),
    give(2),
    on(2, fun() -> control(P, "b0") end),
    close(P),
    await(3).

timer() ->
    P = open(judge, "t:s1"),
    cmd(P, "t1"),
    await(1),
    close(P).

timer_replaced() ->
    P = open(judge, "t:s1"),
    cmd(P, "t1t2"),
    await(1),
    close(P).

timer_cancelled() ->
    P = open(judge, "r:s1"),
    [1, 0] = control(P, "ct9000TcT"),
    cmd(P, "n"),
    await(1),
    close(P).

timer_closed() ->
    P = open(judge),
    cmd(P, "t0"),
    close(P).

timer_in_stop() ->
    P = open(judge, "z:t0"),
    close(P).

timer_zero() ->
    P = open(judge, "t:s1"),
    cmd(P, "t0o"),
    await(1),
    close(P).

timer_and_job() ->
    P = open(judge, "t:s1 r:s3"),
    cmd(P, "n(w2)t0"),
    await(1),
    give(2),
    await(3),
    close(P).

timer_or_job() ->
    P = open(judge, "r:cs1"),
    cmd(P, "t1n"),
    await(1),
    close(P).

abandoned() ->
    P = open(judge, "t:k0s1 r:s3"),
    cmd(P, "k0(w2)t0"),
    await(1),
    give(2),
    await(3), await(3),
    close(P).

bare() ->
    P = open(judge_bare, "s:t0n r:s1"),
    true = cmd(P, "n"),
    command(P, "n"),
    badarg = failure(fun() -> control(P, "") end),
    await(1),
    close(P).

monitor() ->
    P = open(judge, "p:s1"),
    on(2, fun() -> control(P, "p") end),
    await(1),
    close(P).

monitor_given_up() ->
    P = open(judge, "r:s1"),
    on(1, fun() -> [0, 0] = control(P, "pP"), cmd(P, "n") end),
    await(1),
    close(P).

monitor_closed() ->
    P = open(judge),
    Watched = on(1, fun() -> control(P, "ps1"), await(2) end),
    await(1),
    close(P),
    tell(Watched, 2).

connect() ->
    P = open(judge),
    port_connect(P, on(2, fun() -> {P, {data, <<"o">>}} = message() end)),
    cmd(P, "o"),
    normal = exit_reason(P).

stranger() ->
    P = open(judge),
    on(1, fun() -> cmd(P, ""), command(P, "") end),
    badsig = exit_reason(P),
    close(P).

job_sends() ->
    P = open(judge, "r:M"),
    cmd(P, "n(M)"),
    {1} = message(),
    {0} = message(),
    close(P).

job_sends_late() ->
    P = open(judge),
    cmd(P, "n(s1w2Mm)"),
    await(1),
    close(P),
    give(2).

job_sends_at_close() ->
    P = open(judge),
    cmd(P, "n(s1M)"),
    await(1),
    close(P).

bare_integer() ->
    off_heap(),
    P = open(judge),
    control(P, "u100000"),
    drain(100000),
    close(P).

job_sends_big_map() ->
    P = open(judge, "r:s1"),
    cmd(P, "n(H)"),
    #{128 := 0} = message(),
    await(1),
    close(P).

callback_sends_big_map() ->
    P = open(judge),
    control(P, "H"),
    #{128 := 0} = message(),
    close(P).

closing_is_mute() ->
    P = open(judge, "r:od1s3"),
    cmd(P, "q1n(s1w2M)"),
    await(1),
    close(P),
    normal = exit_reason(P),
    give(2),
    await(3),
    true = no_message().

cancel() ->
    P = open(judge, "r:s3"),
    cmd(P, "n(s1w2iM)"),
    await(1),
    control(P, "i"),
    give(2),
    await(3),
    close(P).

cancel_at_once() ->
    P = open(judge, "r:s3"),
    cmd(P, "n(iM)"),
    control(P, "i"),
    await(3),
    close(P).

cancel_queued() ->
    P = open(judge, "r:s3"),
    cmd(P, "k0(w2)k0(iM)"),
    control(P, "i"),
    give(2),
    await(3), await(3),
    close(P).

binary() ->
    P = open(judge),
    [1, 2, 3, 2, 1] = control(P, "BrIrQrd1rArA"),
    close(P).

port_data_lock() ->
    P = open(judge, "r:s1"),
    [1, 2, 3] = control(P, "LCk0(w2)Ck0C"),
    give(2),
    await(1), await(1),
    close(P).

halt_flushes() ->
    P = open(judge, "z:g2"),
    cmd(P, "k0(s1w2)k0"),
    await(1),
    mark("halt"),
    erlang:halt(0).

halt_at_once() ->
    P = open(judge),
    cmd(P, "k0(s1w2)k0"),
    await(1),
    mark("halt"),
    erlang:halt(0, [{flush, false}]).

halt_waits_for_queue() ->
    P = open(judge, "f:g2 r:d1"),
    cmd(P, "q1n(s1w2)"),
    await(1),
    mark("halt"),
    erlang:halt(0).

%% A port that selects a descriptor to read it, and gives it up in `stop`.
selecting(Callbacks) -> selecting(Callbacks, judge).
selecting(Callbacks, Driver) -> open(Driver, "s:OS5 z:D4 " ++ Callbacks).

select() ->
    P = selecting("i:Gs1"),
    cmd(P, "W"),
    await(1),
    close(P).

select_job() ->
    P = selecting("i:Gs1 r:s3"),
    cmd(P, "n(W)"),
    await(1), await(3),
    close(P).

select_close() ->
    P = selecting("i:G"),
    cmd(P, "W"),
    mark(),
    close(P).

select_close_job() ->
    P = selecting("i:G"),
    cmd(P, "n(s1W)"),
    await(1),
    mark(),
    close(P).

select_off() ->
    P = selecting("i:Gs1"),
    cmd(P, "WD1"),
    mark(),
    cmd(P, "S1"),
    await(1),
    close(P).

select_off_and_on() ->
    P = selecting("i:Gs1"),
    cmd(P, "WD1S1"),
    await(1),
    close(P).

select_read_before() ->
    P = selecting(""),
    cmd(P, "WoG"),
    mark(),
    close(P).

select_read_and_again() ->
    P = selecting(""),
    cmd(P, "WoGD1S1"),
    mark(),
    close(P).

select_level() ->
    P = selecting("i:Gs1"),
    cmd(P, "WW"),
    await(1), await(1),
    close(P).

select_again() ->
    P = selecting("i:D1s1"),
    cmd(P, "W"),
    await(1),
    cmd(P, "S1"),
    await(1),
    close(P).

select_both() ->
    P = open(judge, "s:O z:D4 i:Gs1 o:D2s3"),
    cmd(P, "WS7"),
    await(3), await(1),
    close(P).

select_both_off() ->
    P = open(judge, "s:O z:D4 o:D3s3"),
    cmd(P, "WS7"),
    await(3),
    mark(),
    close(P).

select_one_by_one() ->
    P = open(judge, "s:O z:D4 i:Gs1 o:D2s3"),
    cmd(P, "WS5S2"),
    await(1), await(3),
    close(P).

select_write() ->
    P = open(judge, "s:O z:D4 o:D2s1"),
    cmd(P, "S6"),
    await(1),
    cmd(P, "S2"),
    await(1),
    close(P).

select_stop() ->
    P = open(judge, "s:OS5"),
    cmd(P, "D4o"),
    close(P).

select_stop_unknown() ->
    P = open(judge, "s:O"),
    cmd(P, "D4o"),
    close(P).

select_stop_silent() ->
    P = open(judge, "s:OS5"),
    cmd(P, "D13oK"),
    close(P).

select_stop_ready() ->
    P = open(judge, "s:OS5"),
    cmd(P, "WD4"),
    mark(),
    close(P).

select_end() ->
    P = open(judge, "s:OS5 i:GD4s1"),
    cmd(P, "X"),
    await(1),
    close(P).

select_flush() ->
    P = selecting("f:W i:Gd1"),
    cmd(P, "q1"),
    close(P).

select_flush_job() ->
    P = selecting("i:Gd1"),
    cmd(P, "q1n(s1w2W)"),
    await(1),
    close(P),
    give(2).

select_fail() ->
    P = selecting("i:f"),
    cmd(P, "W"),
    judged = exit_reason(P).

select_eof() ->
    P = selecting("i:Ge"),
    cmd(P, "X"),
    normal = exit_reason(P).

select_start_refuses() ->
    einval = failure(fun() -> open(judge, "s:OS5D4R-1") end).

select_unload() ->
    load(),
    P = selecting("", judge_unloaded),
    cmd(P, ""),
    erl_ddll:monitor(driver, {"judge_unloaded", unloaded}),
    {ok, pending_driver} = erl_ddll:try_unload("judge_unloaded", []),
    driver_unloaded = exit_reason(P),
    gone(driver).

select_waits() ->
    P = selecting("i:Gs1"),
    cmd(P, "n(Wg2)w2o"),
    await(1),
    close(P).

select_driver_lock() ->
    P = open(judge_lock), Q = selecting("i:Gs1", judge_lock),
    cmd(Q, "n(w3Wg2)"),
    cmd(P, "g3w2o"),
    await(1),
    close(P),
    close(Q).

select_or_command() ->
    P = selecting("i:Gs1"),
    cmd(P, "W"),
    mark(),
    cmd(P, "o"),
    await(1),
    close(P).

select_and_timer() ->
    P = selecting("i:Gs1 t:s3"),
    cmd(P, "Wt0"),
    await(1), await(3),
    close(P).

select_busy() ->
    P = selecting("i:Gb0s1"),
    cmd(P, "b1W"),
    cmd(P, ""),
    await(1),
    close(P).

halt_selected() ->
    P = selecting(""),
    cmd(P, ""),
    mark("halt"),
    erlang:halt(0).

%% No scenarios: what `process_exit` does crashes the emulator.

fail_in_process_exit() -> in_process_exit("f").
posix_in_process_exit() -> in_process_exit("y").
number_in_process_exit() -> in_process_exit("F").
eof_in_process_exit() -> in_process_exit("e").
exit_in_process_exit() -> in_process_exit("x").

in_process_exit(Script) ->
    P = open(judge, "p:" ++ Script),
    on(1, fun() -> control(P, "p") end),
    receive after 5000 -> ok end.
