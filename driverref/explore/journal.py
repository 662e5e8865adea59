"""The run under way, in a file that outlives the process that makes it.

A driver in C may end the process that runs it.  Then nothing is left of the search but what stands
in a file.  So a process that runs such a driver keeps a journal, and another one reads it
(`driverref.hosting.apart`).

What is noted of a run is the beginning of its witness: when it begins, the steps that are known not
to be first come, and later each other such step, before it is made.  That is seldom, so a search is
not slower.  There is no buffer: what has been written is there, however the process ends.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from driverref.explore.schedules import FIRST_COME, Deviation
from driverref.trace import Raw, Trace


class Journal:
    """The journal that a process keeps."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._trace = os.open(_trace(file), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._runs = 0

    def anew(self) -> None:
        """Count the runs from here on."""
        self._runs = 0

    def begin(self, known: Iterable[Deviation], ending: str) -> None:
        """Note that a run begins, with the steps that are known, and how its witness ends."""
        self._runs += 1
        steps = "".join(f"{step}," for step in known)
        for file in (self._file, self._trace):
            os.ftruncate(file, 0)
        os.write(self._file, f"{self._runs} {ending}\n{steps}".encode())

    def add(self, step: Deviation) -> None:
        """Note one more step of the run."""
        os.write(self._file, f"{step},".encode())

    def event(self, event: Raw) -> None:
        """Note an event of a run whose whole trace is wanted."""
        try:
            noted = pickle.dumps(event)
        except Exception:  # the detail is an object of the program's own
            noted = pickle.dumps((*event[:-1], None))
        os.write(self._trace, noted)


class Noted(NamedTuple):
    """What a journal says."""

    run: int
    """How many runs the process has begun."""
    witness: str
    """The witness of the last of them, as far as it has come."""


def read(file: Path) -> Noted | None:
    """Return what the journal of another process says; `None` if that has begun no run."""
    head, line, steps = file.read_text().partition("\n") if file.exists() else ("", "", "")
    if not line:
        return None
    run, _, ending = head.partition(" ")
    return Noted(int(run), (steps.removesuffix(",") or FIRST_COME) + ending)


def events(file: Path) -> Trace:
    """Return the events that the journal of another process says."""
    found = []
    with _trace(file).open("rb") as noted:
        with suppress(EOFError):
            while True:
                found.append(pickle.load(noted))
    trace = Trace()
    record = trace.begin(0)
    assert record is not None
    for event in found:
        record(event)
    return trace


def _trace(file: Path) -> Path:
    return file.with_suffix(".trace")


class Kept:
    """Which journal this process keeps, if it keeps one."""

    journal: Journal | None = None
