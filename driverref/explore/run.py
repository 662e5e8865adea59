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
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import cast

from driverref.diagnostics import Place, message, raised, shown, where
from driverref.emulator import DEFAULTS, Emulator, EmulatorOptions, OverEmulator
from driverref.errors import (
    DriverFault,
    EmulatorHang,
    ErlangError,
    Livelock,
    Nondeterministic,
    ProcessExit,
    check_int,
    wrong_type,
)
from driverref.explore.journal import Kept
from driverref.explore.schedules import Deviation, Replay, Witnessed, written
from driverref.explore.witness import STEP_LIMIT, RunOptions, ending
from driverref.runtime.core import OverRuntime, Runtime
from driverref.runtime.overflow import repeated
from driverref.threads import ALLOCATION, LATE, SPURIOUS, WRITE
from driverref.threads.blocking import warn_of_blocking
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.watch import began, ended
from driverref.trace import NAMES, Raw, Record, Trace

Scenario = Callable[[Emulator], object]

ALWAYS_TRIED = frozenset({LATE, SPURIOUS})
"""The kinds of chance that every search tries."""

ORDER = "the order of the observed events"


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
        places: tuple[str, ...] = ()
        if isinstance(error, DriverFault | EmulatorHang):
            places = error.places
        # Where the stack was full is chance: it is where the calls begin to repeat that counts.
        elif isinstance(error, RecursionError) and (nesting := repeated(error)):
            text, places = str(nesting), (where(nesting.place),)
        elif place is not None:
            places = (where(place),)
            text = "; ".join(filter(None, (text, f"raised at {where(place)}")))
        return cls(name, text, places, reason)

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name

    def _repr_html_(self) -> str:
        places = "".join(f"<li><code>{escape(place)}</code></li>" for place in self.places)
        text = f'<pre style="white-space: pre-wrap">{escape(self.text)}</pre>' if self.text else ""
        return f"<p><b>{escape(self.name)}</b></p>{text}{f'<ul>{places}</ul>' if places else ''}"


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

    def begin(self, now: int, clock: Callable[[], int] | None = None) -> Record | None:
        append = super().begin(now, clock if self._whole else None)
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
            if self._whole and Kept.journal is not None:
                Kept.journal.event((raw[0] - now, *raw[1:]))

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

    def _threads(self, schedule: Witnessed) -> SimulatedThreads:
        """Return the threads of a run under this schedule."""
        schedule.step_limit = self.step_limit
        schedule.chances = ALWAYS_TRIED | {ALLOCATION} if self.failing_allocations else ALWAYS_TRIED
        threads = SimulatedThreads(schedule=schedule)
        began(f"{self.name}{self.ending}", threads)
        return threads

    @property
    def name(self) -> str:
        """The name of the scenario, for messages."""
        return getattr(self.scenario, "__name__", "") or "the scenario"

    def _note(self, schedule: Witnessed) -> None:
        """Note in the journal of this process, if it keeps one, that a run begins."""
        if (journal := Kept.journal) is not None:
            journal.begin(schedule.deviations(), self.ending)
            schedule.note = journal.add

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

    def run(self, schedule: Witnessed) -> Hashable:
        """Run the scenario once, and return its outcome.

        Raises `TypeError` for an outcome that cannot be counted.  `Cut`, `Nondeterministic`, every
        exception that is no `Exception`, and a stack that was full in the middle of a choice pass
        through.
        """
        threads = self._threads(schedule)
        self._note(schedule)
        watch = Watch(threads, self.observe)
        erl = Emulator._on(threads, watch, **self.options)
        runtime = erl.runtime
        # Garbage is collected between two runs.  Within one, the collector would go through the
        # same knot of objects again and again, on the stack of whichever simulated thread runs
        # then.
        collects = gc.isenabled()
        gc.disable()
        livelock = ""
        try:
            value = countable(play(self.scenario, erl, threads))
            if isinstance(value, Fault) and value.name == Livelock.__name__:
                livelock = str(value)
        finally:
            ended(livelock)
            _untie(threads, runtime, erl)
            if collects:
                gc.enable()
        if isinstance(value, Fault) or not self.observe:
            return value
        order = Order(watch.order())
        return order if value is None else (value, order)

    def follow(self, witness: str) -> tuple[Emulator, Fault | None]:
        """Run the scenario under the schedule of a witness, whose options are those of `self`.

        Returns the emulator, stopped, with its whole trace, and the fault in which the run ended.
        Raises `ValueError` if the scenario cannot follow the witness.
        """
        schedule = Replay(witness)
        erl = self.emulator(schedule)
        value = play(self.scenario, erl)
        ended()
        schedule.check()
        return erl, value if isinstance(value, Fault) else None

    def emulator(self, schedule: Witnessed) -> Emulator:
        """Return an emulator for a run under this schedule, which has its whole trace."""
        threads = self._threads(schedule)
        self._note(schedule)
        watch = Watch(threads, self.observe, whole=True)
        return Emulator._on(threads, watch, **self.options)


def experiment_of(call: str, scenario: Scenario, options: RunOptions) -> Experiment:
    """Return the experiment that a caller of `call` asks for.

    Raises `TypeError` or `ValueError` if an option is wrong.
    """
    emulator = cast(EmulatorOptions, {n: value for n, value in options.items() if n in DEFAULTS})
    return Experiment(
        scenario,
        check_observe(options.get("observe", ())),
        emulator,
        check_step_limit(call, options.get("step_limit", STEP_LIMIT)),
        check_failing(call, options.get("failing_allocations", False)),
    )


def play(scenario: Scenario, erl: Emulator, searched: SimulatedThreads | None = None) -> object:
    """Run a scenario on an emulator, which ends with it.

    Returns what the scenario returned, or the `Fault` in which the run ended.  That is the first
    failure of the run, even if the scenario has caught it: what comes after it has no meaning.
    A search gives its threads, and an error that has stopped it in a choice passes through.
    """
    value, error = None, None
    warn_of_blocking(scenario)
    try:
        with erl:
            value = scenario(erl)
    except Nondeterministic:
        raise
    except Exception as raised_last:
        # A search that was stopped in the middle of a choice does not know what it has tried.
        if searched is not None and searched.torn:
            raise
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
        value == value  # noqa: B015 - whether it fails is the question
    except Exception as error:  # of a class of the scenario's
        failed = "" if isinstance(error, TypeError) else f" ({type(error).__name__}: {error})"
        raise TypeError(
            f"explore: the scenario returned {shown(value, 60)}, which cannot be counted{failed}:"
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
    for part in (*runtime.schedulers, runtime.pool, runtime, threads, erl):
        vars(part).clear()
    # The scenario may have kept them.
    erl.__class__, runtime.__class__ = OverEmulator, OverRuntime


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
                f"explore: observe has {shown(name)}, which is no event; events are"
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
