"""Erlang's side, ports: commands, controls, calls, messages to a port, and what a busy port does to senders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Kind, PortLockingWorker, Worker, both, on_another_thread, opened, received

from driverref import Emulator, Pid, Port
from driverref.erl_driver import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    ERL_DRV_BUSY_MSGQ_READ_ONLY,
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    PORT_CONTROL_FLAG_BINARY,
    ErlDrvPort,
    Key,
    driver_alloc,
    driver_alloc_binary,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_output,
    erl_drv_busy_msgq_limits,
    memset,
    set_busy_port,
    set_port_control_flags,
)
from driverref.errors import Deadlock, ErlangError
from driverref.posix import usleep


def echo(port: ErlDrvPort, buf: memoryview) -> None:
    driver_output(port, bytes(buf))


def refused(reason: str = "badarg") -> Any:
    """What `port_command` and its like raise."""
    return pytest.raises(ErlangError, match=f"^{reason}: ")


# Opening.


@both
@pytest.mark.rule("state.spawn-driver")
def test_spawn_driver_never_runs_a_program_and_spawn_would(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of("cat", output=echo))
        for how in ("spawn_driver", "spawn"):
            port = erl.open_port((how, "cat /etc/motd"))
            erl.port_command(port, b"x")
            assert erl.receive() == (port, ("data", b"x"))
        with refused("badarg") as driver_only:
            erl.open_port(("spawn_driver", "ls -l"))
        assert "no driver 'ls' is loaded" in str(driver_only.value)
        with refused("enoent") as program:
            erl.open_port(("spawn", "ls -l"))
        assert "OS programs are not modelled" in str(program.value)
        assert len(erl.ports()) == 2


@both
def test_start_is_given_the_whole_command(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        commands = []
        erl.erl_ddll.load_driver(made_of(start=lambda port, command: commands.append(command)))
        erl.open_port(("spawn_driver", "d  -x 'y'"))
        assert commands == ["d  -x 'y'"]


@both
def test_data_comes_as_a_binary_or_as_a_list(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(output=echo))
        for options, data in ((["binary"], b"ab"), ([], [97, 98]), (("eof",), [97, 98])):
            port = erl.open_port(("spawn_driver", "d"), options)
            erl.port_command(port, ["a", b"b"] and [b"a", [98]])
            assert erl.receive() == (port, ("data", data))


@both
def test_a_driver_that_is_being_killed_opens_no_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Worker()
        port = opened(erl, driver)
        erl.process_flag("trap_exit", True)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.erl_ddll.try_unload("worker")
        with refused():
            erl.open_port(("spawn_driver", "worker"))
        driver.work_gate.open()


# port_command.


@both
def test_iodata_in_any_shape_arrives_as_one_buffer(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo))
        sent: list[tuple[object, bytes]] = [
            (b"", b""),
            ([], b""),
            ([1, [2, b"ab", []], bytearray(b"c")], b"\1\2abc"),
            (memoryview(b"m"), b"m"),
        ]
        for data, expected in sent:
            assert erl.port_command(port, data)
            assert erl.receive() == (port, ("data", expected))


@both
def test_outputv_gets_the_parts_and_is_preferred(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        parts = []

        def outputv(port: ErlDrvPort, ev: Any) -> None:
            parts.append(([bytes(piece) for piece in ev.iov], ev.size))

        port = opened(erl, made_of(outputv=outputv, output=echo))
        erl.port_command(port, [b"a", 98, b"c" * 100])
        erl.port_command(port, b"only")
        assert parts == [([b"a", b"b", b"c" * 100], 102), ([b"only"], 4)]
        assert erl.receive(timeout=0) is None


@both
def test_without_output_the_data_is_swallowed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of())
        assert erl.port_command(port, b"x") is True
        erl.send(port, (erl.self(), ("command", b"y")))
        assert erl.port_command(port, [b"z"]) is True


@both
@pytest.mark.rule("port.bad-iodata")
@pytest.mark.parametrize("data", ["text", 5, None, [256], [-1], [b"x", "y"], [True], (1,)])
def test_bad_iodata_is_badarg_and_the_port_lives_on(threads: Kind, data: object) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo, control=lambda port, command, buf: b""))
        with refused() as caught:
            erl.port_command(port, data)
        assert "port_command: data must be iodata: " in str(caught.value)
        with refused():
            erl.port_control(port, 0, data)
        assert erl.trace.order("output", "control") == []
        erl.port_command(port, b"ok")
        assert received(erl) == [(port, ("data", b"ok"))]


@both
def test_any_process_may_command_and_is_the_caller(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        callers = []
        port = opened(erl, made_of(output=lambda port, buf: callers.append(driver_caller(port))))
        pids = []

        def other() -> None:
            pids.append(erl.self())
            erl.port_command(port, b"")
            erl.port_command(port, [b""])

        on_another_thread(erl, other, scheduler=2)
        erl.port_command(port, b"")
        erl.send(port, (erl.self(), ("command", b"")))
        assert callers == [pids[0], pids[0], Pid(1), Pid(1)]


@both
@pytest.mark.rule("port.closed-badarg")
def test_a_closed_port_is_badarg_to_every_bif_and_nothing_to_send(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo))
        erl.port_close(port)
        asked: list[Callable[[], object]] = [
            lambda: erl.port_command(port, b""),
            lambda: erl.port_command(port, b"", ["nosuspend"]),
            lambda: erl.port_control(port, 0, b""),
            lambda: erl.port_call(port, 0, ()),
            lambda: erl.port_close(port),
            lambda: erl.port_connect(port, erl.self()),
        ]
        for ask in asked:
            with refused() as caught:
                ask()
            assert "#Port<0.1> is closing or closed, or never was" in str(caught.value)
        message = (erl.self(), ("command", b"x"))
        assert erl.send(port, message) is message
        assert erl.port_info(port) is None
        assert erl.receive(timeout=0) is None


def closing_with(erl: Emulator, **callbacks: Any) -> Port:
    """A port that is closing until it gets a control."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_deq(port, command)
        return b"still here"

    driver = made_of(
        output=lambda port, buf: driver_enq(port, b"x"),
        control=control,
        call=lambda port, command, term: ("echo", term),
        **callbacks,
    )
    port = opened(erl, driver)
    erl.port_command(port, b"")
    erl.port_close(port)
    return port


