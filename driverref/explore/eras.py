"""One scenario on the emulators of every era: what `compare` finds, side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from driverref.erlang.processes import check_number
from driverref.explore.outcomes import Outcomes, columns, label
from driverref.release import ERAS, Release


class System(NamedTuple):
    """An emulator as it was started."""

    release: Release
    async_threads: int
    schedulers: int

    def __str__(self) -> str:
        pool = f"+A {self.async_threads}" if self.async_threads else "without threads"
        several = f" +S {self.schedulers}" if self.release.max_schedulers > 1 else ""
        return f"{self.release.name} {pool}{several}"

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `Emulator`."""
        return self._asdict()


def systems(async_threads: int, schedulers: int) -> list[System]:
    """The emulators of every era, with so many threads as they can have; R7B-3 as most had it, without, as well."""
    check_number("compare", "async_threads", async_threads, range(1025))
    check_number("compare", "schedulers", schedulers, range(1, 1025))
    found = [System(ERAS[0], 0, 1)]
    for era in ERAS:
        pool = min(max(async_threads, era.min_async_threads), era.max_async_threads)
        system = System(era, pool, min(schedulers, era.max_schedulers))
        if system not in found:
            found.append(system)
    return found


class Comparison(Mapping[System, Outcomes]):
    """What a scenario comes to on each emulator.  A mapping from the `System` to its `Outcomes`; `print` shows all."""

    def __init__(self, found: Mapping[System, Outcomes]) -> None:
        self._found = dict(found)

    def __getitem__(self, system: System) -> Outcomes:
        return self._found[system]

    def __iter__(self) -> Iterator[System]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def groups(self) -> list[list[System]]:
        """The emulators that come to the same outcomes, whatever the number of schedules; oldest first."""
        groups: list[list[System]] = []
        for system, outcomes in self.items():
            if groups and set(self[groups[-1][0]]) == set(outcomes):
                groups[-1].append(system)
            else:
                groups.append([system])
        return groups

    def count(self, group: Sequence[System], outcome: Hashable) -> str:
        """How many schedules lead to an outcome on each emulator of a group: `"6"`, or `"2 to 6"`."""
        counts = sorted({self[system][outcome].count for system in group})
        return " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))

    def rows(self) -> list[tuple[str, str, str]]:
        """A row an outcome: the emulators that come to the same, the outcome, how many schedules lead there."""
        rows: list[tuple[str, str, str]] = []
        groups = self.groups()
        for group in groups:
            first = ", ".join(map(str, group)) if len(groups) > 1 else "every emulator"
            for outcome in self[group[0]]:
                rows.append((first, label(outcome), self.count(group, outcome)))
                first = ""
        return rows

    def summary(self) -> str:
        """How many schedules were run, and where there may be others."""
        runs = sum(outcomes.schedules for outcomes in self.values())
        text = f"{len(self)} emulators, {runs:,} schedules run"
        stopped = [f"{system} ({found.stopped})" for system, found in self.items() if found.stopped]
        if stopped:
            return f"{text}; there may be other outcomes of {', '.join(stopped)}"
        return f"{text}, and there are no other outcomes"

    def __str__(self) -> str:
        head = ("emulator", "outcome", "schedules")
        return "\n".join([*columns([head, *self.rows()], "<"), self.summary()])

    __repr__ = __str__
