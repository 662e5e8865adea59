%% SPDX-License-Identifier: 0BSD
%%
%% Shows one symptom of the page "My driver crashes, leaks, hangs ..." with a driver of this folder:
%%
%%   erl -noshell -pa FOLDER -run symptoms main NAME FOLDER_WITH_THE_SO -s erlang halt
-module(symptoms).
-export([main/1]).

main([Name, Folder]) ->
    process_flag(trap_exit, true),
    io:format("~0p~n", [run(list_to_atom(Name), Folder)]).

load(Name, Folder) ->
    ok = erl_ddll:load_driver(Folder, atom_to_list(Name)).

open(Name) ->
    open_port({spawn_driver, atom_to_list(Name)}, [binary]).

wait(Port) ->
    receive
        {Port, {data, Data}} -> Data;
        {'EXIT', Port, Reason} -> {exit, Reason}
    after 3000 -> nothing
    end.

used(Allocator) ->
    lists:sum([element(2, B) || {instance, _, L} <- erlang:system_info({allocator_sizes, Allocator}),
                                {Kind, K} <- L, lists:member(Kind, [mbcs, sbcs, mbcs_pool]),
                                {blocks, Bs} <- K, {_, Ss} <- Bs, B <- Ss, element(1, B) =:= size]).

run(closes, F) ->
    load(closes, F),
    [begin
         Ports = [open(closes) || _ <- lists:seq(1, 20)],
         [port_command(P, "go") || P <- Ports],
         [port_close(P) || P <- Ports]
     end || _ <- lists:seq(1, 20)],
    {unloaded, erl_ddll:unload_driver("closes")};
run(counted, F) ->
    load(counted, F),
    P = open(counted),
    port_command(P, "go"),
    T = erlang:monotonic_time(millisecond),
    port_close(P),
    {closed_after_ms, erlang:monotonic_time(millisecond) - T,
     [begin Q = open(counted), port_command(Q, "go"), port_close(Q) end || _ <- lists:seq(1, 50)],
     unload, erl_ddll:unload_driver("counted")};
run(fails, F) ->
    load(fails, F),
    lists:usort(lists:append([begin
                     Ports = [open(fails) || _ <- lists:seq(1, 20)],
                     [port_command(P, "go") || P <- Ports],
                     [wait(P) || P <- Ports]
                 end || _ <- lists:seq(1, 100)]));
run(number, F) ->
    load(number, F),
    process_flag(message_queue_data, off_heap),
    P = open(number),
    port_command(P, binary:copy(<<7>>, 100000)),
    receive First -> First after 1000 -> nothing end;
run(buffer, F) ->
    load(buffer, F),
    P = open(buffer),
    port_command(P, <<"hello, driver">>),
    _ = [binary:copy(<<"x">>, 13 + N) || N <- lists:seq(1, 200)],
    _ = [port_control_safe(P) || _ <- lists:seq(1, 3)],
    Q = open(buffer),
    port_command(Q, <<"GOODBYE WORLD">>),
    {wait(P), wait(Q)};
run(control, F) ->
    load(control, F),
    P = open(control),
    lists:usort([port_control(P, 1, "") || _ <- lists:seq(1, 20)]);
run(leaks, F) ->
    load(leaks, F),
    Before = used(driver_alloc),
    [begin P = open(leaks), port_command(P, "go"), wait(P), port_close(P) end || _ <- lists:seq(1, 1000)],
    Back = used(driver_alloc),
    [begin P = open(leaks), port_command(P, "go"), port_close(P) end || _ <- lists:seq(1, 1000)],
    receive after 2500 -> ok end,
    {bytes_left, {after_1000_answers, Back - Before}, {after_1000_closes, used(driver_alloc) - Back}};
run(halts, F) ->
    load(halts, F),
    P = open(halts),
    port_command(P, "go"),
    io:format("~p~n", [wait(P)]);
run(queued, F) ->
    load(queued, F),
    P = open(queued),
    port_command(P, "some bytes"),
    port_close(P),
    lists:member(P, erlang:ports());
run(blocks, F) ->
    load(blocks, F),
    P = open(blocks),
    Self = self(),
    spawn(fun() -> Self ! {gap, gap(erlang:monotonic_time(millisecond), 0, 100)} end),
    receive after 20 -> ok end,
    port_command(P, "go"),
    A = wait(P),
    receive {gap, G} -> {A, longest_gap_ms, G} end;
run(cores, F) ->
    load(cores, F),
    Self = self(),
    T = erlang:monotonic_time(millisecond),
    [spawn_opt(fun() ->
        P = open(cores),
        [begin port_command(P, "go"), wait(P) end || _ <- lists:seq(1, 20)],
        Self ! done end, [{scheduler, S}]) || S <- [1, 2]],
    [receive done -> ok end || _ <- [1, 2]],
    {ms, erlang:monotonic_time(millisecond) - T};
run(order, F) ->
    load(order, F),
    P = open(order),
    [port_command(P, [N]) || N <- [60, 30, 10]],
    [binary:first(wait(P)) || _ <- [1, 2, 3]];
run(late, F) ->
    load(late, F),
    P = open(late),
    port_command(P, [60]),
    A = wait(P),
    receive after 25 -> ok end,
    port_command(P, [200]),
    {A, wait(P)};
run(loads, F) ->
    Loaded = erl_ddll:load_driver(F, "loads"),
    case Loaded of {error, E} -> {Loaded, erl_ddll:format_error(E)}; ok -> {ok, open(loads)} end;
run(stack, F) ->
    load(stack, F),
    P = open(stack),
    port_command(P, "go"),
    wait(P).

port_control_safe(P) -> catch port_control(P, 1, "abcdefghijklm").

gap(_, Max, 0) -> Max;
gap(Last, Max, N) ->
    receive after 1 -> ok end,
    Now = erlang:monotonic_time(millisecond),
    gap(Now, max(Max, Now - Last), N - 1).
