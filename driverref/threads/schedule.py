"""Which thread makes the next step: the rule that `Steps` asks.

* `FirstCome`, the default: the running thread keeps the processor until it has to wait, or its turn
  is over.  Then the one that has waited longest runs, of those that can go on.
* `Random`, with a seed: at every step any thread that can go on, or time, at random.
* The search of `driverref.explore` tries one choice after the other.
"""

from __future__ import annotations

import random

from driverref.threads.choice import TIME
from driverref.threads.steps import Steps


class FirstCome:
    """The running thread as long as it can go on, then the thread that has waited longest."""

    logs = False
    chances: frozenset[str] = frozenset()
    step_limit: int | None = None
    took_turns = False

    def __init__(self) -> None:
        self.script: list[int] = []

    def choose(self, steps: Steps) -> int | None:
        # The running thread needs no case of its own: `Steps` is eager here and does not ask before
        # the thread's turn is over.  A timeout comes last.
        if able := steps.able():
            return min(able, key=lambda thread: thread.arrival).number
        return TIME if steps.armed() else None

    def end(self, steps: Steps) -> None:
        pass


class Random(FirstCome):
    """Any thread that can go on, and time as well."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self.random = random.Random(str(seed))  # a string gives the same numbers in every process

    def choose(self, steps: Steps) -> int | None:
        choices = [thread.number for thread in steps.able()]
        if steps.armed():
            choices.append(TIME)
        return self.random.choice(choices) if choices else None
