"""Vector clocks: who knows of what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from driverref.threads.clocks import Stamp, VectorClock


def test_a_thread_knows_its_own_past() -> None:
    clock = VectorClock(1)
    assert clock.knows(1, clock.access())


def test_who_joins_a_stamp_knows_what_its_giver_did_before() -> None:
    giver, taker = VectorClock(1), VectorClock(2)
    before = giver.access()
    stamp = giver.stamp()
    after = giver.access()
    assert not taker.knows(1, before)
    taker.join(stamp)
    assert taker.knows(1, before)
    assert not taker.knows(1, after)


def test_knowledge_is_handed_on() -> None:
    first, second, third = VectorClock(1), VectorClock(2), VectorClock(3)
    tick = first.access()
    second.join(first.stamp())
    third.join(second.stamp())
    assert third.knows(1, tick)


def test_no_stamp_and_ones_own_stamp_teach_nothing() -> None:
    clock = VectorClock(1)
    clock.join(None)
    clock.join(clock.stamp())
    assert clock.clock == {}


def test_an_old_stamp_takes_nothing_away() -> None:
    giver, taker = VectorClock(1), VectorClock(2)
    old = giver.stamp()
    tick = giver.access()
    taker.join(giver.stamp())
    taker.join(old)
    assert taker.knows(1, tick)


def test_what_is_done_between_two_stamps_is_covered_by_the_second_only() -> None:
    giver = VectorClock(1)
    assert giver.stamp() is giver.stamp()
    first = giver.stamp()
    giver.access()
    second = giver.stamp()
    giver.join(Stamp(2, 1, {}))
    third = giver.stamp()
    assert first.tick < second.tick < third.tick


@given(
    st.lists(
        st.tuples(st.sampled_from(["do", "give", "take"]), st.integers(0, 2), st.integers(0, 2)),
        max_size=40,
    )
)
def test_clocks_know_what_happened_before_and_nothing_else(
    steps: list[tuple[str, int, int]],
) -> None:
    """Three threads do things, and leave and take stamps at three places: against sets of what was done."""
    clocks = [VectorClock(number) for number in range(3)]
    places: list[tuple[Stamp, frozenset[int]] | None] = [None] * 3
    known = [frozenset[int]() for _ in range(3)]
    done: list[tuple[int, int]] = []
    for what, who, where in steps:
        taken = places[where]
        if what == "do":
            known[who] |= {len(done)}
            done.append((who, clocks[who].access()))
        elif what == "give":
            places[where] = clocks[who].stamp(), known[who]
        elif taken is not None:
            clocks[who].join(taken[0])
            known[who] |= taken[1]
    for clock, mine in zip(clocks, known, strict=True):
        assert {n for n, (who, tick) in enumerate(done) if clock.knows(who, tick)} == mine | {
            n for n, (who, _) in enumerate(done) if who == clock.thread
        }
