"""`assert_outcomes`: a test of a driver that holds every schedule to what is expected.

The test is two lines: `def test_closing_early_is_safe():` and `assert_outcomes(close_early,
async_threads=1)`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Unpack

from driverref.explore.outcomes import Outcomes, label
from driverref.explore.run import Fault, Scenario
from driverref.explore.strategy import ExploreOptions, explore


def assert_outcomes(
    scenario: Scenario,
    expected: Collection[Hashable] | None = None,
    **options: Unpack[ExploreOptions],
) -> Outcomes:
    """Explore the scenario and fail unless its outcomes are exactly `expected`.

    Without `expected` it fails if an outcome is a fault.  `options` are those of `explore`.
    Returns the `Outcomes`.

    Raises `AssertionError` with the table and, as text, the timeline of a run that should not have
    been, and the call that makes this run again.  A search that a `limit` cut short fails as well,
    because an outcome may have been missed.  Raises what `explore` raises.
    """
    outcomes = explore(scenario, **options)
    if expected is None:
        wrong: list[Hashable] = list(outcomes.faults)
        missing: list[Hashable] = []
    else:
        wrong = [outcome for outcome in outcomes if outcome not in expected]
        missing = [outcome for outcome in expected if outcome not in outcomes]
    told = []
    if wrong:
        fault = isinstance(wrong[0], Fault)
        unexpected = f"an unexpected outcome: {label(wrong[0])}"
        told.append(f"a fault: {wrong[0]}" if fault else unexpected)
    told += [f"never seen: {label(outcome)}" for outcome in missing]
    if outcomes.stopped is not None:
        told.append(f"not all schedules were run: {outcomes.stopped}")
    if told:
        told += ["", str(outcomes)]
        if wrong:
            told += ["", f"how {label(wrong[0])} came about:", str(outcomes.replay(wrong[0]).trace)]
            told += ["", f"to run it again: {outcomes.again(wrong[0])}"]
        raise AssertionError("\n".join(told))
    return outcomes