@both
@pytest.mark.rule("port.closed-badarg", "busy.control-gets-through")
def test_a_closing_port_takes_control_and_call_but_nothing_else(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = closing_with(erl)
        asked: list[Callable[[], object]] = [
            lambda: erl.port_command(port, b""),
            lambda: erl.port_close(port),
            lambda: erl.port_connect(port, erl.self()),
        ]
        for ask in asked:
            with refused():
                ask()
        erl.send(port, (erl.self(), ("command", b"x")))
        erl.send(port, "garbage")
        assert erl.ports() == [port]
        assert erl.port_info(port, "links") == ("links", [])
        assert erl.port_call(port, 1, 7) == ("echo", 7)
        assert erl.port_control(port, 0, b"") == list(b"still here")
        assert erl.trace.order("output", "stop") == ["output"]
        assert erl.port_control(port, 1, b"") == list(b"still here")
        assert erl.ports() == []
        assert erl.receive(timeout=0) is None


# Control and call.


@both
def test_control_replies_a_list_or_a_binary(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            set_port_control_flags(port, command)
            return bytes(buf)[::-1]

        port = opened(erl, made_of(control=control))
        assert erl.port_control(port, 0, [b"ab", 99]) == [99, 98, 97]
        assert erl.port_control(port, PORT_CONTROL_FLAG_BINARY, b"abc") == b"cba"


@both
def test_what_control_allocates_for_its_reply_the_emulator_frees(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> object:
            if command == 0:
                binary = driver_alloc_binary(2)
                assert binary is not None
                binary.orig_bytes[:] = b"bi"
                return binary
            if command == 1:
                return memset(driver_alloc(2), 7, 2)
            return None

        port = opened(erl, made_of(control=control))
        assert erl.port_control(port, 0, b"") == list(b"bi")
        assert erl.port_control(port, 1, b"") == [7, 7]
        assert erl.port_control(port, 2, b"") == []
        erl.stop()  # without a Leak


@both
def test_control_refuses_with_a_negative_number_or_by_not_being_there(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(control=lambda port, command, buf: -1))
        with refused() as caught:
            erl.port_control(port, 0, b"")
        assert str(caught.value) == "badarg: port_control: driver 'd' refused it"
        bare = opened(erl, made_of("bare"))
        with refused():
            erl.port_control(bare, 0, b"")
        with refused():
            erl.port_call(bare, 0, b"")
        assert erl.trace.order("control", "call") == ["control"]


def test_a_reply_that_is_no_data_stops_the_emulator_with_a_reason() -> None:
    def story() -> None:
        with Emulator() as erl:
            port = opened(erl, made_of(control=lambda port, command, buf: 1))
            erl.port_control(port, 0, b"")

    with pytest.raises(TypeError, match="control: the reply must be bytes, .* not 1$"):
        story()


@both
def test_operations_are_32_bits(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        seen = []
        driver = made_of(
            control=lambda port, command, buf: seen.append(command),
            call=lambda port, command, term: command,
        )
        port = opened(erl, driver)
        erl.port_control(port, 2**32 - 1, b"")
        assert erl.port_call(port, 2**32 - 1, None) == 2**32 - 1
        for operation in (-1, 2**32, True, 1.0, "1"):
            for bif in (erl.port_control, erl.port_call):
                with refused() as caught:
                    bif(port, operation, b"")  # type: ignore[arg-type]
                assert "operation must be an int from 0 to 2^32-1, not" in str(caught.value)
        assert seen == [2**32 - 1]


@both
def test_call_takes_a_term_and_replies_one(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def call(port: ErlDrvPort, command: int, term: Any) -> object:
            return ("got", command, term) if term is not None else None

        port = opened(erl, made_of(call=call))
        assert repr(erl.port_call(port, 3, [1, b"x"])) == '{"got",3,[1,<<"x">>]}'
        with refused():
            erl.port_call(port, 3, None)


# Messages to a port.


@both
def test_the_owner_commands_connects_and_closes_by_message(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, made_of(output=echo))
        erl.send(port, (erl.self(), ("command", [b"ab", 99])))
        assert erl.receive() == (port, ("data", b"abc"))
        erl.send(port, (erl.self(), "close"))
        assert erl.receive() == ("EXIT", port, "normal")
        assert erl.receive() == (port, "closed")
        assert erl.trace.order("output", "exit", "stop") == ["output", "exit"]


@both
def test_connect_by_message_gives_the_port_away_unlinked(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo))
        gate, box = Gate(), Box()

        def heir() -> None:
            gate.pass_through()
            box.put(erl.receive())

        pid = erl.spawn(heir)
        ref = erl.monitor("process", pid)
        erl.send(port, (erl.self(), ("connect", pid)))
        assert erl.receive() == (port, "connected")
        assert erl.port_info(port, "connected") == ("connected", pid)
        assert erl.port_info(port, "links") == ("links", [Pid(1)])
        erl.port_command(port, b"for the heir")
        gate.open()
        assert erl.receive() == ("DOWN", ref, "process", pid, "normal")
        assert box.value == (port, ("data", b"for the heir"))
        assert erl.ports() == [port]


@both
def test_port_connect_links_the_new_owner_and_the_old_stays_linked(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, made_of(stop=lambda port: None))
        pid = erl.spawn(erl.receive)
        assert erl.port_connect(port, pid)
        assert erl.port_info(port, "links") == ("links", [Pid(1), pid])
        erl.exit(pid, "kill")
        assert erl.receive() == ("EXIT", port, "killed")
    assert [event.detail for event in erl.trace.select("exit")] == ["killed"]
    assert erl.trace.order("exit", "stop") == ["exit", "stop"]


@both
@pytest.mark.rule("port.badsig")
def test_garbage_and_strangers_give_the_owner_badsig(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, made_of(output=echo))
        stranger = erl.spawn(erl.receive)
        bad: list[object] = [
            "garbage",
            (stranger, ("command", b"x")),
            (erl.self(), ("command", ["x"])),
            (stranger, "close"),
            (stranger, ("connect", stranger)),
            (erl.self(), ("connect", Pid(99))),
            (erl.self(), ("unknown", 1)),
        ]
        for message in bad:
            assert erl.send(port, message) is message
            assert erl.receive() == ("EXIT", port, "badsig"), message
        on_another_thread(erl, lambda: erl.send(port, (Pid(1), ("command", b"for the owner"))))
        assert erl.receive() == (port, ("data", b"for the owner"))
        assert erl.trace.order("output", "exit", "stop") == ["output"]
        assert erl.port_info(port, "connected") == ("connected", Pid(1))


@both
@pytest.mark.rule("port.badsig")
def test_badsig_kills_an_owner_that_does_not_trap_exits(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())

        def owner() -> None:
            erl.send(erl.open_port(("spawn_driver", "d")), "garbage")
            erl.receive()

        pid = erl.spawn(owner)
        ref = erl.monitor("process", pid)
        down: Any = erl.receive()
        assert (down[1], down[4]) in ((ref, "badsig"), (ref, "noproc"))
        assert erl.ports() == []
        assert erl.trace.order("exit", "stop") == ["exit"]


# Information.


@both
def test_port_info_tells_what_is_known(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=driver_enq))
        assert repr(erl.port_info(port)) == (
            '[{name,"d"}, {links,[<0.1.0>]}, {id,1}, {connected,<0.1.0>}, {os_pid,undefined}]'
        )
        erl.port_command(port, b"four")
        assert erl.port_info(port, "queue_size") == ("queue_size", 4)
        erl.unlink(port)
        erl.exit(port, "kill")
        assert erl.ports() == []
        assert erl.port_info(Port(99)) is None


@both
def test_a_failed_open_takes_a_number(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        answers = iter([-1, None])
        erl.erl_ddll.load_driver(made_of(start=lambda port, command: next(answers)))
        with refused("einval"):
            erl.open_port(("spawn_driver", "d"))
        assert erl.ports() == []
        assert erl.open_port(("spawn_driver", "d")) == Port(2)
        assert erl.ports() == [Port(2)]


# Busy.


def busy_driver(flags: int = 0, **callbacks: Any) -> Any:
    """`b` makes the port busy, any other command is echoed; a control ends it."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"b":
            set_busy_port(port, 1)
        else:
            echo(port, buf)

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
        set_busy_port(port, 0)

    return made_of(flags=flags, output=output, control=control, **callbacks)


def suspended(erl: Emulator, send: Callable[[], object]) -> tuple[Pid, Callable[[], object]]:
    """A process that does `send` and has been suspended by it; and a way to get the result."""
    box, me = Box(), erl.self()
    before = len(erl.trace.select("suspended"))

    def sender() -> None:
        try:
            box.put(send())
        except ErlangError as error:
            box.put(error.reason)
        erl.send(me, ("sent", erl.self()))

    pid = erl.spawn(sender, scheduler=1)
    while len(erl.trace.select("suspended")) == before:
        erl.receive(lambda message: False, timeout=1)  # let others run

    def result() -> object:
        erl.receive(lambda message: message == ("sent", pid))
        return box.value

    return pid, result


@both
@pytest.mark.rule("busy.suspends")
def test_a_busy_port_suspends_the_next_sender_until_it_is_not(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, busy_driver())
        owner = erl.self()
        assert erl.port_command(port, b"b") is True
        _, first = suspended(erl, lambda: erl.port_command(port, b"1"))
        _, second = suspended(erl, lambda: erl.send(port, (owner, ("command", b"2"))))
        assert erl.receive(timeout=0) is None
        erl.port_control(port, 0, b"")
        assert first() is True
        assert second() == (owner, ("command", b"2"))
        assert {erl.receive(), erl.receive()} == {
            (port, ("data", b"1")),
            (port, ("data", b"2")),
        }
        order = erl.trace.order("set_busy_port", "suspended", "resumed")
        assert order == [
            "set_busy_port",
            "suspended",
            "suspended",
            "set_busy_port",
            *["resumed"] * 2,
        ]


@both
@pytest.mark.rule("busy.suspends")
def test_no_data_bad_data_and_a_stranger_s_command_wait_too(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, busy_driver())
        owner = erl.self()
        erl.port_command(port, b"b")
        sends: list[tuple[Callable[[], object], object]] = [
            (lambda: erl.port_command(port, b""), True),
            (lambda: erl.port_command(port, ["bad"]), "badarg"),
            (lambda: erl.send(port, (owner, ("command", ["bad"]))), (owner, ("command", ["bad"]))),
            (lambda: erl.send(port, (Pid(9), ("command", b""))), (Pid(9), ("command", b""))),
        ]
        results = [(suspended(erl, send)[1], expected) for send, expected in sends]
        assert erl.receive(timeout=0) is None
        erl.port_control(port, 0, b"")
        for result, expected in results:
            assert result() == expected
        assert sorted(map(repr, received(erl))) == [
            *["{#Port<0.1>,{data,<<>>}}"],
            *["{'EXIT',#Port<0.1>,badsig}"] * 2,
        ]


@both
@pytest.mark.rule("busy.nosuspend")
def test_nosuspend_is_false_while_the_port_is_busy(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, busy_driver())
        assert erl.port_command(port, b"1", ["nosuspend"]) is True
        erl.port_command(port, b"b")
        assert erl.port_command(port, b"2", ["nosuspend"]) is False
        assert erl.port_command(port, ["bad"], ["nosuspend"]) is False
        erl.port_control(port, 0, b"")
        assert erl.port_command(port, b"3", ("nosuspend",)) is True
        assert received(erl) == [(port, ("data", b"1")), (port, ("data", b"3"))]


@both
@pytest.mark.rule("busy.force")
def test_force_needs_a_driver_that_allows_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        hard = opened(erl, busy_driver())
        with refused("notsup"):
            erl.port_command(hard, b"x", ["force"])  # busy or not
        erl.port_command(hard, b"b")
        with refused("notsup") as caught:
            erl.port_command(hard, b"x", ["force", "nosuspend"])
        assert str(caught.value) == "notsup: port_command: driver 'd' lacks SOFT_BUSY"
    with Emulator(threads=threads) as erl:
        soft = opened(erl, busy_driver(ERL_DRV_FLAG_SOFT_BUSY))
        erl.port_command(soft, b"b")
        assert erl.port_command(soft, b"x", ["force"]) is True
        assert erl.port_command(soft, b"y", ["force", "nosuspend"]) is True
        assert erl.port_command(soft, b"z", ["nosuspend"]) is False
        assert received(erl) == [(soft, ("data", b"x")), (soft, ("data", b"y"))]


@both
@pytest.mark.rule("busy.control-gets-through")
def test_control_call_connect_and_close_get_through_to_a_busy_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = made_of(
            output=lambda port, buf: set_busy_port(port, 1),
            control=lambda port, command, buf: b"through",
            call=lambda port, command, term: b"through",
        )
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.port_control(port, 0, b"") == list(b"through")
        assert erl.port_call(port, 0, 1) == b"through"
        assert erl.port_connect(port, erl.self())
        erl.send(port, (erl.self(), ("connect", erl.self())))
        erl.send(port, "garbage")
        erl.send(port, (erl.self(), "close"))
        assert received(erl) == [
            (port, "connected"),
            ("EXIT", port, "badsig"),
            ("EXIT", port, "normal"),
            (port, "closed"),
        ]
        assert erl.trace.order("suspended") == []


@both
@pytest.mark.rule("busy.close-resumes")
def test_a_suspended_sender_gets_badarg_when_the_port_closes(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, busy_driver())
        owner = erl.self()
        erl.port_command(port, b"b")
        _, command = suspended(erl, lambda: erl.port_command(port, b"1"))
        _, message = suspended(erl, lambda: erl.send(port, (owner, ("command", b"2"))))
        erl.port_close(port)
        assert command() == "badarg"
        assert message() == (owner, ("command", b"2"))
        assert erl.trace.order("output", "exit", "resumed") == ["output", "exit", *["resumed"] * 2]


def test_a_port_that_is_never_free_again_names_who_waits_for_it() -> None:
    def story() -> None:
        with Emulator() as erl:
            port = opened(erl, busy_driver())
            erl.port_command(port, b"b")
            erl.port_command(port, b"1")

    with pytest.raises(Deadlock) as caught:
        story()
    assert "process <0.1.0> waits for #Port<0.1>, which is busy" in caught.value.waiting


# A locked port.


class Slow(PortLockingWorker):
    """The command `hold` holds the port's lock until the gate opens."""

    driver_name = "slow"

    def init(self) -> None:
        super().init()
        self.gate = Gate()

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"hold":
            self.gate.pass_through()
        else:
            driver_output(port, bytes(buf))

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        low, high = (Key(int(number)) for number in bytes(buf).split())
        erl_drv_busy_msgq_limits(port, low, None)
        erl_drv_busy_msgq_limits(port, None, high)
        erl_drv_busy_msgq_limits(port, low, high)
        return b"%d %d" % (low.value, high.value)


def held(erl: Emulator, driver: Slow) -> Port:
    """A port whose lock a process on scheduler 2 holds until `driver.gate.open()`."""
    port = opened(erl, driver)
    erl.spawn(lambda: erl.port_command(port, b"hold"), scheduler=2)
    driver.gate.await_arrival()
    return port


@both
@pytest.mark.rule("busy.bang-is-asynchronous", "busy.waits-for-lock-only")
def test_a_message_does_not_wait_for_the_lock_and_a_command_does(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        driver = Slow()
        port = held(erl, driver)
        me = erl.self()
        erl.send(port, (me, ("command", b"by message")))
        assert erl.trace.order("output") == ["output"]  # it waits; we do not

        def command() -> None:
            erl.send(me, "about to command")
            erl.port_command(port, b"by command")
            erl.send(me, "commanded")

        erl.spawn(command, scheduler=3)
        assert erl.receive() == "about to command"
        assert erl.receive(timeout=1) is None
        driver.gate.open()
        got = [erl.receive() for _ in range(3)]
        assert got == [
            (port, ("data", b"by message")),
            (port, ("data", b"by command")),
            "commanded",
        ]


@both
@pytest.mark.rule("busy.bang-is-asynchronous")
def test_signals_of_one_process_keep_their_order(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Slow()
        port = held(erl, driver)
        me = erl.self()
        for number in range(3):
            erl.send(port, (me, ("command", b"%d" % number)))
        erl.send(port, (me, "close"))
        erl.send(port, (me, ("command", b"too late")))
        driver.gate.open()
        got = [erl.receive() for _ in range(5)]
        assert got == [
            *((port, ("data", b"%d" % number)) for number in range(3)),
            ("EXIT", port, "normal"),
            (port, "closed"),
        ]


@both
def test_a_bif_first_carries_out_what_waits(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port = held(erl, driver)
        for number in range(40):
            erl.send(port, (erl.self(), ("command", b"%d" % number)))
        driver.gate.open()
        erl.port_command(port, b"last")
        data = [erl.receive()[1][1] for _ in range(41)]
        assert data == [*(b"%d" % number for number in range(40)), b"last"]


@both
def test_a_full_message_queue_suspends_and_goes_on_at_the_low_limit(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port = held(erl, driver)
        owner = erl.self()
        kilobyte = b"x" * 1000
        for _ in range(9):  # 8192 bytes are the high limit, so the ninth gets through
            erl.send(port, (owner, ("command", kilobyte)))
        assert erl.trace.order("suspended") == []
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"one more"))))
        driver.gate.open()
        sent()
        data = [erl.receive(lambda message: message[0] == port)[1][1] for _ in range(10)]
        assert data == [*[kilobyte] * 9, b"one more"]
        outputs = erl.trace.order("output", "resumed")
        assert 1 + 9 >= outputs.index("resumed") >= 1 + 5


@both
def test_who_is_suspended_by_a_full_queue_goes_on_only_below_the_low_limit(threads: Kind) -> None:
    """The limits are 4 and 7 bytes.  While the last 4 are carried out they still count, and he waits."""
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port, owner = opened(erl, driver), erl.self()
        erl.port_control(port, 0, b"4 7")
        erl.spawn(lambda: erl.port_command(port, b"hold"), scheduler=2)
        driver.gate.await_arrival()
        for data in (b"1111", b"hold"):
            erl.send(port, (owner, ("command", data)))
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"last"))))
        driver.gate.open()
        driver.gate.await_arrival()
        assert erl.receive() == (port, ("data", b"1111"))
        assert erl.receive(timeout=1) is None
        assert erl.trace.order("resumed") == []
        driver.gate.open()
        sent()
        assert erl.receive() == (port, ("data", b"last"))


