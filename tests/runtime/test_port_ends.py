"""A port's life as the page of that name tells it in tables: what each end tells, and which call works in which state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from support import Kind, both

from driverref import Driver, Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_deq,
    driver_enq,
    driver_exit,
    driver_failure_atom,
    driver_failure_eof,
    driver_failure_posix,
    driver_mk_port,
    driver_output,
    driver_set_timer,
    driver_sizeq,
    erl_drv_output_term,
)
from driverref.errors import ErlangError

Ending = Callable[[Emulator, Any, Any], object]


class Spool(Driver):
    """A driver whose queue is emptied by `control` 1; `control` 2 makes it fail."""

    driver_name = "spool"

    def __init__(self, fail: Callable[[ErlDrvPort], object] = driver_failure_eof) -> None:
        self.fail = fail
        self.seen: list[tuple[object, ...]] = []

    def start(self, port: Any, command: str) -> Any:
        return port

    def output(self, port: Any, buf: memoryview) -> None:
        driver_enq(port, buf)

    def control(self, port: Any, command: int, buf: memoryview) -> bytes:
        if command == 1:
            driver_deq(port, driver_sizeq(port))
        if command == 2:
            self.fail(port)
        return b"."

    def flush(self, port: Any) -> None:
        pass

    def stop(self, port: Any) -> None:
        pass


def fails(erl: Emulator, port: Any, owner: Any) -> None:
    erl.port_control(port, 2, b"")


def linked_ends(erl: Emulator, port: Any, owner: Any) -> None:
    def process() -> None:
        erl.link(port)
        erl.exit(erl.self(), "oops")
        erl.receive(timeout=0)

    erl.spawn(process)


class Row(NamedTuple):
    """A row of the page's first table."""

    end: Ending
    owner: list[str]
    """The reasons of the exit signals that the owner gets."""
    linked: str
    waits: bool
    """Whether `flush` runs and `stop` waits for the queue."""
    driver: Spool


ROWS = {
    "close": Row(lambda erl, port, _: erl.port_close(port), ["normal"], "normal", True, Spool()),
    "owner ends": Row(lambda erl, _, owner: erl.exit(owner, "r"), [], "r", True, Spool()),
    "exit": Row(lambda erl, port, _: erl.exit(port, "r"), ["r"], "r", True, Spool()),
    "linked ends": Row(linked_ends, ["oops"], "oops", True, Spool()),
    "kill": Row(lambda erl, port, _: erl.exit(port, "kill"), ["killed"], "killed", False, Spool()),
    "eof": Row(fails, ["normal"], "normal", False, Spool()),
    "atom": Row(fails, ["r"], "r", False, Spool(lambda port: driver_failure_atom(port, "r"))),
    "posix": Row(
        fails, ["enomem"], "enomem", False, Spool(lambda port: driver_failure_posix(port, 12))
    ),
    "driver_exit": Row(fails, [], "normal", False, Spool(lambda port: driver_exit(port, 0))),
    "unload": Row(
        lambda erl, _, __: erl.erl_ddll.unload_driver("spool"),
        ["driver_unloaded"],
        "driver_unloaded",
        False,
        Spool(),
    ),
    "loader ends": Row(
        lambda erl, _, loader: erl.exit(loader, "r"),
        ["driver_unloaded"],
        "driver_unloaded",
        False,
        Spool(),
    ),
}


@pytest.mark.rule("port.ends")
@pytest.mark.parametrize("queued", [b"", b"abc"], ids=["empty", "queued"])
@pytest.mark.parametrize("name", ROWS)
def test_each_end_tells_what_the_table_says(name: str, queued: bytes) -> None:
    row = ROWS[name]
    with Emulator() as erl:
        me = erl.self()
        erl.process_flag("trap_exit", True)

        def loads() -> None:
            erl.erl_ddll.load_driver(row.driver)
            erl.send(me, "loaded")
            erl.receive()

        if name == "loader ends":
            loader = erl.spawn(loads)
            erl.receive()
        else:
            loader = None
            erl.erl_ddll.load_driver(row.driver)

        def owns() -> None:
            erl.process_flag("trap_exit", name != "owner ends")
            erl.send(me, erl.open_port(("spawn_driver", "spool")))
            while (message := erl.receive(timeout=1000)) is not None:
                erl.send(me, ("owner", str(message[2])))

        owner = erl.spawn(owns)
        port = erl.receive()
        erl.link(port)
        erl.port_command(port, queued)
        row.end(erl, port, loader if name == "loader ends" else owner)
        told = []
        while (message := erl.receive(timeout=100)) is not None:
            told.append(message)
        assert [str(m[2]) for m in told if m[0] != "owner"] == [row.linked]
        assert [m[1] for m in told if m[0] == "owner"] == row.owner
        waits = bool(queued) and row.waits
        assert erl.trace.order("flush", "stop") == (["flush"] if waits else ["stop"])
        if waits:
            erl.port_control(port, 1, b"")
            assert erl.trace.order("flush", "stop") == ["flush", "stop"]


