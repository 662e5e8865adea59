"""The ledger: a row for everything that a driver holds and has to give back.

A block has a row, and so have a lock, a binary and a thread of the driver's own.  The row says what
the thing is and where it was made, a line of the driver.  A row that is left when the emulator
halts is a line of the `Leak`.

The ledger takes no lock.  A thing is alive while its row is in one dict, `Ledger.rows`.  When two
threads give back the same thing, both call `pop`, and only one of them gets the row.  `pop` is
atomic under the GIL; without a GIL each dict has a lock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from driverref import errors
from driverref.diagnostics import Place, caller, where
from driverref.memory.races import Accesses, Span
from driverref.threads import OUTSIDE, Cell, Mode, Threads, running

if TYPE_CHECKING:
    from driverref.threads.steps import SimulatedThread

F = TypeVar("F", bound=errors.DriverFault)

Story: TypeAlias = list[tuple[str, str]]
"""What was done with a thing that is held, and the place of each: its making comes first."""


class Row:
    """A row of the ledger: something that has to be given back.

    `what` names it (`"mutex 'm'"`).  `born` is the verb for its making (`"created"`).  `freed_by`
    is the call that gives it back.  A place is a text such as `"drv.py:12 in work"`.
    """

    __slots__ = (
        "_accesses",
        "_began",
        "_ended",
        "_mentioned",
        "advice",
        "born",
        "fields",
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
        self.fields: dict[str, Any] | None = None
        """The values of a block's fields; `None` for all else."""
        # Not an address, which changes from run to run: a search runs a schedule again and has to
        # find the same resources.
        self.id = ledger.new_id()
        self._began = began
        self._ended: Place = None
        self._mentioned: dict[tuple[str, Place], None] = {}
        self._accesses: dict[str, Accesses[tuple[Place, str]]] = {}

    place = property(lambda self: where(self._began), doc="Where it was made.")
    ended = property(lambda self: where(self._ended), doc="Where it was given back.")

    @property
    def alive(self) -> bool:
        """Whether it has not been given back yet."""
        return self.id in self.ledger.rows

    def end(self, call: str) -> None:
        """Give it back, by `call`.

        The second time raises `DoubleFree` and changes nothing.
        """
        # One `pop` both asks and removes.  With a question first, two threads could both be told
        # that the row is there.
        if self.ledger.rows.pop(self.id, None) is None:
            twice = f"{call}: {self.what} freed twice: first at {self.ended}, now"
            raise found(errors.DoubleFree(twice, f"; {self.born} at {self.place}", self.ended))
        # Only the free that got the row writes here: its place is the first, and it stays so.
        self._ended = caller()

    def mention(self, what: str) -> None:
        """Have the line of this row say what was done with it here, such as `a reference taken`."""
        # Each place once, so that a loop does not fill the memory.
        self._mentioned[what, caller()] = None

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
        if (race := accesses.add(clocked, write, span, (caller(), verb))) is None:
            return
        # Both places, because neither access is wrong alone: either may be the one to change.
        (old, old_verb), (_, new_verb) = (access.place for access in race)
        one = f"{name} {old_verb} by {race[0].thread.name} at {where(old)}"
        what = f"{self.what}: {one}, and {new_verb} by {race[1].thread.name}"
        then = f", and nothing orders the two; {self._origin()}"
        raise found(errors.DataRace(what, then, where(old)))

    def after_free(self, access: str) -> errors.UseAfterFree:
        """Return the error for an access, such as `"count read"`, to what was freed."""
        then = f", after it was freed at {self.ended}; {self._origin()}"
        return found(errors.UseAfterFree(f"{self.what}: {access}", then, self.ended))

    def before_write(self, access: str) -> errors.Uninitialised:
        """Return the error for an access to what was not written."""
        then = f", before it was written; {self._origin()}"
        return found(errors.Uninitialised(f"{self.what}: {access}", then))

    def out_of_bounds(self, access: str) -> errors.OutOfBounds:
        """Return the error for an access, such as `"byte 8 read"`, to what is not in the block."""
        then = f", outside of the block; {self._origin()}"
        return found(errors.OutOfBounds(f"{self.what}: {access}", then))

    def _origin(self) -> str:
        """Where it was made, and what to do, for the end of a message."""
        origin = f"{self.born} at {self.place}"
        return f"{origin}; {self.advice}" if self.advice else origin

    def story(self) -> Story:
        """Return what was done with it: its making, and what was mentioned."""
        told = [(f"{self.what} {self.born}", self._began), *self._mentioned]
        return [(what, where(place)) for what, place in told]

    def __str__(self) -> str:
        return f"{self.what} {self.born} at {self.place}"


def found(fault: F) -> F:
    """Tell the emulator of a fault of memory, which the caller raises.

    A driver that catches it has not undone it: in C its memory is no longer what it seems.
    """
    runtime = running().runtime
    # Of two faults that threads make the first one counts, so their order is declared.
    if runtime is not None and runtime.ledger.fault.value is None:
        runtime.ledger.fault.value = fault
    return fault


class Ledger:
    """Everything that the drivers of one emulator hold.  Any thread; no call waits for another."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.rows: MutableMapping[int, Row] = threads.table()
        # What else is held, in rows of their own: a driver in C keeps its memory by itself.
        self.sources: list[Callable[[], list[Story]]] = []
        self.new_id = threads.new_id
        self.failed = False
        """Whether an allocation has failed because a search tries that; see `allocation.fails`."""
        # On OS threads a step does nothing.  The blocks ask this first, to save the call.
        self.simulated = threads.simulated
        """Whether accesses to memory step and are checked for races."""
        self.fault: Cell[errors.DriverFault | None] = threads.cell(None)
        """The first fault that was found, whether or not the driver has caught it."""

    def add(self, what: str, born: str, freed_by: str) -> Row:
        """Enter a thing that the first caller outside `driverref` made, and return its row."""
        row = Row(self, what, born, freed_by, caller())
        self.rows[row.id] = row
        return row

    def held(self) -> list[Story]:
        """Return the story of each thing that has not been given back.

        The oldest comes first; on simulated threads the stories stand thread by thread.
        """
        # By id and not in the order of entering, which depends on the schedule.
        rows = [row.story() for _, row in sorted(self.rows.items())]
        return rows + [story for source in self.sources for story in source()]

    def leaks(self) -> list[str]:
        """Return a line for each thing that has not been given back, in the order of `held`."""
        return ["; ".join(f"{what} at {place}" for what, place in story) for story in self.held()]

    def check(self) -> None:
        """Raise `Leak` if anything has not been given back."""
        if lines := self.leaks():
            raise errors.Leak(lines, [place for story in self.held() for _, place in story])
