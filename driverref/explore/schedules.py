"""Schedules that are not searched for: the one that a witness names, and those drawn at random.

A schedule is written as the steps that are not first come, with the thread that makes each of them:
`"14:2,20:t"` is "thread 2 makes step 14, and at step 20 time passes".  Threads are numbered in the
order in which they were started; the scenario's own is 0.  `"14:2!"` is the other way of thread 2:
at that step something happens to it that mostly does not (`Threads.chance`).  A *witness* begins
with such a text (`witness`).
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple

from driverref.errors import wrong_type
from driverref.threads.choice import TIME, named, other_way, thread_of
from driverref.threads.schedule import FirstCome
from driverref.threads.steps import Steps

FIRST_COME = "first-come"
"""The schedule without any such step, which is that of a plain `Emulator`."""

_STEP = re.compile(r"(\d+):(?:(t)|(\d+)(!?))")


class Deviation(NamedTuple):
    """A step that is not first come."""

    step: int
    thread: int
    """The choice: the number of the thread that makes the step, or of its other way, or `TIME`."""

    def __str__(self) -> str:
        if self.thread == TIME:
            return f"{self.step}:t"
        return f"{self.step}:{thread_of(self.thread)}{'!' * (self.thread < 0)}"


def written(deviations: Iterable[Deviation]) -> str:
    """Return a schedule as text."""
    return ",".join(map(str, deviations)) or FIRST_COME


def parse(text: str) -> dict[int, int]:
    """Return the thread, or `TIME`, for each step that a witness names.  `""` names none.

    Raises `TypeError` if `text` is no string, `ValueError` if it does not begin with a schedule.
    """
    if not isinstance(text, str):
        raise wrong_type("replay", "witness", "a str, as explore gives it", text)
    found: dict[int, int] = {}
    schedule, _, _ = text.partition("/")
    for part in schedule.split(",") if text and schedule != FIRST_COME else []:
        match = _STEP.fullmatch(part)
        if match is None or (found and int(match[1]) <= max(found)):
            raise ValueError(
                f"replay: {text!r} is no witness: {part!r} should be STEP:THREAD, such as 14:2, or"
                f" STEP:t for time, in order; without such steps it is {FIRST_COME}"
            )
        choice = TIME if match[2] else int(match[3])
        found[int(match[1])] = other_way(choice) if match[4] else choice
    return found


class Witnessed(FirstCome, ABC):
    """A schedule that can say at which steps of its run it is not first come."""

    note: Callable[[Deviation], object] | None = None
    """Called with each such step that was not known when the run began, before it is made."""

    @abstractmethod
    def deviations(self) -> list[Deviation]:
        """Return these steps, as far as they are known."""


class Recorded(Witnessed):
    """A schedule that remembers the steps at which it was not first come."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        """The number of the step under way; step 0 is made before `choose` is called."""
        self._deviations: list[Deviation] = []

    def deviations(self) -> list[Deviation]:
        return self._deviations

    def choose(self, threads: Steps) -> int | None:
        """Return the choice of the next step; `None` if there is none."""
        self.step += 1
        able = threads.in_turn()
        if not able:
            return None
        choice = self.pick(able)
        if choice != able[0]:
            self._deviations.append(Deviation(self.step, choice))
            if self.note is not None:
                self.note(self._deviations[-1])
        return choice

    @abstractmethod
    def pick(self, able: list[int]) -> int:
        """Return one of the choices of this step, which are in first-come order."""


class Replay(Recorded):
    """The schedule of a witness."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.given = parse(text)
        """The steps of the witness that are still to come."""
        self.wrong: str | None = None
        """Why the scenario cannot follow the witness."""

    def pick(self, able: list[int]) -> int:
        if self.step not in self.given:
            return able[0]
        choice = self.given.pop(self.step)
        if choice in able[1:]:
            return choice
        # A witness names no step that is first come.
        why = "cannot go on" if choice not in able else "goes on in any case"
        self.wrong = self.wrong or f"at step {self.step} {named(choice)} {why}"
        return able[0]

    def check(self) -> None:
        """Raise `ValueError` unless the witness was followed to its end."""
        if self.given and self.wrong is None:
            self.wrong = f"the run has only {self.step} steps"
        if self.wrong is not None:
            raise ValueError(
                f"replay: the scenario cannot follow {self.text!r}: {self.wrong};"
                " the witness is of another scenario, or of this one before it was changed"
            )


class RandomWalk(Recorded):
    """A thread at random at each step, all with equal chances; time counts as a thread."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self.random = random.Random(str(seed))

    def pick(self, able: list[int]) -> int:
        return self.random.choice(able)


class Pct(RandomWalk):
    """Probabilistic concurrency testing: random priorities, lowered at a few random steps.

    The thread of the highest priority runs.  Few orders of steps are needed for most faults: a
    fault that needs d of them is found, with d - 1 changes of priority, with a chance of at least 1
    in `n * k**(d-1)`, for n threads and k steps.  Here d is 3.  Source: Burckhardt, Kothari,
    Musuvathi and Nagarakatte (2010).
    """

    def __init__(self, seed: object, steps: int) -> None:
        super().__init__(seed)
        self.changes = {self.random.randint(1, max(steps, 1)) for _ in range(2)}
        """The steps at which the thread of the highest priority gets the lowest: d - 1 of them."""
        self.priorities: dict[int, float] = {}
        self.lowest = 0.0

    def pick(self, able: list[int]) -> int:
        for number in able:
            self.priorities.setdefault(number, self.random.random())
        number = max(able, key=self.priorities.__getitem__)
        if self.step in self.changes:
            self.lowest -= 1
            self.priorities[number] = self.lowest
            number = max(able, key=self.priorities.__getitem__)
        return number
