"""BIFs on a port that is locked: which of them return at once, and what comes of them.

A callback runs on another scheduler and then fails the port.  Each row is what OTP 25 did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Kind, both

from driverref import Emulator, Port, Ref, explore
from driverref.erl_driver import ErlDrvPort, driver_failure_atom
from driverref.errors import ErlangError

Ask = Callable[[Emulator, Port], object]


def nothing(erl: Emulator, port: Port) -> None:
    """Nothing is done before the port is locked."""


def badarg(ask: Ask) -> Ask:
    """A BIF that raises `badarg`."""

    def asked(erl: Emulator, port: Port) -> object:
        with pytest.raises(ErlangError, match="badarg"):
            ask(erl, port)
        return "badarg"

    return asked


Row = tuple[Ask, Ask, bool, object, list[str]]

ROWS: dict[str, Row] = {
    # The BIF, what came before it, whether it waits, what it returns, and the messages.
    "monitor": (lambda e, p: e.monitor("port", p), nothing, False, Ref, ["DOWN noproc"]),
    "link": (lambda e, p: e.link(p), nothing, False, True, ["EXIT noproc"]),
    "exit": (lambda e, p: e.exit(p, "die"), nothing, False, True, []),
    "unlink": (lambda e, p: e.unlink(p), lambda e, p: e.link(p), False, True, []),
    "demonitor": (
        lambda e, p: e.demonitor(Ref(1)),
        lambda e, p: e.monitor("port", p),
        False,
        True,
        [],
    ),
    "nothing": (nothing, lambda e, p: e.monitor("port", p), False, None, ["DOWN broken"]),
    "link and unlink": (
        lambda e, p: e.link(p) and e.unlink(p),
        nothing,
        False,
        True,
        [],
    ),
    "port_info": (lambda e, p: e.port_info(p, "links"), nothing, True, None, []),
    "port_connect": (badarg(lambda e, p: e.port_connect(p, e.self())), nothing, True, "badarg", []),
    "port_close": (badarg(lambda e, p: e.port_close(p)), nothing, True, "badarg", []),
    "port_command": (badarg(lambda e, p: e.port_command(p, b"")), nothing, True, "badarg", []),
}


def brief(message: Any) -> str:
    """The tag and the reason of a message."""
    return f"{message[0]} {message[-1]}"


@pytest.mark.rule("port.signals-do-not-wait")
@pytest.mark.rule("port.fails-before-signal")
@pytest.mark.parametrize("bif", ROWS)
@both
def test_a_bif_on_a_locked_port(bif: str, threads: Kind) -> None:
    ask, before, waits, returned, messages = ROWS[bif]
    opened = Box()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        driver_failure_atom(port, "broken")
        return b""

    def opens() -> None:
        opened.put("open")
        gate.open()

    with Emulator(threads=threads, schedulers=3) as erl:
        gate = Gate()
        erl.erl_ddll.load_driver(made_of(control=control))
        erl.process_flag("trap_exit", True)
        port = erl.open_port(("spawn_driver", "d"))
        erl.unlink(port)
        before(erl, port)
        watch = erl.monitor("process", erl.spawn(erl.port_control, port, 0, b"", scheduler=2))
        gate.await_arrival()
        # What waits needs a process that opens the gate meanwhile.
        if waits:
            erl.spawn(opens, scheduler=3)
        answer = ask(erl, port)
        assert (opened.value == "open") is waits
        if not waits:
            opens()
        if returned is Ref:
            assert isinstance(answer, Ref)
        else:
            assert answer == returned
        erl.receive(lambda message: message[1] == watch)
        heard = [brief(erl.receive()) for _ in messages]
        while (message := erl.receive(timeout=1)) is not None:
            heard.append(brief(message))
    assert heard == messages


@both
def test_a_process_that_links_and_ends_takes_a_locked_port_along(threads: Kind) -> None:
    """The link and its end are two signals, which the port takes in their order."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        return b""

    def links() -> None:
        erl.link(port)
        erl.exit("broken")

    with Emulator(threads=threads, schedulers=3) as erl:
        gate = Gate()
        erl.erl_ddll.load_driver(made_of(control=control))
        port = erl.open_port(("spawn_driver", "d"))
        erl.unlink(port)
        ref = erl.monitor("port", port)
        erl.spawn(erl.port_control, port, 0, b"", scheduler=2)
        gate.await_arrival()
        watch = erl.monitor("process", erl.spawn(links, scheduler=3))
        assert erl.receive()[1] == watch
        gate.open()
        assert erl.receive() == ("DOWN", ref, "port", port, "broken")


# Two BIFs with a close between them.


def look_twice(erl: Emulator) -> tuple[bool, bool]:
    """Two looks at a port while another process closes it."""
    erl.erl_ddll.load_driver(made_of())
    port = erl.open_port(("spawn_driver", "d"))
    erl.spawn(erl.port_close, port)
    return erl.port_info(port) is not None, erl.port_info(port) is not None


@pytest.mark.slow
def test_a_port_may_close_between_two_looks_at_it() -> None:
    assert set(explore(look_twice, schedulers=2)) == {(True, True), (True, False), (False, False)}


def unlink_while_it_fails(erl: Emulator) -> str:
    """The owner unlinks its port while another process has the driver fail it."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_failure_atom(port, "broken")
        return b""

    me = erl.self()

    def owner() -> None:
        port = erl.open_port(("spawn_driver", "d"))
        erl.send(me, port)
        erl.unlink(port)
        erl.receive(lambda message: message == "go")

    erl.erl_ddll.load_driver(made_of(control=control))
    pid = erl.spawn(owner, scheduler=2)
    watch = erl.monitor("process", pid)
    erl.port_control(erl.receive(), 0, b"")
    erl.send(pid, "go")
    return str(erl.receive(lambda message: message[1] == watch)[-1])


@pytest.mark.slow
def test_an_owner_that_unlinks_a_port_that_fails_survives_or_dies() -> None:
    """OTP 25: of 2,500 owners 1,713 died of the reason and 787 survived."""
    assert set(explore(unlink_while_it_fails, schedulers=2)) == {"broken", "normal"}


def poll(erl: Emulator) -> str:
    """A loop until a port is gone, beside a process that closes it."""
    erl.erl_ddll.load_driver(made_of())
    port = erl.open_port(("spawn_driver", "d"))
    erl.spawn(erl.port_close, port)
    while erl.port_info(port) is not None:
        pass
    return "gone"


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_loop_until_a_port_is_gone_ends(seed: int | None) -> None:
    with Emulator(schedulers=2, seed=seed) as erl:
        assert poll(erl) == "gone"


@pytest.mark.slow
@pytest.mark.rule("explore.polling-is-fair")
@pytest.mark.parametrize("strategy", ["all", "random", "pct"])
def test_a_loop_until_a_port_is_gone_ends_in_every_schedule(strategy: Any) -> None:
    limit = None if strategy == "all" else 50
    outcomes = explore(poll, schedulers=2, strategy=strategy, limit=limit)
    assert set(outcomes) == {"gone"}
    assert (strategy == "all") is outcomes.complete
    assert (strategy == "all") is ("if no thread polls" in outcomes.summary())
