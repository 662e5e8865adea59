"""Which thread makes the next step: the rule that `Steps` asks.

* `FirstCome`, the default: the running thread keeps the processor until it has to wait.  Then the
  one that has waited longest runs, of those that can go on.
* `Random`, with a seed: at every step any thread that can go on, or time, at random.
* The search of `driverref.explore` tries one choice after the other.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driverref.threads.steps import SimulatedThread, Steps


class FirstCome:
    """The running thread as long as it can go on, then the thread that has waited longest."""

    logs = False

    def __init__(self) -> None:
        self.script: list[int] = []

    def choose(self, steps: Steps) -> SimulatedThread | None:
        # The running thread needs no case of its own: `Steps` is eager here and does not ask while
        # it can go on.  `None` lets time pass, so here a timeout comes last.
        return min(steps.able(), key=lambda thread: thread.arrival, default=None)

    def end(self, steps: Steps) -> None:
        pass


class Random(FirstCome):
    """Any thread that can go on, and time as well."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self.random = random.Random(str(seed))  # a string gives the same numbers in every process

    def choose(self, steps: Steps) -> SimulatedThread | None:
        choices: list[SimulatedThread | None] = [*steps.able()]
        if steps.armed():
            choices.append(None)
        return self.random.choice(choices) if choices else None