@both
def test_a_full_queue_of_a_port_that_closes_lets_its_senders_go(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Slow()
        port = held(erl, driver)
        owner = erl.self()
        erl.send(port, (owner, "close"))
        erl.send(port, (owner, ("command", b"x" * 9000)))
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"too late"))))
        driver.gate.open()
        assert sent() == (owner, ("command", b"too late"))
        assert erl.trace.order("output", "stop") == ["output"]


@both
def test_the_limits_can_be_read_set_and_turned_off_for_good(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port = opened(erl, driver)

        def limits(low: int, high: int) -> str:
            reply = erl.port_control(port, 0, b"%d %d" % (low, high))
            assert isinstance(reply, list)
            return bytes(reply).decode()

        assert ERL_DRV_BUSY_MSGQ_READ_ONLY == 0
        assert limits(0, 0) == "4096 8192"
        assert limits(100, 50) == "50 50"
        assert limits(0, 900) == "50 900"
        erl.spawn(lambda: erl.port_command(port, b"hold"), scheduler=2)
        driver.gate.await_arrival()
        owner = erl.self()
        erl.send(port, (owner, ("command", b"x" * 901)))
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"y"))))
        driver.gate.open()
        sent()
        off = f"{ERL_DRV_BUSY_MSGQ_DISABLED} {ERL_DRV_BUSY_MSGQ_DISABLED}"
        assert limits(ERL_DRV_BUSY_MSGQ_DISABLED, 0) == off
        assert limits(10, 20) == off


