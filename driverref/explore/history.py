"""The steps of a run, and which of them happened before which.

A step has a log: the resources that it touched, and how.  Two steps *depend* on each other if they
touch one resource and one of them writes it.  A step *happens before* a later one if a chain of
steps leads from it to the later one, in which neighbours depend on each other or belong to one
thread.  Two steps *race* if they depend on each other, no other step lies between them in such a
chain, and the later one could have come first.

`History.add` is called after each step.  It compares the step with the earlier ones (`_compare`)
and returns those with which the step races.  `firsts` says for a race how a run could begin in
which the later step comes first.  `search` decides with these what to run next.

The past of a step is one integer: bit `k` says that step `k` happened before the step, or is the
step itself.  So `|` is the union of two pasts, and `past >> k & 1` says whether `k` is in a past.
The papers have vector clocks in its place.

In the letters of Abdulla et al. (2014), with E for the run so far, e for an earlier step and p for
the thread of the new one:

* E.p is the run after the new step; the steps that `add` returns are the e that race with it and
  can be reversed.
* notdep(e, E) are the steps after e that e does not happen before.  v is notdep(e, E).p: what must
  run, in place of e, so that the step of p comes before e.
* I(v), the *initials* of v, are the threads that can make the first step of v, in some order of v's
  steps that its happens-before relation allows.  `firsts` returns them.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import zip_longest
from typing import NamedTuple

from driverref.errors import Nondeterministic
from driverref.threads import ACQUIRE, AWAIT, READ, WRITE, Mode
from driverref.threads.choice import TIME
from driverref.threads.steps import CLOCK, EXPIRY, Access

Log = list[Access]

_NOT_MADE = -1
"""In place of a step's number, for a step that a thread would make next."""


class Footprint(NamedTuple):
    """What a step touched: the resources that it only read, and those that it wrote."""

    read: frozenset[object]
    written: frozenset[object]

    @classmethod
    def by(cls, log: Log) -> Footprint:
        """Return what the step with this log touched."""
        written = frozenset(resource for resource, mode in log if mode in (WRITE, ACQUIRE))
        return cls(frozenset(resource for resource, _ in log) - written, written)

    def disturbed_by(self, log: Log) -> bool:
        """Return whether a step with this log depends on the step that touched this."""
        return any(
            resource in self.written or (resource in self.read and mode in (WRITE, ACQUIRE))
            for resource, mode in log
        )


class Shared:
    """The steps that touched one resource, oldest first.

    They are kept once a second thread has touched the resource.
    """

    __slots__ = ("acquired", "read", "written")

    def __init__(self) -> None:
        self.written: list[int] = []
        self.acquired: list[int] = []
        self.read: list[int] = []

    def record(self, step: int, mode: Mode) -> None:
        """Record that `step` touched the resource."""
        if mode is READ or mode is AWAIT:
            self.read.append(step)
        else:
            self.written.append(step)
            if mode is ACQUIRE:
                self.acquired.append(step)

    def read_since(self) -> list[int]:
        """Return the steps that have read the resource since it was written last."""
        if not self.written:
            return self.read
        return self.read[bisect_left(self.read, self.written[-1]) :]


