"""What the page about testing says of `explore`: what it tries, what it sees, and what it does not."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from support import Worker, opened

from driverref import Emulator, Struct, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.errors import DataRace, Nondeterministic
from driverref.posix import usleep


class Timed(Worker):
    """A job of 10 milliseconds and a timer of 100."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, lambda data: usleep(10_000), None)
        driver_set_timer(port, 100)

    def ready_async(self, port: ErlDrvPort, data: Any) -> None:
        driver_output(port, b"job")

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"timer")


@pytest.mark.rule("explore.threads-may-be-slow")
def test_a_long_timer_may_fire_before_a_short_job_is_back_and_is_never_early() -> None:
    def scenario(erl: Emulator) -> Any:
        erl.port_command(opened(erl, Timed()), b"")
        return erl.receive()[1][1]

    outcomes = explore(scenario)
    assert set(outcomes) == {b"job", b"timer"}
    for trace in (outcomes.replay(outcome).trace for outcome in outcomes):
        assert all(event.time >= 100_000_000 for event in trace.select("timeout"))
        assert all(event.time >= 10_000_000 for event in trace.select("async_return"))


class Shared(Struct):
    number: int


class Sharing(Worker):
    """A job writes a field that `control` reads."""

    def start(self, port: ErlDrvPort, command: str) -> Any:
        self.port = port
        shared = driver_alloc(Shared)
        assert shared is not None
        shared.number = 0
        return shared

    def output(self, shared: Any, buf: memoryview) -> None:
        driver_async(self.port, None, self.write, shared)

    def write(self, shared: Any) -> None:
        shared.number = 1

    def ready_async(self, shared: Any, data: Any) -> None:
        driver_output(self.port, b"done")

    def control(self, shared: Any, command: int, buf: memoryview) -> bytes:
        return b"%d" % shared.number

    def stop(self, shared: Any) -> None:
        driver_free(shared)


def written_and_read(erl: Emulator, driver: Sharing) -> Any:
    port = opened(erl, driver)
    erl.port_command(port, b"")
    number = str(erl.port_control(port, 0, b""))
    erl.receive()
    return number


@pytest.mark.rule("explore.race-in-every-order")
def test_a_race_is_found_whoever_comes_first() -> None:
    outcomes = explore(lambda erl: written_and_read(erl, Sharing()))
    assert {fault.name for fault in outcomes.faults} == {"DataRace"}
    wrote, read = "written by async 1", "read by process <0.1.0>"
    found = set()
    for seed in range(20):
        with suppress(DataRace), Emulator(seed=seed) as erl:
            written_and_read(erl, Sharing())
        assert isinstance(erl.runtime.ledger.fault.value, DataRace | None)
        text = str(erl.runtime.ledger.fault.value)
        if wrote in text and read in text:
            found.add(text.index(wrote) < text.index(read))
    assert found == {True, False}
    assert set(outcomes) - set(outcomes.faults) == {"[49]"}, "the job had come back"


class Plain(Sharing):
    """The same with an attribute."""

    number = 0

    def write(self, shared: Any) -> None:
        self.number = 1

    def control(self, shared: Any, command: int, buf: memoryview) -> bytes:
        return b"%d" % self.number


@pytest.mark.rule("explore.plain-objects-are-not-watched")
def test_a_race_on_an_attribute_is_not_found() -> None:
    outcomes = explore(lambda erl: written_and_read(erl, Plain()))
    assert outcomes.complete
    assert outcomes.faults == []


@pytest.mark.rule("explore.same-scenario")
def test_a_scenario_that_takes_other_steps_ends_the_search() -> None:
    commands = count(1)

    def scenario(erl: Emulator) -> None:
        port = opened(erl, Worker())
        for _ in range(next(commands)):
            erl.port_command(port, b"work")

    with pytest.raises(Nondeterministic, match="at step"):
        explore(scenario)
