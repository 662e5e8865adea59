"""`compare`: one scenario on the emulators of every era, and what they make of it side by side."""

from __future__ import annotations

from typing import Any

import pytest
from support import Worker, opened

from driverref import Emulator
from driverref.explore import Comparison, System, compare, explore
from driverref.release import ERAS, OTP_25, R7B_3

NAMES = [era.name for era in ERAS]


def order_of_two(erl: Emulator) -> str:
    """In what order two jobs that are finished together come back."""
    driver = Worker()
    driver.key = 0
    port = opened(erl, driver)
    erl.port_command(port, b"a")
    erl.port_command(port, b"b")
    return "".join(erl.receive()[1][1].decode() for _ in range(2))


def closed_early(erl: Emulator) -> str:
    """What becomes of a job whose port is closed."""
    freed: list[str] = []

    class Closing(Worker):
        def async_free(self, job: Any) -> None:
            super().async_free(job)
            freed.append("freed")

    port = opened(erl, Closing())
    erl.port_command(port, b"a")
    erl.port_close(port)
    erl.stop()
    return ", ".join(freed) or "delivered"


def nothing(erl: Emulator) -> str:
    """Comes to the same everywhere."""
    return "nothing"


def outcomes(found: Comparison) -> dict[str, set[str]]:
    """What each emulator came to, by its name and whether it has threads; faults by their kind."""
    return {
        str(system): {str(outcome).partition(":")[0] for outcome in those}
        for system, those in found.items()
    }


@pytest.mark.rule("era.stack")
def test_two_jobs_come_back_in_one_order_or_in_either() -> None:
    both = {"ab", "ba"}
    assert outcomes(compare(order_of_two)) == {
        "R7B-3 without threads": {"ab"},
        "R7B-3 +A 1": both,
        "R11B-5 +A 1 +S 1": both,
        "R13B +A 1 +S 1": both,
        "R14B04 +A 1 +S 1": both,
        "R16B +A 1 +S 1": {"ab"},
        "25 +A 1 +S 1": {"ab"},
    }


@pytest.mark.rule("era.leak")
def test_a_closed_ports_job_leaks_in_one_era_only() -> None:
    usual = {"freed", "delivered"}
    found = outcomes(compare(closed_early))
    assert found.pop("R7B-3 without threads") == {"delivered"}
    assert found.pop("R11B-5 +A 1 +S 1") == {"delivered", "Leak"}
    assert list(found.values()) == [usual] * 5


def test_with_two_schedulers_r7b_keeps_its_one_and_the_others_have_two() -> None:
    found = compare(nothing, async_threads=2, schedulers=2)
    assert [(s.release.name, s.async_threads, s.schedulers) for s in found] == [
        ("R7B-3", 0, 1),
        ("R7B-3", 2, 1),
        *[(name, 2, 2) for name in NAMES[1:]],
    ]


def test_without_threads_r7b_comes_once_and_who_has_no_such_emulator_gets_one() -> None:
    found = compare(nothing, async_threads=0)
    assert [(s.release.name, s.async_threads) for s in found] == [
        *[(name, 0) for name in NAMES[:-1]],
        ("25", 1),
    ]


def test_each_has_as_many_threads_as_it_can_have() -> None:
    found = compare(nothing, async_threads=257, limit=1)
    assert [system.async_threads for system in found] == [0, 256] + [257] * 5


def test_who_comes_to_the_same_stands_in_one_row() -> None:
    found = compare(nothing)
    assert found.groups() == [list(found)]
    assert found.rows() == [("every emulator", "'nothing'", found.count(list(found), "nothing"))]
    head, row, end = str(found).splitlines()
    assert head.split() == ["emulator", "outcome", "schedules"]
    assert row.startswith("every emulator  'nothing'")
    assert end == found.summary()


def test_who_comes_to_something_else_has_rows_of_its_own() -> None:
    found = compare(order_of_two)
    assert [[str(system) for system in group] for group in found.groups()] == [
        ["R7B-3 without threads"],
        ["R7B-3 +A 1", "R11B-5 +A 1 +S 1", "R13B +A 1 +S 1", "R14B04 +A 1 +S 1"],
        ["R16B +A 1 +S 1", "25 +A 1 +S 1"],
    ]
    rows = found.rows()
    assert [(bool(first), what) for first, what, _ in rows] == [
        (True, "'ab'"),
        (True, rows[1][1]),
        (False, rows[2][1]),
        (True, "'ab'"),
    ]
    assert {rows[1][1], rows[2][1]} == {"'ab'", "'ba'"}
    assert repr(found) == str(found)
    assert len(str(found).splitlines()) == 6


def test_how_many_schedules_lead_there_is_a_number_or_from_which_to_which() -> None:
    found = compare(order_of_two)
    group, today = found.groups()[1:]
    assert found.count(today, "ab") == f"{found[today[0]]['ab'].count}"
    counts = {found[system]["ab"].count for system in group}
    assert found.count(group, "ab") == " to ".join(map(str, sorted({min(counts), max(counts)})))


def test_a_comparison_says_whether_there_may_be_other_outcomes() -> None:
    limited = compare(order_of_two, limit=1).summary()
    assert limited.startswith(
        "7 emulators, 7 schedules run; there may be other outcomes of R7B-3 +A 1"
    )
    assert compare(nothing).summary().endswith("and there are no other outcomes")


def test_it_is_a_mapping_from_the_emulator_to_what_explore_finds_there() -> None:
    found = compare(order_of_two)
    system = System(R7B_3, 1, 1)
    alone = explore(order_of_two, release="R7B-3", async_threads=1)
    assert {o: found[system][o].count for o in found[system]} == {o: alone[o].count for o in alone}
    assert len(found) == 7
    assert found[System(OTP_25, 1, 1)].complete
    with pytest.raises(KeyError):
        found[System(OTP_25, 3, 1)]


def test_what_a_system_is_can_be_given_to_an_emulator() -> None:
    for system in compare(nothing):
        with Emulator(**system.options) as erl:
            assert erl.system_info("otp_release") == system.release.name
            assert erl.system_info("thread_pool_size") == system.async_threads


def test_observed_events_and_the_limit_are_explores() -> None:
    found = compare(order_of_two, observe=("ready_async",), limit=2)
    assert all("ready_async" in str(outcome) for those in found.values() for outcome in those)
    assert not found[System(R7B_3, 1, 1)].complete


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"async_threads": -1}, ValueError, "async_threads must be from 0 to 1024, not -1"),
        ({"async_threads": "2"}, TypeError, "async_threads must be an int"),
        ({"schedulers": 0}, ValueError, "schedulers must be from 1 to 1024, not 0"),
        ({"schedulers": None}, TypeError, "schedulers must be an int"),
    ],
)
def test_a_wrong_number_of_threads_is_named(
    wrong: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=f"compare: {said}"):
        compare(nothing, **wrong)
