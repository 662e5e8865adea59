"""What `--json` prints: the reports of the commands, as `schema.json` describes them.

Each report has the number of the format and the command's name.  A key may be added within one
format; a key that goes, or changes its meaning, makes another.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from typing import Any

from driverref.explore import Comparison, Fault, Outcomes
from driverref.explore.outcomes import in_one_line
from driverref.release import ERAS
from driverref.terms import erlang
from driverref.trace import Trace

FORMAT = 1
"""The number of the format."""

Report = dict[str, Any]


def report(command: str, **more: Any) -> Report:
    """Return the report of a command."""
    return {"format": FORMAT, "command": command, **more}


def explored(outcomes: Outcomes, again: str) -> Report:
    """Return the report of `explore`; `again` is the command that shows a witness, without it."""
    return report(
        "explore",
        strategy=outcomes.strategy,
        observe=list(outcomes.observe),
        **search(outcomes, again),
    )


def compared(comparison: Comparison) -> Report:
    """Return the report of `compare`."""
    emulators = [
        {
            "release": system.release.name,
            "async_threads": system.async_threads,
            "schedulers": system.schedulers,
            **search(outcomes),
        }
        for system, outcomes in comparison.items()
    ]
    return report("compare", emulators=emulators)


def search(outcomes: Outcomes, again: str = "") -> Report:
    """Return what one search has found."""
    return {
        "complete": outcomes.complete,
        "stopped": outcomes.stopped,
        "schedules": outcomes.schedules,
        "inequivalent": outcomes.inequivalent,
        "outcomes": [
            {
                "outcome": in_one_line(outcome),
                "fault": fault(outcome),
                "schedules": found.count,
                "witness": found.witness,
                **({"see": f"{again} {found.witness}"} if again else {}),
            }
            for outcome, found in outcomes.items()
        ],
    }


def fault(outcome: Hashable) -> Report | None:
    """Return a fault; `None` if the outcome is none."""
    if not isinstance(outcome, Fault):
        return None
    return {"name": outcome.name, "text": outcome.text, "places": list(outcome.places)}


def run(events: list[Report], ended: Fault | None) -> Report:
    """Return the report of `timeline`: the events of one run, and the fault in which it ended."""
    return report("timeline", fault=fault(ended), events=events)


def events(trace: Trace) -> list[Report]:
    """Return the events of a run."""
    return [
        {
            "time": event.time,
            "thread": event.thread,
            "name": event.name,
            "port": None if event.port is None else repr(event.port),
            "job": event.job,
            "detail": None if event.detail is None else erlang(event.detail),
        }
        for event in trace
    ]


def releases() -> Report:
    """Return the report of `releases`: each era's record, field by field."""
    eras = [{field.name: _plain(getattr(era, field.name)) for field in fields(era)} for era in ERAS]
    return report("releases", releases=eras)


def _plain(value: Any) -> Any:
    """Return a field of a record as JSON has it."""
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case frozenset():
            return sorted(map(str, value))
        case bool() | int() | None:
            return value
    return str(value)
