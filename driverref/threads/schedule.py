"""Who goes on, step by step: the rule that `SimulatedThreads` asks.

* `FirstCome`, the default: the running thread keeps the processor until it has to wait; then the one that has waited
  longest among those that can go on.
* `Random`, with a seed: anybody who can go on, at random, at every step.
* The search of `driverref.explore` tries one choice after the other.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from driverref.threads.simulated import SimulatedThread, SimulatedThreads

TIME = -1
"""In a script, who lets time pass."""


class Schedule(Protocol):
    """Who goes on, step by step."""

    logs: bool
    """Whether it wants to be told what the steps touch."""
    script: list[int]
    """Who makes the first steps, the last entry first: the numbers of threads, and `TIME`.  It is used up."""

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        """One of `threads.threads` that is able, or `None`: let time pass, or, if it cannot, a deadlock."""
        ...

    def end(self, threads: SimulatedThreads) -> None:
        """The last step has been made: the adopted thread has closed the seam, or something is wrong."""
        ...


class FirstCome:
    """Whoever runs keeps running; then whoever has waited longest."""

    logs = False

    def __init__(self) -> None:
        self.script: list[int] = []

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        return min(threads.able(), key=lambda t: t.arrival, default=None)

    def end(self, threads: SimulatedThreads) -> None:
        pass


class Random(FirstCome):
    """Anybody, and time as well."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self.random = random.Random(str(seed))

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        choices: list[SimulatedThread | None] = [*threads.able()]
        if threads.armed():
            choices.append(None)
        return self.random.choice(choices) if choices else None
