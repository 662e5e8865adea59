"""Who goes on, step by step: the rule that `SimulatedThreads` asks.

* `FirstCome`, the default: the running thread keeps the processor until it has to wait; then the one that has waited
  longest among those that can go on.
* `Random`, with a seed: anybody who can go on, at random, at every step.
* The search of `driverref.explore` tries one choice after the other.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driverref.threads.steps import SimulatedThread, Steps


class FirstCome:
    """Whoever runs keeps running; then whoever has waited longest."""

    logs = False

    def __init__(self) -> None:
        self.script: list[int] = []

    def choose(self, threads: Steps) -> SimulatedThread | None:
        return min(threads.able(), key=lambda t: t.arrival, default=None)

    def end(self, threads: Steps) -> None:
        pass


class Random(FirstCome):
    """Anybody, and time as well."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self.random = random.Random(str(seed))

    def choose(self, threads: Steps) -> SimulatedThread | None:
        choices: list[SimulatedThread | None] = [*threads.able()]
        if threads.armed():
            choices.append(None)
        return self.random.choice(choices) if choices else None
