"""The record of the real emulator's runs, compared with the model.

`make beam` plays the scenarios of `tests/beam` on the real emulator and writes the record. For
each scenario and each pair of options it has the orders of events that were seen, and how often.
`read` reads it. `Record.judged` adds up the options of a scenario, and asks the model for every
order that was seen. A build of the book needs no Erlang: it needs the record and the model.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from driverref.conformance import admits
from driverref.explore import Fault, explore

if TYPE_CHECKING:  # in tests/beam, which is put on the path only when there is a record
    from scenarios import Scenario
    from unseen import Reason

LIMIT = 2000
"""How many schedules of the model are run to count its orders.

The model is asked for each order that was seen in any case, by `admits`, which needs no limit.
"""

Options = tuple[int, int]
"""`+A` and `+S`."""


class Entry(TypedDict):
    """What the record has of one scenario with one pair of options."""

    async_threads: int
    schedulers: int
    runs: int
    hung: int
    crashed: int
    orders: list[tuple[list[str], int]]
    """The events, and in how many runs they were seen in this order."""


@dataclass
class Seen:
    """An order of events that was seen."""

    order: tuple[str, ...]
    runs: int = 0
    options: list[Options] = field(default_factory=list)
    admitted: bool = True
    """Whether the model has it, with each of the options."""


@dataclass
class Judged:
    """A scenario: what was seen, and which of it the model has."""

    name: str
    why: str
    options: list[Options] = field(default_factory=list)
    runs: int = 0
    hung: int = 0
    crashed: int = 0
    misuse: bool = False
    """Whether every schedule of the model ends in a `Misuse`: the emulator may do anything."""
    seen: list[Seen] = field(default_factory=list)
    """Most frequent first."""
    others: int = 0
    """How many orders the model has that were not seen."""
    complete: bool = True
    """Whether the model has no more than these: `explore` did not stop at `LIMIT`."""

    @property
    def admitted(self) -> bool:
        """Whether the model has everything that was seen."""
        return all(seen.admitted for seen in self.seen)


@dataclass
class Record:
    """The record, and the scenarios that it is about."""

    release: str
    erts: str
    machine: str
    entries: dict[str, list[Entry]]
    scenarios: dict[str, Scenario]
    done: dict[str, Judged] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The scenarios that are in the record and still exist, in order."""
        return [name for name in self.scenarios if name in self.entries]

    def judged(self, name: str) -> Judged:
        """Return a scenario, compared. Only the first call for a name takes time.

        Raises `LookupError` if the record does not have the scenario.
        """
        if name not in self.names:
            raise LookupError(f"the record has no scenario {name!r}")
        if name not in self.done:
            self.done[name] = _judge(self.scenarios[name], self.entries[name])
        return self.done[name]


@cache
def read(tests: Path) -> Record | None:
    """Return the record below the folder of the tests, or None if there is none."""
    folder = tests / "beam"
    if not (folder / "record.json").is_file():
        return None
    data = json.loads((folder / "record.json").read_text("utf-8"))
    for path in (str(tests), str(folder)):
        if path not in sys.path:
            sys.path.append(path)
    scenarios: list[Scenario] = importlib.import_module("scenarios").SCENARIOS
    return Record(
        data["release"],
        data["erts"],
        data["machine"],
        data["scenarios"],
        {scenario.name: scenario for scenario in scenarios},
    )


def unseen(tests: Path) -> dict[str, list[Reason]]:
    """Return the reasons why orders of the model were never seen, by scenario."""
    if read(tests) is None:
        return {}
    reasons: Sequence[Reason] = importlib.import_module("unseen").REASONS
    found: dict[str, list[Reason]] = {}
    for reason in reasons:
        found.setdefault(reason.scenario, []).append(reason)
    return found


def _judge(scenario: Scenario, entries: list[Entry]) -> Judged:
    judged = Judged(scenario.name, scenario.why)
    seen: dict[tuple[str, ...], Seen] = {}
    others: set[object] = set()
    for entry in entries:
        options = entry["async_threads"], entry["schedulers"]
        judged.options.append(options)
        judged.runs += entry["runs"]
        judged.hung += entry["hung"]
        judged.crashed += entry["crashed"]
        found = explore(
            scenario.model,
            observe=scenario.observe,
            limit=LIMIT,
            progress=False,
            async_threads=options[0],
            schedulers=options[1],
        )
        judged.complete = judged.complete and found.complete
        misused = set(map(_name, found)) == {"Misuse"}
        judged.misuse = judged.misuse or misused
        others |= {outcome for outcome in found if outcome not in found.faults}
        for names, times in entry["orders"]:
            one = seen.setdefault(tuple(names), Seen(tuple(names)))
            one.runs += times
            one.options.append(options)
            # Perhaps only because of the limit.
            if one.order not in found and not misused:
                one.admitted = one.admitted and _admitted(scenario, one.order, options)
    judged.seen = sorted(seen.values(), key=lambda one: -one.runs)
    judged.others = len(others - set(seen))
    return judged


def _name(outcome: object) -> object:
    """Return the name of a fault, None for any other outcome."""
    return outcome.name if isinstance(outcome, Fault) else None


def _admitted(scenario: Scenario, order: Sequence[str], options: Options) -> bool:
    # `run.py` leaves reports of what must never happen (`wrong-thread`, `!...`) in the order. The
    # model has no such events.
    if any(event.partition("(")[0] not in scenario.observe for event in order):
        return False
    return bool(
        admits(
            scenario.model,
            order,
            observe=scenario.observe,
            async_threads=options[0],
            schedulers=options[1],
        )
    )


def options_in_words(options: Sequence[Options]) -> str:
    """Return `+A 1, 2, 4 with +S 1, 2`.

    If not all pairs are there, threads with the same schedulers are put together, one group after
    the other: `+A 1 with +S 1, 2; +A 4 with +S 2`.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for threads in sorted({a for a, _ in options}):
        schedulers = tuple(sorted({s for a, s in options if a == threads}))
        groups.setdefault(schedulers, []).append(threads)
    return "; ".join(
        f"+A {', '.join(map(str, threads))} with +S {', '.join(map(str, schedulers))}"
        for schedulers, threads in groups.items()
    )


def totals(judged: Sequence[Judged]) -> Counter[str]:
    """Return sums over several scenarios: scenarios, runs, runs lost, orders, orders refused."""
    total = Counter[str]()
    for one in judged:
        total.update(
            scenarios=1,
            runs=one.runs,
            lost=one.hung + one.crashed,
            orders=len(one.seen),
            refused=sum(not seen.admitted for seen in one.seen),
        )
    return total