@both
def test_a_driver_can_do_without_limits(threads: Kind) -> None:
    class Unlimited(Slow):
        driver_flags = PortLockingWorker.driver_flags | ERL_DRV_FLAG_NO_BUSY_MSGQ

    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Unlimited()
        port = held(erl, driver)
        for _ in range(3):
            erl.send(port, (erl.self(), ("command", b"x" * 9000)))
        assert erl.trace.order("suspended") == []
        driver.gate.open()
        assert [len(erl.receive()[1][1]) for _ in range(3)] == [9000] * 3


@pytest.mark.parametrize("ask", ["command", "control", "call", "close", "connect"])
def test_a_bif_may_find_that_a_message_before_it_has_closed_the_port(ask: str) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        usleep(5000)

    with Emulator(schedulers=2) as erl:
        port = opened(erl, made_of(output=output))
        erl.spawn(lambda: erl.port_command(port, b""), scheduler=2)
        usleep(1000)
        erl.send(port, (erl.self(), "close"))
        asked: dict[str, Callable[[], object]] = {
            "command": lambda: erl.port_command(port, b""),
            "control": lambda: erl.port_control(port, 0, b""),
            "call": lambda: erl.port_call(port, 0, ()),
            "close": lambda: erl.port_close(port),
            "connect": lambda: erl.port_connect(port, erl.self()),
        }
        with refused() as caught:
            asked[ask]()
        assert "#Port<0.1> is closing or closed" in str(caught.value)
        assert erl.trace.order("output", "exit") == ["output", "exit"]


