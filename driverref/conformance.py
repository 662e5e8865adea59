"""Whether the model has what the real emulator did.

A run of the real emulator leaves an order of events.  `admits` asks whether some schedule of the
model has exactly that order; `orders` returns all orders that the model has.

The search is that of `explore`, with a guide.  A run whose events leave the order that is asked for
is cut there, and nothing that comes after the wrong event is run.  To the search, a run that is cut
is one that ends in a fault: it is not known what the other threads would have done next, so each of
them is tried in place of the step that left the order.  So a no is as certain as an `explore` that
has come to its end, and needs fewer and shorter runs.

A run that ends in a `Leak` counts, because the emulator does not look for leaks and everything else
has happened.  A run that ends in another fault does not count, because what the emulator does after
a fault is not defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Unpack

from driverref.emulator import Emulator, EmulatorOptions
from driverref.errors import Leak
from driverref.explore import Fault, Order, Scenario
from driverref.explore.outcomes import in_one_line
from driverref.explore.run import Experiment, check_observe
from driverref.explore.search import Cut, Search
from driverref.threads.steps import Steps
from driverref.trace import Trace

__all__ = ["Verdict", "admits", "orders"]

THE_END = "(the end)"
"""Stands in the place of the next event where a run is over."""


@dataclass(frozen=True)
class Verdict:
    """The answer of `admits`.  It is true if the model has the order; `print` says why not."""

    events: Order
    """The order that was asked for."""
    witness: str | None
    """The schedule that has it, for `replay`; `None` if there is none."""
    reached: Order
    """The longest beginning of the order that some schedule has."""
    instead: tuple[str, ...]
    """What came next in the schedules that got so far: an event, the end, or a fault."""
    schedules: int
    """How many schedules were run."""

    def __bool__(self) -> bool:
        return self.witness is not None

    def __str__(self) -> str:
        if self:
            return f"the model has {self.events}: schedule {self.witness}"
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
    **emulator: Unpack[EmulatorOptions],
) -> Verdict:
    """Return whether some schedule of the scenario has the observed events in exactly this order.

    `events` is an order as `Trace.order` gives it.  `observe` names all events that were looked at:
    an observed event that is not in `events` must not happen.  The scenario and `emulator` are as
    for `explore`; what the scenario returns makes no difference.

    Raises `ValueError` if `events` has one that is not observed, and what `explore` raises.
    """
    names = check_observe(observe)
    for event in events:
        if event.partition("(")[0] not in names:
            raise ValueError(f"admits: {event!r} cannot come, because observe does not name it")
    wanted = Order(events)
    reached, instead, count = -1, dict[str, None](), 0
    for run in _runs(scenario, names, emulator, wanted):
        count += 1
        if run.events == wanted and run.end == THE_END:
            named = Experiment(scenario, names, emulator).witness(run.search.deviations())
            return Verdict(wanted, named, wanted, (), count)
        pairs = enumerate(zip(run.events, wanted, strict=False))
        shorter = min(len(run.events), len(wanted))
        common = next((i for i, (one, other) in pairs if one != other), shorter)
        if common > reached:
            reached = common
            instead.clear()
        if common == reached and (then := [*run.events, run.end][common]) is not None:
            instead[then] = None
    return Verdict(wanted, None, Order(wanted[:reached]), tuple(instead), count)


def orders(
    scenario: Scenario, *, observe: tuple[str, ...] | list[str], **emulator: Unpack[EmulatorOptions]
) -> list[Order]:
    """Return every order of the observed events to which `admits` says yes.

    The scenario and `emulator` are as for `explore`.  Raises what `explore` raises.
    """
    runs = _runs(scenario, check_observe(observe), emulator, None)
    return [*dict.fromkeys(run.events for run in runs if run.end == THE_END)]


class Guided(Search):
    """The search, held to an order of events; if `wanted` is `None`, the search as it is."""

    def __init__(self, wanted: Order | None) -> None:
        super().__init__()
        self.wanted = wanted
        self.trace = Trace()
        self._length = 0  # of the trace when it was compared last

    def watch(self, trace: Trace) -> None:
        """Begin another run, whose events stand in `trace`."""
        self.trace, self._length = trace, 0

    def astray(self) -> bool:
        """Return whether the run has left the order."""
        if self.wanted is None or len(self.trace) == self._length:
            return False
        done, self._length = self._length, len(self.trace)
        return tuple(self.trace[done:].order()) != self.wanted[done : self._length]

    def choose(self, threads: Steps) -> int | None:
        if not self._over and self.astray():
            # The search's `end` is called next, and notes the threads that could have gone on.
            threads.give_up(Cut())
            return None
        return super().choose(threads)


class Run(NamedTuple):
    """One run of a guided search."""

    events: Order
    """The observed events, in order."""
    end: str | None
    """`THE_END`, or the fault in which the run ended; `None`: the run was cut."""
    search: Guided
    """The search, which knows the run's schedule until the next run begins."""


def _runs(
    scenario: Scenario, observe: tuple[str, ...], emulator: EmulatorOptions, wanted: Order | None
) -> Iterator[Run]:
    """Make the runs of a guided search."""
    guide = Guided(wanted)

    def watched(erl: Emulator) -> None:
        guide.watch(erl.trace)
        scenario(erl)

    more = True
    while more:
        end: str | None = None
        try:
            outcome = Experiment(watched, observe, emulator).run(guide)
            faulty = isinstance(outcome, Fault) and outcome.name != Leak.__name__
            end = in_one_line(outcome) if faulty else THE_END
        except Cut:
            pass
        if guide.mismatch is not None:
            raise guide.mismatch
        yield Run(Order(guide.trace.order()), end, guide)
        more = guide.next()
