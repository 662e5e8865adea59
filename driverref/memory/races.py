"""Data races: two threads touch the same memory, one writes, and nothing orders them.

To C such a program means nothing, however seldom the two meet.  So the question is not whether they
met in this run but whether anything kept them apart: a lock, a queue, an atomic, the start or the
end of a thread.  The vector clocks of the seam know (`threads.clocks`); here is what each place of
memory has to remember of the accesses that were made.

One run that makes both accesses is enough to find the race, in whichever order they came.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Span = tuple[int, int]
"""First byte, and the one after the last."""


class Access(NamedTuple):
    """One thread was at one place of memory."""

    thread: Any
    """A `SimulatedThread`."""
    tick: int
    write: bool
    span: Span | None
    """Which bytes; `None` for all."""
    place: Any
    """Where in the program."""


class Accesses:
    """The accesses to one field, or one block of bytes, that a later one may still race with."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Access] = []

    def add(
        self, thread: Any, write: bool, span: Span | None, place: Any
    ) -> tuple[Access, Access] | None:
        """Note an access of the running thread; with the one it races with, if there is one."""
        clock = thread.clock
        new = Access(thread, clock.access(), write, span, place)
        kept = []
        for old in self._kept:
            ordered = clock.knows(old.thread.number, old.tick)
            if not ordered and (write or old.write) and _overlap(old.span, span):
                return old, new
            if not ordered or old.write > write or not _covers(span, old.span):
                kept.append(old)
        kept.append(new)
        self._kept = kept
        return None


def _overlap(one: Span | None, other: Span | None) -> bool:
    return one is None or other is None or max(one[0], other[0]) < min(one[1], other[1])


def _covers(new: Span | None, old: Span | None) -> bool:
    return new is None or (old is not None and new[0] <= old[0] and old[1] <= new[1])