class History:
    """The steps of a run so far: their threads, what they touched, what happened before them."""

    def __init__(self) -> None:
        self.makers: list[int] = []
        """The number of the thread that made each step."""
        self.footprints: list[Log] = []
        """What each step used.  A resource that it used twice in one mode stands there once."""
        self._log: Log = []
        self._ends: list[int] = []
        """What all steps have declared, as they did, and where in it each of them ends."""
        self.past: list[int] = []
        """What happened before each step, itself included, as bits."""
        self.idle: list[int] = []
        """How many steps in a row its maker has made, at each step, that change nothing."""
        self._steps: dict[int, list[int]] = {}  # the steps of each thread
        # Most resources are touched by one thread only, and then no step need be kept for them.
        self._shared: dict[object, Shared] = {}
        self._own: dict[object, int] = {}  # the thread that touched a resource first
        self._acquired: set[object] = set()  # locks: to give one up changes nothing else

    def __len__(self) -> int:
        return len(self.footprints)

    def add(self, maker: int, log: Log) -> tuple[list[int], bool]:
        """Add a step that was made.

        Returns the earlier steps with which it races, and whether it touched the clock.
        """
        step = len(self.footprints)
        # A step often reads one thing again and again, such as a port's state.
        footprint = list(dict.fromkeys(log))
        past, races, clock = self._compare(maker, footprint, step)
        self.idle.append(self._idle(maker, footprint))
        self.makers.append(maker)
        self.footprints.append(footprint)
        self._log += log
        self._ends.append(len(self._log))
        self.past.append(past | 1 << step)
        self._steps.setdefault(maker, []).append(step)
        return races, clock

    def _idle(self, maker: int, footprint: Log) -> int:
        """Return how many steps in a row `maker` has made, up to this one, that change nothing.

        Such steps are what a thread makes that polls: it looks at something, locks and unlocks, and
        lets time pass.  To read bytes of a block neither counts nor ends the row, because a loop
        over the bytes is not polling.
        """
        before = self.idle[-1] if self.idle else 0
        if maker == TIME:
            return before
        if self.poller() != maker:
            before = 0
        count = 0
        for resource, mode in footprint:
            if mode is ACQUIRE:
                self._acquired.add(resource)
            changes = mode is WRITE and resource not in self._acquired
            own_deadline = resource == (EXPIRY, maker)
            if changes or (mode is AWAIT and not own_deadline):
                return 0
            if type(resource) is not tuple or type(resource[1]) is not str:
                count = 1
        return before + count

    def poller(self) -> int:
        """Return the thread that has made the last step, other than of time."""
        return next((maker for maker in reversed(self.makers) if maker != TIME), TIME)

    def would_race(self, maker: int, touch: Access) -> tuple[list[int], int]:
        """Compare the step that a thread would make next, if it began with `touch`.

        Returns the earlier steps with which it would race, and what would have happened before it.
        """
        past, races, _ = self._compare(maker, [touch], _NOT_MADE)
        return races, past

    # One function, because its cases read the same variables and add to the same lists: a part of
    # it would need them all as arguments.  Speed matters less here than one may think.  Cut in two,
    # the function took 6 % longer, which was 1 % of an exploration.
    def _compare(  # noqa: C901
        self, maker: int, log: Log, step: int
    ) -> tuple[int, list[int], bool]:
        """Return a step's past, its races with earlier steps, and whether it touches the clock.

        `causes` are the earlier steps on which the step depends, unless the thread's own past has
        them.  A race is a cause that is not in the past of another cause.
        """
        past, shared, own = self.past, self._shared, self._own
        steps = self._steps.get(maker)
        # What happened before the thread's last step happens before this one whatever it touches,
        # so nothing in `mine` is a race: to bring it behind this step would change the thread's own
        # order.
        mine = before = past[steps[-1]] if steps else 0
        causes, races, locks, needed, clock = [], [], [], [], False
        for resource, mode in log:
            if resource is CLOCK:
                clock = True
            users = shared.get(resource)
            if users is None:
                if own.setdefault(resource, maker) == maker:
                    continue
                users = shared[resource] = self._recalled(resource, own[resource])
            # The last write alone: earlier writes, and what was read before it, are in its past.
            # `!= step` because a step may touch a resource twice, and has been recorded by then.
            written = users.written
            if written and (other := written[-1]) != step and not mine >> other & 1:
                before |= past[other]
                causes.append(other)
                # A step that awaits or acquires needs this write, so it cannot come first.  But if
                # the log has a race with the same step already, such as of a try to take the lock,
                # the step could have come first, and would have done something else.
                if mode is READ or mode is WRITE:
                    races.append(other)
                elif other not in races:
                    needed.append(other)
            if mode is WRITE:
                for other in users.read_since():
                    if other != step and not mine >> other & 1:
                        before |= past[other]
                        causes.append(other)
                        races.append(other)
            elif mode is ACQUIRE and users.acquired:
                # Two acquisitions of a lock race although the release lies between them: the
                # release comes with its acquisition, so the acquisitions are what can change
                # places.  They stand in a list of their own, because the last statement would drop
                # them.  What is acquired is never read, so reads are not looked at.
                taken = users.acquired[-1]
                if taken != step and not mine >> taken & 1:
                    locks.append(taken)
            # As `record` does, without the call: this is where the search spends its time.
            if step != _NOT_MADE:
                if mode is READ or mode is AWAIT:
                    users.read.append(step)
                else:
                    users.written.append(step)
                    if mode is ACQUIRE:
                        users.acquired.append(step)
        # A step that needs a lock or an item cannot come before the step that gave it up, so what
        # else the two touch is no race of theirs.  Where a lock is meant, the race is that for the
        # lock.
        if needed and races:
            races = [s for s in races if s not in needed]
        if len(causes) > 1:  # a race is direct: no other cause lies between
            races = [s for s in set(races) if not any(past[c] >> s & 1 for c in causes if c != s)]
        return before, races + locks, clock

    def _recalled(self, resource: object, toucher: int) -> Shared:
        """Return the touches of a resource by `toucher`, now that a second thread touches it."""
        shared = Shared()
        for step in self._steps.get(toucher, ()):
            for used, mode in self.footprints[step]:
                if used == resource:
                    shared.record(step, mode)
        return shared

    def apart(self, maker: int, step: int) -> list[int]:
        """Return the last step of each thread but `maker`, unless it happened before `step`."""
        return [
            steps[-1]
            for other, steps in self._steps.items()
            if other != maker and steps and not self.past[step] >> steps[-1] & 1
        ]

    def firsts(self, earlier: int, past: int, maker: int) -> list[int]:
        """Return I(v): the threads that can begin a run in which a step comes before `earlier`.

        The step is one of `maker`, and its past is `past`.  v are the steps that `earlier` does not
        happen before, and then this step.  `maker` is the first in the list if it is an initial.
        """
        v, firsts = 0, []
        for step in range(earlier + 1, len(self.footprints)):
            before = self.past[step]
            if before >> earlier & 1:
                continue
            if not before & v:  # no step of v happens before it
                firsts.append(self.makers[step])
            v |= 1 << step
        if not past & v:
            firsts.insert(0, maker)
        return firsts

    def forget(self, depth: int) -> None:
        """Forget the steps from `depth` on: take back what `_compare` has recorded of them."""
        forgotten = self._shared.get
        for maker, log in zip(self.makers[depth:], self.footprints[depth:], strict=True):
            self._steps[maker].pop()
            for resource, mode in log:
                if (users := forgotten(resource)) is not None:
                    if mode is READ or mode is AWAIT:
                        users.read.pop()
                    else:
                        users.written.pop()
                        if mode is ACQUIRE:
                            users.acquired.pop()
        del self.makers[depth:], self.footprints[depth:], self.past[depth:], self._ends[depth:]
        del self.idle[depth:]
        del self._log[self._ends[-1] if depth else 0 :]

    def follow(self, log: Log) -> int:
        """Check that a run, with one log for all its steps, began with the steps of this history.

        Returns where in the log these steps end.  Raises `Nondeterministic` if the run touched
        other resources.
        """
        known = self._log
        if log[: len(known)] == known:
            return len(known)
        uses = enumerate(zip_longest(known, log, fillvalue=("nothing", READ)))
        at, (then, now) = next((at, pair) for at, pair in uses if pair[0] != pair[1])
        step = sum(end <= at for end in self._ends)
        raise Nondeterministic(f"at step {step} it touched {now[0]} and not {then[0]}")
