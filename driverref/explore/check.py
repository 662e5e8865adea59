"""For a test of one's own driver: one call holds every schedule to what is expected.

The test is two lines: `def test_closing_early_is_safe():` and `assert_outcomes(close_early, async_threads=1)`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

from driverref.explore.outcomes import Outcomes, label
from driverref.explore.run import Fault, Scenario


def assert_outcomes(
    scenario: Scenario, expected: Collection[Hashable] | None = None, **options: Any
) -> Outcomes:
    """Explore the scenario and fail unless its outcomes are exactly `expected`; by default, unless none is a fault.

    `options` are those of `explore`.  Fails with an `AssertionError` that shows the table and, as text, the timeline of
    a run that should not have been.  A search that a `limit` cut short fails as well: what it has not seen it cannot
    vouch for.  Returns the `Outcomes`.
    """
    from driverref.explore import explore

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
        unexpected = f"an outcome that nobody expected: {label(wrong[0])}"
        told.append(f"a fault: {wrong[0]}" if fault else unexpected)
    told += [f"never seen: {label(outcome)}" for outcome in missing]
    if outcomes.stopped is not None:
        told.append(f"not all schedules were run: {outcomes.stopped}")
    if told:
        told += ["", str(outcomes)]
        if wrong:
            told += ["", f"how {label(wrong[0])} came about:", str(outcomes.replay(wrong[0]).trace)]
        raise AssertionError("\n".join(told))
    return outcomes
