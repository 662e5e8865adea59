"""One run of a scenario under one schedule, and what came of it.

The outcome of a run is what the scenario returned, or the fault that ended it; the emulator's orderly end belongs to
the run, so a leak or a callback that fails in `stop` is found too.  If events are observed, their order belongs to
the outcome: each is a write to one thing, `ORDER`, and so the search tries them in every order that is possible.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from driverref.emulator import Emulator
from driverref.errors import Nondeterministic
from driverref.event import NAMES
from driverref.threads import WRITE
from driverref.threads.simulated import Schedule, SimulatedThreads
from driverref.trace import Raw, Record, Trace

Scenario = Callable[[Emulator], Any]

ORDER = "the order of the observed events"


class Fault(NamedTuple):
    """The outcome of a run that ended in an exception, of the driver or of the scenario."""

    name: str
    """The exception's class: `"UseAfterFree"`, `"Leak"`, `"ErlangError"`."""
    text: str
    """What it says."""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name


class Order(tuple[str, ...]):
    """The order of the observed events, as `Trace.order` gives it.  Prints without quotes."""

    __slots__ = ()

    def __str__(self) -> str:
        return " ".join(self) or "(no event)"

    def __repr__(self) -> str:
        return f"Order({tuple(self)!r})"


class Watch(Trace):
    """A trace of the observed events only.  Whoever asks it for others would learn nothing about their order."""

    def __init__(self, threads: SimulatedThreads, observe: Sequence[str]) -> None:
        super().__init__()
        self._threads = threads
        self._observe = frozenset(observe)

    def begin(self, now: int) -> Record | None:
        append = super().begin(now)
        if not self._observe or append is None:
            return None

        def record(raw: Raw) -> None:
            if raw[2] in self._observe:
                self._threads.also(ORDER, WRITE)
                append(raw)

        return record

    def select(self, *names: str) -> Trace:
        if unseen := set(names) - self._observe:
            raise ValueError(
                f"explore: the scenario looks at {', '.join(sorted(unseen))} in its trace;"
                " name it in observe=, so that its order is explored"
            )
        return super().select(*names)


def run(
    scenario: Scenario, schedule: Schedule, observe: Sequence[str], options: dict[str, Any]
) -> Hashable:
    """Run the scenario once, and return its outcome.

    `Cut`, `Nondeterministic` and what is no `Exception` pass through.
    """
    threads = SimulatedThreads(schedule=schedule)
    watch = Watch(threads, observe)
    erl = Emulator(threads=threads, trace=watch, **options)
    try:
        with erl:
            value = scenario(erl)
    except Nondeterministic:
        raise
    except Exception as error:
        return Fault(type(error).__name__, str(error))
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"explore: the scenario returned {value!r}, which cannot be counted:"
            " return something hashable, such as a tuple"
        ) from None
    if not observe:
        return value  # type: ignore[no-any-return]
    order = Order(watch.order())
    return order if value is None else (value, order)


class Litter:
    """In its block, the collector of garbage looks at what runs have left behind when `sweep` says so.

    An emulator is a knot of references that only the collector can undo; every run leaves one, and to look for
    others in the middle of a run is in vain.
    """

    EVERY = 64
    """Runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.enabled = gc.isenabled()

    def __enter__(self) -> Litter:
        gc.disable()
        return self

    def sweep(self) -> None:
        """A run has ended."""
        self.runs += 1
        if self.runs % self.EVERY == 0:
            gc.collect(0)

    def __exit__(self, *error: object) -> None:
        if self.enabled:
            gc.enable()


def check_observe(observe: object) -> tuple[str, ...]:
    """The names of events to observe."""
    if isinstance(observe, str) or not isinstance(observe, Sequence):
        raise TypeError(f"explore: observe must be a sequence of event names, not {observe!r}")
    for name in observe:
        if name not in NAMES:
            raise ValueError(
                f"explore: observe has {name!r}, which is no event; events are"
                f" {', '.join(sorted(NAMES))}"
            )
    return tuple(observe)
