"""Every inequivalent schedule, once: dynamic partial-order reduction with source sets and sleep sets.

A run is a sequence of steps, each of one thread, or of *time*.  Runs with the same happens-before relation (`history`)
differ in nothing that a program can see, so one of them is enough.

The search runs the scenario from its beginning again and again.  After each step it asks with which earlier steps of
other threads this one races.  For each such pair it makes a note at the state before the earlier one, to begin there
with what would bring the later one first.  When a run has ended, the last state with a note left is the next to be run
from.

Three rules keep it small and whole.

* A *sleep set* holds the threads that were tried at a state already.  One of them need not be tried again below a
  brother until a step depends on it.  A run in which all that could go on sleeps is cut short: it would only repeat.
* To take a lock races with the taking before, not with the release, and to wait for something does not race with its
  coming, because those cannot change places (`Mode`).
* Time is a thread whose one step lets it pass to the next deadline.  A step that has to do with the clock races with
  it, even if time did not pass in the run.  A run that ends in a fault, or leaves threads behind, ends with a step
  that depends on whatever anybody would have done next.

Sources: Godefroid (1997) for sleep sets; Flanagan and Godefroid (2005) for the races; Abdulla, Aronis, Jonsson and
Sagonas (2014) for source sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from driverref.errors import Nondeterministic
from driverref.explore.history import History, Log, Touched
from driverref.threads.schedule import TIME, FirstCome
from driverref.threads.simulated import SimulatedThread, SimulatedThreads


class Cut(BaseException):
    """Raised in the scenario: this run would only repeat another."""


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
        """Who is still to be tried; where there is no choice, nobody."""
        if len(self.able) == 1:
            return []
        return [n for n in self.notes if n not in self.done and n not in self.sleep]

    def chosen(self, number: int, last: bool = False) -> State:
        """A copy to stand on the way to a part of the tree; the `last` one knows who can go on and who sleeps."""
        if not last:
            return State([], self.default, number, {})
        state = State(self.able, self.default, number, self.sleep)
        state.done = self.done.copy()
        return state

    def asleep_after(self, log: Log) -> dict[int, Touched]:
        """The sleep set after the chosen step, which touched what `log` says."""
        return {
            number: touched
            for number, touched in (self.sleep | self.done).items()
            if number != self.choice and touched is not None and not touched.disturbed_by(log)
        }


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
        super().__init__()
        self.states = list(trunk) or [State([0], 0, 0, {})]
        self.history = History()
        self.base = len(trunk)
        self.demands: list[Demand] = []
        self._forced: dict[int, State] = {}  # states without a choice are all the same
        self._begin()

    def _begin(self) -> None:
        self._known = len(self.history)
        # The trunk's steps have to be looked at one by one, in the first run.
        scripted = self.states[1:] if self._known else []
        self.script = [state.choice for state in reversed(scripted)]
        self._mark = 0  # where the log of the step under way begins
        self._under_way = True
        self._over = False
        self._fatal = False
        self.strange: Nondeterministic | None = None
        """What is wrong with a run that has come to its end."""

    # A run.

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        if self._over:
            return super().choose(threads)
        try:
            self._end_step(threads)
            choice = self._choice(threads)
        except (Nondeterministic, Cut) as error:
            self._over = True
            threads.give_up(error)
            return None
        if choice is None:
            return None
        self._under_way = True
        return None if choice == TIME else threads.started_ones[choice]

    def _choice(self, threads: SimulatedThreads) -> int | None:
        """Who makes the next step; `None` if nobody can."""
        step = len(self.history)
        if step < len(self.states):
            choice = self.states[step].choice
            possible = choice == TIME or (
                choice < len(threads.started_ones) and threads.started_ones[choice].able()
            )
            if not possible:
                raise Nondeterministic(f"at step {step} thread {choice} could not go on")
            return choice
        state = self._new_state(threads)
        if state is None:
            return None
        self.states.append(state)
        return state.choice

    def _new_state(self, threads: SimulatedThreads) -> State | None:
        """The state that has been reached; `None` if nobody can go on."""
        able = [thread.number for thread in threads.in_turn()]
        if threads.armed():
            able.append(TIME)
        if not able:
            return None
        last = self.states[-1]
        sleep = last.asleep_after(self.history.logs[-1]) if last.done or last.sleep else {}
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
        """The step of the last state has ended: whom does it race with?"""
        self._under_way = False
        history, log = self.history, threads.log
        if self._known:
            self._mark, self._known = history.follow(log), 0
        step = len(history)
        if step == len(self.states):
            return
        number = self.states[step].choice
        log, self._mark = log[self._mark :], len(log)
        races, clock = history.add(number, log)
        if step >= self.base - 1:
            for earlier in races:
                self._reverse(earlier, history.past[step], number)
            if clock and number != TIME:
                self._note(step, [TIME])

    def _reverse(self, earlier: int, past: int, number: int) -> None:
        """Have a step of thread `number`, with this past, come before `earlier` in some run."""
        if not self.states[earlier].full():
            self._note(earlier, self.history.firsts(earlier, past, number))

    def _note(self, step: int, threads: list[int]) -> None:
        if step < self.base:
            self.demands.append(Demand(step, threads))
        else:
            self.states[step].note(threads)

    def end(self, threads: SimulatedThreads) -> None:
        """The run has ended."""
        if self._over:
            return
        self._over = True
        if self._under_way:
            try:
                self._end_step(threads)
            except Nondeterministic as error:
                self.strange = error  # the scenario's own exception, if there is one, says more
        if self.strange is None and len(self.history) < len(self.states):
            self.strange = Nondeterministic(f"it ended at step {len(self.history)}")
        if self.strange is not None:
            return
        left = [t for t in threads.threads if t is not threads.main or threads.failure is not None]
        if left:
            self._leave(left, threads)

    def _leave(self, left: list[SimulatedThread], threads: SimulatedThreads) -> None:
        """Some are left, who would have gone on, or wait for ever: with what do their next steps race?"""
        history, last = self.history, len(self.history) - 1
        number, past = history.makers[last], history.past[last]
        if threads.armed() or any(t.able() for t in left):
            self._fatal = True
            numbers = {t.number for t in left} | {TIME}
            for other in self.states[last].able:
                if other in numbers and other != number:
                    self._note(last, [other])
        if threads.failure is None:
            # The adopted thread went away, and what the others did until then may show in the outcome.
            for earlier in history.apart(number, last):
                self._reverse(earlier, past, number)
        for thread in left:
            races, past = history.would_race(thread.number, (thread.thing, thread.mode))
            for earlier in races:
                self._reverse(earlier, past, thread.number)

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
                    state.done[state.choice] = Touched.by(self.history.logs[depth])
                self.history.forget(depth)
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
        if state.choice in state.done:
            return state.done[state.choice]
        return Touched.by(self.history.logs[step])

    def hand_over(self) -> list[State]:
        """The states below the trunk that have been left open, when `next` has chosen one; the last is that one.

        What was begun at a state is done, to whoever goes on elsewhere: the rest of it is in the states below.
        """
        for depth in range(self.base, len(self.states) - 1):
            state = self.states[depth]
            if len(state.able) > 1:
                state.done.setdefault(state.choice, Touched.by(self.history.logs[depth]))
        return self.states[self.base :]

    def deviations(self) -> list[tuple[int, int]]:
        """The steps of the last run that first come would not have made: which, and who made it."""
        return [(i, s.choice) for i, s in enumerate(self.states) if s.choice != s.default]
