"""The steps of all runs together: a structure of events, in which equal steps are one.

A step *is* who makes it and what happened before it.  So a step of one run and a step of another
are one step if both have the same maker and the same past.  A run is then a set of steps, and how
far it has come at some moment is a smaller set.  Nothing else is needed to play: a step can be made
if all its past has been made, and if some run has it and all that has been made.

Two steps are in *conflict* if no run has both.  A step is *decisive* if it is in conflict with
another and either could be made next, after one and the same beginning: that is where the ways of
two runs part.  The steps that are not decisive can be made at once, in any order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import NamedTuple

from driverref.explore.outcomes import Outcomes
from driverref.explore.ways import every_way
from driverref.player.recording import Recording, Step, record


class Run(NamedTuple):
    """A run: what came of it, and the numbers of its steps, in the order in which it made them."""

    outcome: Hashable
    witness: str
    steps: list[int]


class Structure:
    """The steps of all runs of an exploration."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        """Each step once.  What comes before a step has a lower number."""
        self.pasts: list[int] = []
        """What happens before each step, itself included: bit `k` is step `k`."""
        self.runs: list[Run] = []
        self._numbers: dict[tuple[int, str, int], int] = {}

    @classmethod
    def of(cls, outcomes: Outcomes) -> Structure:
        """Return the structure of an exploration, whose runs are made again."""
        structure = cls()
        experiment, ways = every_way(outcomes)
        for outcome, witness in ways:
            structure.add(outcome, witness, record(experiment, witness))
        return structure

    def add(self, outcome: Hashable, witness: str, recording: Recording) -> None:
        """Add a run."""
        mine: list[int] = []
        for n, (step, past) in enumerate(zip(recording.steps, recording.past, strict=True)):
            before = sum(1 << mine[k] for k in range(n) if past >> k & 1)
            # A thread has the same number in all runs, but for one that two others could start in
            # either order.
            key = (step.choice, step.thread, before)
            number = self._numbers.setdefault(key, len(self.steps))
            if number == len(self.steps):
                self.steps.append(step)
                self.pasts.append(before | 1 << number)
            mine.append(number)
        self.runs.append(Run(outcome, witness, mine))

    def before(self, step: int) -> int:
        """Return what happens before a step, without the step, as bits."""
        return self.pasts[step] & ~(1 << step)

    def last(self, steps: Iterable[int]) -> list[int]:
        """Return those of the steps that happen before no other of them, in falling order."""
        covered, found = 0, []
        for step in sorted(steps, reverse=True):
            if not covered >> step & 1:
                found.append(step)
                covered |= self.pasts[step]
        return found

    def causes(self, step: int) -> list[int]:
        """Return the steps that happen directly before a step."""
        return self.last(bits(self.before(step)))

    @cached_property
    def decisive(self) -> frozenset[int]:
        """The steps at which the ways of two runs part.  Asked when all runs have been added."""
        having = [0] * len(self.steps)  # the runs that have each step
        for r, run in enumerate(self.runs):
            for step in run.steps:
                having[step] |= 1 << r
        every = (1 << len(self.runs)) - 1
        ready = []  # the runs that have all that comes before a step
        for step in range(len(self.steps)):
            runs = every
            # What comes before a cause is in each run that has the cause.
            for cause in self.causes(step):
                runs &= having[cause]
            ready.append(runs)
        # Only a step that some run could have made and has not is in conflict.
        open_ones = [s for s in range(len(self.steps)) if having[s] != ready[s]]
        found: set[int] = set()
        for n, one in enumerate(open_ones):
            mine, could = having[one], ready[one]
            for other in open_ones[:n]:
                theirs = having[other]
                if not mine & theirs and mine & ready[other] and theirs & could:
                    found |= {one, other}
        return frozenset(found)


def bits(mask: int) -> list[int]:
    """Return the numbers of the bits that are set, in rising order."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found
