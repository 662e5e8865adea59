"""The game as JSON: what a page gets, and where it finds the lines of the program."""

from __future__ import annotations

import json
from types import CodeType
from typing import Any

import pytest
from plays import answers, closes, refused

from driverref import explore
from driverref.explore import Fault
from driverref.player import game, script


def test_every_row_has_a_way_that_leads_to_its_outcome() -> None:
    found = explore(closes)
    data = game(found)
    assert [row for row, _, _ in data["runs"]].count(0) == found[next(iter(found))].count
    for row, outcome in enumerate(found):
        reached, _, witness = data["runs"][data["shortest"][row]]
        assert (reached, witness) == (row, found[outcome].witness)
    assert data["whole"]
    assert data["again"] == 'replay(closes, "{}")'


def test_rows_have_the_names_and_the_order_of_the_table() -> None:
    found = explore(closes)
    labels = [(outcome, f"way {n}", "right") for n, outcome in enumerate(reversed(list(found)))]
    assert game(found, labels)["rows"] == [["way 0", "right"], ["way 1", "right"]]
    assert {grade for _, grade in game(found)["rows"]} == {"", "fault"}
    first = labels[0][0]
    assert game(found, labels)["runs"][0][0] == int(game(found)["runs"][0][0] == 0)
    assert first in found


def test_the_steps_of_a_run_follow_from_its_last_ones() -> None:
    data = game(explore(closes))
    steps = data["steps"]
    for number, step in enumerate(steps):
        assert all(cause < number for cause in step["c"])
    for _, last, _ in data["runs"]:
        assert all(0 <= step < len(steps) for step in last)


def test_only_a_search_that_has_come_to_its_end_is_whole() -> None:
    assert not game(explore(closes, limit=2))["whole"]


def test_the_lines_around_each_place_are_there_and_no_others() -> None:
    data = game(explore(closes))
    ((name, lines),) = data["code"]
    assert name == "plays.py"
    places = {step["p"][1] for step in data["steps"] if "p" in step}
    assert 'word.text = b"<&>"' in {text.strip() for text in lines.values()}
    assert set(lines) == {n for place in places for n in (place - 1, place, place + 1)}


def test_the_source_may_be_found_elsewhere_or_nowhere() -> None:
    def example(code: CodeType) -> tuple[str, list[str]] | None:
        return ("page", ["a", "b"]) if code.co_name == "work" else None

    data = game(explore(closes), sources=lambda code: None)
    assert data["code"] == []
    assert not any("p" in step for step in data["steps"])
    assert [name for name, _ in game(explore(closes), sources=example)["code"]] == ["page"]


def texts(data: dict[str, Any], key: str) -> list[list[str]]:
    """Return what all steps have under a key, in words."""
    return [[data["texts"][n] for n in pair] for s in data["steps"] for pair in s.get(key, [])]


def test_events_and_changes_are_words() -> None:
    data = game(explore(closes))
    assert ["async_invoke", "job 1"] in texts(data, "e")
    assert ["port 1", "", "closed"] in texts(data, "v")
    assert ["Word", "text", "b'<&>'"] in texts(data, "v")
    assert data["threads"] == ["process <0.1.0>", "async 1", "scheduler 1"]


def two(erl: Any) -> None:
    """Have two blocks of one kind."""
    closes(erl)
    closes(erl)


def test_things_of_one_name_have_numbers() -> None:
    names = {thing for thing, _, _ in texts(game(explore(two, limit=1)), "v")}
    assert {"Word (1)", "Word (2)", "port 1", "port 2"} <= names


def test_time_and_the_other_way_are_marked() -> None:
    times = [step for step in game(explore(answers))["steps"] if step["m"] == -1]
    assert {step["t"] for step in times} == {5_000}
    others = [
        step for step in game(explore(refused, failing_allocations=True))["steps"] if "o" in step
    ]
    assert others
    assert all(step["d"] for step in others)


@pytest.mark.parametrize("said", ["</script>", "<!-- <script>"])
def test_no_text_ends_the_element_that_holds_the_game(said: str) -> None:
    text = script(game(explore(lambda erl: said)))
    assert "</" not in text
    assert "<!--" not in text
    assert json.loads(text)["rows"] == [[repr(said), ""]]


def test_a_fault_is_one() -> None:
    found = explore(closes)
    grades = dict(zip(found, (grade for _, grade in game(found)["rows"]), strict=True))
    assert all(
        (grade == "fault") == isinstance(outcome, Fault) for outcome, grade in grades.items()
    )
