"""Every inequivalent schedule, once: dynamic partial-order reduction with source sets and sleep sets.

A run is a sequence of steps.  A step belongs to one thread, or to *time*, and has a log of the things it touched.  Two
steps depend on each other if they touch one thing and one of them writes; a step *happens before* another if a chain
of dependent steps, or of steps of one thread, leads from it to the other.  Runs with the same happens-before relation
differ in nothing that a program can see, so one of them is enough.

The search runs the scenario from its beginning again and again.  After each step it asks: with which earlier steps of
other threads does this one race, that is, depend directly and could have come first?  For each such pair it makes a
note at the state before the earlier one, to begin there with what would bring the later one first.  When a run has
ended, the last state with a note left is the next to be run from.

Three rules keep it small and whole.

* A *sleep set* holds the threads that were tried at a state already.  One of them need not be tried again below a
  brother until a step depends on it.  A run in which all that could go on sleeps is cut short: it would only repeat.
* To take a lock races with the taking before, not with the release, and to wait for something does not race with its
  coming, because those cannot change places (`Mode`).
* Time is a thread whose one step lets it pass to the next deadline.  A step that has to do with the clock races with
  it, even if time did not pass in the run.  A run that ends in a fault, or leaves threads behind, ends with a step
  that depends on whatever anybody would have done next.

Happens-before is kept as one integer a step: bit `k` says that step `k` happened before it.

Sources: Godefroid (1997) for sleep sets; Flanagan and Godefroid (2005) for the races; Abdulla, Aronis, Jonsson and
Sagonas (2014) for source sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from driverref.errors import Nondeterministic
from driverref.threads import ACQUIRE, AWAIT, READ, WRITE, Mode
from driverref.threads.simulated import CLOCK, FirstCome, SimulatedThread, SimulatedThreads, Touch

TIME = -1
"""The number of the thread whose step lets time pass."""

NEVER = -1
"""The number of a step that was not made."""

Log = list[Touch]


class Cut(BaseException):
    """Raised in the scenario: this run would only repeat another."""


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


class State:
    """The state before a step, and which ways to go on are to be tried there."""

    __slots__ = ("able", "choice", "default", "done", "notes", "sleep")

    def __init__(
        self, able: list[int], default: int, choice: int, sleep: dict[int, Touched]
    ) -> None:
        self.able = able
        """Who can make the next step."""
        self.default = default
        """Who would make it if threads went on first come."""
        self.choice = choice
        self.notes = [choice]
        """Who is to be tried, or was."""
        self.done: dict[int, Touched | None] = {}
        """Who was tried, and what the step touched; `None`: it ended the run, and depends on everything."""
        self.sleep = sleep
        """Who was tried before, at this state or above it, and would only repeat."""

    def note(self, threads: Iterable[int]) -> None:
        """Try one of `threads`, unless one of them is tried anyway."""
        first = None
        for number in threads:
            if number in self.notes or number in self.sleep:
                return
            if first is None and number in self.able:
                first = number
        if first is not None:
            self.notes.append(first)

    def full(self) -> bool:
        """Whether everybody is tried anyway, so that there is nothing to note."""
        return len(self.notes) == len(self.able) > 0

    def left(self) -> list[int]:
        """Who is still to be tried."""
        return [n for n in self.notes if n not in self.done and n not in self.sleep]

    def chosen(self, number: int, with_sleep: bool = False) -> State:
        """A copy to stand on the way to a part of the tree."""
        state = State([], self.default, number, self.sleep if with_sleep else {})
        if with_sleep:
            state.done = self.done.copy()
        return state

    def asleep_after(self, log: Log) -> dict[int, Touched]:
        """The sleep set after the chosen step, which touched what `log` says."""
        if not self.done and not self.sleep:
            return {}
        return {
            number: touched
            for number, touched in (self.sleep | self.done).items()
            if number != self.choice and touched is not None and not touched.disturbed_by(log)
        }


class _Shared:
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

    def disturbing(self, mode: Mode) -> list[int]:
        """The steps on which a touch in this mode depends, but those that others of them follow."""
        written = self.written[-1:]
        if mode is READ or mode is AWAIT:
            return written
        last = written[0] if written else NEVER
        for step in reversed(self.read):
            if step < last:
                break
            written.append(step)
        return written


class Demand(NamedTuple):
    """A note for a state above the part of the tree that a search was given."""

    depth: int
    threads: list[int]


class Search(FirstCome):
    """The schedules below `trunk`, one run after the other.  A `Schedule` for `SimulatedThreads`.

    `trunk` is the way to the root of the part that is searched: all its states, with their choices.
    """

    logs = True

    def __init__(self, trunk: Sequence[State] = ()) -> None:
        self.states = list(trunk) or [State([0], 0, 0, {})]
        self.base = len(trunk)
        self.demands: list[Demand] = []
        self._logs: list[Log] = []
        self._past: list[int] = []
        self._steps: dict[int, list[int]] = {}  # of each thread
        self._forced: dict[int, State] = {}  # states without a choice are all the same
        self._things: dict[object, _Shared | int] = {}  # or the number of the only thread
        self._begin()

    def _begin(self) -> None:
        self._step = 0
        self._known = len(self._logs)
        self._mark = 0  # where the log of the step under way begins
        self._under_way = True
        self._over = False
        self._fatal = False

    # A run.

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        if self._over:
            return super().choose(threads)
        try:
            if self._step >= self._known - 1:
                self._end_step(threads)
            self._step += 1
            number = self._choice(threads)
        except (Nondeterministic, Cut) as error:
            self._over = True
            threads.give_up(error)
            return None
        if number is None:
            return None
        self._under_way = True
        return None if number == TIME else threads.started_ones[number]

    def _choice(self, threads: SimulatedThreads) -> int | None:
        """Who makes the next step; `None` if nobody can."""
        if self._step < len(self.states):
            number = self.states[self._step].choice
            there = number < len(threads.started_ones)
            if not there or (number != TIME and not threads.started_ones[number].able()):
                raise self._strange(f"thread {number} cannot go on")
            return number
        state = self._new_state(threads)
        if state is None:
            return None
        self.states.append(state)
        return state.choice

    def _new_state(self, threads: SimulatedThreads) -> State | None:
        """The state that has been reached; `None` if nobody can go on, or nobody who does not sleep."""
        able = [thread.number for thread in threads.in_turn()]
        if threads.armed():
            able.append(TIME)
        if not able:
            return None
        last = self.states[-1]
        sleep = last.asleep_after(self._logs[-1]) if last.done or last.sleep else {}
        if len(able) == 1 and not sleep:
            forced = self._forced.get(able[0])
            if forced is None:
                forced = self._forced[able[0]] = State(able, able[0], able[0], sleep)
            return forced
        for number in able:
            if number not in sleep:
                return State(able, able[0], number, sleep)
        raise Cut

    def _end_step(self, threads: SimulatedThreads) -> None:
        """The step under way has ended: whom does it race with?"""
        self._under_way = False
        step = self._step
        if step < self._known:
            self._compare(threads.log)
            return
        log = threads.log[self._mark :]
        self._mark = len(threads.log)
        number = self.states[step].choice
        past, races, clock = self._races(log, number, step)
        self._logs.append(log)
        self._past.append(past | 1 << step)
        self._steps.setdefault(number, []).append(step)
        if step >= self.base - 1:
            for earlier in races:
                if not self.states[earlier].full():
                    self._reverse(earlier, step, number)
            if clock and number != TIME:
                self._note(step, [TIME])

    def _compare(self, log: Log) -> None:
        """Raise unless the steps so far, which have been made before, have touched what they touched then."""
        self._mark = len(log)
        known = [touch for step in self._logs for touch in step]
        if log == known:
            return
        at = 0
        for step, then in enumerate(self._logs):
            now = log[at : at + len(then)]
            at += len(then)
            if now != then or step == len(self._logs) - 1:
                raise self._strange(_difference(then, now), step)

    def _races(self, log: Log, number: int, step: int) -> tuple[int, list[int], bool]:
        """What happened before a step, the earlier steps that it races with, and whether it has to do with the clock.

        The step is remembered, unless it is `NEVER` made.
        """
        shared, clock = self._touch(log, number, step)
        past = self._past
        steps = self._steps.get(number)
        mine = before = past[steps[-1]] if steps else 0
        if not shared:
            return before, [], clock
        causes: list[int] = []
        races: list[int] = []
        locks: list[int] = []
        for thing, mode in shared:
            for other in thing.disturbing(mode):
                if other != step and not mine >> other & 1:
                    before |= past[other]
                    causes.append(other)
                    if mode is READ or mode is WRITE:
                        races.append(other)
            if mode is ACQUIRE and thing.acquired:
                taken = thing.acquired[-1]
                if taken != step and not mine >> taken & 1:
                    locks.append(taken)
            if step != NEVER:
                thing.touch(step, mode)
        if len(causes) > 1:  # a race is direct: no other step lies between
            races = [s for s in set(races) if not any(past[c] >> s & 1 for c in causes if c != s)]
        return before, races + locks, clock

    def _touch(self, log: Log, number: int, step: int) -> tuple[list[tuple[_Shared, Mode]], bool]:
        """The things in a log that other threads touch as well, and whether the clock is among all."""
        things = self._things
        shared, clock = [], False
        for thing, mode in log:
            if thing is CLOCK:
                clock = True
            touched = things.get(thing)
            if touched == number:
                continue
            if touched is None:
                if step != NEVER:
                    things[thing] = number  # most things are one thread's own
                continue
            if type(touched) is int:
                touched = things[thing] = self._shared(thing, touched)
            shared.append((touched, mode))
        return shared, clock  # type: ignore[return-value]

    def _shared(self, thing: object, toucher: int) -> _Shared:
        """A second thread touches a thing: what the first has done with it."""
        shared = _Shared()
        for step in self._steps[toucher]:
            for touched, mode in self._logs[step]:
                if touched == thing:
                    shared.touch(step, mode)
        return shared

    def _forget(self, depth: int) -> None:
        """Forget the steps from `depth` on."""
        things = self._things
        for log, state in zip(self._logs[depth:], self.states[depth:], strict=False):
            self._steps[state.choice].pop()
            for thing, mode in log:
                touched = things[thing]
                if not isinstance(touched, int):
                    touched.forget(mode)
        del self._logs[depth:], self._past[depth:]

    def _reverse(self, earlier: int, later: int, number: int) -> None:
        """Have `later`, a step of thread `number`, come before `earlier` in some run.

        What has to be run instead of `earlier` is what does not depend on it, and then `later`.  Any thread with
        which that may begin will do.
        """
        apart, first = 0, []
        for step in range(earlier + 1, later):
            past = self._past[step]
            if past >> earlier & 1:
                continue
            if not past & apart:
                first.append(self.states[step].choice)
            apart |= 1 << step
        if not self._past[later] & apart:
            first.insert(0, number)
        self._note(earlier, first)

    def _note(self, step: int, threads: list[int]) -> None:
        if step < self.base:
            self.demands.append(Demand(step, threads))
        else:
            self.states[step].note(threads)

    def end(self, threads: SimulatedThreads) -> None:
        """The run has ended; those who are left would have gone on, or wait for ever."""
        if self._over:
            return
        if self._under_way:
            self._end_step(threads)
        self._over = True
        left = [t for t in threads.threads if t is not threads.main or threads.failure is not None]
        if not left:
            return
        last = len(self._logs) - 1
        if threads.armed() or any(t.able() for t in left):
            self._fatal = True
            numbers = {t.number for t in left} | {TIME}
            for number in self.states[last].able:
                if number in numbers and number != self.states[last].choice:
                    self._note(last, [number])
        for thread in left:
            past, races, _ = self._races([(thread.thing, thread.mode)], thread.number, NEVER)
            self._past.append(past)
            for earlier in races:
                self._reverse(earlier, last + 1, thread.number)
            self._past.pop()

    def _strange(self, what: str, step: int | None = None) -> Nondeterministic:
        return Nondeterministic(self._step if step is None else step, what)

    # The next run.

    def next(self) -> bool:
        """Go back to the last state with something left to try; `False` if there is none."""
        states = self.states
        if self._fatal and len(states[-1].able) > 1:
            states[-1].done[states[-1].choice] = None
        for depth in range(len(states) - 1, self.base - 1, -1):
            state = states[depth]
            if len(state.notes) == 1:
                continue
            if others := [number for number in state.left() if number != state.choice]:
                if state.choice not in state.done:
                    state.done[state.choice] = Touched.by(self._logs[depth])
                self._forget(depth)
                state.choice = others[0]
                del states[depth + 1 :]
                self._begin()
                return True
        return False

    def repeat(self) -> None:
        """Make the next run the same as the last one."""
        self._begin()

    def touched(self, step: int) -> Touched | None:
        """What a step of the last run touched; `None`: it ended the run."""
        state = self.states[step]
        return (
            state.done[state.choice] if state.choice in state.done else Touched.by(self._logs[step])
        )

    def hand_over(self) -> list[State]:
        """The states below the trunk that have been left open, when `next` has chosen one; the last is that one.

        What was begun at a state is done, to whoever goes on elsewhere: the rest of it is in the states below.
        """
        for depth in range(self.base, len(self.states) - 1):
            state = self.states[depth]
            if len(state.able) > 1:
                state.done.setdefault(state.choice, Touched.by(self._logs[depth]))
        return self.states[self.base :]

    def deviations(self) -> list[tuple[int, int]]:
        """The steps of the last run that first come would not have made: which, and who made it."""
        return [(i, s.choice) for i, s in enumerate(self.states) if s.choice != s.default]


def _difference(was: Log, now: Log) -> str:
    for (one, _), (other, _) in zip(was, now, strict=False):
        if one != other:
            return f"it touched {one}, and then {other}"
    return f"it touched {len(was)} things, and then {len(now)}"
