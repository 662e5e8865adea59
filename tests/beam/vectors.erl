%% SPDX-License-Identifier: 0BSD
%%
%% Asks vectors_drv which vector `outputv` is given for what data.
%%
%%   erl -noshell -run vectors main
%%
%% Reads recipes from the standard input, as terms that end in a full stop, and prints a line for each: what the driver
%% says of the vector, or `badarg`.  A recipe is
%%
%%   a byte            itself
%%   {l, Recipes}      a list
%%   {i, Recipes, R}   an improper list, whose tail is R
%%   {b, Id, Size}     a binary; the same Id in one recipe is the same binary
%%   {n, N, Id, Size}  a list of N binaries, with Id and the numbers after it
%%   {p, R, Pos, Len}  a part of the binary R
%%   {x, N, R}         a list in which R stands N times
-module(vectors).
-export([main/0]).

main() ->
    %% The emulator reports bad data, on the standard output.
    ok = logger:set_primary_config(level, none),
    ok = erl_ddll:load_driver(".", "vectors_drv"),
    loop(open_port({spawn_driver, "vectors_drv"}, [binary])).

loop(Port) ->
    case io:read('') of
        {ok, Recipe} ->
            io:put_chars([ask(Port, Recipe), $\n]),
            loop(Port);
        _ ->
            halt()
    end.

%% In a process of its own: a binary that an earlier one has left on a heap would still be counted.
ask(Port, Recipe) ->
    {_, Monitor} =
        spawn_monitor(fun() ->
            Data = make(Recipe),
            exit(
                try
                    port_command(Port, Data),
                    port_control(Port, 0, [])
                catch
                    error:badarg -> <<"badarg">>
                end
            )
        end),
    receive
        {'DOWN', Monitor, process, _, Said} -> Said
    end.

make({l, Recipes}) ->
    [make(Recipe) || Recipe <- Recipes];
make({i, Recipes, Tail}) ->
    [make(Recipe) || Recipe <- Recipes] ++ make(Tail);
make({b, Id, Size}) ->
    case get(Id) of
        undefined ->
            Binary = list_to_binary([(Id * 31 + N) rem 251 || N <- lists:seq(1, Size)]),
            put(Id, Binary),
            Binary;
        Binary ->
            Binary
    end;
make({n, Times, Id, Size}) ->
    [make({b, Id + N, Size}) || N <- lists:seq(0, Times - 1)];
make({p, Recipe, Pos, Len}) ->
    binary_part(make(Recipe), Pos, Len);
make({x, Times, Recipe}) ->
    lists:duplicate(Times, make(Recipe));
make(Byte) ->
    Byte.
