"""The oracle of the search: every schedule there is, one after the other, with no reduction at all.

A `DepthFirst` goes back to the last step at which somebody else could have gone on, and lets him.
What it finds is what there is to find; it takes its time.

Its steps are written down: who made them and what they touched.  A run of the search is made again
by `Follow`, which writes down the same.  From that, and from nothing that the search keeps,
`equivalence_class` says what can tell two runs apart: which steps there were, and which of them
happened before which.

So runs of one class must come to the same.  `a_brother` holds that against one run at a time, of a
program of any size: it makes the run again with steps in other places, as far as none of them
happened before another.  If something is touched that nobody was told of, the steps are others, or
the outcome is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from driverref.emulator import Emulator
from driverref.explore.run import Fault, Order, Scenario, Watch, play
from driverref.explore.schedules import Pct, RandomWalk
from driverref.explore.search import Cut, Search
from driverref.threads import ACQUIRE, WRITE, Mode
from driverref.threads.choice import TIME, other_way, thread_of
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.steps import Access, Steps

Trail = list[tuple[int, list[tuple[object, Mode]]]]
"""Who made a step, and what it touched."""

Class = frozenset[tuple[object, frozenset[object]]]


class TooMany(Exception):
    """There are more schedules than the story has time for."""


class Written(FirstCome):
    """A schedule that writes down who makes which step, and what the step touches."""

    logs = True

    def __init__(self) -> None:
        super().__init__()
        self.steps: Trail = [(0, [])]
        self.over = False

    def watch(self, threads: SimulatedThreads) -> SimulatedThreads:
        """Look at what is touched there."""
        declare = threads.declare

        def look(used: Access) -> None:
            if not self.over:
                self.steps[-1][1].append(used)
            declare(used)

        threads.declare = look
        return threads

    def choose(self, threads: Steps) -> int | None:
        if self.over:
            return super().choose(threads)
        able = threads.able()
        choices = [thread.number for thread in able] + [TIME] * threads.armed()
        choices += [other_way(thread.number) for thread in able if thread.chance]
        if not choices:
            return None
        number = self.pick(len(self.steps) - 1, choices)
        assert number in choices, "the program does something else than the last time"
        self.steps.append((number, []))
        return number

    def pick(self, step: int, choices: list[int]) -> int:
        """Who makes this step."""
        raise NotImplementedError

    def end(self, threads: Steps) -> None:
        self.over = True


class Follow(Written):
    """A schedule that is known."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__()
        self.numbers = numbers

    def pick(self, step: int, choices: list[int]) -> int:
        return self.numbers[step] if step < len(self.numbers) else choices[0]


class DepthFirst(Written):
    """Every way to go on at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[
            list[int]
        ] = []  # at each step: who can still be tried, the one who is first

    def pick(self, step: int, choices: list[int]) -> int:
        if step == len(self.path):
            self.path.append(choices)
        return self.path[step][0]

    def next(self) -> bool:
        """Go back to the last step with somebody left to try; `False` if there is none."""
        del self.path[len(self.steps) - 1 :]
        while self.path and len(self.path[-1]) == 1:
            self.path.pop()
        if not self.path:
            return False
        del self.path[-1][0]
        super().__init__()
        return True


class Drawn(Written):
    """Trail at random: somebody may go on for long, or be left behind for long."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.draw = draw
        self.going_on, self.time = draw.choice([0.0, 0.5, 0.9]), draw.choice([0.02, 0.3, 1.0])
        self.ranked, self.ranks = draw.random() < 0.4, dict[int, float]()

    def pick(self, step: int, choices: list[int]) -> int:
        draw = self.draw
        if TIME in choices and len(choices) > 1 and draw.random() > self.time:
            choices = [number for number in choices if number != TIME]
        if self.ranked:
            for number in choices:
                if number not in self.ranks or draw.random() < 0.02:
                    self.ranks[number] = draw.random()
            return max(choices, key=self.ranks.__getitem__)
        last = self.steps[-1][0]
        return last if last in choices and draw.random() < self.going_on else draw.choice(choices)


def happens_before(steps: Trail) -> list[set[int]]:
    """For each step, those that happened before it: by definition, and slowly."""
    before: list[set[int]] = []
    for later, (who, log) in enumerate(steps):
        past: set[int] = set()
        for earlier, (other, earlier_log) in enumerate(steps[:later]):
            if thread_of(who) == thread_of(other) or any(
                one == another and (writes(mode) or writes(mode2))
                for one, mode in log
                for another, mode2 in earlier_log
            ):
                past |= {earlier, *before[earlier]}
        before.append(past)
    return before


