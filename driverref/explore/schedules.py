"""Schedules that are not searched for: the one that a witness names, and those drawn at random.

A *witness* names the steps of a schedule that are not first come, and the thread that makes each of
them: `"14:2,20:t"` is "thread 2 makes step 14, and at step 20 time passes".  Threads are numbered
in the order in which they were started; the scenario's own is 0.
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

from driverref.diagnostics import shown
from driverref.threads.schedule import FirstCome
from driverref.threads.steps import TIME, SimulatedThread, Steps

FIRST_COME = "first come"
"""Stands in a table for the empty witness."""

_WITNESS = re.compile(r"(\d+):(\d+|t)")


class Deviation(NamedTuple):
    """A step that is not first come."""

    step: int
    thread: int
    """The number of the thread that makes the step; `TIME`: time passes."""


def witness(deviations: Iterable[Deviation]) -> str:
    """Return the text of a witness."""
    return ",".join(f"{step}:{'t' if n == TIME else n}" for step, n in deviations)


def parse(text: str) -> dict[int, int]:
    """Return the thread, or `TIME`, for each step that a witness names.

    Raises `TypeError` if `text` is no string, `ValueError` if it is no witness.
    """
    if not isinstance(text, str):
        raise TypeError(f"replay: witness must be a str, as explore gives it, not {shown(text)}")
    found: dict[int, int] = {}
    for part in text.split(",") if text else []:
        match = _WITNESS.fullmatch(part)
        if match is None or (found and int(match[1]) <= max(found)):
            raise ValueError(
                f"replay: {text!r} is no witness: {part!r} should be STEP:THREAD, such as 14:2, or"
                " STEP:t for time, in order"
            )
        found[int(match[1])] = TIME if match[2] == "t" else int(match[2])
    return found


class Recorded(FirstCome, ABC):
    """A schedule that remembers the steps at which it was not first come."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        """The number of the step under way; step 0 is made before `choose` is called."""
        self.deviations: list[Deviation] = []

    def choose(self, threads: Steps) -> SimulatedThread | None:
        """Return the thread that makes the next step; `None`: let time pass."""
        self.step += 1
        able = [thread.number for thread in threads.in_turn()]
        if threads.armed():
            able.append(TIME)
        if not able:
            return None
        number = self.pick(able)
        if number != able[0]:
            self.deviations.append(Deviation(self.step, number))
        return None if number == TIME else threads.started_ones[number]

    @abstractmethod
    def pick(self, able: list[int]) -> int:
        """Return one of the threads that can make this step; they are in first-come order."""


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
        number = self.given.pop(self.step, able[0])
        if number not in able:
            thread = "time" if number == TIME else f"thread {number}"
            self.wrong = self.wrong or f"at step {self.step} {thread} cannot go on"
            return able[0]
        return number

    def check(self) -> None:
        """Raise `ValueError` unless the witness was followed to its end."""
        if self.given and self.wrong is None:
            self.wrong = f"the run has only {self.step} steps"
        if self.wrong is not None:
            raise ValueError(
                f"replay: the scenario cannot follow {self.text!r}: {self.wrong};"
                " the witness is of another scenario, or of other options"
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
