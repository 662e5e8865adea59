"""The life of a driver in memory is what its table says."""

from __future__ import annotations

from collections import deque

import pytest
from scripted import made_of
from support import opened

from driverref import Emulator
from driverref.erl_driver import ErlDrvPort
from driverref.errors import ErlangError
from driverref.explore import explore
from driverref.runtime.driver_state import (
    DRIVER_TRANSITIONS,
    FINISHING,
    KILLING,
    LOADED,
    UNLOADED,
    UNLOADING,
    DriverState,
)


def test_every_state_is_reached_from_loaded() -> None:
    reached, left = {LOADED}, deque([LOADED])
    while left:
        following = set(DRIVER_TRANSITIONS[left.popleft()].values()) - reached
        reached |= following
        left.extend(following)
    assert reached == set(DriverState) == DRIVER_TRANSITIONS.keys()


def test_a_driver_goes_from_state_to_state_as_it_is_unloaded() -> None:
    seen: list[tuple[str, DriverState]] = []

    def look(when: str) -> None:
        seen.append((when, loaded.state.value))

    driver = made_of(
        start=lambda port, command: port,
        stop=lambda port: look("stop"),
        finish=lambda: look("finish"),
    )
    with Emulator() as erl:
        erl.erl_ddll.load(driver)
        loaded = erl.runtime.drivers["d"]
        look("loaded")
        port = erl.open_port(("spawn_driver", "d"))
        erl.erl_ddll.unload("d")
        look("given up")
        erl.erl_ddll.load(driver)
        look("loaded again")
        erl.erl_ddll.unload("d")
        erl.port_close(port)
        look("closed")
    assert seen == [
        ("loaded", LOADED),
        ("given up", UNLOADING),
        ("loaded again", LOADED),
        ("stop", UNLOADING),
        ("finish", FINISHING),
        ("closed", UNLOADED),
    ]


def test_an_event_that_a_state_does_not_know_raises_and_nothing_happens() -> None:
    with Emulator() as erl:
        erl.erl_ddll.load_driver(made_of())
        loaded = erl.runtime.drivers["d"]
        events = {event for row in DRIVER_TRANSITIONS.values() for event in row}
        for event in events - set(DRIVER_TRANSITIONS[LOADED]):
            with pytest.raises(
                AssertionError, match=f"driver 'd', loaded, cannot follow '{event}'"
            ):
                loaded.transit(event)
            assert loaded.state.value is LOADED


def test_no_port_is_opened_while_the_ports_are_killed() -> None:
    """A port that is closing already is killed too, and until it is the driver takes no other."""
    states = []

    def stop(port: ErlDrvPort) -> None:
        states.append(erl.runtime.drivers["d"].state.value)

    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        opened(erl, made_of(start=lambda port, command: port, stop=stop))
        erl.erl_ddll.try_unload("d")
        with pytest.raises(ErlangError, match="no driver 'd' is loaded"):
            erl.open_port(("spawn_driver", "d"))
    assert states == [KILLING]


def test_a_driver_that_is_loaded_again_while_its_ports_are_killed_opens_ports() -> None:
    """The unloading is taken back between the request and its end, on another scheduler."""

    def scenario(erl: Emulator) -> object:
        driver = made_of(start=lambda port, command: port)
        opened(erl, driver)
        erl.process_flag("trap_exit", True)
        me = erl.self()

        def again() -> None:
            erl.erl_ddll.load_driver(driver)
            try:
                erl.open_port(("spawn_driver", "d"))
                erl.send(me, "opened")
            except ErlangError as error:
                erl.send(me, error.reason)

        erl.spawn(again, scheduler=2)
        erl.erl_ddll.try_unload("d")
        return erl.receive(lambda message: isinstance(message, str))

    assert set(explore(scenario, schedulers=2)) == {"opened"}
