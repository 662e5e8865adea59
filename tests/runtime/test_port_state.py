"""A port's states: what each of them knows, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from support import (
    Keeper,
    Stopping,
    handle_of,
    opened,
)

from driverref import Emulator
from driverref.erl_driver import (
    ErlDrvPort,
)
from driverref.errors import ErlangError
from driverref.runtime.port_state import (
    CLOSED,
    CLOSING,
    CONNECTED,
    EXITING,
    OPENING,
    STOPPING,
    TRANSITIONS,
)


@pytest.mark.rule("port.states")
def test_the_table_of_states_is_what_a_port_goes_through() -> None:
    """Every state and every event of the table, in lives of ports."""
    seen: list[tuple[Any, Any]] = []

    class Watched(Keeper):
        driver_name = "watched"
        handle: ErlDrvPort

        def start(self, port: ErlDrvPort, command: str) -> object:
            self.handle = port
            self.look("start")
            return -1 if command.endswith("refuse") else port

        def look(self, where: str) -> None:
            seen.append((where, self.handle.state.value))

        def flush(self, port: ErlDrvPort) -> None:
            self.look("flush")

        def stop(self, port: ErlDrvPort) -> None:
            self.look("stop")

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.look("control")
            return super().control(port, command, buf)

    driver = Watched()
    with Emulator() as erl:
        with pytest.raises(ErlangError, match="einval"):
            opened(erl, driver, "refuse")
        driver.look("after a refusal")
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        erl.port_close(port)
        driver.look("after a close")
        port = opened(erl, driver)
        erl.port_command(port, b"job")
        erl.port_close(port)
        driver.look("after a close with something in the queue")
        erl.port_control(port, 0, b"")
        driver.look("after that was gone")
    assert seen == [
        ("start", OPENING),
        ("after a refusal", CLOSED),
        ("start", OPENING),
        ("control", CONNECTED),
        ("stop", EXITING),
        ("after a close", CLOSED),
        ("start", OPENING),
        ("flush", CLOSING),
        ("after a close with something in the queue", CLOSING),
        ("control", CLOSING),
        ("stop", STOPPING),
        ("after that was gone", CLOSED),
    ]


@pytest.mark.rule("port.states")
def test_an_event_that_a_state_does_not_know_raises_and_nothing_happens() -> None:
    with Emulator() as erl:
        port = opened(erl, Stopping())
        handle = handle_of(erl, port)
        known = TRANSITIONS[CONNECTED]
        for event in {event for events in TRANSITIONS.values() for event in events} - set(known):
            with pytest.raises(AssertionError, match=f"connected> cannot follow '{event}'"):
                handle.transit(event)
            assert handle.state.value is CONNECTED
        assert repr(handle) == "<ErlDrvPort #Port<0.1> of stopping, connected>"
