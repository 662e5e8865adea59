"""`compare`: one scenario explored on the emulators of every era, and the outcomes side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from driverref.emulator import DEFAULTS, EmulatorOptions
from driverref.errors import Interrupted, check_int
from driverref.explore.outcomes import Outcomes, _folded, columns, label, uncut
from driverref.explore.run import Scenario
from driverref.explore.strategy import explore
from driverref.release import ERAS, Release, find


class System(NamedTuple):
    """An emulator as it was started: the release and the numbers of threads."""

    release: Release
    """The record of its era."""
    async_threads: int
    """The number of its async threads."""
    schedulers: int
    """The number of its schedulers."""

    def __str__(self) -> str:
        pool = f"+A {self.async_threads}" if self.async_threads else "without threads"
        several = f" +S {self.schedulers}" if self.release.max_schedulers > 1 else ""
        return f"{self.release.name} {pool}{several}"

    @property
    def options(self) -> EmulatorOptions:
        """The arguments of `Emulator`."""
        return {
            "release": self.release,
            "async_threads": self.async_threads,
            "schedulers": self.schedulers,
        }


def systems(async_threads: int | None, schedulers: int) -> list[System]:
    """Return the emulators of every era, each with as many of these threads as it can have.

    R7B-3 comes twice, because its emulator had no async threads by default.
    """
    if async_threads is None:
        async_threads = find(DEFAULTS["release"]).default_async_threads
    check_int("compare", "async_threads", async_threads, 0, 1024)
    check_int("compare", "schedulers", schedulers, 1, 1024)
    found = [System(ERAS[0], 0, 1)]
    for era in ERAS:
        pool = min(max(async_threads, era.min_async_threads), era.max_async_threads)
        system = System(era, pool, min(schedulers, era.max_schedulers))
        if system not in found:
            found.append(system)
    return found


class Comparison(Mapping[System, Outcomes]):
    """The outcomes of a scenario on each emulator.  A mapping from the `System` to its `Outcomes`.

    `print` shows all of them as one table.
    """

    def __init__(self, found: Mapping[System, Outcomes]) -> None:
        self._found = dict(found)

    def __getitem__(self, system: System) -> Outcomes:
        return self._found[system]

    def __iter__(self) -> Iterator[System]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def groups(self) -> list[list[System]]:
        """Return the emulators in groups that have the same outcomes, oldest first.

        Only neighbours are in one group; the numbers of schedules may differ.
        """
        groups: list[list[System]] = []
        for system, outcomes in self.items():
            if groups and set(self[groups[-1][0]]) == set(outcomes):
                groups[-1].append(system)
            else:
                groups.append([system])
        return groups

    def count(self, group: Sequence[System], outcome: Hashable) -> str:
        """Return how many schedules of each emulator lead to an outcome: `"6"`, `"2 to 6"`."""
        counts = sorted({self[system][outcome].count for system in group})
        return " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))

    def rows(self) -> list[tuple[str, str, str]]:
        """Return a row for each outcome of each group: the emulators, the outcome, the schedules.

        The emulators stand in the first row of their group only.
        """
        rows: list[tuple[str, str, str]] = []
        groups = self.groups()
        for group in groups:
            first = ", ".join(map(str, group)) if len(groups) > 1 else "every emulator"
            for outcome in self[group[0]]:
                rows.append((first, label(outcome), self.count(group, outcome)))
                first = ""
        return rows

    def summary(self) -> str:
        """Return how many schedules were run, and where there may be other outcomes."""
        runs = sum(outcomes.schedules for outcomes in self.values())
        text = f"{len(self)} emulator{'s' * (len(self) != 1)}, {runs:,} schedules run"
        stopped = [f"{system} ({found.stopped})" for system, found in self.items() if found.stopped]
        if stopped:
            return f"{text}; there may be other outcomes of {', '.join(stopped)}"
        return f"{text}, and there are no other outcomes"

    def below(self) -> list[str]:
        """Return what stands below the table: the text of each outcome that a row cuts."""
        return uncut(dict.fromkeys(outcome for found in self.values() for outcome in found))

    def __str__(self) -> str:
        head = ("emulator", "outcome", "schedules")
        return "\n".join([*columns([head, *self.rows()], "<"), self.summary(), *self.below()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("emulator", "outcome", "schedules"))
        outcomes = [outcome for group in self.groups() for outcome in self[group[0]]]
        body = "".join(
            f"<tr><td>{escape(first)}</td><td>{_folded(outcome)}</td><td>{escape(count)}</td></tr>"
            for outcome, (first, _, count) in zip(outcomes, self.rows(), strict=True)
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{escape(self.summary())}</p>"


def compare(
    scenario: Scenario,
    *,
    async_threads: int | None = DEFAULTS["async_threads"],
    schedulers: int = DEFAULTS["schedulers"],
    observe: tuple[str, ...] | list[str] = (),
    limit: int | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Return the outcomes of a scenario on the emulator of every era, from R7B-3 to today.

    Each emulator gets as many async threads and schedulers as asked for, or as it can have: R7B-3
    has one emulator thread, and comes twice, without async threads and with.  With two schedulers
    R11B to R14B are the SMP emulators, with one the plain ones.  By default each gets what today's
    emulator has by default.  The rest is as for `explore`.

    Ctrl-C ends it with `Interrupted`, which has the `Comparison` of the emulators that were begun.
    """
    found: dict[System, Outcomes] = {}
    for system in systems(async_threads, schedulers):
        try:
            found[system] = explore(
                scenario, observe=observe, limit=limit, progress=progress, **system.options
            )
        except Interrupted as error:
            found[system] = error.found
            raise Interrupted(Comparison(found), error) from error
    return Comparison(found)
