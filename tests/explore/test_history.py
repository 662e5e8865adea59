"""Which steps of a run race: told to a history by hand, step by step."""

from __future__ import annotations

from driverref.explore.history import History
from driverref.threads import ACQUIRE, AWAIT, READ, WRITE


def test_two_uses_of_one_resource_race_if_one_of_them_writes() -> None:
    history = History()
    assert history.add(0, [("x", READ)]) == ([], False)
    assert history.add(1, [("x", READ)]) == ([], False)
    races, _ = history.add(2, [("x", WRITE)])
    assert sorted(races) == [0, 1]


def test_under_a_lock_the_race_is_the_one_for_the_lock() -> None:
    """The step that gives the lock back is needed by the next holder, whatever both write."""
    history = History()
    history.add(0, [("lock", ACQUIRE), ("x", WRITE)])
    history.add(0, [("y", READ), ("x", WRITE), ("lock", WRITE)])
    races, _ = history.add(1, [("lock", ACQUIRE), ("x", WRITE)])
    assert races == [0]


def test_an_item_that_is_awaited_makes_no_race_of_what_came_with_it() -> None:
    history = History()
    history.add(0, [("x", WRITE), ("item", WRITE)])
    races, _ = history.add(1, [("item", AWAIT), ("x", READ)])
    assert races == []


def test_a_step_that_could_have_begun_before_races_although_it_takes_the_lock_later() -> None:
    """It reads `x` as soon as it begins, so it could have come before the write of `x`."""
    history = History()
    history.add(0, [("x", WRITE), ("lock", WRITE)])
    races, _ = history.add(1, [("x", READ), ("lock", ACQUIRE)])
    assert races == [0]


def test_what_is_forgotten_races_no_more() -> None:
    history = History()
    history.add(0, [("x", WRITE)])
    history.add(1, [("x", WRITE)])
    history.add(0, [("x", READ)])
    history.forget(1)
    assert len(history) == 1
    assert history.add(1, [("x", READ)]) == ([0], False)


def test_a_resource_that_a_step_uses_twice_stands_once_in_its_footprint() -> None:
    history = History()
    history.add(0, [("x", READ), ("y", WRITE), ("x", READ)])
    assert history.footprints == [[("x", READ), ("y", WRITE)]]
    assert history.follow([("x", READ), ("y", WRITE), ("x", READ), ("z", READ)]) == 3
