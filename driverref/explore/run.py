"""One run of a scenario under one schedule, and what came of it.

The outcome of a run is what the scenario returned, or the fault that ended it.  The emulator's
orderly end belongs to the run, so a leak or a callback that fails in `stop` is found, too.

If events are observed, their order belongs to the outcome, and the search must try them in every
order that is possible.  So each observed event is a step that writes one resource, `ORDER`, as if
the driver logged the event under a lock.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from driverref.diagnostics import Place, message, raised, shown, where
from driverref.emulator import Emulator
from driverref.errors import DriverFault, EmulatorHang, ErlangError, Nondeterministic, ProcessExit
from driverref.explore.schedules import Replay
from driverref.release import Release
from driverref.runtime.core import Runtime
from driverref.threads import WRITE
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.steps import Schedule
from driverref.trace import NAMES, Raw, Record, Trace

Scenario = Callable[[Emulator], object]

ORDER = "the order of the observed events"


class EmulatorOptions(TypedDict, total=False):
    """The arguments of `Emulator` that are left to the caller of `explore`."""

    async_threads: int | None
    schedulers: int
    release: str | Release


@dataclass(frozen=True)
class Fault:
    """The outcome of a run that ended in an exception, of the driver or of the scenario.

    Faults are equal if they are one mistake: the class is the same, and so are the places in the
    program.  The text may differ, in the number of a thread or in a value.
    """

    name: str
    """The exception's class: `"UseAfterFree"`, `"Leak"`, `"ErlangError"`."""
    text: str = field(compare=False)
    """The exception's message, with the places."""
    places: tuple[str, ...] = ()
    """The lines of the program that make the mistake, such as `"drv.py:12 in work"`."""
    reason: str = ""
    """The reason of an `ErlangError` or a `ProcessExit`, which a place alone does not tell."""

    @classmethod
    def of(cls, error: Exception, place: Place = None) -> Fault:
        """Return the fault that stands for an exception, which was raised at `place`."""
        name, text = type(error).__name__, message(error)
        reason = shown(error.reason) if isinstance(error, ErlangError | ProcessExit) else ""
        if isinstance(error, DriverFault | EmulatorHang):
            places = error.places
        elif place is not None:
            places = (where(place),)
            text = "; ".join(filter(None, (text, f"raised at {where(place)}")))
        else:
            places = ()
        return cls(name, text, places, reason)

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
    """A trace that makes a step of each observed event, and holds no others, unless it is `whole`.

    The order of an event that is not observed is not explored.  So a scenario that selects such an
    event gets a `ValueError`: the order it would see is that of one run, not one of all that are
    possible.
    """

    def __init__(
        self, threads: SimulatedThreads, observe: Sequence[str], whole: bool = False
    ) -> None:
        super().__init__()
        self._threads = threads
        self._observe = frozenset(observe)
        self._whole = whole

    def begin(self, now: int) -> Record | None:
        append = super().begin(now)
        if append is None or not (self._observe or self._whole):
            return None

        def record(raw: Raw) -> None:
            _, lane, name, port, job, detail = raw
            if name in self._observe:
                self._threads.step(ORDER, WRITE)
                # Other threads may have run during this step, so time may have passed.
                append((self._threads.time, lane, name, port, job, detail))
            elif self._whole:
                append(raw)

        return record

    def select(self, *names: str) -> Trace:
        if not self._whole and (unseen := set(names) - self._observe):
            raise ValueError(
                f"explore: the scenario looks at {', '.join(sorted(unseen))} in its trace;"
                " name it in observe=, so that its order is explored"
            )
        return super().select(*names)


