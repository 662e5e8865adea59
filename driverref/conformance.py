"""Whether the model has what the real emulator did.

A run of the real emulator leaves an order of events.  `admits` asks whether some schedule of the model has exactly
that order; `orders` are all that the model has.

The search is that of `explore`, with a guide: a run whose events have left the order that is asked for is cut there
and then, and whoever else could have gone on is tried in place of the step that left it.  That step sleeps meanwhile,
like any other that was tried: until something it depends on has happened it would make the same wrong event again, and
whatever comes after a wrong event is of no interest.  So a no is as certain as an `explore` that has run to its end,
and costs a fraction of it.

A run that ends in a `Leak` counts, because the emulator does not look for leaks and everything else has happened.  A
run that ends in another fault does not: what the emulator does after it is not defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from driverref.emulator import Emulator
from driverref.errors import Leak
from driverref.explore import Fault, Order, Scenario, label
from driverref.explore.run import check_observe, run
from driverref.explore.schedules import witness
from driverref.explore.search import Cut, Search
from driverref.threads.simulated import SimulatedThread, SimulatedThreads
from driverref.trace import Trace

__all__ = ["Verdict", "admits", "orders"]

THE_END = "(the end)"
"""Where an event is asked for and the run is over."""


@dataclass(frozen=True)
class Verdict:
    """The answer of `admits`.  True if the model has the order; `print` says why or why not."""

    events: Order
    """What was asked for."""
    witness: str | None
    """The schedule that has it, for `replay`; `None` if there is none."""
    reached: Order
    """The longest beginning of it that some schedule has."""
    instead: tuple[str, ...]
    """What came next in the schedules that got so far: an event, the end, or a fault."""
    schedules: int
    """Schedules that were run."""

    def __bool__(self) -> bool:
        return self.witness is not None

    def __str__(self) -> str:
        if self.witness is not None:
            return f"the model has {self.events}: schedule {self.witness or 'first come'}"
        missing = [*self.events, THE_END][len(self.reached)]
        could = "; ".join(self.instead)
        return (
            f"the model does not have {self.events}\n"
            f"  it has as much of it as: {self.reached}\n"
            f"  asked for next: {missing}\n"
            f"  what the model has there: {could}"
        )


def admits(
    scenario: Scenario,
    events: Sequence[str],
    *,
    observe: tuple[str, ...] | list[str],
    **emulator: Any,
) -> Verdict:
    """Whether some schedule of the scenario has the observed events in exactly this order.

    `events` is an order as `Trace.order` gives it, and `observe` names all events that were looked at: one that is
    not in `events` must not happen.  The scenario and `emulator` are as for `explore`; what the scenario returns
    makes no difference.

    Raises `ValueError` if `events` has one that is not observed, and what `explore` raises.
    """
    names = check_observe(observe)
    for event in events:
        if event.partition("(")[0] not in names:
            raise ValueError(f"admits: {event!r} cannot come, because observe does not name it")
    wanted = Order(events)
    reached, instead, count = -1, dict[str, None](), 0
    for order, end, guide in _runs(scenario, names, emulator, wanted):
        count += 1
        if order == wanted and end == THE_END:
            return Verdict(wanted, witness(guide.deviations()), wanted, (), count)
        common = next(
            (i for i, (one, other) in enumerate(zip(order, wanted, strict=False)) if one != other),
            min(len(order), len(wanted)),
        )
        if common > reached:
            reached = common
            instead.clear()
        if common == reached and (next_one := [*order, end][common]) is not None:
            instead[next_one] = None
    return Verdict(wanted, None, Order(wanted[:reached]), tuple(instead), count)


def orders(
    scenario: Scenario, *, observe: tuple[str, ...] | list[str], **emulator: Any
) -> dict[Order, str]:
    """Every order of the observed events that the model has, each with a witness of it.

    The keys are those that `admits` says yes to.  The scenario and `emulator` are as for `explore`.
    """
    found: dict[Order, str] = {}
    for order, end, guide in _runs(scenario, check_observe(observe), emulator, None):
        if end == THE_END and order not in found:
            found[order] = witness(guide.deviations())
    return found


class Guided(Search):
    """The search, held to an order of events; without one, the search as it is."""

    def __init__(self, wanted: Order | None) -> None:
        self.wanted = wanted
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self.trace = Trace()
        self._seen = 0
        self._astray = False

    def astray(self) -> bool:
        """Whether the run has left the order."""
        if self.wanted is not None and len(self.trace) > self._seen:
            order = self.trace.order()
            self._seen = len(order)
            self._astray = tuple(order) != self.wanted[: self._seen]
        return self._astray

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        if not self._over and self.astray():
            threads.give_up(Cut())  # and `end` finds out who else could have gone on
            return None
        return super().choose(threads)

    def end(self, threads: SimulatedThreads) -> None:
        super().end(threads)
        if self.astray():
            self._fatal = False  # the step may sleep: it depends on what it has touched, no more


def _runs(
    scenario: Scenario, observe: tuple[str, ...], emulator: dict[str, Any], wanted: Order | None
) -> Iterator[tuple[Order, str | None, Guided]]:
    """Each run's events, and how it ended; `None` if it was cut."""
    guide = Guided(wanted)

    def guided(erl: Emulator) -> None:
        guide.trace = erl.trace
        scenario(erl)

    more = True
    while more:
        end: str | None = None
        try:
            outcome = run(guided, guide, observe, emulator)
            whole = not isinstance(outcome, Fault) or outcome.name == Leak.__name__
            end = THE_END if whole else label(outcome)
        except Cut:
            pass
        yield Order(guide.trace.order()), end, guide
        more = guide.next()
