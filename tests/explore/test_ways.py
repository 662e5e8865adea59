"""The schedules behind the outcomes: all of them, or where they are too many the shortest."""

from __future__ import annotations

import sys

import pytest
from plays import closes

from driverref import explore
from driverref.explore.schedules import Replay
from driverref.explore.ways import every_way


def test_every_schedule_comes_with_its_outcome() -> None:
    found = explore(closes)
    experiment, ways = every_way(found)
    assert experiment is found.experiment
    assert len({witness for _, witness in ways}) == len(ways) == found.inequivalent
    for outcome, witness in ways:
        assert experiment.run(Replay(witness)) == outcome


def test_of_a_search_that_did_not_come_to_its_end_there_is_the_shortest_of_each_outcome() -> None:
    found = explore(closes, limit=2)
    assert not found.complete
    assert every_way(found)[1] == [(outcome, found[outcome].witness) for outcome in found]


def test_of_many_schedules_there_is_the_shortest_of_each_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = explore(closes)
    monkeypatch.setattr(sys.modules["driverref.explore.ways"], "MOST", len(found))
    assert found.inequivalent > len(found)
    assert len(every_way(found)[1]) == len(found)
