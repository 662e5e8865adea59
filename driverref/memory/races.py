"""Data races: two threads access the same memory, one of them writes, and nothing orders the two.

In C such a program has no meaning, however rarely the accesses coincide.  So the question is not
whether they coincided in this run.  It is whether something ordered them: a lock, a queue, an
atomic, the start or the end of a thread.  The vector clocks of the threads seam answer that
(`threads.clocks`).  This module keeps, for each field, the earlier accesses that have to be asked
about.  One run that makes both accesses finds the race, in whichever order they came.

The rules are those of FastTrack (Flanagan and Freund, 2009), for each byte.  Bytes that stand side
by side and have had the same accesses are kept as one *stretch*, so a loop over the bytes of a
block costs no more for a byte of a long block than for one of a short block:

    add: cut the stretches at both ends of the span -> look at each in between -> join what is equal
"""

from __future__ import annotations

from bisect import bisect_left
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
    place: P
    """Its place in the program, for the message.  Nothing here looks into it."""


BLOCK = -1
"""Stands, before the bytes, for the block itself: what uses no byte reads it, a free writes it."""


class Accesses(Generic[P]):
    """The accesses to one field, or one block of bytes, that a later access may race with."""

    __slots__ = ("_first", "_kept")

    def __init__(self) -> None:
        # The first byte of each stretch, in order.  The last stretch has no end.
        self._first = [BLOCK]
        # The accesses of each stretch that have to be asked about, oldest first.
        self._kept: list[tuple[Access[P], ...]] = [()]

    def add(
        self, thread: SimulatedThread, write: bool, span: Span | None, place: P
    ) -> tuple[Access[P], Access[P]] | None:
        """Note an access of `thread`, which runs.  `span` has the bytes it uses; `None` is all.

        Returns the earlier access that it races with and the new one, or `None` without a race.
        """
        begin, end = 0, len(self._first)
        if span is not None:
            # What uses no byte changes none, but a block that is freed must not be there for it.
            write = write and span[0] < span[1]
            first, last = span if span[0] < span[1] else (BLOCK, 0)
            begin, end = self._cut(first), self._cut(last)
        clock = thread.clock
        new = Access(thread, clock.access(), write, place)
        for at in range(begin, end):
            kept = []
            for old in self._kept[at]:
                # One comparison of an epoch with a clock says whether the old access came before.
                ordered = clock.knows(old.thread.number, old.tick)
                # FastTrack's three races: write-write, write-read, read-write.  Two reads are none.
                if not ordered and (write or old.write):
                    return old, new
                # The new access may replace an old one if all that would race with the old one also
                # races with the new.  So the old one stays in two cases:
                # * nothing orders the two: they are reads.  A later write may be ordered after one
                #   of them only (Read Share and Read Shared).
                # * the old one wrote and the new one reads: a later read races with a write only.
                # Else it goes (Read Exclusive, Write Exclusive, Write Shared, and both Same
                # Epochs): what comes after the new access comes after the old one too.
                if not ordered or old.write > write:
                    kept.append(old)
            kept.append(new)
            self._kept[at] = tuple(kept)
        self._join(begin, end)
        return None

    def _cut(self, byte: int) -> int:
        """Have a stretch begin at this byte; return its index."""
        at = bisect_left(self._first, byte)
        if at == len(self._first) or self._first[at] != byte:
            self._first.insert(at, byte)
            self._kept.insert(at, self._kept[at - 1])
        return at

    def _join(self, begin: int, end: int) -> None:
        """Join the stretches from `begin` to `end`, and the one before and after, where equal."""
        kept = self._kept
        for at in range(min(end, len(kept) - 1), max(begin - 1, 0), -1):
            if kept[at] == kept[at - 1]:
                del kept[at], self._first[at]
