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
from driverref.threads import ACQUIRE, READ, WRITE
from driverref.threads.simulated import CLOCK, FirstCome, SimulatedThread, SimulatedThreads, Touch

TIME = -1
"""The number of the thread whose step lets time pass."""

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


class _Thing:
    """Which steps have touched a thing, as far as a later one may race with them."""

    __slots__ = ("acquired", "reads", "written")

    def __init__(self) -> None:
        self.written = self.acquired = -1
        self.reads: list[int] = []


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
        self._begin()

    def _begin(self) -> None:
        self._last: dict[int, int] = {}
        self._things: dict[object, _Thing] = {}
        self._step = 0
        self._under_way = True
        self._over = False
        self.cut = False
        self._fatal = False

    # A run.

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        if self._over:
            return super().choose(threads)
        self._end_step(threads)
        self._step += 1
        if self._step < len(self.states):
            number = self.states[self._step].choice
        elif (state := self._new_state(threads)) is None:
            return None
        else:
            self.states.append(state)
            number = state.choice
        self._under_way = True
        if number == TIME:
            return None
        for thread in threads.threads:
            if thread.number == number:
                return thread
        raise self._strange(f"thread {number} is not there")

    def _new_state(self, threads: SimulatedThreads) -> State | None:
        """The state that has been reached; `None` if nobody can go on, or nobody who does not sleep."""
        state = self.states[self._step - 1]
        sleep = state.asleep_after(self._logs[self._step - 1])
        ready = threads.able()
        ready.sort(key=lambda t: -1 if t is threads.running else t.arrival)
        able = [thread.number for thread in ready]
        if threads.armed():
            able.append(TIME)
        if not able:
            return None
        if not sleep:
            return State(able, able[0], able[0], sleep)
        for number in able:
            if number not in sleep:
                return State(able, able[0], number, sleep)
        self.cut = self._over = True
        threads.give_up(Cut())
        return None

    def _end_step(self, threads: SimulatedThreads) -> None:
        """The step under way has ended: whom does it race with?"""
        self._under_way = False
        step, log = self._step, threads.log
        threads.log = []
        number = self.states[step].choice
        if step < len(self._logs):
            if log != self._logs[step]:
                raise self._strange(_difference(self._logs[step], log))
        else:
            self._logs.append(log)
            before = self._past[self._last[number]] if number in self._last else 0
            past, races = self._races(log, before)
            self._past.append(past | 1 << step)
            if step >= self.base - 1:
                for earlier in races:
                    self._reverse(earlier, step, number)
                if number != TIME and any(thing is CLOCK for thing, _ in log):
                    self._note(step, [TIME])
        self._last[number] = step
        self._enter(log, step)

    def _races(self, log: Log, before: int) -> tuple[int, list[int]]:
        """What happened before a step, and the earlier steps that it races with.

        `before` is what happened before it in its own thread.
        """
        past, causes, locks = before, [], []
        all_past, things = self._past, self._things
        raced = set()
        for thing, mode in log:
            touched = things.get(thing)
            if touched is None:
                continue
            earlier = touched.reads if mode in (WRITE, ACQUIRE) else ()
            if touched.written >= 0:
                earlier = [*earlier, touched.written]
            for step in earlier:
                past |= all_past[step]
                if not before >> step & 1:
                    causes.append(step)
                    if mode is READ or mode is WRITE:
                        raced.add(step)
            if mode is ACQUIRE and touched.acquired >= 0 and not before >> touched.acquired & 1:
                locks.append(touched.acquired)
        # A race is direct: no other step lies between.
        direct = [s for s in raced if not any(all_past[c] >> s & 1 for c in causes if c != s)]
        return past, [*direct, *locks]

    def _enter(self, log: Log, step: int) -> None:
        """Remember what a step has touched."""
        things = self._things
        for thing, mode in log:
            touched = things.get(thing)
            if touched is None:
                touched = things[thing] = _Thing()
            if mode is WRITE or mode is ACQUIRE:
                touched.written = step
                touched.reads = []
                if mode is ACQUIRE:
                    touched.acquired = step
            else:
                touched.reads.append(step)

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
        if any(t.able() for t in left):
            self._fatal = True
            numbers = {t.number for t in left} | {TIME}
            for number in self.states[last].able:
                if number in numbers and number != self.states[last].choice:
                    self._note(last, [number])
        for thread in left:
            before = self._past[self._last[thread.number]] if thread.number in self._last else 0
            past, races = self._races([(thread.thing, thread.mode)], before)
            self._past.append(past)
            for earlier in races:
                self._reverse(earlier, last + 1, thread.number)
            self._past.pop()

    def _strange(self, what: str) -> Nondeterministic:
        return Nondeterministic(self._step, what)

    # The next run.

    def next(self) -> bool:
        """Go back to the last state with something left to try; `False` if there is none."""
        states = self.states
        if self._fatal:
            states[-1].done[states[-1].choice] = None
        for depth in range(len(states) - 1, self.base - 1, -1):
            state = states[depth]
            if state.choice not in state.done:
                state.done[state.choice] = Touched.by(self._logs[depth])
            if left := state.left():
                state.choice = left[0]
                del states[depth + 1 :], self._logs[depth:], self._past[depth:]
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
