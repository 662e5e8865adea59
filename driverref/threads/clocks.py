"""Vector clocks: what a simulated thread knows to have happened before.

A thread counts its own *ticks* and keeps, for every other thread, the last tick it has heard of.
What a thread hands on, it hands on with a `Stamp` of its clock: by a queue, a lock, a condition or
an atomic, by starting a thread or by ending.  The thread that takes it joins the stamp into its own
clock.  An access at tick n of thread t happened before everything that is done by a thread whose
clock says n or more for t.

    access (tick 3) -> stamp: tick 3, handed on -> access (tick 4, not covered by that stamp)

Source: Flanagan and Freund, FastTrack (2009), for the comparison of single ticks.
"""

from __future__ import annotations

from typing import NamedTuple


class Stamp(NamedTuple):
    """A thread's clock at the moment it handed something on."""

    thread: int
    tick: int
    clock: dict[int, int]
    """By thread, the last tick that the giver had heard of.  The giver's own is `tick`."""


BLANK = Stamp(-1, 0, {})
"""The stamp of a thread that has made no access and has heard of none."""


class VectorClock:
    """The clock of one thread, whose number is `thread`."""

    __slots__ = ("_stamp", "clock", "thread", "tick", "version")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.tick = 1
        self.clock: dict[int, int] = {}
        # How often it has learnt something: who keeps a copy of `clock` sees when it is old.
        self.version = 0
        # The last stamp, as long as it says all that there is to say.
        self._stamp: Stamp | None = BLANK

    def stamp(self) -> Stamp:
        """Return what to hand on.  What the thread does from now on is not covered by it."""
        # Most steps hand something on and make no access to memory.  They share one copy.
        if self._stamp is None:
            self._stamp = Stamp(self.thread, self.tick, self.clock.copy())
        return self._stamp

    def join(self, stamp: Stamp | None) -> None:
        """Learn what the giver of `stamp` knew."""
        if stamp is BLANK or stamp is None or stamp.thread == self.thread:
            return
        clock = self.clock
        # A stamp holds all that its giver knew at that tick.  So a thread that has heard of the
        # tick knows the rest of the stamp too, from this stamp or a later one.
        if clock.get(stamp.thread, 0) >= stamp.tick:
            return
        for thread, tick in stamp.clock.items():
            if clock.get(thread, 0) < tick:
                clock[thread] = tick
        clock[stamp.thread] = stamp.tick
        self.version += 1
        # The stamp that this thread gave last does not say what it has learned now.
        self._spend()

    def access(self) -> int:
        """Return the tick of an access made now, which stamps given before do not cover."""
        self._spend()
        return self.tick

    def _spend(self) -> None:
        """Begin a new tick if a stamp of this one was given."""
        if self._stamp is not None:
            self.tick += 1
            self._stamp = None

    def knows(self, thread: int, tick: int) -> bool:
        """Whether what `thread` did at `tick` happened before what this thread does now."""
        return thread == self.thread or self.clock.get(thread, 0) >= tick
