%% SPDX-License-Identifier: 0BSD
%%
%% values: plays the cases of cases.py on the real emulator.
%%
%%   erl +S 4 -noinput -run values main Directory Cases Patience
%%
%% A case is a list of steps, which one process, the player, has others carry out, the actors; steps.py explains
%% them, and player.py plays the same steps on the model.  After each case one line is printed: its name, a tab, the
%% outcome.  Patience is the time in milliseconds after which a BIF that has not returned is said to wait.
-module(values).
-export([main/1]).

-define(RESET, 1).
-define(QUIET, 2).
-define(GIVE, 3).
-define(SAY, 6).
-define(HELD, 8).
-define(LIMIT, 9).

-define(GATES, [1, 2, 3, 4]).
-define(LONG, 5000). % for what must come
-define(HOLD, 50). % for how long a gate holds, in 10 ms
-define(NAP, 5).

%% What is known of the case that is played.
-record(case_, {
    actors = #{},   % pid by name
    terms = #{},    % the ports and references that steps have saved, by name
    pending = [],   % actors that carry out a step
    held = 0,       % scripts that wait at a gate
    asked = [],     % the questions, last first: the actor, what was held, the result
    ended = #{}}).  % the reason, by actor

main([Directory, Cases, Patience]) ->
    logger:set_primary_config(level, none), % only the outcomes are printed
    persistent_term:put(directory, Directory),
    persistent_term:put(patience, list_to_integer(Patience)),
    {ok, Plan} = file:consult(Cases),
    {_, Ref} = spawn_opt(fun() -> player(Directory, Plan) end, [monitor, {scheduler, 1}]),
    receive {'DOWN', Ref, process, _, normal} -> erlang:halt(0, [{flush, false}]);
            {'DOWN', Ref, process, _, _} -> erlang:halt(1, [{flush, false}])
    end.

player(Directory, [{drivers, Drivers} | Plan]) ->
    persistent_term:put(drivers, Drivers),
    ok = erl_ddll:load_driver(Directory, "judge_log"),
    register(judge_log, open_port({spawn_driver, "judge_log"}, [binary])),
    [ok = erl_ddll:load_driver(Directory, Driver) || Driver <- Drivers],
    lists:foldl(fun play/2, [], [Case || {Times, Case} <- Plan, _ <- lists:seq(1, Times)]).

%% Before a case, and not after it: after the last one nothing has to work any more.
play(Case, Before) ->
    clean(Before),
    play_again(Case, 10).

%% A run in which a gate was passed before the question was asked is no run of the case.
play_again({Name, Actors, Steps} = Case, Tries) ->
    port_control(judge_log, ?RESET, []),
    port_control(judge_log, ?LIMIT, [?HOLD]),
    Dead = spawn(fun() -> ok end),
    Pids = maps:from_list([{Actor, start(Scheduler, Trap)} || {Actor, Scheduler, Trap} <- Actors]),
    Outcome =
        try outcome(lists:foldl(fun step/2, #case_{actors = Pids, terms = #{dead => Dead}}, Steps))
        catch
            throw:{Broken, What} when Broken =:= broken; Broken =:= unknown -> io_lib:format("broken: ~0p", [What]);
            throw:late when Tries > 0 -> late
        end,
    case Outcome of
        late -> clean(maps:values(Pids)), play_again(Case, Tries - 1);
        _ -> port_control(judge_log, ?SAY, [Name, $\t, Outcome, $\n]), maps:values(Pids)
    end.

%% The actors.

start(Scheduler, Trap) ->
    {Pid, _} = spawn_opt(fun() -> process_flag(trap_exit, Trap), actor() end, [monitor, {scheduler, Scheduler}]),
    Pid.

actor() ->
    receive
        {do, Player, Module, Function, Arguments} ->
            Result =
                try {returned, apply(Module, Function, Arguments)}
                catch error:Reason -> {failed, Reason}
                end,
            [_, Passed, _] = held(),
            Player ! {done, self(), {Result, Passed}},
            actor();
        {mailbox, Player} ->
            Player ! {mailbox, self(), mailbox()},
            actor();
        {stop, Reason} ->
            exit(Reason)
    end.

%% How many callbacks and jobs wait at a gate, how many have passed one, and how many jobs are not yet back.
held() -> port_control(judge_log, ?HELD, []).

mailbox() -> receive Message -> [Message | mailbox()] after 0 -> [] end.

%% The steps.

step({do, Actor, MF, Arguments, Save}, Case) ->
    {Result, Case1} = await(Actor, begin_(Actor, MF, Arguments, Case), ?LONG),
    case Result of
        {{returned, Term}, _} -> save(Save, Term, Case1);
        Other -> throw({broken, {Actor, MF, Other}})
    end;
step({'begin', Actor, MF, Arguments}, Case) ->
    begin_(Actor, MF, Arguments, Case);
step({ask, Actor, MF, Arguments, Save}, Case) ->
    try ask(Actor, MF, Arguments, Save, Case)
    catch throw:{unknown, _} -> Case % what was to be asked about is not there
    end;
step({stop, Actor, Reason}, Case) ->
    not_late(Case),
    pid(Actor, Case) ! {stop, Reason},
    case await(Actor, Case, ?LONG) of
        {{ended, _}, Case1} -> Case1;
        {waits, _} -> throw({broken, {stop, Actor}})
    end;
step({reached, Gate}, Case) ->
    receive {tell, Gate} -> ok after ?LONG -> throw({broken, {gate, Gate}}) end,
    port_control(judge_log, ?LIMIT, [?HOLD]),
    Case#case_{held = Case#case_.held + 1};
step({open, Gate}, Case) ->
    port_control(judge_log, ?GIVE, [Gate]),
    Case#case_{held = Case#case_.held - 1};
step({find, Save}, Case) ->
    receive {opened, Port} -> save(Save, Port, Case) after ?LONG -> throw({broken, {find, Save}}) end;
step({never, Name}, Case) ->
    save(Name, list_to_port("#Port<0.99999>"), Case);
step({settle}, Case) ->
    settle(Case);
step({forget}, Case) -> % what the set-up has left behind is not of interest
    Settled = settle(Case),
    [mailbox_of(Actor, Settled) || Actor <- maps:keys(Settled#case_.actors)],
    said(),
    opened(),
    not_late(Case),
    Settled#case_{actors = maps:without(maps:keys(Settled#case_.ended), Settled#case_.actors),
                  terms = maps:merge(Settled#case_.terms, maps:with(maps:keys(Settled#case_.ended), Settled#case_.actors)),
                  ended = #{}}.

ask(Actor, MF, Arguments, Save, Case) ->
    Held = not_late(Case),
    {Result, Case1} = await(Actor, begin_(Actor, MF, Arguments, Case), persistent_term:get(patience)),
    Case2 = case Result of {{returned, Term}, _} -> save(Save, Term, Case1); _ -> Case1 end,
    Case2#case_{asked = [{Actor, Held, Result} | Case2#case_.asked]}.

not_late(#case_{held = Expected}) ->
    case held() of
        [Waiting, _, _] = Held when Waiting >= Expected -> Held;
        _ -> throw(late)
    end.

begin_(Actor, {Module, Function}, Arguments, Case) ->
    Pid = pid(Actor, Case),
    Pid ! {do, self(), Module, Function, arguments(Arguments, Pid, Case)},
    Case#case_{pending = [Actor | Case#case_.pending]}.

%% The result of what an actor was told to do, or `waits`.
await(Actor, Case, Time) ->
    Pid = pid(Actor, Case),
    Done = Case#case_{pending = lists:delete(Actor, Case#case_.pending)},
    receive
        {done, Pid, Result} -> {Result, Done};
        {'DOWN', _, process, Pid, Reason} ->
            {{ended, Reason}, Done#case_{ended = maps:put(Actor, Reason, Done#case_.ended)}}
    after Time -> {waits, Case}
    end.

pid(Actor, #case_{actors = Actors}) ->
    case Actors of #{Actor := Pid} -> Pid; _ -> throw({broken, {ended, Actor}}) end.

save('', _, Case) -> Case;
save(Name, Term, Case) -> Case#case_{terms = maps:put(Name, Term, Case#case_.terms)}.

%% Arguments: `{var, Name}` is an actor or what was saved, `{file, Driver, Folder}` the two arguments that name a driver's file.
arguments([{file, Driver, Folder} | Rest], Me, Case) ->
    [filename:join(persistent_term:get(directory), Folder), Driver | arguments(Rest, Me, Case)];
arguments([Argument | Rest], Me, Case) -> [term(Argument, Me, Case) | arguments(Rest, Me, Case)];
arguments([], _, _) -> [].

term({var, me}, Me, _) -> Me;
term({var, Name}, _, #case_{actors = Actors, terms = Terms}) ->
    case {Actors, Terms} of
        {#{Name := Pid}, _} -> Pid;
        {_, #{Name := Term}} -> Term;
        _ -> throw({unknown, Name})
    end;
term(Tuple, Me, Case) when is_tuple(Tuple) -> list_to_tuple(term(tuple_to_list(Tuple), Me, Case));
term([Head | Tail], Me, Case) -> [term(Head, Me, Case) | term(Tail, Me, Case)];
term(Term, _, _) -> Term.

%% Let all that is on its way arrive.  A port's signals have been carried out when `port_info` returns.
settle(#case_{terms = Terms, pending = Pending} = Case) ->
    jobs_are_back(40),
    [erlang:port_info(Term, id) || Pending =:= [], Term <- maps:values(Terms), is_port(Term)],
    receive after ?NAP -> ok end,
    lists:foldl(fun note_end/2, Case, maps:keys(Case#case_.actors)).

jobs_are_back(Tries) ->
    receive after ?NAP -> ok end,
    case held() of
        [Waiting, _, Jobs] when Jobs > Waiting, Tries > 0 -> jobs_are_back(Tries - 1);
        _ -> ok
    end.

note_end(Actor, Case) ->
    Pid = pid(Actor, Case),
    receive {'DOWN', _, process, Pid, Reason} -> Case#case_{ended = maps:put(Actor, Reason, Case#case_.ended)}
    after 0 -> Case
    end.

%% The outcome: the answers, what became of the other actors, what is in the mailboxes, what the driver said.

outcome(Case) ->
    {Late, Case1} = lists:foldr(fun finish/2, {#{}, Case}, Case#case_.pending),
    Case2 = settle(Case1),
    Names = names(Case2),
    Order = lists:sort(maps:keys(Case2#case_.actors)),
    Asked = lists:reverse(Case2#case_.asked),
    Answers = [answer(Held, Result, maps:get(Actor, Late, Result), Names) || {Actor, Held, Result} <- Asked],
    Others = [[atom_to_list(Actor), Text]
              || Actor <- Order, not lists:keymember(Actor, 1, Asked), Text <- other(Actor, Late, Names)],
    Mailboxes = [[atom_to_list(Actor), ": ", lists:join(" ", [text(Message, Names) || Message <- Messages])]
                 || Actor <- Order, Messages <- [mailbox_of(Actor, Case2)], Messages =/= []],
    Ends = [[atom_to_list(Actor), " died of ", text(Reason, Names)]
            || Actor <- Order, {died, Reason} <- [end_of(Actor, Case2)]],
    Said = [["driver: ", lists:join(", ", Texts)] || Texts <- [said(Names)], Texts =/= []],
    lists:join("; ", Answers ++ Others ++ Ends ++ Mailboxes ++ Said).

finish(Actor, {Late, Case}) ->
    {Result, Case1} = await(Actor, Case, 3 * persistent_term:get(patience)),
    {maps:put(Actor, Result, Late), Case1}.

end_of(Actor, #case_{ended = Ended, pending = Pending}) ->
    case Ended of
        #{Actor := Reason} -> {died, Reason};
        _ -> case lists:member(Actor, Pending) of true -> blocked; false -> lives end
    end.

mailbox_of(Actor, Case) ->
    case end_of(Actor, Case) of
        lives ->
            Pid = pid(Actor, Case),
            Pid ! {mailbox, self()},
            receive {mailbox, Pid, Messages} -> Messages after ?LONG -> throw({broken, {mailbox, Actor}}) end;
        _ -> []
    end.

%% Where a callback was held, a BIF has waited for it if it has passed its gate by the time the BIF returns.
answer(_, _, waits, _) -> "does not return";
answer(_, _, {ended, _}, _) -> "dies";
answer([0 | _], Result, Late, Names) when Result =/= Late -> ["waits, then ", result(Late, Names)];
answer([Waiting, Before, _], _, {_, Passed} = Late, Names) when Waiting > 0, Passed > Before ->
    ["waits, then ", result(Late, Names)];
answer(_, _, Late, Names) -> result(Late, Names).

result({{returned, Term}, _}, Names) -> text(Term, Names);
result({{failed, Reason}, _}, Names) -> ["error ", text(Reason, Names)].

other(Actor, Late, Names) ->
    case Late of
        #{Actor := waits} -> [" does not return"];
        #{Actor := {{_, _}, _} = Result} -> [[" returned ", result(Result, Names)]];
        _ -> []
    end.

said() -> receive {said, _} -> said(); {said, _, _} -> said() after 0 -> ok end.

said(Names) ->
    receive
        {said, Text} -> [Text | said(Names)];
        {said, Text, Term} -> [[Text, text(Term, Names)] | said(Names)]
    after 0 -> []
    end.

opened() -> receive {opened, _} -> opened() after 0 -> ok end.

%% Terms as text.  What differs from run to run, such as a pid, is replaced by its name in the case.

names(#case_{actors = Actors, terms = Terms}) ->
    maps:from_list([{Term, atom_to_list(Name)} || {Name, Term} <- maps:to_list(Terms) ++ maps:to_list(Actors),
                                                      is_pid(Term) orelse is_port(Term)]).

text(Term, Names) when is_map_key(Term, Names) -> maps:get(Term, Names);
text(Pid, _) when is_pid(Pid) -> "pid";
text(Port, _) when is_port(Port) -> "port";
text(Ref, _) when is_reference(Ref) -> "ref";
text({id, Number}, _) when is_integer(Number) -> "{id,number}";
text({Item, List}, Names) when Item =:= links; Item =:= monitors; Item =:= monitored_by ->
    ["{", atom_to_list(Item), ",[", lists:join(",", lists:sort(known(List, Names))), "]}"];
text(Tuple, Names) when is_tuple(Tuple) ->
    ["{", lists:join(",", [text(Term, Names) || Term <- tuple_to_list(Tuple)]), "}"];
text(List, Names) when length(List) > 0 ->
    case lists:all(fun(Byte) -> is_integer(Byte) andalso Byte >= 32 andalso Byte < 127 end, List) of
        true -> [$", List, $"];
        false -> ["[", lists:join(",", known(List, Names)), "]"]
    end;
text([Head | Tail], Names) -> ["[", text(Head, Names), "|", text(Tail, Names), "]"];
text(Term, _) -> io_lib:format("~0p", [Term]).

%% The emulator has ports, processes and drivers that are not the case's.
known(List, Names) -> [text(Term, Names) || Term <- List, is_known(Term, Names)].

is_known(Term, Names) when is_port(Term); is_pid(Term) -> is_map_key(Term, Names);
is_known({process, Pid}, Names) -> is_map_key(Pid, Names);
is_known([First | _] = Driver, _) when is_integer(First) -> is_of_case(Driver);
is_known(_, _) -> true.

%% What a case has left: open every gate, end the actors, close the ports.

clean(Pids) ->
    [port_control(judge_log, ?GIVE, [Gate]) || Gate <- ?GATES, _ <- lists:seq(1, 20)],
    [exit(Pid, kill) || Pid <- Pids],
    close(200),
    flush().

close(0) -> erlang:halt(3, [{flush, false}]); % something is left: the next case gets another emulator
close(Tries) ->
    Ports = [Port || Port <- erlang:ports(), {name, "values" ++ _} <- [erlang:port_info(Port, name)]],
    [attempt(fun() -> port_control(Port, 0, "drain") end) || Port <- Ports],
    [attempt(fun() -> port_close(Port) end) || Port <- Ports],
    {ok, Drivers} = erl_ddll:loaded_drivers(),
    case port_control(judge_log, ?QUIET, []) of
        <<1>> when Ports =:= [] -> lists:any(fun is_of_case/1, Drivers) andalso again(Tries);
        [1] when Ports =:= [] -> lists:any(fun is_of_case/1, Drivers) andalso again(Tries);
        _ -> again(Tries)
    end.

is_of_case(Driver) ->
    lists:prefix("values", Driver) andalso not lists:member(Driver, persistent_term:get(drivers)).

attempt(Function) -> try Function() catch error:_ -> failed end.

again(Tries) -> receive after 5 -> close(Tries - 1) end.

flush() -> receive _ -> flush() after 0 -> ok end.
