%% SPDX-License-Identifier: 0BSD
%%
%% Gets the count of a binary after each call from counts_drv.
%%
%% Compile counts_drv.c as its head says; then, in the same folder:
%%
%%   erlc +warnings_as_errors counts_drv.erl
%%   erl -noshell -s counts_drv main -s erlang halt
%%
%% For 64 and for 65 bytes it prints the count, and how many bytes the received binary keeps alive.
%%
%% It prints:
%%
%%   driver_output         64: 1 keeps 64   65: 1 keeps 65
%%   driver_output_binary  64: 1 keeps 64   65: 2 keeps 1000
%%   driver_outputv        64: 1 keeps 64   65: 2 keeps 1000
%%   erl_drv_output_term   64: 1 keeps 64   65: 2 keeps 1000
%%   driver_enq            64: 1            65: 1
%%   driver_enq_bin        64: 2            65: 2
%%   driver_enqv           64: 2            65: 2
-module(counts_drv).
-export([main/0]).

main() ->
    ok = erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "counts_drv"),
    Port = open_port({spawn_driver, "counts_drv"}, [binary]),
    Names = ["driver_output", "driver_output_binary", "driver_outputv", "erl_drv_output_term",
             "driver_enq", "driver_enq_bin", "driver_enqv"],
    [io:format("~-21s 64: ~-12s 65: ~s~n", [Name, asked(Port, Call, 64), asked(Port, Call, 65)])
     || {Call, Name} <- lists:zip(lists:seq(1, 7), Names)],
    true = port_close(Port),
    ok = erl_ddll:unload_driver("counts_drv").

asked(Port, Call, Size) ->
    Count = port_control(Port, Call, [integer_to_list(Size), 0]),
    string:trim([Count, kept()]).

kept() ->
    receive
        {_, {data, [Data]}} -> keeps(Data);
        {_, {data, Data}} -> keeps(Data);
        Data -> keeps(Data)
    after 0 -> ""
    end.

keeps(Data) ->
    io_lib:format(" keeps ~b", [binary:referenced_byte_size(Data)]).
