"""Every BIF against a close, a kill and a failing callback: the race comes out both ways.

What the two ways are is not written down here.  It is what comes of the BIF and the other event one
after the other, in a plain run, in both orders.  The search has to find both, for every BIF there
is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest
from bifs import CALLS
from scripted import made_of

from driverref import Emulator, Pid, Port, Ref, explore
from driverref.erl_driver import ErlDrvPort, driver_failure_atom
from driverref.errors import ErlangError, ProcessExit

pytestmark = pytest.mark.slow

FAIL = 9


def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
    if command == FAIL:
        driver_failure_atom(port, "broken")
    return b""


Event = Callable[[Emulator, Port], object]

EVENTS: dict[str, Event] = {
    "close": lambda erl, port: erl.port_close(port),
    "kill": lambda erl, port: erl.exit(port, "kill"),
    "fail": lambda erl, port: erl.port_control(port, FAIL, b""),
}


def set_up(erl: Emulator) -> Port:
    """A port of the first process, which traps exits."""
    erl.process_flag("trap_exit", True)
    erl.erl_ddll.load_driver(made_of(control=control, call=lambda port, command, term: term))
    return erl.open_port(("spawn_driver", "d"))


def answer(erl: Emulator, port: Port, bif: str) -> Hashable:
    """What the BIF returns or raises, and the messages that it leaves behind, in few words."""
    try:
        result: object = CALLS[bif](erl, port)
    except (ErlangError, ProcessExit) as error:
        result = str(error.reason)
    new = Pid | Ref | Port
    return type(result).__name__ if isinstance(result, new) else repr(result)


def in_order(bif: str, event: Event, event_first: bool) -> Hashable:
    """What the BIF answers if the event comes before it, or after it."""
    with Emulator(schedulers=2) as erl:
        port = set_up(erl)
        if event_first:
            event(erl, port)
        found = answer(erl, port, bif)
        if not event_first and erl.runtime.ports.find(port) is not None:
            event(erl, port)
    return found


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("bif", sorted(CALLS.keys() - {"halt", "receive"}))
def test_the_race_of_a_bif_and_an_event_comes_out_both_ways(bif: str, event: str) -> None:
    def race(erl: Emulator) -> Hashable:
        port = set_up(erl)
        erl.spawn(EVENTS[event], erl, port, scheduler=2)
        return answer(erl, port, bif)

    both = {in_order(bif, EVENTS[event], first) for first in (False, True)}
    assert both <= set(explore(race, schedulers=2))
