"""Whether the model has what the real emulator did.

A run of the real emulator leaves an order of events.  `admits` asks whether some schedule of the model has exactly
that order; `orders` are all that the model has.

The search is that of `explore`, with a guide.  A run whose events have left the order that is asked for is cut there
and then.  A run that is cut is one that ends in a fault: it is not known what the others would have done, so each of
them is tried in place of the step that left the order.  Whatever comes after a wrong event is never run.  So a no is as
certain as an `explore` that has come to its end, and costs a fraction of it.

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
from driverref.explore.run import Job, check_observe
from driverref.explore.schedules import witness
from driverref.explore.search import Cut, Search
from driverref.threads.simulated import SimulatedThread, SimulatedThreads
from driverref.trace import Trace

__all__ = ["Verdict", "admits", "orders"]

THE_END = "(the end)"
"""Where an event is asked for and the run is over."""


@dataclass(frozen=True)
class Verdict:
    """The answer of `admits`.  True if the model has the order; `print` says why not."""

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
        if self:
            return f"the model has {self.events}: schedule {self.witness or 'first come'}"
        missing = [*self.events, THE_END][len(self.reached)]
        return (
            f"the model does not have {self.events}\n"
            f"  it has as much of it as: {self.reached}\n"
            f"  asked for next: {missing}\n"
            f"  what the model has there: {'; '.join(self.instead)}"
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
    for seen, end, guide in _runs(scenario, names, emulator, wanted):
        count += 1
        if seen == wanted and end == THE_END:
            return Verdict(wanted, witness(guide.deviations()), wanted, (), count)
        pairs = enumerate(zip(seen, wanted, strict=False))
        shorter = min(len(seen), len(wanted))
        common = next((i for i, (one, other) in pairs if one != other), shorter)
        if common > reached:
            reached = common
            instead.clear()
        if common == reached and (then := [*seen, end][common]) is not None:
            instead[then] = None
    return Verdict(wanted, None, Order(wanted[:reached]), tuple(instead), count)


def orders(
    scenario: Scenario, *, observe: tuple[str, ...] | list[str], **emulator: Any
) -> list[Order]:
    """Every order of the observed events that the model has: those that `admits` says yes to, and no others.

    The scenario and `emulator` are as for `explore`.
    """
    runs = _runs(scenario, check_observe(observe), emulator, None)
    return [*dict.fromkeys(seen for seen, end, _ in runs if end == THE_END)]


class Guided(Search):
    """The search, held to an order of events; without one, the search as it is."""

    def __init__(self, wanted: Order | None) -> None:
        super().__init__()
        self.wanted = wanted
        self.trace = Trace()
        self._length = 0

    def watch(self, trace: Trace) -> None:
        """Another run begins."""
        self.trace, self._length = trace, 0

    def astray(self) -> bool:
        """Whether the run has left the order."""
        if self.wanted is None or len(self.trace) == self._length:
            return False
        self._length = len(self.trace)
        return tuple(self.trace.order()) != self.wanted[: self._length]

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        if not self._over and self.astray():
            threads.give_up(Cut())  # and `end` finds out who else could have gone on
            return None
        return super().choose(threads)


def _runs(
    scenario: Scenario, observe: tuple[str, ...], emulator: dict[str, Any], wanted: Order | None
) -> Iterator[tuple[Order, str | None, Guided]]:
    """Each run's events, and how it ended; `None` if it was cut."""
    guide = Guided(wanted)

    def watched(erl: Emulator) -> None:
        guide.watch(erl.trace)
        scenario(erl)

    more = True
    while more:
        end: str | None = None
        try:
            outcome = Job(watched, observe, emulator).run(guide)
            leaks = isinstance(outcome, Fault) and outcome.name == Leak.__name__
            end = label(outcome) if isinstance(outcome, Fault) and not leaks else THE_END
        except Cut:
            pass
        if guide.strange is not None:
            raise guide.strange
        yield Order(guide.trace.order()), end, guide
        more = guide.next()
