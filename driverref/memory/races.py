"""Data races: two threads access the same memory, one of them writes, and nothing orders the two.

In C such a program has no meaning, however rarely the accesses coincide.  So the question is not
whether they coincided in this run.  It is whether something ordered them: a lock, a queue, an
atomic, the start or the end of a thread.  The vector clocks of the threads seam answer that
(`threads.clocks`).  This module keeps, for each field, the earlier accesses that have to be asked
about.  One run that makes both accesses finds the race, in whichever order they came.

The rules are those of FastTrack (Flanagan and Freund, 2009), with one difference: a place in memory
is a span of bytes here, so more than one write can be kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from driverref.threads.steps import SimulatedThread

P = TypeVar("P")

Span = tuple[int, int]
"""The first byte, and the one after the last."""


class Access(NamedTuple, Generic[P]):
    """One access, which FastTrack names by its epoch: the thread, and the tick of its clock."""

    thread: SimulatedThread
    tick: int
    write: bool
    span: Span | None
    """The bytes; `None` for all."""
    place: P
    """Its place in the program, for the message.  Nothing here looks into it."""


class Accesses(Generic[P]):
    """The accesses to one field, or one block of bytes, that a later access may race with."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Access[P]] = []

    def add(
        self, thread: SimulatedThread, write: bool, span: Span | None, place: P
    ) -> tuple[Access[P], Access[P]] | None:
        """Note an access of `thread`, which runs.

        Returns the earlier access that it races with and the new one, or `None` without a race.
        """
        clock = thread.clock
        new = Access(thread, clock.access(), write, span, place)
        kept = []
        for old in self._kept:
            # One comparison of an epoch with a clock says whether the old access happened before.
            ordered = clock.knows(old.thread.number, old.tick)
            # FastTrack's three races: write-write, write-read and read-write.  Two reads are none.
            if not ordered and (write or old.write) and _overlap(old.span, span):
                return old, new
            # The new access may replace an old one if all that would race with the old one also
            # races with the new.  So the old one stays in three cases:
            # * nothing orders the two: they are reads, or use different bytes.  A later write may
            #   be ordered after one of them only (Read Share and Read Shared).
            # * the old one wrote and the new one reads: a later read races with a write only.
            # * the new one leaves some of its bytes out.
            # Else it goes (Read Exclusive, Write Exclusive, Write Shared, and both Same Epochs):
            # what comes after the new access comes after the old one too.
            if not ordered or old.write > write or not _covers(span, old.span):
                kept.append(old)
        kept.append(new)
        self._kept = kept
        return None


def _overlap(one: Span | None, other: Span | None) -> bool:
    return one is None or other is None or max(one[0], other[0]) < min(one[1], other[1])


def _covers(new: Span | None, old: Span | None) -> bool:
    return new is None or (old is not None and new[0] <= old[0] and old[1] <= new[1])