def test_a_driver_may_be_given_up_while_open_port_waits_for_its_lock() -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        usleep(5000)

    with Emulator(schedulers=3) as erl:
        erl.process_flag("trap_exit", True)
        driver = made_of(output=output)
        gate = Gate()

        def loader() -> None:
            port = opened(erl, driver)
            gate.pass_through()
            erl.spawn(lambda: erl.port_command(port, b""), scheduler=2)
            usleep(2000)
            erl.erl_ddll.unload_driver("d")

        erl.spawn(loader, scheduler=3)
        gate.await_arrival()
        gate.open()
        usleep(1000)
        with refused() as caught:
            erl.open_port(("spawn_driver", "d"))
        assert str(caught.value) == "badarg: open_port: 'd' was unloaded"
        assert erl.trace.order("start") == ["start"]


@pytest.mark.parametrize("seed", range(60))
def test_no_sender_is_forgotten_in_whatever_order(seed: int) -> None:
    """A busy port, a lock that others hold, messages from two processes: all arrive, nobody waits for ever."""
    with Emulator(seed=seed, schedulers=3) as erl:
        port = opened(erl, busy_driver(ERL_DRV_FLAG_USE_PORT_LOCKING))
        owner = erl.self()

        def send() -> None:
            for _ in range(3):
                erl.send(port, (owner, ("command", b"x")))

        for scheduler in (2, 3):
            erl.spawn(send, scheduler=scheduler)
        for _ in range(3):
            erl.port_command(port, b"b")
            erl.port_control(port, 0, b"")
        for _ in range(6):
            assert erl.receive() == (port, ("data", b"x"))


