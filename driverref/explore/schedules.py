"""Schedules that are not searched for: the one a witness names, and those drawn at random.

A witness names the steps at which the schedule is not first come, and who makes them: `"14:2,20:t"` is "step 14 is
made by thread 2, step 20 lets time pass".  Threads are numbered in the order in which they were started; the
scenario's own is 0.
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable

from driverref.threads.schedule import TIME, FirstCome
from driverref.threads.simulated import SimulatedThread, SimulatedThreads

_WITNESS = re.compile(r"(\d+):(\d+|t)")


def witness(deviations: Iterable[tuple[int, int]]) -> str:
    """The text of a witness."""
    return ",".join(f"{step}:{'t' if n == TIME else n}" for step, n in deviations)


def deviations(text: str) -> dict[int, int]:
    """What a witness says."""
    if not isinstance(text, str):
        raise TypeError(f"replay: witness must be a str, as explore gives it, not {text!r}")
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
    """A schedule that remembers where it was not first come."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self.deviations: list[tuple[int, int]] = []

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        self.step += 1
        able = [thread.number for thread in threads.in_turn()]
        if threads.armed():
            able.append(TIME)
        if not able:
            return None
        number = self.pick(able)
        if number != able[0]:
            self.deviations.append((self.step, number))
        return None if number == TIME else threads.started_ones[number]

    @abstractmethod
    def pick(self, able: list[int]) -> int:
        """Who of those who are able makes this step; the first is who would first come."""


class Replay(Recorded):
    """The schedule of a witness."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.given = deviations(text)
        self.wrong: str | None = None
        """Why the scenario cannot follow the witness."""

    def pick(self, able: list[int]) -> int:
        number = self.given.pop(self.step, able[0])
        if number not in able:
            who = "time" if number == TIME else f"thread {number}"
            self.wrong = self.wrong or f"at step {self.step} {who} cannot go on"
            return able[0]
        return number

    def check(self) -> None:
        """Raise unless the witness was followed to its end."""
        if self.given and self.wrong is None:
            self.wrong = f"the run has only {self.step} steps"
        if self.wrong is not None:
            raise ValueError(
                f"replay: the scenario cannot follow {self.text!r}: {self.wrong};"
                " the witness is of another scenario, or of other options"
            )


class RandomWalk(Recorded):
    """At each step anybody, with equal chances."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self.random = random.Random(str(seed))

    def pick(self, able: list[int]) -> int:
        return self.random.choice(able)


class Pct(RandomWalk):
    """Probabilistic concurrency testing: random priorities, lowered at a few random steps.

    The thread of the highest priority runs.  Few orders of steps are needed for most faults: a fault that needs d of
    them is found, with d - 1 changes of priority, with a chance of at least 1 in `n * k**(d-1)`, for n threads and k
    steps.  Here d is 3.  Source: Burckhardt, Kothari, Musuvathi and Nagarakatte (2010).
    """

    def __init__(self, seed: object, steps: int) -> None:
        super().__init__(seed)
        self.changes = {self.random.randint(1, max(steps, 1)) for _ in range(2)}
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
