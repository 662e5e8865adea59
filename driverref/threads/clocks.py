"""Vector clocks: what a simulated thread knows to have happened before.

A thread counts its own *ticks* and keeps, for every other thread, the last tick it has heard of.  Whoever hands
something on, by a queue, a lock, a condition, an atomic, by starting a thread or by ending, hands on a `Stamp` of its
clock with it; whoever takes it joins the stamp into its own clock.  An access at tick n of thread t happened before
everything that is done by a thread whose clock says n or more for t.

A stamp holds all that its thread knew.  So who has heard of that tick knows the rest too, and has nothing to join.

Source: Flanagan and Freund, FastTrack (2009), from which the comparison of single ticks is.
"""

from __future__ import annotations

from typing import NamedTuple


class Stamp(NamedTuple):
    """A thread's clock at the moment it handed something on."""

    thread: int
    tick: int
    clock: dict[int, int]


NOTHING = Stamp(-1, 0, {})
"""The stamp of a thread that has made no access and has heard of none."""


class VectorClock:
    """The clock of one thread, whose number is `thread`."""

    __slots__ = ("_stamp", "clock", "thread", "tick")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.tick = 1
        self.clock: dict[int, int] = {}
        self._stamp: Stamp | None = NOTHING

    def stamp(self) -> Stamp:
        """What to hand on.  What the thread does from now on is not covered by it."""
        if self._stamp is None:
            self._stamp = Stamp(self.thread, self.tick, self.clock.copy())
        return self._stamp

    def join(self, stamp: Stamp | None) -> None:
        """Learn what the giver of `stamp` knew."""
        if stamp is NOTHING or stamp is None or stamp.thread == self.thread:
            return
        clock = self.clock
        if clock.get(stamp.thread, 0) >= stamp.tick:
            return
        for thread, tick in stamp.clock.items():
            if clock.get(thread, 0) < tick:
                clock[thread] = tick
        clock[stamp.thread] = stamp.tick
        self._spend()

    def access(self) -> int:
        """The tick of something the thread does now, which stamps given before do not cover."""
        self._spend()
        return self.tick

    def _spend(self) -> None:
        """What comes now is not covered by the stamp that was given: a new tick begins."""
        if self._stamp is not None:
            self.tick += 1
            self._stamp = None

    def knows(self, thread: int, tick: int) -> bool:
        """Whether what `thread` did at `tick` happened before what this thread does now."""
        return thread == self.thread or self.clock.get(thread, 0) >= tick
