"""One run of a scenario under one schedule, and what came of it.

The outcome of a run is what the scenario returned, or the fault that ended it.  The emulator's
orderly end belongs to the run, so a leak or a callback that fails in `stop` is found, too.

If events are observed, their order belongs to the outcome, and the search must try them in every
order that is possible.  So each observed event is a step that writes one resource, `ORDER`, as if
the driver logged the event under a lock.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from driverref.emulator import Emulator, EmulatorOptions
from driverref.errors import Nondeterministic, check_int, wrong_type
from driverref.explore.schedules import Deviation, Replay, written
from driverref.explore.witness import STEP_LIMIT, ending
from driverref.runtime.core import Runtime
from driverref.runtime.overflow import repeated
from driverref.threads import ALLOCATION, LATE, SPURIOUS, WRITE
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads
from driverref.trace import NAMES, Raw, Record, Trace

Scenario = Callable[[Emulator], object]

ALWAYS_TRIED = frozenset({LATE, SPURIOUS})
"""The kinds of chance that every search tries."""

ORDER = "the order of the observed events"


class Fault(NamedTuple):
    """The outcome of a run that ended in an exception, of the driver or of the scenario."""

    name: str
    """The exception's class: `"UseAfterFree"`, `"Leak"`, `"ErlangError"`."""
    text: str
    """The exception's message."""

    @classmethod
    def of(cls, error: Exception) -> Fault:
        """Return the fault that stands for an exception."""
        text = repeated(error) if isinstance(error, RecursionError) else None
        return cls(type(error).__name__, text or str(error))

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
    step_limit: int = STEP_LIMIT
    failing_allocations: bool = False

    def _threads(self, schedule: FirstCome) -> SimulatedThreads:
        """Return the threads of a run under this schedule."""
        schedule.step_limit = self.step_limit
        schedule.chances = ALWAYS_TRIED | {ALLOCATION} if self.failing_allocations else ALWAYS_TRIED
        return SimulatedThreads(schedule=schedule)

    @cached_property
    def ending(self) -> str:
        """The options of the runs, as each of their witnesses ends with them."""
        return ending(
            {
                **self.options,
                "observe": self.observe,
                "step_limit": self.step_limit,
                "failing_allocations": self.failing_allocations,
            }
        )

    def witness(self, deviations: Iterable[Deviation]) -> str:
        """Return the witness of a run, for `replay`."""
        return written(deviations) + self.ending

    def run(self, schedule: FirstCome) -> Hashable:
        """Run the scenario once, and return its outcome.

        Raises `TypeError` for an outcome that cannot be hashed.  `Cut`, `Nondeterministic`, every
        exception that is no `Exception`, and a stack that was full in the middle of a choice pass
        through.
        """
        threads = self._threads(schedule)
        watch = Watch(threads, self.observe)
        erl = Emulator._on(threads, watch, **self.options)
        runtime = erl.runtime
        # Garbage is collected between two runs.  Within one, the collector would go through the
        # same knot of objects again and again, on the stack of whichever simulated thread runs
        # then.
        collects = gc.isenabled()
        gc.disable()
        try:
            with erl:
                value = self.scenario(erl)
        except Nondeterministic:
            raise
        except Exception as error:
            # A search that was stopped in the middle of a choice does not know what it has tried.
            if threads.torn:
                raise
            return Fault.of(error)
        finally:
            _untie(threads, runtime, erl)
            if collects:
                gc.enable()
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"explore: the scenario returned {value!r}, which cannot be counted:"
                " return something hashable, such as a tuple"
            ) from None
        if not self.observe:
            return value
        order = Order(watch.order())
        return order if value is None else (value, order)

    def follow(self, witness: str) -> tuple[Emulator, Fault | None]:
        """Run the scenario under the schedule of a witness, whose options are those of `self`.

        Returns the emulator, stopped, with its whole trace, and the fault in which the run ended.
        Raises `ValueError` if the scenario cannot follow the witness.
        """
        schedule = Replay(witness)
        threads = self._threads(schedule)
        watch = Watch(threads, self.observe, whole=True)
        erl, fault = Emulator._on(threads, watch, **self.options), None
        try:
            with erl:
                self.scenario(erl)
        except Exception as error:
            fault = Fault.of(error)
        schedule.check()
        return erl, fault


def _untie(threads: SimulatedThreads, runtime: Runtime, erl: Emulator) -> None:
    """Empty the objects of an emulator whose run is over.

    They refer to each other in circles, and a search makes thousands of emulators.  Without the
    circles they are freed at once, and the garbage collector has nothing to look for.
    """
    for part in (*runtime.schedulers, runtime.pool, runtime, threads, erl):
        vars(part).clear()


def check_observe(observe: object) -> tuple[str, ...]:
    """Return the names of the events to observe.

    Raises `TypeError` if `observe` is no sequence of names, `ValueError` if a name is that of no
    event.
    """
    if isinstance(observe, str) or not isinstance(observe, Sequence):
        raise wrong_type("explore", "observe", "a sequence of event names", observe)
    for name in observe:
        if name not in NAMES:
            raise ValueError(
                f"explore: observe has {name!r}, which is no event; events are"
                f" {', '.join(sorted(NAMES))}"
            )
    return tuple(observe)


def check_step_limit(call: str, step_limit: object) -> int:
    """Return the number of steps that a run may have, if it is 1 or more."""
    check_int(call, "step_limit", step_limit, 1, None, "steps")
    assert isinstance(step_limit, int)
    return step_limit


def check_failing(call: str, failing_allocations: object) -> bool:
    """Return whether allocations fail, if that is a `bool`."""
    if not isinstance(failing_allocations, bool):
        raise wrong_type(call, "failing_allocations", "True or False", failing_allocations)
    return failing_allocations
