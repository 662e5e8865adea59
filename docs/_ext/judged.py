"""The record of the real emulators' runs, compared with the model.

`make beam` plays the scenarios of `tests/beam` on the real emulator, on one or several releases,
and writes the record. For each scenario, release and pair of options it has the orders of events
that were seen, and how often. `read` reads it. `Record.judged` adds up the options of a scenario,
and asks the model for every order that was seen. A build of the book needs no Erlang: it needs the
record and the model.
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
from driverref.explore import Fault, Outcomes, explore
from driverref.release import Release, find

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
    """What the record has of one scenario on one release with one pair of options."""

    release: str
    async_threads: int
    schedulers: int
    runs: int
    hung: int
    crashed: int
    orders: list[tuple[list[str], int]]
    """The events, and in how many runs they were seen in this order."""


class Emulator(TypedDict):
    """A release that was played on."""

    erts: str
    machine: str


@dataclass
class Seen:
    """An order of events that was seen."""

    order: tuple[str, ...]
    runs: Counter[str] = field(default_factory=Counter)
    """In how many runs, by release."""
    options: list[Options] = field(default_factory=list)
    admitted: bool = True
    """Whether the model has it, with each of the options."""


@dataclass
class Judged:
    """A scenario: what was seen, and which of it the model has."""

    name: str
    why: str
    options: list[Options] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    """By release, as the next two."""
    hung: Counter[str] = field(default_factory=Counter)
    crashed: Counter[str] = field(default_factory=Counter)
    misuse: list[str] = field(default_factory=list)
    """The releases on which every schedule of the model ends in a `Misuse`.

    The emulator may do anything then.
    """
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

    emulators: dict[str, Emulator]
    """By release."""
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
        data["emulators"],
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
    explored: dict[tuple[Options, Release], Outcomes] = {}
    for entry in entries:
        release, options = entry["release"], (entry["async_threads"], entry["schedulers"])
        if options not in judged.options:
            judged.options.append(options)
        for count in "runs", "hung", "crashed":
            getattr(judged, count)[release] += entry[count]
        # Releases that differ in their names only are explored once.
        alike = options, find(release).behaviour
        if alike not in explored:
            explored[alike] = explore(
                scenario.model,
                observe=scenario.observe,
                limit=LIMIT,
                progress=False,
                async_threads=options[0],
                schedulers=options[1],
                release=release,
            )
        found = explored[alike]
        judged.complete = judged.complete and found.complete
        misused = set(map(_name, found)) == {"Misuse"}
        if misused and release not in judged.misuse:
            judged.misuse.append(release)
        others |= {outcome for outcome in found if outcome not in found.faults}
        for names, times in entry["orders"]:
            one = seen.setdefault(tuple(names), Seen(tuple(names)))
            one.runs[release] += times
            if options not in one.options:
                one.options.append(options)
            # Perhaps only because of the limit.
            if one.order not in found and not misused:
                one.admitted = one.admitted and _admitted(scenario, one.order, options, release)
    judged.seen = sorted(seen.values(), key=lambda one: -one.runs.total())
    judged.others = len(others - set(seen))
    return judged


def _name(outcome: object) -> object:
    """Return the name of a fault, None for any other outcome."""
    return outcome.name if isinstance(outcome, Fault) else None


def _admitted(scenario: Scenario, order: Sequence[str], options: Options, release: str) -> bool:
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
            release=release,
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


def totals(judged: Sequence[Judged], release: str) -> Counter[str]:
    """Return sums over several scenarios on one release.

    They are: scenarios, runs, runs lost, orders, orders refused.
    """
    total = Counter[str]()
    for one in judged:
        seen = [order for order in one.seen if order.runs[release]]
        total.update(
            scenarios=one.runs[release] > 0,
            runs=one.runs[release],
            lost=one.hung[release] + one.crashed[release],
            orders=len(seen),
            refused=sum(not order.admitted for order in seen),
        )
    return total
