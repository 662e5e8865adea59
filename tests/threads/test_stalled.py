"""An emulator that keeps its program waiting is told, and no other is."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from scripted import made_of
from support import opened

from driverref import Emulator
from driverref.erl_driver import driver_async
from driverref.posix import usleep
from driverref.threads import stalled, watch
from driverref.threads.simulated import SimulatedThreads


class Told:
    """What was told, as a text."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, text: str) -> None:
        self.text += f"{text}\n"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """An emulator is told at the second look that finds it waiting; the looks follow each other."""
    told = Told()
    monkeypatch.setattr(watch, "tell", told.add)
    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    monkeypatch.setattr(watch, "EVERY", 0.001)
    return told


def simulated(erl: Emulator) -> SimulatedThreads:
    """The threads of an emulator."""
    assert isinstance(erl.runtime.threads, SimulatedThreads)
    return erl.runtime.threads


def command(**callbacks: Any) -> None:
    """Send one command to a driver with these callbacks, and stop the emulator."""
    with Emulator() as erl:
        erl.port_command(opened(erl, made_of(**callbacks)), b"")


@pytest.mark.rule("explore.stalled-emulator")
def test_a_job_that_makes_no_step_is_told_with_its_line(told: Told) -> None:
    def spins(data: object) -> None:
        while "It makes no step" not in told.text:
            pass

    command(output=lambda port, buf: driver_async(port, None, spins, None))
    first, *rest = told.text.splitlines()
    assert first.startswith("the emulator made at test_stalled.py:")
    assert "has kept the program waiting for 0 s" in first
    assert rest[0].startswith("  async 1 goes on; it stands at test_stalled.py:")
    assert rest[0].endswith(" in spins")


@pytest.mark.rule("explore.stalled-emulator")
def test_a_job_that_sleeps_for_ever_is_told_with_its_steps(told: Told) -> None:
    def sleeps(data: object) -> None:
        while "It makes steps" not in told.text:
            usleep(1000)

    command(output=lambda port, buf: driver_async(port, None, sleeps, None))
    assert "async 1 goes on; it stands at test_stalled.py:" in told.text
    assert "process <0.1.0> waits for the end of async 1" in told.text
    assert "step_limit" not in told.text  # an emulator of one's own has none


@pytest.mark.rule("explore.stalled-emulator")
def test_a_callback_that_makes_no_step_is_told(told: Told) -> None:
    def output(port: Any, buf: object) -> None:
        while "It makes no step" not in told.text:
            pass

    command(output=output)
    assert "process <0.1.0> goes on; it stands at test_stalled.py:" in told.text


def test_a_program_that_does_something_else_is_told_nothing() -> None:
    stall = stalled.Stall("the emulator")
    with Emulator() as erl:
        # This program computes, or waits for its user, for an hour.
        assert {stall.told(simulated(erl), now) for now in range(3600)} == {""}


def test_each_story_comes_later_than_the_last() -> None:
    stall = stalled.Stall("the emulator")
    told: list[int] = []
    with Emulator() as erl:
        threads = simulated(erl)

        def output(port: Any, buf: object) -> None:
            told.extend(now for now in range(14) if stall.told(threads, now))

        erl.port_command(opened(erl, made_of(output=output)), b"")
    assert told == [3, 6, 12]


def test_without_another_os_thread_the_emulator_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    onlookers = stalled.Onlookers()
    with Emulator() as erl:
        onlookers.add(simulated(erl), "the emulator")
        assert erl.system_info("schedulers") == 1


def test_the_onlooker_ends_with_the_last_emulator(told: Told) -> None:
    onlookers = stalled.Onlookers()
    with Emulator() as erl:
        onlookers.add(simulated(erl), "the emulator")
        onlooker = onlookers._thread
        assert onlooker is not None
    onlooker.join()
    assert onlookers._thread is None