def writes(mode: Mode) -> bool:
    """Whether it is a kind of write."""
    return mode in (WRITE, ACQUIRE)


def equivalence_class(steps: Trail) -> Class:
    """What the run has in common with all that nobody can tell from it."""
    names, count = [], dict[int, int]()
    for who, _ in steps:
        thread = thread_of(who)
        count[thread] = count.get(thread, 0) + 1
        names.append((who, count[thread]))
    return frozenset(
        (name, frozenset(names[step] for step in past))
        for name, past in zip(names, happens_before(steps), strict=True)
    )


def other_places(steps: Trail, draw: random.Random) -> Trail:
    """The steps of a run in another order of the same class.

    The first stays the first, and the last the last.
    """
    before = happens_before(steps)
    left, order = set(range(1, len(steps) - 1)), [0]
    ranks = {who: draw.random() for who, _ in steps} if draw.random() < 0.5 else {}
    while left:
        ready = [step for step in sorted(left) if not before[step] & left]
        order.append(max(ready, key=lambda step: ranks.get(steps[step][0], draw.random())))
        left.remove(order[-1])
    return [steps[step] for step in (*order, len(steps) - 1)]


@dataclass
class Seen:
    """What all the runs of a program came to."""

    runs: int = 0
    cut: int = 0
    outcomes: dict[Hashable, int] = field(default_factory=dict)
    classes: list[Class] = field(default_factory=list)
    """One for each run that was not cut short."""

    def add(self, outcome: Hashable, steps: Trail | None) -> None:
        """A run has ended."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if steps is not None:
            self.classes.append(equivalence_class(steps))


Run = Callable[[SimulatedThreads], Hashable]
"""One run of a program, on threads that have been made for it.  It closes them."""


def every_schedule(run: Run, limit: int, classes: bool = False) -> Seen:
    """What the oracle sees, or `TooMany`."""
    schedule, seen = DepthFirst(), Seen()
    while True:
        seen.runs += 1
        if seen.runs > limit:
            raise TooMany
        threads = SimulatedThreads(schedule=schedule)
        outcome = run(schedule.watch(threads) if classes else threads)
        seen.add(outcome, schedule.steps if classes else None)
        if not schedule.next():
            return seen


def searched(run: Run, limit: int = 100_000) -> Seen:
    """What the search sees, with the class of each run, or `TooMany`."""
    search, seen = Search(), Seen()
    while True:
        seen.runs += 1
        if seen.runs > limit:
            raise TooMany
        try:
            outcome = run(SimulatedThreads(schedule=search))
        except Cut:
            seen.cut += 1
        else:
            follow = Follow([node.choice for node in search.nodes[1:]])
            assert run(follow.watch(SimulatedThreads(schedule=follow))) == outcome
            seen.add(outcome, follow.steps)
        if not search.next():
            return seen


def on_threads(program: Callable[[SimulatedThreads], Any]) -> Run:
    """A program of the seam as a run: what it returns, or the name of the exception that ended it."""

    def run(threads: SimulatedThreads) -> Hashable:
        threads.adopt("main")
        try:
            outcome: Hashable = program(threads)
        except Exception as error:
            outcome = type(error).__name__
        finally:
            threads.close()
        return outcome

    return run


def on_emulator(scenario: Scenario, observe: tuple[str, ...] = (), **options: Any) -> Run:
    """A scenario of `explore` as a run."""
    return lambda threads: outcome_of(scenario, threads, observe, options)


def outcome_of(
    scenario: Scenario, threads: SimulatedThreads, observe: tuple[str, ...], options: dict[str, Any]
) -> Hashable:
    """What the scenario comes to on these threads."""
    watch = Watch(threads, observe)
    value: Hashable = play(scenario, Emulator._on(threads, watch, **options))
    if isinstance(value, Fault) or not observe:
        return value
    return value, Order(watch.order())


def a_brother(run: Run, seed: int) -> None:
    """Make a run at random, and again with its steps in other places: it has the same steps, and comes to the same."""
    draw = random.Random(seed)
    drawn = Drawn(draw)
    outcome = run(drawn.watch(SimulatedThreads(schedule=drawn)))
    for _ in range(2):
        steps = other_places(drawn.steps, draw)
        follow = Follow([who for who, _ in steps[1:]])
        again = run(follow.watch(SimulatedThreads(schedule=follow)))
        assert follow.steps == steps
        assert again == outcome


def drawn_at_random(run: Run, seeds: range) -> set[Hashable]:
    """What some random schedules come to, of two kinds."""
    found = set()
    for seed in seeds:
        schedule = RandomWalk(seed) if seed % 3 else Pct(seed, steps=80)
        found.add(run(SimulatedThreads(schedule=schedule)))
    return found
