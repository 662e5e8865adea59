"""A run made again: what is written down of each of its steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plays import answers, closes, hangs, refused

from driverref import Emulator, explore
from driverref.diagnostics import where
from driverref.erl_driver import driver_alloc, driver_free
from driverref.explore import Outcomes
from driverref.player import Structure
from driverref.player.recording import Recorder, Recording, record
from driverref.threads.choice import TIME


def of(found: Outcomes, number: int = 0) -> Recording:
    """Return the recording of the shortest run of an outcome."""
    return record(found.experiment, found[list(found)[number]].witness)


def test_the_events_of_all_steps_are_the_trace() -> None:
    found = explore(closes)
    for number, outcome in enumerate(found):
        events = [event for step in of(found, number).steps for event in step.events]
        assert events == list(found.replay(outcome).trace)


def test_to_look_at_the_state_is_no_use_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each step would depend on each step that has changed anything before."""
    found = explore(closes)
    looked = [of(found, n).past for n in range(len(found))]
    monkeypatch.setattr(Recorder, "_changes", lambda self, events: [])
    assert [of(found, n).past for n in range(len(found))] == looked


def test_a_port_a_block_and_a_job_change() -> None:
    found = explore(closes)
    (closed,) = (n for n, outcome in enumerate(found) if outcome == "<closed>")
    said: dict[tuple[str, str], list[str]] = {}
    for step in of(found, closed).steps:
        for ((name, _), field), now in step.changes:
            said.setdefault((name, field), []).append(now)
    assert said == {
        ("port 1", ""): ["connected", "closed"],
        ("job 1", ""): ["queued", "running", "done", "given to ready_async"],
        ("Word", ""): ["allocated", "freed"],
        ("Word", "text"): ["?", "b'<&>'"],
        ("Word", "stop"): ["?", "0"],
    }


def test_a_thread_stands_at_a_line_of_the_program_and_ends() -> None:
    steps = of(explore(closes)).steps
    places = {where(step.stands) for step in steps if step.stands is not None}
    assert any(place.startswith("plays.py:") and place.endswith(" in work") for place in places)
    assert all(place.startswith("plays.py:") for place in places)
    assert {step.thread for step in steps if step.ended} >= {"async 1", "scheduler 1"}


def test_time_is_a_step_of_its_own() -> None:
    times = [step for step in of(explore(answers)).steps if step.choice == TIME]
    assert [(step.thread, step.time) for step in times] == [("time", 5_000_000)]


def test_a_step_says_what_it_does_with_another_thread() -> None:
    found = explore(closes, schedulers=2)
    steps = [step for n in range(len(found)) for step in of(found, n).steps]
    does = {step.does for step in steps}
    assert {
        "hands over a job for async 1",
        "looks for a job for async 1",
        "hands over work for scheduler 1",
        "looks for work for scheduler 1",
        "takes scheduler 1",
        "goes on after the end of async 1",
        "",
    } <= does
    locks = {step.waits: step.lock for step in steps if step.lock is not None}
    taken = [step.thread for step in steps if (locks["scheduler 1"], True) in step.holds]
    assert {"process <0.1.0>", "scheduler 1"} <= set(taken)


def test_what_mostly_does_not_happen_is_said_in_words() -> None:
    structure = Structure.of(explore(refused, failing_allocations=True))
    assert {step.does for step in structure.steps if step.choice < TIME} == {
        "an allocation that fails"
    }


def frees(erl: Emulator) -> None:
    """Fail in the scenario itself, while a job runs."""
    closes(erl)
    driver_free(driver_alloc(3))
    raise ValueError


@pytest.mark.parametrize("scenario", [hangs, frees])
def test_all_comes_before_the_last_step_of_a_run_that_fails(
    scenario: Callable[[Emulator], object],
) -> None:
    for number in range(len(found := explore(scenario))):
        past = of(found, number).past
        assert past[-1] == (1 << len(past)) - 1


def test_a_witness_of_another_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot follow '5000:1'"):
        record(explore(closes).experiment, "5000:1")
