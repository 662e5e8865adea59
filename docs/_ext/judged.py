"""What the real emulator did, beside what the model has: the record, read and compared.

The record holds, for each scenario and each pair of options, the orders that were seen and how
often. Here they are put together by scenario, and the model is asked for each of them. A book
is built without Erlang; all it needs is the record and the model.
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
from typing import Any

LIMIT = 2000
"""Schedules of the model that are run to count its orders; what was seen is searched for in any case."""

Options = tuple[int, int]
"""`+A` and `+S`."""


@dataclass
class Seen:
    """An order that was seen."""

    order: tuple[str, ...]
    runs: int = 0
    options: list[Options] = field(default_factory=list)
    admitted: bool = True


@dataclass
class Judged:
    """A scenario: what was seen, and what the model says to it."""

    name: str
    why: str
    options: list[Options] = field(default_factory=list)
    runs: int = 0
    hung: int = 0
    crashed: int = 0
    seen: list[Seen] = field(default_factory=list)
    """Most frequent first."""
    others: int = 0
    """Orders of the model that were not seen."""
    complete: bool = True
    """Whether these are all of them."""

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
    entries: dict[str, list[dict[str, Any]]]
    scenarios: dict[str, Any]
    done: dict[str, Judged] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every scenario that was played and is still known, in order."""
        return [name for name in self.scenarios if name in self.entries]

    def judged(self, name: str) -> Judged:
        """A scenario, compared. It takes a while the first time."""
        if name not in self.names:
            raise LookupError(f"the record has no scenario {name!r}")
        if name not in self.done:
            self.done[name] = _judge(self.scenarios[name], self.entries[name])
        return self.done[name]


@cache
def read(tests: Path) -> Record | None:
    """The record, if there is one."""
    folder = tests / "beam"
    if not (folder / "record.json").is_file():
        return None
    data = json.loads((folder / "record.json").read_text("utf-8"))
    for path in (str(tests), str(folder)):
        if path not in sys.path:
            sys.path.append(path)
    scenarios = importlib.import_module("scenarios").SCENARIOS
    return Record(
        data["release"],
        data["erts"],
        data["machine"],
        data["scenarios"],
        {scenario.name: scenario for scenario in scenarios},
    )


def unseen(tests: Path) -> dict[str, list[Any]]:
    """The reasons why orders of the model were never seen, by scenario."""
    if read(tests) is None:
        return {}
    found = dict[str, list[Any]]()
    for reason in importlib.import_module("unseen").REASONS:
        found.setdefault(reason.scenario, []).append(reason)
    return found


def _judge(scenario: Any, entries: list[dict[str, Any]]) -> Judged:
    from driverref.explore import explore  # the package is the book's subject, not its builder

    judged, seen, others = Judged(scenario.name, scenario.why), dict[Any, Seen](), set[Any]()
    for entry in entries:
        options = entry["async_threads"], entry["schedulers"]
        judged.options.append(options)
        judged.runs += entry["runs"]
        judged.hung += entry["hung"]
        judged.crashed += entry["crashed"]
        emulator = {"async_threads": options[0], "schedulers": options[1]}
        found = explore(
            scenario.model, observe=scenario.observe, limit=LIMIT, progress=False, **emulator
        )
        judged.complete = judged.complete and found.complete
        others |= {outcome for outcome in found if outcome not in found.faults}
        for names, times in entry["orders"]:
            one = seen.setdefault(tuple(names), Seen(tuple(names)))
            one.runs += times
            one.options.append(options)
            if one.order not in found:
                one.admitted = one.admitted and _admitted(scenario, one.order, emulator)
    judged.seen = sorted(seen.values(), key=lambda one: -one.runs)
    judged.others = len(others - set(seen))
    return judged


def _admitted(scenario: Any, order: Sequence[str], emulator: dict[str, int]) -> bool:
    from driverref.conformance import admits

    if any(event.partition("(")[0] not in scenario.observe for event in order):
        return False  # the judge has seen what must never happen
    return bool(admits(scenario.model, order, observe=scenario.observe, **emulator))


def options_in_words(options: Sequence[Options]) -> str:
    """`+A 1, 2, 4 with +S 1, 2`; if not all pairs are there, one group after the other."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for threads in sorted({a for a, _ in options}):
        schedulers = tuple(sorted({s for a, s in options if a == threads}))
        groups.setdefault(schedulers, []).append(threads)
    return "; ".join(
        f"+A {', '.join(map(str, threads))} with +S {', '.join(map(str, schedulers))}"
        for schedulers, threads in groups.items()
    )


def counted(number: int, what: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def totals(judged: Sequence[Judged]) -> Counter[str]:
    """The sums over several scenarios."""
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
