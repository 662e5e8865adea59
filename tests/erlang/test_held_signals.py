"""A port that turns busy in a callback holds the commands that wait for it, and what follows them.

Each row is what OTP 25 and 29 did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Gate, Kind, both, from_port, received

from driverref import Emulator, Pid, Port, assert_outcomes
from driverref.erl_driver import (
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_failure_atom,
    driver_output,
    set_busy_port,
)

FLAGS = ERL_DRV_FLAG_SOFT_BUSY | ERL_DRV_FLAG_USE_PORT_LOCKING
NOT_BUSY, GOT, FAIL = 0, 1, 2


class Held:
    """A port that stands in a callback, and is busy after it; `commanded` sends it commands."""

    def __init__(self, erl: Emulator) -> None:
        self.erl, self.gate, self.owner = erl, Gate(), erl.self()
        self.got = bytearray()
        driver = made_of(flags=FLAGS, output=self._output, control=self._control, stop=self._stop)
        assert erl.erl_ddll.load_driver(driver) == "ok"
        self.port = erl.open_port(("spawn_driver", "d"))
        erl.unlink(self.port)
        erl.spawn(self.command, b"L", scheduler=2)
        self.gate.await_arrival()

    def _output(self, port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"L":
            self.gate.pass_through()
            set_busy_port(port, 1)
        self.got += bytes(buf)

    def _control(self, port: ErlDrvPort, operation: int, buf: memoryview) -> bytes:
        if operation == NOT_BUSY:
            set_busy_port(port, 0)
        if operation == FAIL:
            driver_failure_atom(port, "broken")
        return bytes(self.got)

    def _stop(self, port: ErlDrvPort) -> None:
        driver_output(port, bytes(self.got) + b"!")

    def command(self, data: bytes) -> None:
        self.erl.send(self.port, (self.owner, ("command", data)))

    def turn_busy(self) -> None:
        """Let the callback go on, and wait until the port is busy."""
        self.gate.open()
        assert self.control(GOT) == b"L"

    def control(self, operation: int) -> bytes:
        reply: Any = self.erl.port_control(self.port, operation, b"")
        return bytes(reply)


Ask = Callable[[Emulator, Port, Pid], object]

ASYNCHRONOUS: dict[str, Ask] = {
    "exit": lambda erl, port, owner: erl.exit(port, "die"),
    "link": lambda erl, port, owner: erl.link(port),
    "monitor": lambda erl, port, owner: erl.monitor("port", port),
    "close message": lambda erl, port, owner: erl.send(port, (owner, "close")),
    "connect message": lambda erl, port, owner: erl.send(port, (owner, ("connect", owner))),
}
SYNCHRONOUS: dict[str, Ask] = {
    "port_control": lambda erl, port, owner: erl.port_control(port, GOT, b""),
    "port_info": lambda erl, port, owner: erl.port_info(port, "links"),
    "port_close": lambda erl, port, owner: erl.port_close(port),
    "port_connect": lambda erl, port, owner: erl.port_connect(port, erl.self()),
    "port_command": lambda erl, port, owner: erl.port_command(port, b"c"),
    "port_command by force": lambda erl, port, owner: erl.port_command(port, b"c", ["force"]),
}


@both
@pytest.mark.parametrize("bif", [*ASYNCHRONOUS, *SYNCHRONOUS])
@pytest.mark.rule("busy.held-in-order")
def test_what_a_process_asks_after_a_command_that_is_held_waits_as_well(
    bif: str, threads: Kind
) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        held = Held(erl)

        def ask() -> None:
            held.command(b"a")
            held.command(b"b")
            erl.send(held.owner, "sent")
            {**ASYNCHRONOUS, **SYNCHRONOUS}[bif](erl, held.port, held.owner)
            erl.send(held.owner, "returned")
            erl.receive(lambda message: message == "end")

        pid = erl.spawn(ask, scheduler=3)
        assert erl.receive() == "sent"
        if bif in ASYNCHRONOUS:
            assert erl.receive() == "returned"
        held.turn_busy()
        # Nothing of it is done yet, and what others ask is.
        assert erl.port_info(held.port, "links") == ("links", [])
        assert erl.port_info(held.port, "monitored_by") == ("monitored_by", [])
        assert held.control(GOT) == b"L"
        assert received(erl) == []
        assert held.control(NOT_BUSY) == b"L"
        if bif in SYNCHRONOUS:
            assert erl.receive(lambda message: message == "returned")
        if bif in ("exit", "port_close", "close message"):
            told = erl.receive(from_port(held.port))
            assert told == (held.port, ("data", b"Lab!"))
        else:
            assert held.control(GOT).startswith(b"Lab")
            entity = {"link": "links", "monitor": "monitored_by"}.get(bif)
            assert entity is None or erl.port_info(held.port, entity) == (entity, [pid])
        erl.send(pid, "end")


@both
@pytest.mark.rule("busy.held-in-order")
def test_port_command_with_nosuspend_is_told_that_the_port_is_busy(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        held = Held(erl)

        def ask() -> None:
            held.command(b"a")
            erl.send(held.owner, "sent")
            erl.send(held.owner, erl.port_command(held.port, b"c", ["nosuspend"]))

        erl.spawn(ask, scheduler=3)
        assert erl.receive() == "sent"
        held.gate.open()
        assert erl.receive() is False
        held.control(NOT_BUSY)
        assert held.control(GOT) == b"La"


@both
@pytest.mark.rule("busy.held-in-order")
def test_a_process_that_ends_closes_its_port_after_its_commands(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        held = Held(erl)

        def ask() -> None:
            erl.receive()
            erl.link(held.port)
            held.command(b"a")
            erl.exit("bye")

        pid = erl.spawn(ask, scheduler=3)
        ref = erl.monitor("process", pid)
        erl.send(pid, "go")
        assert erl.receive(lambda message: message[1] == ref)[4] == "bye"
        held.turn_busy()
        assert held.port in erl.ports()
        held.control(NOT_BUSY)
        assert erl.receive(from_port(held.port)) == (held.port, ("data", b"La!"))


@both
@pytest.mark.rule("busy.held-in-order")
def test_what_is_held_is_dropped_when_another_process_closes_the_port(threads: Kind) -> None:
    """A monitor that was held behind it is told that the port is gone."""
    with Emulator(threads=threads, schedulers=3) as erl:
        held = Held(erl)

        def ask() -> None:
            held.command(b"a")
            ref = erl.monitor("port", held.port)
            erl.send(held.owner, "sent")
            erl.send(held.owner, erl.receive(lambda message: message[1] == ref)[4])

        erl.spawn(ask, scheduler=3)
        assert erl.receive() == "sent"
        held.turn_busy()
        erl.port_close(held.port)
        assert erl.receive(from_port(held.port)) == (held.port, ("data", b"L!"))
        assert erl.receive() == "noproc"


@pytest.mark.rule("busy.held-in-order")
def test_the_port_may_turn_busy_and_not_busy_again_and_keeps_the_order() -> None:
    """Each command makes the port busy; another process ends that, again and again."""
    with Emulator(schedulers=3) as erl:
        held = Held(erl)

        def ask() -> None:
            for data in (b"a", b"L", b"b"):
                held.command(data)
            erl.send(held.owner, "sent")

        erl.spawn(ask, scheduler=3)
        assert erl.receive() == "sent"
        held.turn_busy()
        held.gate.open()
        assert held.control(NOT_BUSY) == b"L"
        assert held.control(GOT) == b"LaL"
        assert held.control(NOT_BUSY) == b"LaL"
        assert held.control(GOT) == b"LaLb"


def busy_and_not(erl: Emulator) -> str:
    """Two processes send a command; one of the commands makes the port busy for a moment."""
    got = bytearray()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"L":
            set_busy_port(port, 1)
        got.extend(buf)

    def control(port: ErlDrvPort, operation: int, buf: memoryview) -> bytes:
        set_busy_port(port, 0)
        return b""

    erl.erl_ddll.load_driver(made_of(flags=FLAGS, output=output, control=control))
    port, me = erl.open_port(("spawn_driver", "d")), erl.self()

    def ask() -> None:
        erl.send(port, (me, ("command", b"a")))
        erl.send(me, "sent")

    erl.spawn(ask, scheduler=2)
    erl.send(port, (me, ("command", b"L")))
    # It comes after this process's own command, and so it ends what that began.
    erl.port_control(port, 0, b"")
    erl.receive()
    erl.port_close(port)
    return got.decode()


@pytest.mark.slow
@pytest.mark.rule("busy.held-in-order")
def test_no_command_is_lost_in_any_order() -> None:
    assert_outcomes(busy_and_not, {"La", "aL"}, schedulers=2)
