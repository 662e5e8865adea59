"""The judge's own driver in C, hosted: it does what the judge in Python does, and what OTP 25 did.

`judge_drv.c` is unchanged.  Its log, gates and names are Python's here: stand-ins for `judge_log.c`.
So all of `tests/beam` becomes a test of the host that needs no emulator.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "beam"))
import judge
import run as beam
from cc import needs_compiler
from scenarios import SCENARIOS, Scenario

from driverref import Emulator, explore
from driverref.explore import Fault, Order
from driverref.hosting import CDriver, c_driver
from driverref.hosting.run import Run
from driverref.hosting.sockets import take_over
from driverref.hosting.special import driver_async
from driverref.threads import running

pytestmark = [pytest.mark.slow, needs_compiler]

RECORD = json.loads(beam.RECORD.read_text("utf-8"))["scenarios"]
LIMIT = 5000


class CPlay(judge.Play):
    """The words of the scenarios, with the driver in C."""

    playing: CPlay

    def __init__(self, erl: Emulator) -> None:
        super().__init__(erl)
        CPlay.playing = self
        self.jobs = 1

    def driver(self, name: str) -> Any:
        if name not in self.drivers:
            self.drivers[name] = compiled(name)()  # type: ignore[assignment]
        return self.drivers[name]


def event(run: Run, a: memoryview) -> None:
    """What the driver logs is in the model's own trace, but for the events that must not be."""
    name = run.text(a[0])
    assert name not in ("bad-script", "wrong-thread"), name


def submit(run: Run, a: memoryview) -> int:
    play = CPlay.playing
    run.write_word(a[5], play.jobs, 4)
    job: int = driver_async(run, a[:5])
    play.jobs += job != -1
    return job


def name_of_thread(run: Run, a: memoryview) -> None:
    run.write(a[0], running().lane.encode() + b"\0")


STAND_INS: dict[str, Callable[[Run, memoryview], object]] = {
    "judge_event": event,
    "judge_void": lambda run, a: None,
    "judge_enter": lambda run, a: None,
    "judge_leave": lambda run, a: None,
    "judge_expect": lambda run, a: None,
    "judge_async": submit,
    "judge_wait": lambda run, a: CPlay.playing.gates.wait(a[0]),
    "judge_give": lambda run, a: CPlay.playing.gates.give(a[0]),
    "judge_tell": lambda run, a: CPlay.playing.gates.give(a[0]),
    "judge_renumber": lambda run, a: a[0],
    "judge_keep": lambda run, a: take_over(run, a[0]),
    "judge_alloc": lambda run, a: run.host.lend(run, bytes(a[0])),
    "judge_thread": name_of_thread,
}


@cache
def compiled(name: str) -> CDriver:
    defined, *others = beam.VARIANTS[name].replace("PORT", "ERL_DRV_FLAG_USE_PORT_LOCKING").split()
    flags = [f"-DJUDGE={name}", f"-DFLAGS={defined}", *others, "-w"]
    return c_driver(beam.HERE / "judge_drv.c", flags=flags, stand_ins=STAND_INS)


def hosted(scenario: Scenario) -> Callable[[Emulator], None]:
    """The scenario, with the driver in C."""
    story = scenario.model.args[0]  # type: ignore[attr-defined]
    return lambda erl: story(CPlay(erl))


def shown(outcome: object) -> str:
    """An outcome, with a fault by its class alone: the texts name lines of two languages."""
    return outcome.name if isinstance(outcome, Fault) else str(outcome)


# The model's own release.  What it is on others, the judge in Python shows.
KINDS = [
    (scenario, entry)
    for scenario in SCENARIOS
    for entry in RECORD[scenario.name]
    if entry["release"] == "25"
]


def named(value: Any) -> str:
    """The name of a scenario, or the options of an emulator."""
    return value.name if isinstance(value, Scenario) else value["options"].replace(" ", "")


@pytest.mark.rule("hosting.same-outcomes")
@pytest.mark.parametrize(("scenario", "entry"), KINDS, ids=named)
def test_the_hosted_judge_comes_to_what_the_judge_in_python_comes_to(
    scenario: Scenario, entry: dict[str, Any]
) -> None:
    options: dict[str, Any] = {
        "async_threads": entry["async_threads"],
        "schedulers": entry["schedulers"],
        "observe": scenario.observe,
        "limit": LIMIT,
        "progress": False,
    }
    outcomes = explore(hosted(scenario), **options)
    assert outcomes.complete
    assert {*map(shown, outcomes)} == {*map(shown, explore(scenario.model, **options))}
    orders = {outcome for outcome in outcomes if isinstance(outcome, Order)}
    assert {tuple(order) for order, _ in entry["orders"]} <= orders