# Several commands at once.


@both
@pytest.mark.rule("busy.accepted")
def test_a_second_command_is_accepted_while_the_first_job_runs(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Worker()
        port = opened(erl, driver)
        assert erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        assert erl.port_command(port, b"second")
        assert driver.ids == [1, 2]
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(2)] == [b"wait", b"second"]
        order = erl.trace.order("output", "driver_async", "async_return")
        assert order[:4] == ["output", "driver_async(1)", "output", "driver_async(2)"]


@both
@pytest.mark.rule("busy.not-tagged")
def test_with_two_threads_and_no_key_the_second_reply_may_come_first(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=2) as erl:
        driver = Worker()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"quick")
        assert erl.receive() == (port, ("data", b"quick"))
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
        assert erl.trace.order("ready_async") == ["ready_async(2)", "ready_async(1)"]


@both
@pytest.mark.rule("busy.same-key-waits")
def test_with_one_key_the_second_job_waits_for_the_first(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=2) as erl:
        driver = Worker()
        driver.key = 7
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_command(port, b"quick")
        assert erl.receive(timeout=1) is None
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(2)] == [b"wait", b"quick"]
        assert erl.trace.order("async_invoke", "async_return") == [
            "async_invoke(1)",
            "async_return(1)",
            "async_invoke(2)",
            "async_return(2)",
        ]


@both
@pytest.mark.rule("busy.waits-for-lock-only")
def test_a_command_waits_for_the_callback_and_not_for_its_job(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Worker()
        port = opened(erl, driver)
        assert erl.port_command(port, b"wait")  # and back, with the job's thread still at the gate
        assert erl.trace.order("ready_async", "async_return") == []
        driver.work_gate.open()
        erl.receive()


@both
def test_the_command_that_closes_its_port_succeeds(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        failing = made_of(
            output=lambda port, buf: driver_failure_atom(port, "bad") and None,
            control=lambda port, command, buf: (
                b"" if driver_failure_atom(port, "bad") else b"answer"
            ),
        )
        port = opened(erl, failing)
        assert erl.port_command(port, b"") is True
        other = erl.open_port(("spawn_driver", "d"))
        assert erl.port_control(other, 0, b"") == list(b"answer")
        assert erl.ports() == []
        assert received(erl) == [("EXIT", port, "bad"), ("EXIT", other, "bad")]
