%% Plays a scene of `tests/hosting/broken.py` again and again, with pauses at random, in one emulator.
%%
%% `play.terms`, which `fault_plays.py` writes, says what to play: {Driver, Steps, From, To, Patience, Log}.
%% The log is also where the tools write their reports.  A line says which play begins, another one what it has seen:
%% the messages and the errors, without what differs from run to run.
-module(scenes).
-export([main/0]).

main() ->
    {ok, [{Driver, Steps, From, To, Patience, Name}]} = file:consult("play.terms"),
    {ok, Log} = file:open(Name, [append, raw]),
    [play(Driver, Steps, Play, Patience, Log) || Play <- lists:seq(From, To)],
    ok = file:write(Log, "#end\n"),
    halt(0).

play(Driver, Steps, Play, Patience, Log) ->
    ok = file:write(Log, io_lib:format("#play ~w~n", [Play])),
    ok = erl_ddll:load_driver(".", Driver),
    {_, Ref} = spawn_monitor(fun() -> exit({seen, scene(Steps, Patience)}) end),
    receive {'DOWN', Ref, process, _, {seen, Seen}} -> ok end,
    _ = erl_ddll:unload_driver(Driver),
    unloaded(Driver, 50),
    ok = file:write(Log, io_lib:format("#seen ~w ~ts~n", [Play, lists:join(" | ", [io_lib:format("~0p", [plain(One)]) || One <- Seen])])).

%% The driver may have ports and jobs for a while, or for ever.
unloaded(Driver, Tries) ->
    case Tries > 0 andalso lists:member(atom_to_list(Driver), element(2, erl_ddll:loaded_drivers())) of
        true -> timer:sleep(2), unloaded(Driver, Tries - 1);
        false -> timer:sleep(2)
    end.

scene(Steps, Patience) ->
    process_flag(trap_exit, true),
    Seen = steps(Steps, none, Patience, []),
    lists:usort(rest(Seen)).

rest(Seen) ->
    receive Message -> rest([Message | Seen]) after 10 -> Seen end.

%% A step that fails ends the scene, and so does a message that is not the port's: the port may be gone.
steps([], _Port, _Patience, Seen) -> Seen;
steps([{open, Command, Options} | Steps], _None, Patience, Seen) ->
    try open_port({spawn_driver, Command}, Options) of
        Port -> pause(), steps(Steps, Port, Patience, Seen)
    catch
        error:Reason -> [{open_port, Reason} | Seen]
    end;
steps([{'receive'} | Steps], Port, Patience, Seen) ->
    receive
        Message when element(1, Message) =:= Port -> pause(), steps(Steps, Port, Patience, [Message | Seen]);
        Other -> [Other | Seen]
    after Patience -> [no_answer | Seen]
    end;
steps([Step | Steps], Port, Patience, Seen) ->
    try step(Step, Port, Patience) of
        nothing -> pause(), steps(Steps, Port, Patience, Seen);
        Returned -> pause(), steps(Steps, Port, Patience, [Returned | Seen])
    catch
        error:Reason -> [{element(1, Step), Reason} | Seen]
    end.

step({port_command, Data}, Port, _) -> port_command(Port, Data), nothing;
step({port_control, Operation, Data}, Port, _) -> {control, port_control(Port, Operation, Data)};
step({port_call, Operation, Data}, Port, _) -> {call, erlang:port_call(Port, Operation, Data)};
step({port_close}, Port, _) -> port_close(Port), nothing;
step({exit, Reason}, Port, _) -> exit(Port, Reason), nothing;
step({spawn, Steps}, _, Patience) -> spawn_link(fun() -> steps(Steps, none, Patience, []) end), nothing.

%% None, the rest of the time slice, or up to three milliseconds.
pause() ->
    case rand:uniform(3) of
        1 -> ok;
        2 -> erlang:yield();
        3 -> timer:sleep(rand:uniform(3))
    end.

plain(Port) when is_port(Port) -> port;
plain(Pid) when is_pid(Pid) -> pid;
plain(Tuple) when is_tuple(Tuple) -> list_to_tuple(plain(tuple_to_list(Tuple)));
plain(List) when is_list(List) -> [plain(Part) || Part <- List];
plain(Other) -> Other.
