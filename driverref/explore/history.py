"""The steps of a run, and which of them happened before which.

A step has a log: the things it touched, and how.  Two steps depend on each other if they touch one thing and one of
them writes; one *happens before* another if a chain of dependent steps, or of steps of one thread, leads from it to
the other.  Here that is one integer a step: bit `k` says that step `k` happened before it, or is it.

Two steps *race* if they depend on each other directly, and the later one could have come first.
"""

from __future__ import annotations

from itertools import accumulate, zip_longest
from typing import NamedTuple

from driverref.errors import Nondeterministic
from driverref.threads import ACQUIRE, AWAIT, READ, WRITE, Mode
from driverref.threads.simulated import CLOCK, Touch

Log = list[Touch]

_NEVER = -1
"""The number of a step that was not made."""


class Touched(NamedTuple):
    """What a step touched: things read, and things written."""

    read: frozenset[object]
    written: frozenset[object]

    @classmethod
    def by(cls, log: Log) -> Touched:
        """What the step with this log touched."""
        written = frozenset(thing for thing, mode in log if mode in (WRITE, ACQUIRE))
        return cls(frozenset(thing for thing, _ in log) - written, written)

    def disturbed_by(self, log: Log) -> bool:
        """Whether a step with this log depends on the one that touched this."""
        return any(
            thing in self.written or (thing in self.read and mode in (WRITE, ACQUIRE))
            for thing, mode in log
        )


class Shared:
    """A thing that more than one thread has touched: in which steps, oldest first."""

    __slots__ = ("acquired", "read", "written")

    def __init__(self) -> None:
        self.written: list[int] = []
        self.acquired: list[int] = []
        self.read: list[int] = []

    def touch(self, step: int, mode: Mode) -> None:
        """It was touched."""
        if mode is READ or mode is AWAIT:
            self.read.append(step)
        else:
            self.written.append(step)
            if mode is ACQUIRE:
                self.acquired.append(step)

    def forget(self, mode: Mode) -> None:
        """The last touch has not been made."""
        if mode is READ or mode is AWAIT:
            self.read.pop()
        else:
            self.written.pop()
            if mode is ACQUIRE:
                self.acquired.pop()

    def read_since(self) -> list[int]:
        """The steps that have read it since it was written last."""
        written = self.written[-1] if self.written else _NEVER
        return [step for step in self.read if step >= written]


class History:
    """The steps that have been made so far, by whom, and what they touched."""

    def __init__(self) -> None:
        self.makers: list[int] = []
        """The thread of each step."""
        self.logs: list[Log] = []
        self.past: list[int] = []
        """What happened before each step, itself included."""
        self._steps: dict[int, list[int]] = {}  # of each thread
        self._shared: dict[object, Shared] = {}
        self._own: dict[object, int] = {}  # by whom a thing was touched first, and perhaps alone

    def __len__(self) -> int:
        return len(self.logs)

    def add(self, maker: int, log: Log) -> tuple[list[int], bool]:
        """A step was made.  The earlier steps that it races with, and whether it has to do with the clock."""
        step = len(self.logs)
        past, races, clock = self._compare(maker, log, step)
        self.makers.append(maker)
        self.logs.append(log)
        self.past.append(past | 1 << step)
        self._steps.setdefault(maker, []).append(step)
        return races, clock

    def would_race(self, maker: int, touch: Touch) -> tuple[list[int], int]:
        """The steps with which a thread's next step would race, and what would have happened before it."""
        past, races, _ = self._compare(maker, [touch], _NEVER)
        return races, past

    # One function, because it is the innermost loop of the search.
    def _compare(  # noqa: C901
        self, maker: int, log: Log, step: int
    ) -> tuple[int, list[int], bool]:
        past, shared, own = self.past, self._shared, self._own
        steps = self._steps.get(maker)
        mine = before = past[steps[-1]] if steps else 0
        causes, races, locks, needed, clock = [], [], [], [], False
        for thing, mode in log:
            if thing is CLOCK:
                clock = True
            touched = shared.get(thing)
            if touched is None:
                if own.setdefault(thing, maker) == maker:
                    continue  # most things are one thread's own
                touched = shared[thing] = self._recalled(thing, own[thing])
            written = touched.written
            if written and (other := written[-1]) != step and not mine >> other & 1:
                before |= past[other]
                causes.append(other)
                if mode is READ or mode is WRITE:
                    races.append(other)
                elif other not in races:
                    needed.append(other)
            if mode is WRITE:
                for other in touched.read_since():
                    if other != step and not mine >> other & 1:
                        before |= past[other]
                        causes.append(other)
                        races.append(other)
            elif mode is ACQUIRE and touched.acquired:  # what is acquired is never only read
                taken = touched.acquired[-1]
                if taken != step and not mine >> taken & 1:
                    locks.append(taken)
            if step != _NEVER:
                touched.touch(step, mode)
        # A step that needs the lock, or the item, that another step has given up cannot come before it.  What the two
        # touch besides is then no race of theirs: where a lock is meant, the race is that for the lock itself.
        if needed and races:
            races = [s for s in races if s not in needed]
        if len(causes) > 1:  # a race is direct: no other step lies between
            races = [s for s in set(races) if not any(past[c] >> s & 1 for c in causes if c != s)]
        return before, races + locks, clock

    def _recalled(self, thing: object, toucher: int) -> Shared:
        """A second thread touches a thing: what the first has done with it."""
        shared = Shared()
        for step in self._steps.get(toucher, ()):
            for touched, mode in self.logs[step]:
                if touched == thing:
                    shared.touch(step, mode)
        return shared

    def apart(self, maker: int, step: int) -> list[int]:
        """The last step of each other thread, unless it happened before `step`."""
        return [
            steps[-1]
            for other, steps in self._steps.items()
            if other != maker and steps and not self.past[step] >> steps[-1] & 1
        ]

    def firsts(self, earlier: int, past: int, maker: int) -> list[int]:
        """Who may begin, instead of step `earlier`, what leads to a later step of `maker` with this past.

        What has to be run is what does not depend on `earlier`, and then the later step.
        """
        run, firsts = 0, []
        for step in range(earlier + 1, len(self.logs)):
            before = self.past[step]
            if before >> earlier & 1:
                continue
            if not before & run:
                firsts.append(self.makers[step])
            run |= 1 << step
        if not past & run:
            firsts.insert(0, maker)
        return firsts

    def forget(self, depth: int) -> None:
        """Forget the steps from `depth` on."""
        for maker, log in zip(self.makers[depth:], self.logs[depth:], strict=True):
            self._steps[maker].pop()
            for thing, mode in log:
                if (shared := self._shared.get(thing)) is not None:
                    shared.forget(mode)
        del self.makers[depth:], self.logs[depth:], self.past[depth:]

    def follow(self, log: Log) -> int:
        """Check that a run, with one log for all its steps, began with these steps: where the log goes on.

        Raises `Nondeterministic` if it did not.
        """
        known = [touch for step in self.logs for touch in step]
        if log[: len(known)] == known:
            return len(known)
        at = next(i for i, (one, other) in enumerate(zip_longest(known, log)) if one != other)
        step = sum(end <= at for end in accumulate(map(len, self.logs)))
        now = log[at][0] if at < len(log) else "nothing"
        raise Nondeterministic(f"at step {step} it touched {now} and not {known[at][0]}")
