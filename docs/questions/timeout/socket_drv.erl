%% socket_drv.erl: asks a server through socket_drv.c, with a time limit.
%% The head of socket_drv.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(socket_drv).
-export([open/2, close/1, ask/3, main/0]).

open(Address, TcpPort) ->
    Dir = filename:dirname(code:which(?MODULE)),
    Command = lists:flatten(io_lib:format("socket_drv ~s ~b", [Address, TcpPort])),
    case erl_ddll:load(Dir, "socket_drv") of
        ok ->
            try open_port({spawn_driver, Command}, [])
            catch error:Why -> ok = erl_ddll:unload("socket_drv"), error(Why)
            end;
        {error, Why} ->
            error({socket_drv, erl_ddll:format_error(Why)})
    end.

%% Call it in the process that opened the port, because that process loaded the driver.
close(Port) ->
    try port_close(Port) catch error:badarg -> already_closed end,
    ok = erl_ddll:unload("socket_drv").

%% Sends one line and waits for one line, for Limit milliseconds at most.
ask(Port, Question, Limit) when byte_size(Question) =< 1024, Limit < 1 bsl 32 ->
    Tag = erlang:unique_integer([positive]),
    Monitor = erlang:monitor(port, Port),
    Command = <<Tag:64, Limit:32, Question/binary>>,
    %% badarg means that the port is closed. The monitor reports that, too.
    try port_command(Port, Command) catch error:badarg -> closed end,
    receive
        {Port, Tag, ok, Line} ->
            erlang:demonitor(Monitor, [flush]),
            {ok, Line};
        {Port, Tag, Reason, <<>>} ->
            erlang:demonitor(Monitor, [flush]),
            {error, Reason};
        {'DOWN', Monitor, port, Port, _} ->
            {error, closed}
    end.

main() ->
    Options = [binary, {packet, line}, {active, false}, {ip, {127, 0, 0, 1}}],
    {ok, Listen} = gen_tcp:listen(0, Options),
    {ok, TcpPort} = inet:port(Listen),
    Self = self(),
    spawn_link(fun() -> serve(Listen, Self) end),
    Port = open("127.0.0.1", TcpPort),
    io:format("hello: ~p~n", [ask(Port, <<"hello\n">>, 5000)]),
    io:format("and no answer within 50 ms: ~p~n", [ask(Port, <<"wait\n">>, 50)]),
    receive asked -> ok end,
    spawn_link(fun() -> Self ! {answer, ask(Port, <<"wait\n">>, 16#ffffffff)} end),
    receive asked -> ok end,
    Unloaded = erl_ddll:monitor(driver, {"socket_drv", unloaded}),
    ok = close(Port),
    receive {answer, Answer} -> io:format("a close met a question: ~p~n", [Answer]) end,
    receive {'DOWN', Unloaded, driver, _, unloaded} -> ok end,
    io:format("the driver is unloaded, so its thread is back~n"),
    ok = gen_tcp:close(Listen).

%% The server. It sends a line back, but it does not answer the line `wait'.
serve(Listen, Client) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            case gen_tcp:recv(Socket, 0) of
                {ok, <<"wait\n">>} -> Client ! asked;
                {ok, Line} -> ok = gen_tcp:send(Socket, Line);
                {error, _} -> Client ! asked % the client's limit was over before
            end,
            serve(Listen, Client);
        {error, _} -> % main has closed the listen socket
            ok
    end.
