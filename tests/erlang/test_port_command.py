"""Opening a port, commands to it, messages to it, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted
from support import (
    Gate,
    Kind,
    Worker,
    both,
    on_another_thread,
    opened,
    pieces_of,
    received,
    refused,
)

from driverref import Driver, Emulator, Pid, Port
from driverref.erl_driver import (
    ErlDrvPort,
    ErlIOVec,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_output,
    set_busy_port,
)
from driverref.errors import ErlangError


def echo(port: ErlDrvPort, buf: memoryview) -> None:
    driver_output(port, bytes(buf))


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
            (erl.self(), ("connect", port)),
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
@pytest.mark.rule("port.connect-ended")
def test_a_connect_message_does_not_ask_whether_the_new_owner_lives(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo))
        gone = erl.spawn(bool)
        watch = erl.monitor("process", gone)
        erl.receive(lambda message: message[1] == watch)
        erl.send(port, (erl.self(), ("connect", gone)))
        assert erl.receive() == (port, "connected")
        assert erl.port_info(port, "connected") == ("connected", gone)
        assert erl.process_info(gone, "links") is None
        # What the driver sends is lost.  The old owner is still linked.
        assert erl.port_command(port, b"x")
        assert erl.receive(timeout=0) is None
        assert erl.port_info(port, "links") == ("links", [erl.self()])
        with refused():
            erl.port_connect(port, gone)


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
def test_a_port_that_is_gone_is_not_listed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=driver_enq))
        erl.port_command(port, b"four")
        assert erl.ports() == [port]
        erl.unlink(port)
        erl.exit(port, "kill")
        assert erl.ports() == []
        assert erl.port_info(Port(99)) is None


# send/3.


@both
def test_send_with_options_returns_ok(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo))
        command = (erl.self(), ("command", b"x"))
        assert erl.send(erl.self(), "hello", ["noconnect", "nosuspend"]) == "ok"
        assert erl.send(Pid(77), "hello", []) == "ok"
        assert erl.send(port, command, ["nosuspend"]) == "ok"
        assert [erl.receive(), erl.receive()] == ["hello", (port, ("data", b"x"))]


@pytest.mark.rule("busy.nosuspend-message")
@both
def test_nosuspend_sends_nothing_where_the_caller_would_be_suspended(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(
            erl,
            scripted(
                lambda port: set_busy_port(port, 1),
                lambda port: set_busy_port(port, 0),
                output=echo,
            ),
        )
        erl.process_flag("trap_exit", True)
        command = (erl.self(), ("command", b"x"))
        do(erl, port, 0)
        assert erl.send(port, command, ["nosuspend"]) == "nosuspend"
        # Only a command is held up.
        assert erl.send(port, "hello", ["nosuspend"]) == "ok"
        do(erl, port, 1)
        assert erl.receive() == ("EXIT", port, "badsig")
        assert erl.receive(timeout=0) is None


@pytest.mark.rule("era.calls")
def test_send_with_options_came_with_r9c() -> None:
    with (
        Emulator(release="R7B-3") as erl,
        pytest.raises(ErlangError, match="undef: send/3: R7B-3 does not have it"),
    ):
        erl.send(erl.self(), "hello", [])


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


@both
def test_outputv_is_given_a_vector_and_goes_before_output(threads: Kind) -> None:
    class Pieces(Driver):
        driver_name = "pieces"

        def init(self) -> None:
            self.got: list[tuple[int, int, list[bytes]]] = []

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
            self.got.append((ev.vsize, ev.size, pieces_of(ev.iov)))

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            raise AssertionError("output, although there is outputv")

    driver = Pieces()
    large = b"x" * 65
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, [1, 2, b"small", [large], 3])
        erl.send(port, (erl.self(), ("command", [b"plain"])))
    assert driver.got == [
        (4, 73, [b"", b"\1\2small", large, b"\3"]),
        (2, 5, [b"", b"plain"]),
    ]
