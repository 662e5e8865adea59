"""What the model says to the orders of events that emulators showed.

`orders` has the model's, `refused` those that were seen and that the model does not have, and
`compared` what was never seen.  `report` and `list_unseen` print.  Releases that differ in their
names only are searched once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from scenarios import Scenario
from unseen import reasons

from driverref.conformance import admits
from driverref.explore import Order, Outcomes, explore
from driverref.release import RELEASES, find

LIMIT = 5000
"""Schedules; a scenario has a few hundred at most."""

Events = tuple[str, ...]


@cache
def alike(release: str) -> str:
    """The oldest release that differs from this one in its names only."""
    behaviour = find(release).behaviour
    return next(name for name, other in RELEASES.items() if other.behaviour == behaviour)


@cache
def found(scenario: Scenario, async_threads: int, schedulers: int, release: str) -> Outcomes:
    """Every outcome that the model has."""
    return explore(
        scenario.model,
        observe=scenario.observe,
        limit=LIMIT,
        progress=False,
        async_threads=async_threads,
        schedulers=schedulers,
        release=release,
    )


def misused(scenario: Scenario, async_threads: int, schedulers: int, release: str) -> bool:
    """Whether the model calls it a `Misuse` in every schedule.  Then the emulator may do anything."""
    if not scenario.crashes:
        return False
    outcomes = found(scenario, async_threads, schedulers, alike(release))
    return outcomes.complete and {getattr(end, "name", None) for end in outcomes} == {"Misuse"}


def refused(
    scenario: Scenario, async_threads: int, schedulers: int, release: str, seen: Iterable[Events]
) -> set[Events]:
    """Those of the orders that were seen that the model does not admit."""
    options = async_threads, schedulers, release
    if misused(scenario, *options):
        return set()
    return set(seen) - orders(scenario, *options)


def orders(
    scenario: Scenario, async_threads: int, schedulers: int, release: str
) -> frozenset[Events]:
    """Every order of events that the model has.

    `RuntimeError` if a schedule ends in a fault, or not all were tried.
    """
    outcomes = found(scenario, async_threads, schedulers, alike(release))
    if outcomes.faults or not outcomes.complete:
        kind = f"+A {async_threads} +S {schedulers}, OTP {release}"
        raise RuntimeError(f"{scenario.name} with {kind}:\n{outcomes}")
    return frozenset(tuple(order) for order in outcomes if isinstance(order, Order))


def report(chosen: list[Scenario], data: dict[str, Any], release: str) -> int:
    """Compare what one emulator did, print, and say whether the model admits everything."""
    total = lost = wrong = distinct = 0
    for scenario in chosen:
        for entry in entries_of(data, scenario, release):
            total += entry["runs"]
            lost += entry["hung"] + entry["crashed"]
            shown = [tuple(order) for order, _ in entry["orders"]]
            for order in refused(scenario, *options_of(entry), shown):
                print(f"{scenario.name}: {entry['options']}: not admitted: {' '.join(order)}")
                print(why_not(scenario, order, entry))
                wrong += 1
            for what in ("hung", "crashed"):
                if entry[what]:
                    print(f"{scenario.name}: {entry['options']}: {entry[what]} {what}")
        seen, others = compared(scenario, data, release)
        distinct += len(seen)
        print(f"{scenario.name}: {len(seen)} orders seen, {len(others)} more in the model")
    verdict = "the model admits every one" if not wrong else f"the model does not admit {wrong}"
    print(
        f"OTP {release}: {len(chosen)} scenarios, {total:,} runs, {lost} hung or crashed, "
        f"{distinct} distinct orders: {verdict}"
    )
    return 1 if wrong else 0


def options_of(entry: dict[str, Any]) -> tuple[int, int, str]:
    """What an entry of the record was played with: async threads, schedulers, release."""
    return entry["async_threads"], entry["schedulers"], entry["release"]


def entries_of(
    data: dict[str, Any], scenario: Scenario, release: str | None = None
) -> list[dict[str, Any]]:
    """What the record has of a scenario: of one release, or of all."""
    entries: list[dict[str, Any]] = data["scenarios"][scenario.name]
    return [entry for entry in entries if release in (None, entry["release"])]


def compared(
    scenario: Scenario, data: dict[str, Any], release: str | None = None
) -> tuple[set[Events], set[Events]]:
    """The orders of a scenario that were seen, and those that the model has besides."""
    entries = entries_of(data, scenario, release)
    seen = {tuple(order) for entry in entries for order, _ in entry["orders"]}
    known = {
        order
        for entry in entries
        if not misused(scenario, *options_of(entry))
        for order in orders(scenario, *options_of(entry))
    }
    return seen, known - seen


def list_unseen(chosen: list[Scenario], data: dict[str, Any]) -> int:
    """Print the orders that the model has and that were never seen.

    1 if one has no reason, or a reason no order.
    """
    wrong = 0
    for scenario in chosen:
        _, others = compared(scenario, data)
        given = {tuple(order.split()): reason for order, reason in reasons(scenario.name).items()}
        for order in sorted(others | given.keys()):
            why: str = given[order].kind if order in given else "no reason is given"
            if order not in others:
                why = "a reason is given, but it was seen or the model does not have it"
            wrong += order not in others or order not in given
            print(f"{scenario.name}: {' '.join(order)}: {why}")
    return 1 if wrong else 0


def why_not(scenario: Scenario, order: tuple[str, ...], entry: dict[str, Any]) -> str:
    """How far the model comes."""
    if strange := [event for event in order if event.partition("(")[0] not in scenario.observe]:
        return f"nothing may say {' '.join(strange)}"
    return str(
        admits(
            scenario.model,
            order,
            observe=scenario.observe,
            async_threads=entry["async_threads"],
            schedulers=entry["schedulers"],
            release=entry["release"],
        )
    )
