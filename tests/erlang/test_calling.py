"""The calling process of a BIF: each BIF refuses where it must, and heeds exit signals."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Context
from typing import Any

import pytest
from bifs import CALLS
from scripted import Box, made_of
from support import Kind, Signal, both

from driverref import Emulator, Port, explore
from driverref.erl_driver import ErlDrvPort
from driverref.erlang.erl_ddll import ErlDdll
from driverref.errors import EmulatorStopped, ErlangError, Misuse, ProcessExit
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.steps import Access
from driverref.trace import Trace

every_bif = pytest.mark.parametrize("bif", CALLS)


def public(kind: type) -> set[str]:
    """The public methods of a class."""
    return {name for name, member in vars(kind).items() if name[0] != "_" and callable(member)}


def test_the_list_has_every_bif() -> None:
    ddll = {f"erl_ddll.{name}" for kind in ErlDdll.__mro__[:-1] for name in public(kind)}
    assert (
        set().union(*map(public, Emulator.__bases__)) | ddll | {"system_info", "halt"}
        == CALLS.keys()
    )


@every_bif
@both
def test_no_bif_can_be_called_in_a_callback(bif: str, threads: Kind) -> None:
    refused = Box()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        with pytest.raises(Misuse) as error:
            CALLS[bif](erl, port.id)
        refused.put(str(error.value))

    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(output=output))
        erl.port_command(erl.open_port(("spawn_driver", "d")), b"")
    assert "is Erlang's side; a driver's code, on process <0.1.0>, cannot" in refused.value


@every_bif
@both
def test_no_bif_answers_when_the_emulator_has_stopped(bif: str, threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        port = erl.open_port(("spawn_driver", "d"))
    with pytest.raises(EmulatorStopped, match="it has stopped"):
        CALLS[bif](erl, port)


def after_a_deadly_signal(bif: str, threads: Kind) -> None:
    """Call a BIF when an exit signal has come that the process has not noticed yet."""
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        port, me, sent = erl.open_port(("spawn_driver", "d")), erl.self(), Signal()

        def end() -> None:
            erl.exit(me, "gone")
            sent.give()

        erl.spawn(end)
        sent.wait()
        CALLS[bif](erl, port)
        pytest.fail(f"{bif} has returned")


@every_bif
@both
def test_no_bif_goes_on_once_a_deadly_exit_signal_has_come(bif: str, threads: Kind) -> None:
    with pytest.raises(ProcessExit, match="gone"):
        after_a_deadly_signal(bif, threads)


# What a process that goes on notices, and when.


def go_on(bif: str) -> tuple[bool, int]:
    """Whether a BIF returns to a process that has caused its own end, and what `output` was sent."""
    sent: list[object] = []
    returned = Box()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        sent.append(bytes(buf))

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        sent.append(command)
        return b""

    def own_end(erl: Emulator, port: Port) -> None:
        doomed = erl.open_port(("spawn_driver", "d"))
        erl.exit(doomed, "die")  # the port's end comes back as an exit signal
        CALLS[bif](erl, port)
        returned.put(True)

    with Emulator(schedulers=2) as erl:
        erl.erl_ddll.load_driver(
            made_of(output=output, control=control, call=lambda port, command, term: term)
        )
        port = erl.open_port(("spawn_driver", "d"))
        erl.process_flag("trap_exit", True)
        watch = erl.monitor("process", erl.spawn(own_end, erl, port))
        erl.receive(lambda message: message[1] == watch)
    return returned.value is True, len(sent)


MAY_WAIT = {
    "receive",
    "port_command",
    "port_control",
    "port_call",
    "port_close",
    "port_connect",
    "port_info",
    "erl_ddll.unload_driver",
}
"""The BIFs from which a process does not come back once it has caused its own end.

OTP 25 in each of 40 runs; all others came back in each of 40 runs.  `erl_ddll:unload_driver` waits
in a `receive`.
"""


@pytest.mark.rule("process.notices-where-it-waits")
@pytest.mark.parametrize("bif", sorted(CALLS.keys() - {"halt"}))
def test_a_process_that_goes_on_notices_its_own_end_where_it_may_wait(bif: str) -> None:
    assert go_on(bif)[0] is (bif not in MAY_WAIT)


@pytest.mark.parametrize("bif", ["port_command", "port_control"])
def test_a_bif_that_may_wait_has_its_effect_before_the_process_ends(bif: str) -> None:
    assert go_on(bif) == (False, 1)


def send_twice(erl: Emulator) -> tuple[str, ...]:
    """A process is told to go while it sends two messages."""
    me = erl.self()

    def sender() -> None:
        erl.send(me, "one")
        erl.send(me, "two")

    pid = erl.spawn(sender, scheduler=2)
    watch = erl.monitor("process", pid)
    erl.exit(pid, "kill")
    erl.send(me, "told")
    erl.receive(lambda message: message[1] == watch)
    heard = []
    while (message := erl.receive(timeout=0)) is not None:
        heard.append(message)
    return tuple(heard)


@pytest.mark.slow
def test_a_signal_may_be_noticed_late_at_any_bif() -> None:
    outcomes: set[Any] = set(explore(send_twice, schedulers=2))
    orders = {heard for heard in outcomes if "one" in heard or "two" in heard}
    assert ("told",) in outcomes
    assert ("told", "one") in orders  # told to go, and yet it sends
    assert ("told", "one", "two") in orders
    assert ("one", "two", "told") in orders
    assert not any("two" in heard and "one" not in heard for heard in outcomes)


# Every BIF is a step.


class Marked(FirstCome):
    """First come, with a log in which a mark can be set."""

    logs = True


@pytest.mark.parametrize("bif", sorted(CALLS.keys() - {"halt"}))
def test_every_bif_begins_with_a_step(bif: str) -> None:
    threads = SimulatedThreads(schedule=Marked())
    with Emulator._on(threads, Trace(), schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(
            made_of(control=lambda *_: b"", call=lambda port, command, term: term)
        )
        port = erl.open_port(("spawn_driver", "d"))
        made, used = threads.made, len(threads.log)
        first_use: list[int] = []
        declare = threads.declare

        def look(access: Access) -> None:
            first_use.append(threads.made)
            declare(access)

        threads.declare = look
        with suppress(ErlangError, ProcessExit):
            CALLS[bif](erl, port)
        threads.declare = declare
        assert used < len(threads.log)
        assert first_use[0] > made, f"{bif} uses something that threads share before its first step"


@both
def test_a_command_may_be_sent_in_a_new_context(threads: Kind) -> None:
    """As in a notebook, where each cell may have one."""
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(output=lambda port, buf: None))
        port = erl.open_port(("spawn_driver", "d"))
        assert Context().run(erl.port_command, port, b"x")


@both
def test_what_has_ended_cannot_be_linked_by_a_thread_that_has_found_it_before(
    threads: Kind,
) -> None:
    with Emulator(threads=threads) as erl:
        entities, me = erl.runtime.entities, erl.self()
        pid = erl.spawn(erl.receive)
        found, mine = entities.find_process(pid), entities.find_process(me)
        assert found is not None
        assert mine is not None
        watch = erl.monitor("process", pid)
        erl.send(pid, "go")
        erl.receive(lambda message: message[1] == watch)
        assert not entities.link(mine, found)
        assert not entities.link_half(found, me)