@pytest.mark.rule("port.ends")
@both
def test_the_owner_that_closes_by_a_message_is_told_after_stop(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(Spool())
        port = erl.open_port(("spawn_driver", "spool"))
        erl.port_command(port, b"abc")
        erl.send(port, (erl.self(), "close"))
        assert str(erl.receive()) == f"{{'EXIT',{port},normal}}"
        assert erl.receive(timeout=0) is None
        erl.port_control(port, 1, b"")
        assert str(erl.receive()) == f"{{{port},closed}}"


@pytest.mark.rule("port.ends")
@pytest.mark.parametrize(("flush", "seen"), [(True, ["stop"]), (False, [])])
def test_halt_runs_stop_unless_it_is_told_not_to_flush(flush: bool, seen: list[str]) -> None:
    with Emulator() as erl:
        erl.erl_ddll.load_driver(Spool())
        erl.open_port(("spawn_driver", "spool"))
        erl.halt(flush=flush)
    assert erl.trace.order("flush", "stop") == seen


# Which calls work in which state


def result(call: Callable[[], object]) -> str:
    try:
        return str(call())
    except ErlangError as error:
        return str(error.reason)


CALLS: dict[str, tuple[Callable[[Emulator, Any], object], list[str]]] = {
    "command": (lambda erl, port: erl.port_command(port, b""), ["True", "badarg", "badarg"]),
    "control": (lambda erl, port: erl.port_control(port, 0, b""), ["[46]", "[46]", "badarg"]),
    "connect": (lambda erl, port: erl.port_connect(port, erl.self()), ["True", "badarg", "badarg"]),
    "close": (lambda erl, port: erl.port_close(port), ["True", "badarg", "badarg"]),
    "register": (lambda erl, port: erl.register(f"{port}", port), ["True", "badarg", "badarg"]),
    "link": (
        lambda erl, port: erl.link(port) and (erl.receive(timeout=0) or (0, 0, "linked"))[2],
        ["linked", "noproc", "noproc"],
    ),
    "monitor": (
        lambda erl, port: (
            erl.monitor("port", port),
            (erl.receive(timeout=0) or ["monitored"])[-1],
        )[1],
        ["monitored", "noproc", "noproc"],
    ),
    "info": (
        lambda erl, port: erl.port_info(port, "links"),
        ["{links,[<0.1.0>]}", "{links,[]}", "None"],
    ),
    "kill": (
        lambda erl, port: (
            erl.exit(port, "kill") and (erl.receive(timeout=0) or (0, 0, "no effect"))[2]
        ),
        ["killed", "no effect", "no effect"],
    ),
    "ports": (lambda erl, port: port in erl.ports(), ["True", "True", "False"]),
}


@pytest.mark.rule("port.calls-by-state")
@pytest.mark.parametrize("name", CALLS)
def test_a_call_from_erlang_in_each_state(name: str) -> None:
    call, answers = CALLS[name]
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(Spool())
        found = []
        for state in "connected", "closing", "closed":
            port = erl.open_port(("spawn_driver", "spool"))
            if state != "connected":
                erl.port_command(port, b"abc" if state == "closing" else b"")
                erl.port_close(port)
                erl.receive()
            found.append(result(lambda at=port: call(erl, at)))  # type: ignore[misc]
            if state == "closing":
                erl.port_control(port, 1, b"")
        assert found == answers


class Asking(Spool):
    """Notes what the calls return: in `output`, in `flush`, in `stop`, and after a failure."""

    def calls(self, port: Any, identifier: Any) -> None:
        async_ = driver_async(port, None, lambda job: None, None)
        self.seen.append(
            (
                driver_output(port, b"x"),
                erl_drv_output_term(identifier, ("x",)),
                async_ if async_ == -1 else "number",
                driver_set_timer(port, 1000),
                driver_enq(port, b"1"),
                driver_sizeq(port) > 0,
                driver_deq(port, max(driver_sizeq(port), 0)),
            )
        )

    def output(self, port: Any, buf: memoryview) -> None:
        self.calls(port, driver_mk_port(port))
        driver_enq(port, buf)

    def control(self, port: Any, command: int, buf: memoryview) -> bytes:
        identifier = driver_mk_port(port)
        super().control(port, command, buf)
        if command == 2:
            self.calls(port, identifier)
        return b"."

    def flush(self, port: Any) -> None:
        self.calls(port, driver_mk_port(port))

    def stop(self, port: Any) -> None:
        self.calls(port, driver_mk_port(port))


OPEN = (0, 1, "number", 0, 0, True, 0)
CLOSING = (0, 0, "number", 0, 0, True, 0)
CLOSED = (-1, -1, -1, -1, -1, False, -1)


@pytest.mark.rule("port.calls-by-state")
@pytest.mark.parametrize(
    ("end", "seen"),
    [
        (lambda erl, port: erl.exit(port, "kill"), [OPEN, OPEN]),
        (lambda erl, port: erl.port_close(port), [OPEN, CLOSING, CLOSING]),
        (lambda erl, port: erl.port_control(port, 2, b""), [OPEN, OPEN, CLOSED]),
    ],
    ids=["connected and stop", "closing and stop", "closed"],
)
def test_a_call_of_the_driver_in_each_state(
    end: Callable[[Emulator, Any], object], seen: list[tuple[object, ...]]
) -> None:
    driver = Asking()
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(driver)
        port = erl.open_port(("spawn_driver", "spool"))
        erl.port_command(port, b"abc")
        end(erl, port)
    assert driver.seen == seen
