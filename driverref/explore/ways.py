"""The schedules behind the outcomes: each with its outcome, for what shows more than the counts.

An `Outcomes` keeps one witness of each outcome and no other schedule.  So the search is made again,
and each schedule is kept.
"""

from __future__ import annotations

from collections.abc import Hashable

from driverref.explore.outcomes import Outcomes, Tally
from driverref.explore.run import Experiment
from driverref.explore.sequential import search_all

Way = tuple[Hashable, str]
"""An outcome, and the witness of a run that ends in it."""

MOST = 300
"""How many schedules are kept of an exploration."""


class _Every(Tally):
    """A tally that keeps the witness of each run."""

    def __init__(self) -> None:
        super().__init__()
        self.ways: list[Way] = []

    def count(self, outcome: Hashable, witness: str, times: int = 1) -> None:
        super().count(outcome, witness, times)
        self.ways.append((outcome, witness))


def every_way(outcomes: Outcomes) -> tuple[Experiment, list[Way]]:
    """Return what was explored, and its schedules, in the order of the search.

    If there are more than `MOST`, or if not all are known, it is one schedule for each outcome: its
    shortest.
    """
    experiment = outcomes.experiment
    if not outcomes.complete or outcomes.inequivalent > MOST:
        return experiment, [(outcome, found.witness) for outcome, found in outcomes.items()]
    tally = _Every()
    search_all(experiment, None, tally, lambda _: None)
    return experiment, tally.ways