@dataclass(frozen=True)
class Experiment:
    """A scenario and its options: all that a run needs but the schedule."""

    scenario: Scenario
    observe: tuple[str, ...]
    options: EmulatorOptions

    def run(self, schedule: Schedule) -> Hashable:
        """Run the scenario once, and return its outcome.

        Raises `TypeError` for an outcome that cannot be counted.  `Cut`, `Nondeterministic` and
        every exception that is no `Exception` pass through.
        """
        threads = SimulatedThreads(schedule=schedule)
        watch = Watch(threads, self.observe)
        erl = Emulator._on(threads, watch, **self.options)
        runtime = erl.runtime
        # Garbage is collected between two runs.  Within one, the collector would go through the
        # same knot of objects again and again, on the stack of whichever simulated thread runs
        # then.
        collects = gc.isenabled()
        gc.disable()
        try:
            value = countable(play(self.scenario, erl))
        finally:
            _untie(threads, runtime, erl)
            if collects:
                gc.enable()
        if isinstance(value, Fault) or not self.observe:
            return value
        order = Order(watch.order())
        return order if value is None else (value, order)

    def follow(self, witness: str) -> tuple[Emulator, Fault | None]:
        """Run the scenario under the schedule of a witness.

        Returns the emulator, stopped, with its whole trace, and the fault in which the run ended.
        Raises `ValueError` if the scenario cannot follow the witness.
        """
        schedule = Replay(witness)
        threads = SimulatedThreads(schedule=schedule)
        watch = Watch(threads, self.observe, whole=True)
        erl = Emulator._on(threads, watch, **self.options)
        value = play(self.scenario, erl)
        schedule.check()
        return erl, value if isinstance(value, Fault) else None


def play(scenario: Scenario, erl: Emulator) -> object:
    """Run a scenario on an emulator, which ends with it.

    Returns what the scenario returned, or the `Fault` in which the run ended.  That is the first
    failure of the run, even if the scenario has caught it: what comes after it has no meaning.
    """
    value, error = None, None
    try:
        with erl:
            value = scenario(erl)
    except Nondeterministic:
        raise
    except Exception as raised_last:
        error = raised_last
    if failure := erl.runtime.first_failure():
        if not isinstance(failure[0], Exception):
            raise failure[0]  # Ctrl-C, say, which is no outcome
        return Fault.of(failure[0], failure[1])
    return value if error is None else Fault.of(error, raised(error))


def countable(value: object) -> Hashable:
    """Return `value`, which a scenario has returned; `TypeError` if it cannot be counted."""
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"explore: the scenario returned {shown(value, 60)}, which cannot be counted:"
            " return something hashable, such as a tuple"
        ) from None
    kind = type(value)
    # What equals only itself, and was made for the emulator of one run.
    ours = any(base.__module__.startswith("driverref.") for base in kind.__mro__)
    if ours and kind.__hash__ is object.__hash__:
        raise TypeError(
            f"explore: the scenario returned its {kind.__name__}, which belongs to one run and"
            " equals none of another: return what it says, such as a message or a number"
        )
    if isinstance(value, tuple | frozenset):
        for part in value:
            countable(part)
    return value


def _untie(threads: SimulatedThreads, runtime: Runtime, erl: Emulator) -> None:
    """Empty the objects of an emulator whose run is over.

    They refer to each other in circles, and a search makes thousands of emulators.  Without the
    circles they are freed at once, and the garbage collector has nothing to look for.
    """
    for thread in threads.started_ones:
        thread.process = thread.scheduler = thread.runtime = None
    for part in (*runtime.schedulers, runtime.pool, runtime, threads, erl):
        vars(part).clear()


def check_observe(observe: object) -> tuple[str, ...]:
    """Return the names of the events to observe.

    Raises `TypeError` if `observe` is no sequence of names, `ValueError` if a name is that of no
    event.
    """
    if isinstance(observe, str) or not isinstance(observe, Sequence):
        raise TypeError(f"explore: observe must be a sequence of event names, not {shown(observe)}")
    for name in observe:
        if name not in NAMES:
            raise ValueError(
                f"explore: observe has {shown(name)}, which is no event; events are"
                f" {', '.join(sorted(NAMES))}"
            )
    return tuple(observe)
