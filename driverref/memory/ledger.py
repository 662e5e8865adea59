"""The ledger: a row for everything a driver holds and has to give back.

A row says what it is and where it was made: the first caller outside this package.  A block is a
row, and so are a lock, a binary and a thread of the driver's own.  What is never given back is a
line of the `Leak`.

The ledger takes no lock.  A row is alive while it is a key of one dict, and the one `pop` that
removes it decides which of two threads gave it back: atomic under the GIL, and without a GIL each
dict guards itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from driverref import errors
from driverref.memory.races import Accesses, Span
from driverref.threads import NOBODY, Mode, Threads, running

if TYPE_CHECKING:
    from types import CodeType, FrameType


# Callers that are no driver: this package, and the first frames of an OS thread.
_OURS = (f"{Path(__file__).parents[1]}{os.sep}", str(Path(os.__file__).with_name("threading.py")))


_DOCTEST = re.compile(r"<doctest (.*)\[\d+\]>")


Place = tuple["CodeType", int] | None


def _caller() -> Place:
    """The first caller outside this package: two words, which `_text` spells out if asked to."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


def _text(place: Place) -> str:
    if place is None:
        return "the emulator's own doing"
    code, at = place
    line = next(line for start, end, line in code.co_lines() if start <= at < end)
    within = "" if code.co_name == "<module>" else f" in {code.co_name}"
    name = Path(_DOCTEST.sub(r"\1", code.co_filename)).name
    return f"{name}:{line}{within}"


class Row:
    """A row of the ledger: something that has to be given back.

    `what` names it (`"mutex 'm'"`), `born` says how it came (`"created"`), `freed_by` is the call
    that gives it back, and a place is `"drv.py:12 in work"`: the first caller outside this package.
    """

    __slots__ = (
        "_accesses",
        "_began",
        "_ended",
        "born",
        "freed_by",
        "id",
        "label",
        "ledger",
        "size",
        "what",
    )

    def __init__(self, ledger: Ledger, what: str, born: str, freed_by: str, began: Place) -> None:
        self.ledger, self.what, self.born, self.freed_by = ledger, what, born, freed_by
        self.size = 0
        """Bytes, of a block."""
        self.label: int | None = None
        """What R7B's `sys_alloc_from` was given; see `instrument`."""
        self.id = ledger.new_id()
        self._began = began
        self._ended: Place = None
        self._accesses: dict[str, Accesses] = {}

    place = property(lambda self: _text(self._began), doc="Where it came from.")
    ended = property(lambda self: _text(self._ended), doc="Where it was given back.")

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self.id in self.ledger.rows

    def end(self, call: str) -> None:
        """Give it back, by `call`.

        A second call gets a `DoubleFree`, and nothing changes.
        """
        now = _caller()
        if self.ledger.rows.pop(self.id, None) is None:
            twice = f"freed twice: first at {self.ended}, now at {_text(now)}"
            raise errors.DoubleFree(f"{call}: {self.what} {twice}; {self.born} at {self.place}")
        self._ended = now

    def step(self, name: object, mode: Mode) -> None:
        """Let other threads run, before this one uses a field."""
        if running() is not NOBODY:  # outside the emulator there is no other thread
            self.ledger.threads.step((self.id, name), mode)

    def check(self, name: str, write: bool, span: Span | None, verb: str) -> None:
        """Raise `DataRace` if nothing orders this use of a field and another thread's."""
        if (thread := running()) is NOBODY:
            return
        if (accesses := self._accesses.get(name)) is None:
            accesses = self._accesses[name] = Accesses()
        if (race := accesses.add(thread, write, span, (_caller(), verb))) is None:
            return
        one, other = (f"{a.place[1]} by {a.thread.name} at {_text(a.place[0])}" for a in race)
        what = f"{self.what}: {name} {one}, and {other}"
        raise errors.DataRace(f"{what}, and nothing orders the two; {self.born} at {self.place}")

    def fault(self, access: str, freed: bool) -> errors.DriverFault:
        """What is wrong with an access, such as `"count read"`, to what is freed, or unwritten."""
        kind = errors.UseAfterFree if freed else errors.Uninitialised
        when = f"after it was freed at {self.ended}" if freed else "before anybody wrote it"
        return kind(f"{self.what}: {access} {when}; {self.born} at {self.place}")

    def __str__(self) -> str:
        return f"{self.what} {self.born} at {self.place}"


class Ledger:
    """Everything the drivers of one emulator hold.  Any thread, at any time; no call waits."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.rows: MutableMapping[int, Row] = threads.table()
        self.new_id = threads.new_id
        self.simulated = threads.simulated
        """Whether an access has to be made known; on OS threads it is cheaper to make no call."""

    def add(self, what: str, born: str, freed_by: str) -> Row:
        """Enter something made by the first caller outside `driverref`.  Keep the row."""
        row = Row(self, what, born, freed_by, _caller())
        self.rows[row.id] = row
        return row

    def leaks(self) -> list[str]:
        """What has not been given back, a line each.

        Oldest first; on simulated threads thread by thread.
        """
        return [str(row) for _, row in sorted(self.rows.items())]

    def check(self) -> None:
        """Raise `Leak` if anything has not been given back."""
        if rows := self.leaks():
            raise errors.Leak(rows)
