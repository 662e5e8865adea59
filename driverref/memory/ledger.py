"""The ledger: a row for everything that a driver holds and has to give back.

A block has a row, and so have a lock, a binary and a thread of the driver's own.  The row says what
the thing is and where it was made.  That place is the first caller outside this package, so it is a
line of the driver.  A row that is left when the emulator halts is a line of the `Leak`.

The ledger takes no lock.  A thing is alive while its row is in one dict, `Ledger.rows`.  When two
threads give back the same thing, both call `pop`, and only one of them gets the row.  `pop` is
atomic under the GIL; without a GIL each dict has a lock of its own.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from driverref import errors
from driverref.memory.races import Accesses, Span
from driverref.threads import OUTSIDE, Mode, Threads, running

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from driverref.threads.steps import SimulatedThread


# Files whose frames are no driver's: those of this package, and the first frames of an OS thread.
_OURS = (f"{Path(__file__).parents[1]}{os.sep}", str(Path(os.__file__).with_name("threading.py")))


_DOCTEST = re.compile(r"<doctest (.*)\[\d+\]>")  # the file name that `doctest` gives an example


Place = tuple["CodeType", int] | None


def _caller() -> Place:
    """Return the first caller outside this package, or `None` if there is none."""
    # Every access asks for its place, and hardly any place is ever printed.  So this keeps two
    # words and no frame, which would keep all the caller's variables alive.  `_text` does the rest.
    # 0 is this function and 1 its caller, both in this package.
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


def _text(place: Place) -> str:
    if place is None:
        return "the emulator's own doing"
    code, at = place
    # The instruction, and not the line, was kept: the line is a search in this table.
    line = next(line for start, end, line in code.co_lines() if start <= at < end)
    # Code outside any function has no name to give.
    within = "" if code.co_name == "<module>" else f" in {code.co_name}"
    name = Path(_DOCTEST.sub(r"\1", code.co_filename)).name
    return f"{name}:{line}{within}"


class Row:
    """A row of the ledger: something that has to be given back.

    `what` names it (`"mutex 'm'"`).  `born` is the verb for its making (`"created"`).  `freed_by`
    is the call that gives it back.  A place is a text such as `"drv.py:12 in work"`.
    """

    __slots__ = (
        "_accesses",
        "_began",
        "_ended",
        "advice",
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
        """The bytes of a block; 0 for all else."""
        self.advice = ""
        """What to do so that a use does not come after its end, where that is not plain."""
        self.label: int | None = None
        """The label that R7B's `sys_alloc_from` got; see `instrument`."""
        # Not an address, which changes from run to run: a search runs a schedule again and has to
        # find the same resources.
        self.id = ledger.new_id()
        self._began = began
        self._ended: Place = None
        self._accesses: dict[str, Accesses[tuple[Place, str]]] = {}

    place = property(lambda self: _text(self._began), doc="Where it was made.")
    ended = property(lambda self: _text(self._ended), doc="Where it was given back.")

    @property
    def alive(self) -> bool:
        """Whether it has not been given back yet."""
        return self.id in self.ledger.rows

    def end(self, call: str) -> None:
        """Give it back, by `call`.

        The second time raises `DoubleFree` and changes nothing.
        """
        now = _caller()
        # One `pop` both asks and removes.  With a question first, two threads could both be told
        # that the row is there.
        if self.ledger.rows.pop(self.id, None) is None:
            twice = f"freed twice: first at {self.ended}, now at {_text(now)}"
            raise errors.DoubleFree(f"{call}: {self.what} {twice}; {self.born} at {self.place}")
        # Only the free that got the row writes here: its place is the first, and it stays so.
        self._ended = now

    def step(self, name: object, mode: Mode) -> None:
        """Tell the seam that this thread is about to use the field `name`; others may run first."""
        # Outside an emulator there is no other thread.
        if running() is not OUTSIDE:
            # Each field is a resource of its own, so the uses of two fields are independent: a
            # search tries only one order of them.
            self.ledger.threads.step((self.id, name), mode)

    def check(self, name: str, write: bool, span: Span | None, verb: str) -> None:
        """Raise `DataRace` if nothing orders this use of the field `name` and an earlier one.

        `verb` names the use in the message: `"read"`, `"written"`, `"freed"`.
        """
        if (thread := running()) is OUTSIDE:
            return
        # Made at the first access: a row does not know the fields of its block.
        if (accesses := self._accesses.get(name)) is None:
            accesses = self._accesses[name] = Accesses()
        # Only simulated threads have clocks, and only they are asked (`Ledger.simulated`).
        clocked = cast("SimulatedThread", thread)
        if (race := accesses.add(clocked, write, span, (_caller(), verb))) is None:
            return
        # Both places, because neither access is wrong alone: either may be the one to change.
        one, other = (f"{a.place[1]} by {a.thread.name} at {_text(a.place[0])}" for a in race)
        what = f"{self.what}: {name} {one}, and {other}"
        raise errors.DataRace(f"{what}, and nothing orders the two; {self._origin()}")

    def fault(self, access: str, freed: bool) -> errors.DriverFault:
        """Return the error for an access, such as `"count read"`, to a freed or unwritten field."""
        kind = errors.UseAfterFree if freed else errors.Uninitialised
        when = f"after it was freed at {self.ended}" if freed else "before it was written"
        return kind(f"{self.what}: {access} {when}; {self._origin()}")

    def _origin(self) -> str:
        """Where it was made, and what to do, for the end of a message."""
        origin = f"{self.born} at {self.place}"
        return f"{origin}; {self.advice}" if self.advice else origin

    def __str__(self) -> str:
        return f"{self.what} {self.born} at {self.place}"


class Ledger:
    """Everything that the drivers of one emulator hold.  Any thread; no call waits for another."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.rows: MutableMapping[int, Row] = threads.table()
        # What else is held, in rows of their own: a driver in C keeps its memory by itself.
        self.sources: list[Callable[[], list[str]]] = []
        self.new_id = threads.new_id
        self.failed = False
        """Whether an allocation has failed because a search tries that; see `allocation.fails`."""
        # On OS threads a step does nothing.  The blocks ask this first, to save the call.
        self.simulated = threads.simulated
        """Whether accesses to memory step and are checked for races."""

    def add(self, what: str, born: str, freed_by: str) -> Row:
        """Enter a thing that the first caller outside `driverref` made, and return its row."""
        row = Row(self, what, born, freed_by, _caller())
        self.rows[row.id] = row
        return row

    def leaks(self) -> list[str]:
        """Return a line for each thing that has not been given back.

        The oldest comes first; on simulated threads the lines stand thread by thread.
        """
        # By id and not in the order of entering, which depends on the schedule.
        rows = [str(row) for _, row in sorted(self.rows.items())]
        return rows + [row for source in self.sources for row in source()]

    def check(self) -> None:
        """Raise `Leak` if anything has not been given back."""
        if rows := self.leaks():
            raise errors.Leak(rows)
