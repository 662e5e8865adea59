"""The names of outcomes: which line of a page means which outcome, and what moved in an order."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import pytest
from _ext.outcome_names import holds, moved, named, read
from _ext.pages import fences
from book import PAGES, page_id

from driverref.explore import Fault, Order
from driverref.terms import Atom

DIRECTIVES = {"outcomes", "then-and-now"}
"""The directives that show a table of outcomes."""

BEFORE = Order(("stop", "async_invoke(1)", "async_return(1)", "async_free(1)"))
WHILE = Order(("async_invoke(1)", "stop", "async_return(1)", "async_free(1)"))
AFTER = Order(("async_invoke(1)", "async_return(1)", "stop", "async_free(1)"))
READY = Order(("async_invoke(1)", "async_return(1)", "ready_async(1)", "stop"))
RACE = Fault("DataRace", "read and written", ("drv.py:12 in work", "drv.py:20 in control"))


@pytest.mark.parametrize(
    ("when", "meant"),
    [
        ("stop < async_invoke", BEFORE),
        ("async_invoke < stop < async_return", WHILE),
        ("async_return(1) < stop, async_free", AFTER),
        ("no async_free", READY),
        ("DataRace", RACE),
        ("DataRace in control", RACE),
        ("b'done'", b"done"),
        ("None", None),
        ("('late', 2)", ("late", 2)),
        ("stop < async_free, 'closed'", ("closed", BEFORE)),
        ("closed", Atom("closed")),
    ],
)
def test_a_condition_means_one_outcome(when: str, meant: Hashable) -> None:
    every: list[Hashable] = [BEFORE, WHILE, AFTER, READY, RACE, b"done", None, ("late", 2)]
    assert holds(when, meant)
    assert [outcome for outcome in every if holds(when, outcome)] == [meant] * (meant in every)


@pytest.mark.parametrize(
    "when", ["DataRace in stop", "Leak", "stop", "no stop", "'DataRace'", "async_invoke(2)", "None"]
)
def test_a_condition_of_something_else_does_not_hold(when: str) -> None:
    assert not holds(when, RACE)


def test_the_value_beside_an_order_counts_as_well() -> None:
    pair = ("closed", BEFORE)
    assert not holds("stop < async_free, 'open'", pair)
    assert not holds("async_free < stop, 'closed'", pair)


def test_rows_stand_as_the_page_names_them_with_their_grades() -> None:
    lines = [
        "too late | surprising | ready_async",
        "",
        "it races | DataRace",
        "in time | no ready_async",
    ]
    rows = named(lines, [BEFORE, RACE, READY])
    assert [(row.outcome, row.name, row.grade) for row in rows] == [
        (READY, "too late", "surprising"),
        (RACE, "it races", "fault"),
        (BEFORE, "in time", "right"),
    ]


def test_without_names_only_a_fault_has_a_grade() -> None:
    assert [(row.name, row.grade) for row in named([], [BEFORE, RACE])] == [("", ""), ("", "fault")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["early | stop"], "'early' should mean one outcome, and 'stop' holds for stop async_inv"),
        (["gone | Leak"], "'gone' should mean one outcome, and 'Leak' holds for none"),
        (["early | stop < async_invoke"], "the outcome async_invoke.* should have one line"),
        (["early"], "'early' should be NAME | GRADE | CONDITION"),
    ],
)
def test_a_line_that_names_nothing_and_an_outcome_without_a_line_are_refused(
    lines: list[str], said: str
) -> None:
    with pytest.raises(ValueError, match=said.replace("|", r"\|")):
        named(lines, [BEFORE, WHILE])


def test_a_grade_is_one_of_three_words() -> None:
    assert read("a b | right | stop") == ("a b", "right", "stop")
    assert read("a b | good | stop") == ("a b", "", "good | stop")


@pytest.mark.parametrize(
    ("order", "before", "marked"),
    [
        (WHILE, BEFORE, ["stop"]),
        (AFTER, WHILE, ["stop"]),
        (READY, AFTER, ["ready_async(1)"]),
        (READY, BEFORE, ["ready_async(1)", "stop"]),
        (BEFORE, BEFORE, []),
        (BEFORE, Order(), list(BEFORE)),
    ],
)
def test_what_moved_is_as_little_as_possible_and_rather_a_callback_than_a_job(
    order: Order, before: Order, marked: list[str]
) -> None:
    marks = moved(order, before)
    assert [event for event, mark in zip(order, marks, strict=True) if mark] == marked


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_each_table_of_a_page_names_its_outcomes(page: Path) -> None:
    tables = [f for f in fences(page.read_text("utf-8")) if f.directive in DIRECTIVES]
    unnamed = [
        fence.line
        for fence in tables
        if not [x for x in fence.content.splitlines() if x.strip() and not x.startswith(":")]
    ]
    assert unnamed == []
