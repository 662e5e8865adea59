"""Whether the model has what the real emulator did.

A run of the real emulator leaves an order of events.  `admits` asks whether some schedule of the model has exactly
that order; `orders` are all that the model has.

The search is that of `explore`, with two differences.

* To be seen is a step.  A driver that logs its events does so under a lock, and between two of its events any other
  thread may come.  So an observed event is a step here, even where `explore` sees none because no program could tell.
* It has a guide.  A run whose events have left the order that is asked for is cut there and then.  A run that is cut
  is one that ends in a fault: it is not known what the others would have done, so each of them is tried in place of
  the step that left the order.  Whatever comes after a wrong event is never run.  So a no is as certain as an `explore`
  that has come to its end, and costs a fraction of it.

A run that ends in a `Leak` counts, because the emulator does not look for leaks and everything else has happened.  A
run that ends in another fault does not: what the emulator does after it is not defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from driverref.emulator import Emulator
from driverref.errors import Leak
from driverref.explore import Fault, Order, Scenario, label
from driverref.explore.run import ORDER, Watch, check_observe, run
from driverref.explore.search import Cut, Search
from driverref.threads import WRITE
from driverref.threads.simulated import SimulatedThread, SimulatedThreads
from driverref.trace import Raw, Record, Trace

__all__ = ["Verdict", "admits", "orders"]

THE_END = "(the end)"
"""Where an event is asked for and the run is over."""


@dataclass(frozen=True)
class Verdict:
    """The answer of `admits`.  True if the model has the order; `print` says why not."""

    events: Order
    """What was asked for."""
    witness: Trace | None = field(repr=False)
    """A run that has it, with all its events; `None` if there is none."""
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
            return f"the model has {self.events}"
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
    for trace, end in _runs(scenario, names, emulator, wanted):
        count += 1
        if trace.seen == [*wanted] and end == THE_END:
            return Verdict(wanted, trace, wanted, (), count)
        pairs = enumerate(zip(trace.seen, wanted, strict=False))
        shorter = min(len(trace.seen), len(wanted))
        common = next((i for i, (one, other) in pairs if one != other), shorter)
        if common > reached:
            reached = common
            instead.clear()
        if common == reached and (then := [*trace.seen, end][common]) is not None:
            instead[then] = None
    return Verdict(wanted, None, Order(wanted[:reached]), tuple(instead), count)


def orders(
    scenario: Scenario, *, observe: tuple[str, ...] | list[str], **emulator: Any
) -> list[Order]:
    """Every order of the observed events that the model has: those that `admits` says yes to, and no others.

    The scenario and `emulator` are as for `explore`.  There may be more than `explore` finds, because to be seen is
    a step.
    """
    runs = _runs(scenario, check_observe(observe), emulator, None)
    return [*dict.fromkeys(Order(trace.seen) for trace, end in runs if end == THE_END)]


class Seen(Watch):
    """A trace of all events.  Those that are observed are steps."""

    def __init__(self, threads: SimulatedThreads, observe: Sequence[str]) -> None:
        super().__init__(threads, observe)
        self.seen: list[str] = []
        """The observed events, as `Trace.order` gives them."""

    def begin(self, now: int) -> Record | None:
        append = Trace.begin(self, now)
        assert append is not None

        def record(raw: Raw) -> None:
            _, thread, name, port, job, detail = raw
            if name in self._observe:
                self._threads.step(ORDER, WRITE)
                self.seen.append(name if job is None else f"{name}({job})")
            append((self._threads.time, thread, name, port, job, detail))

        return record

    select = Trace.select


class Guided(Search):
    """The search, held to an order of events; without one, the search as it is."""

    def __init__(self, wanted: Order | None) -> None:
        super().__init__()
        self.wanted = wanted
        self.trace: Seen

    def astray(self) -> bool:
        """Whether the run has left the order."""
        seen = self.trace.seen
        return self.wanted is not None and tuple(seen) != self.wanted[: len(seen)]

    def choose(self, threads: SimulatedThreads) -> SimulatedThread | None:
        if not self._over and self.astray():
            threads.give_up(Cut())  # and `end` finds out who else could have gone on
            return None
        return super().choose(threads)


def _runs(
    scenario: Scenario, observe: tuple[str, ...], emulator: dict[str, Any], wanted: Order | None
) -> Iterator[tuple[Seen, str | None]]:
    """Each run, and how it ended; `None` if it was cut."""
    guide = Guided(wanted)

    class Guiding(Seen):
        def __init__(self, threads: SimulatedThreads, observe: Sequence[str]) -> None:
            super().__init__(threads, observe)
            guide.trace = self

    def unheard(erl: Emulator) -> None:
        scenario(erl)

    more = True
    while more:
        end: str | None = None
        try:
            outcome = run(unheard, guide, observe, emulator, Guiding)
            leaks = isinstance(outcome, Fault) and outcome.name == Leak.__name__
            end = label(outcome) if isinstance(outcome, Fault) and not leaks else THE_END
        except Cut:
            pass
        if guide.strange is not None:
            raise guide.strange
        yield guide.trace, end
        more = guide.next()
