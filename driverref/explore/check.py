"""`assert_outcomes`: a test of a driver that holds every schedule to what is expected.

The test is two lines: `def test_closing_early_is_safe():` and `assert_outcomes(close_early,
async_threads=1)`.  The plug-in for pytest, `pytest_driverref`, calls it as well.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import TypeAlias, Unpack

from driverref.errors import wrong_type
from driverref.explore.outcomes import Outcomes, label
from driverref.explore.run import Fault, Scenario
from driverref.explore.strategy import ExploreOptions, explore

Expected: TypeAlias = Hashable | type[BaseException]
"""An outcome; or the class of an exception, which stands for each fault of the class."""


class UnexpectedOutcomes(AssertionError):
    """A scenario does not end as it should in every schedule.  `outcomes` has how it does end."""

    def __init__(self, text: str, outcomes: Outcomes) -> None:
        super().__init__(text)
        self.outcomes = outcomes


def assert_outcomes(
    scenario: Scenario,
    expected: Collection[Expected] | None = None,
    **options: Unpack[ExploreOptions],
) -> Outcomes:
    """Explore the scenario and fail unless its outcomes are exactly `expected`.

    A class of exceptions in `expected`, such as `Leak` or `DriverFault`, stands for one or more
    faults of that class, with any text and place.  Without `expected` a fault fails the test.
    `options` are those of `explore`.  Returns the `Outcomes`.

    Raises `UnexpectedOutcomes`, an `AssertionError`, with the table and, as text, the timeline of a
    run that should not have been, and the call that makes this run again.  A search that a `limit`
    cut short fails as well, because an outcome may have been missed.  Raises what `explore` raises.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    # A text is a collection too, of its characters.
    if isinstance(expected, str | bytes) or not isinstance(expected, Collection | None):
        example = "a collection of outcomes, such as {'done', Leak},"
        raise wrong_type("assert_outcomes", "expected", example, expected)
    outcomes = explore(scenario, **options)
    if expected is None:
        wrong: list[Hashable] = list(outcomes.faults)
        missing: list[Expected] = []
    else:
        wrong = [found for found in outcomes if not any(_meets(found, one) for one in expected)]
        missing = [one for one in expected if not any(_meets(found, one) for found in outcomes)]
    told = []
    if wrong:
        fault = isinstance(wrong[0], Fault)
        unexpected = f"an unexpected outcome: {label(wrong[0])}"
        told.append(f"a fault: {wrong[0]}" if fault else unexpected)
    told += [f"never seen: {_told(one)}" for one in missing]
    if outcomes.stopped is not None:
        told.append(f"not all schedules were run: {outcomes.stopped}")
    if told:
        told += ["", str(outcomes)]
        if wrong:
            told += ["", f"how {label(wrong[0])} came about:", str(outcomes.replay(wrong[0]).trace)]
            told += ["", f"to run it again: {outcomes.again(wrong[0])}"]
        raise UnexpectedOutcomes("\n".join(told), outcomes)
    return outcomes


def _meets(outcome: Hashable, expected: Expected) -> bool:
    """Whether an outcome is the expected one, or a fault of the expected class."""
    if outcome == expected:
        return True
    if isinstance(expected, type) and issubclass(expected, BaseException):
        return isinstance(outcome, Fault) and outcome.name in _names(expected)
    return False


def _names(kind: type[BaseException]) -> Iterator[str]:
    """The names of a class and of those under it: a `Fault` has no more than a name."""
    yield kind.__name__
    for below in kind.__subclasses__():
        yield from _names(below)


def _told(expected: Expected) -> str:
    """The text of what was expected and never seen."""
    return expected.__name__ if isinstance(expected, type) else label(expected)
