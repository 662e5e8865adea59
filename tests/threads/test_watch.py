"""A run that goes on and on is told: while it does, and when Ctrl-C ends it."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any, NoReturn

import pytest
from scripted import made_of
from support import opened

from driverref import Emulator, explore, replay
from driverref.erl_driver import driver_async
from driverref.posix import usleep
from driverref.threads import watch


class Told:
    """What was told, as a text, and an event that says when."""

    def __init__(self) -> None:
        self.text = ""
        self.at = threading.Event()

    def add(self, text: str) -> None:
        self.text += f"{text}\n"
        self.at.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Every run is told at the first look, and the looks come one after the other."""
    told = Told()
    monkeypatch.setattr(watch, "tell", told.add)
    monkeypatch.setattr(watch, "PATIENCE", 0.0)
    monkeypatch.setattr(watch, "EVERY", 0.001)
    return told


def in_a_job(work: Any) -> Any:
    """A scenario with a job that does this."""

    def scenario(erl: Emulator) -> None:
        driver = made_of(output=lambda port, buf: driver_async(port, None, work, None))
        erl.port_command(opened(erl, driver), b"")

    return scenario


@pytest.mark.rule("explore.told-while-it-goes-on")
def test_a_job_that_makes_no_step_is_told_with_its_line(told: Told) -> None:
    def spins(data: object) -> None:
        while "It makes no step" not in told.text:
            pass

    explore(in_a_job(spins), limit=1, progress=False)
    text = told.text
    assert text.startswith("run 1 of scenario has gone on for 0 s, ")
    assert " steps and 0 s of virtual time:\n" in text
    assert "  async 1 goes on; it stands at test_watch.py:" in text
    assert " in spins\n" in text
    assert "  scheduler 1 waits\n" in text
    assert "A driver sleeps with usleep" in text
    assert text.endswith("  Ctrl-C ends it.\n")


def test_a_job_that_sleeps_in_a_loop_is_told_with_its_steps_and_the_time(told: Told) -> None:
    def polls(data: object) -> None:
        while "It makes steps" not in told.text:
            usleep(1000)

    replay(in_a_job(polls), "", step_limit=10**9)
    text = told.text
    assert "  async 1 goes on; it stands at test_watch.py:" in text
    assert "step_limit (--step-limit) ends as a Livelock" in text


def test_a_thread_that_waits_in_a_driver_is_told_with_its_line(told: Told) -> None:
    def waits(data: object) -> None:
        usleep(1)

    def sleeps(erl: Emulator) -> None:
        in_a_job(waits)(erl)
        erl.receive(timeout=0)  # the job begins, and sleeps
        while " in waits" not in told.text:
            pass

    replay(sleeps, "", async_threads=1)
    assert "process <0.1.0> goes on; it stands at test_watch.py:" in told.text
    assert "async 1 waits for time to pass; it stands at test_watch.py:" in told.text


@pytest.mark.rule("explore.told-while-it-goes-on")
def test_a_search_whose_runs_end_as_livelocks_is_told(told: Told) -> None:
    def scenario(erl: Emulator) -> None:
        me = erl.self()
        for number in (1, 2):  # in either order
            erl.spawn(partial(erl.send, me, number))
        if next(runs) > 2:  # the first run is made twice
            while "The search goes on" not in told.text:
                pass
        while True:
            erl.receive(timeout=1)

    runs = count(1)
    explore(scenario, step_limit=100, limit=3, progress=False)
    how = "of scenario/step_limit=100 has ended in a Livelock: the run has made 100 steps"
    assert told.text.count(how) == told.text.count("The search goes on") == 1


def test_a_run_that_ends_soon_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    explore(in_a_job(lambda data: None), progress=False)
    assert capsys.readouterr().err == ""


def test_nothing_is_told_between_runs_or_outside(told: Told) -> None:
    watch.began("a run of another's")
    watch.ended()
    assert watch.under_way() == ""
    with watch.watching():
        assert watch.under_way() == ""
    assert told.text == ""


def test_what_no_output_takes_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> NoReturn:
            raise OSError

    monkeypatch.setattr(sys, "stderr", Full())
    watch.tell("a story")


def test_a_machine_without_threads_has_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert explore(in_a_job(lambda data: None), progress=False).complete


# Ctrl-C.


@pytest.fixture
def python_s_own() -> Iterator[None]:
    """Ctrl-C does what it does in Python, whatever a test before has left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c(data: object = None) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.rule("explore.ctrl-c")
@pytest.mark.usefixtures("python_s_own", "told")
def test_ctrl_c_says_where_each_thread_stood() -> None:
    def stuck(data: object) -> None:
        while len(watch.under_way()) == 0:
            pass
        ctrl_c()

    with pytest.raises(KeyboardInterrupt) as stopped:
        explore(in_a_job(stuck), progress=False)
    (note,) = stopped.value.__notes__
    assert note.startswith("run 1 of scenario has gone on for ")
    assert "  async 1 goes on; it stands at test_watch.py:" in note
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("python_s_own")
def test_ctrl_c_in_a_run_that_has_just_begun_says_nothing() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        replay(in_a_job(ctrl_c), "")
    assert not hasattr(stopped.value, "__notes__")


def test_what_takes_ctrl_c_already_goes_on_to_take_it() -> None:
    seen = []
    before = signal.signal(signal.SIGINT, lambda *given: seen.append(given))
    try:
        explore(in_a_job(ctrl_c), limit=1, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen


def test_work_without_threads_is_told_as_well(told: Told) -> None:
    with watch.watching():
        watch.began("loading")
        while not (story := watch.under_way()):
            pass
    assert story.startswith("loading has gone on for 0 s; it stands at test_watch.py:")
