"""One scenario on the emulators of every era: what `compare` finds, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from driverref.explore.outcomes import Outcomes, label
from driverref.process_bifs import check_number
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
        return {**self._asdict()}


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

    def rows(self) -> Sequence[tuple[str, str, str]]:
        """A row an outcome: the emulator, the outcome, how many schedules lead there.

        An emulator that comes to the same as the one before it has no row of its own: both stand in one.
        """
        rows: list[tuple[str, str, str]] = []
        groups = self.groups()
        for names, outcomes in groups:
            first = ", ".join(names) if len(groups) > 1 else "every emulator"
            for outcome in outcomes:
                rows.append((first, label(outcome), f"{outcomes[outcome].count:,}"))
                first = ""
        return rows

    def groups(self) -> list[tuple[list[str], Outcomes]]:
        """The emulators that come to the same outcomes, whatever the number of schedules, and those outcomes."""
        groups: list[tuple[list[str], Outcomes]] = []
        for system, outcomes in self.items():
            if groups and set(groups[-1][1]) == set(outcomes):
                groups[-1][0].append(str(system))
            else:
                groups.append(([str(system)], outcomes))
        return groups

    def __str__(self) -> str:
        rows = [("emulator", "outcome", "schedules"), *self.rows()]
        first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows)

    __repr__ = __str__
