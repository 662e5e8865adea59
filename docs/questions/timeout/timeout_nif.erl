%% timeout_nif.erl: asks a server through timeout_nif.c, and keeps the time limit
%% itself.
%% The head of timeout_nif.c says how to compile and run both files.
%% SPDX-License-Identifier: 0BSD
-module(timeout_nif).
-export([ask/3, connect/1, send/3, recv/2, close/1, main/0]).
-nifs([connect/1, send/3, recv/2, close/1]).
-on_load(load/0).

load() ->
    Dir = filename:dirname(code:which(?MODULE)),
    erlang:load_nif(filename:join(Dir, "timeout_nif"), 0).

connect(_TcpPort) -> erlang:nif_error(not_loaded).
send(_Socket, _Ref, _Bytes) -> erlang:nif_error(not_loaded).
recv(_Socket, _Ref) -> erlang:nif_error(not_loaded).
close(_Socket) -> erlang:nif_error(not_loaded).

%% Sends one line and waits for one line, for Limit milliseconds at most.
ask(TcpPort, Question, Limit) ->
    Due = erlang:monotonic_time(millisecond) + Limit,
    case connect(TcpPort) of
        {ok, Socket} ->
            Answer =
                case try_until(Due, Socket, fun(Ref) -> send(Socket, Ref, Question) end) of
                    ok -> recv_line(Socket, <<>>, Due);
                    Error -> Error
                end,
            ok = close(Socket),
            %% The select message may have been sent just when the limit was over.
            receive {select, Socket, _, _} -> ok after 0 -> ok end,
            Answer;
        Error ->
            Error
    end.

recv_line(Socket, Sofar, Due) ->
    case try_until(Due, Socket, fun(Ref) -> recv(Socket, Ref) end) of
        {ok, Bytes} ->
            Line = <<Sofar/binary, Bytes/binary>>,
            case binary:last(Line) of
                $\n -> {ok, Line};
                _ -> recv_line(Socket, Line, Due)
            end;
        eof -> {error, closed};
        Error -> Error
    end.

try_until(Due, Socket, Try) ->
    Ref = make_ref(),
    case Try(Ref) of
        wait ->
            receive {select, Socket, Ref, _} -> try_until(Due, Socket, Try)
            after max(0, Due - erlang:monotonic_time(millisecond)) -> {error, timeout}
            end;
        Result ->
            Result
    end.

main() ->
    Options = [binary, {active, false}, {backlog, 128}, {ip, {127, 0, 0, 1}}],
    {ok, Listen} = gen_tcp:listen(0, Options),
    {ok, TcpPort} = inet:port(Listen),
    spawn_link(fun() -> serve(Listen) end),
    io:format("hello: ~p~n", [ask(TcpPort, <<"hello\n">>, 5000)]),
    io:format("and no answer within 50 ms: ~p~n", [ask(TcpPort, <<"wait\n">>, 50)]),
    Pids = [spawn(fun() -> ask(TcpPort, <<"wait\n">>, 60000) end) || _ <- lists:seq(1, 100)],
    io:format("and still, while a hundred wait: ~p~n", [ask(TcpPort, <<"hello\n">>, 5000)]),
    [exit(Pid, kill) || Pid <- Pids],
    ok = gen_tcp:close(Listen).

%% The server. It sends the line `hello' back, and does not answer another line.
serve(Listen) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            Hello = <<"hello\n">>,
            gen_tcp:recv(Socket, 0) =:= {ok, Hello} andalso gen_tcp:send(Socket, Hello),
            serve(Listen);
        {error, _} -> % main has closed the listen socket
            ok
    end.
