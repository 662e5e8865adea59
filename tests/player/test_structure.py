"""The structure of steps: what can be played in it is what was run, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plays import ends, explorations

from driverref.explore import Outcomes
from driverref.player import Structure
from driverref.player.recording import Step, record
from driverref.player.structure import bits
from driverref.threads.choice import TIME

PLAYED = [(name, found, Structure.of(found)) for name, found in explorations()]
every_play = pytest.mark.parametrize(
    ("found", "structure"),
    [(found, structure) for _, found, structure in PLAYED],
    ids=[name for name, _, _ in PLAYED],
)


@every_play
def test_the_ends_of_the_structure_are_exactly_the_runs(
    found: Outcomes, structure: Structure
) -> None:
    assert len(structure.runs) == found.inequivalent
    reached = list(ends(structure))
    assert all(len(left) == 1 for _, left in reached)
    assert sorted(left[0] for _, left in reached) == list(range(len(structure.runs)))
    for done, (run,) in reached:
        assert bits(done) == sorted(structure.runs[run].steps)


@every_play
def test_each_run_ends_in_the_outcome_that_the_exploration_counted(
    found: Outcomes, structure: Structure
) -> None:
    outcomes = [run.outcome for run in structure.runs]
    assert {outcome: outcomes.count(outcome) for outcome in found} == {
        outcome: found[outcome].count for outcome in found
    }
    witnesses = {run.witness: run.outcome for run in structure.runs}
    assert all(witnesses[found[outcome].witness] == outcome for outcome in found)


def did(step: Step) -> Iterator[object]:
    """Yield all that a step did, but for the times of what other threads did meanwhile."""
    yield from (step.choice, step.thread, step.does, step.waits, step.stands, step.ended)
    yield from (step.changes, step.holds, step.time if step.choice == TIME else None)
    yield from ((e.thread, e.name, e.port, e.job, repr(e.detail)) for e in step.events)


@every_play
def test_a_step_does_the_same_in_each_of_its_runs(found: Outcomes, structure: Structure) -> None:
    for run in structure.runs:
        again = record(found.experiment, run.witness)
        for number, step in zip(run.steps, again.steps, strict=True):
            assert list(did(step)) == list(did(structure.steps[number]))


@every_play
def test_what_comes_before_a_step_has_a_lower_number(found: Outcomes, structure: Structure) -> None:
    for number in range(len(structure.steps)):
        assert structure.pasts[number] >> number == 1
        causes = structure.causes(number)
        assert sum(bool(structure.before(number) >> cause & 1) for cause in causes) == len(causes)
        whole = 0
        for cause in causes:
            whole |= structure.pasts[cause]
        assert whole == structure.before(number), "all that comes before follows from the causes"


def test_ways_part_where_one_thread_is_before_another_and_nowhere_else() -> None:
    (alone,) = (structure for name, _, structure in PLAYED if name == "one way")
    assert not alone.decisive
    (leak,) = (structure for name, _, structure in PLAYED if name == "a leak")
    events = {event.name for step in leak.decisive for event in leak.steps[step].events}
    assert {"async_invoke", "exit"} & events
    assert "load_driver" not in events
