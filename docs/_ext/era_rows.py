"""The rows of the table of eras: what each shows of a `Release`, in which words, and which rule says it.

A row names the fields that it reads; no cell is typed by hand. `releases` draws the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from driverref.release import Release


class Cell(NamedTuple):
    """What a release does: in words, with `code` in them, and the rule that says it."""

    words: str
    rule: str | None = None


class Row(NamedTuple):
    """A property of releases."""

    title: str
    fields: tuple[str, ...]
    """The fields of `Release` that it shows."""
    read: Callable[[Release], Cell]


def either(title: str, field: str, yes: Cell, no: Cell) -> Row:
    """A row for a field that is true or false."""
    return Row(title, (field,), lambda release: yes if getattr(release, field) else no)


def one_of(title: str, field: str, cells: Mapping[Any, Cell]) -> Row:
    """A row for a field with a few values."""
    return Row(title, (field,), lambda release: cells[getattr(release, field)])


def as_is(title: str, field: str, rule: str) -> Row:
    """A row for a field whose value speaks for itself."""
    return Row(title, (field,), lambda release: Cell(str(getattr(release, field)), rule))


def several(row: Row) -> Row:
    """A row about several schedulers, which the first emulators could not have."""

    def read(release: Release) -> Cell:
        if release.max_schedulers == 1:
            return Cell("one emulator thread", "era.one-thread")
        return row.read(release)

    return Row(row.title, (*row.fields, "max_schedulers"), read)


def interface(release: Release) -> Cell:
    """The version of the driver interface."""
    if release.driver_version is None:
        return Cell("without a version", "era.calls")
    return Cell(".".join(map(str, release.driver_version)), "era.calls")


def missing(release: Release) -> Cell:
    """The callbacks of today's entry that the release does not know, in the entry's order."""
    from driverref.release import OTP_25
    from driverref.runtime.driver import CALLBACKS

    lacks = [f"`{name}`" for name in CALLBACKS if name in OTP_25.callbacks - release.callbacks]
    return Cell(", ".join(lacks) or "none", "era.callbacks")


def flags(release: Release) -> Cell:
    """The flags that the release knows, by their names in `erl_driver.h`."""
    from driverref.runtime import driver

    known = [
        name.removeprefix("ERL_DRV_FLAG_").removeprefix("USE_").replace("_", " ").lower()
        for name, value in vars(driver).items()
        if name.startswith("ERL_DRV_FLAG_") and value & release.driver_flags
    ]
    return Cell(", ".join(known) or "none", "era.flags")


def default_threads(release: Release) -> Cell:
    """How many threads the pool has when nobody says."""
    return Cell(str(release.default_async_threads), "era.default-threads")


def without_threads(release: Release) -> Cell:
    """What `driver_async` returns without a pool."""
    if release.min_async_threads:
        return Cell("there is always a thread", "era.default-threads")
    returned = "the job's id" if release.numbers_inline_jobs else "0"
    return Cell(f"runs the job, returns {returned}", "era.no-pool-id")


def batch(release: Release) -> Cell:
    """How many completions are handled before anything else."""
    if release.completions == "stack":
        return Cell("all there are", "era.stack")
    return Cell(str(release.ready_async_batch), "flow.batch")


def known_by(release: Release) -> Cell:
    """What a job has of its port."""
    if release.slots:
        return Cell(f"one of {release.slots} slots", "era.slot")
    return Cell("its identifier", "free.port-closed-before-ready")


def stale(release: Release) -> Cell:
    """Where the identifier of a closed port leads."""
    if release.slots:
        return Cell("to the next port in its slot", "era.stale-port")
    return Cell("nowhere", "port.closed-badarg")


def pdl(release: Release) -> Cell:
    """How long a job keeps its reference to the port data lock."""
    if release.lacks("driver_pdl_create", "R11B-3"):
        return Cell("there is no such lock", "era.calls")
    if release.pdl_held_for_completion:
        return Cell("until it has been handed over", "era.pdl-early")
    return Cell("until it has run, with one scheduler", "era.pdl-early")


def unloading(release: Release) -> Cell:
    """What unloading does about a job in flight."""
    if release.driver_async_locks_driver:
        return Cell("is refused: the driver is permanent", "era.permanent")
    if release.unload_waits_for_jobs:
        return Cell("waits, then closes the ports", "era.unload-after-jobs")
    return Cell("closes the ports, then waits", "free.unload-waits")


def limits(release: Release) -> Cell:
    """How much may wait at a locked port."""
    if release.busy_msgq_limits is None:
        return Cell("without limit", "era.msgq")
    _, high = release.busy_msgq_limits
    return Cell(f"up to {high} bytes", "era.msgq")


AT_HALT = {
    "exit": Cell("drops the jobs", "era.halt-exit"),
    "join": Cell("runs queued jobs, for status 0", "era.halt-join"),
    "flush": Cell("closes the ports, then runs queued jobs", "era.halt-flush"),
}

MAP: dict[str, list[Row]] = {
    "The pool": [
        Row("threads by default", ("default_async_threads",), default_threads),
        as_is("threads at most", "max_async_threads", "era.default-threads"),
        Row(
            "`driver_async` without a thread",
            ("min_async_threads", "numbers_inline_jobs"),
            without_threads,
        ),
        several(Row("schedulers", (), lambda _: Cell("one or more", "era.one-thread"))),
    ],
    "Completions": [
        one_of(
            "with one scheduler, finished jobs wait",
            "completions",
            {
                "stack": Cell("on one stack, last in, first out", "era.stack"),
                "queue": Cell("in a queue of each scheduler", "key.one-scheduler-in-order"),
            },
        ),
        Row("handed over in one go", ("completions", "ready_async_batch"), batch),
        several(
            either(
                "handed over, with several schedulers, by",
                "async_thread_completes",
                Cell("the async thread", "era.async-thread"),
                Cell("the scheduler", "flow.thread-calls-nothing"),
            )
        ),
        Row("a job knows its port by", ("slots",), known_by),
        either(
            "`async_free` for a closed port",
            "frees_for_closed_port",
            Cell("is called", "free.port-closed-before-ready"),
            Cell("is not called: a leak", "era.leak"),
        ),
        Row("a job's reference to the port data lock lasts", ("pdl_held_for_completion",), pdl),
    ],
    "Closing": [
        either(
            "`{Port, closed}` is sent",
            "closed_before_stop",
            Cell("before `stop`", "era.closed-before-stop"),
            Cell("after `stop`", "port.exit-before-stop"),
        ),
        Row("a closed port's identifier leads", ("slots",), stale),
    ],
    "Cancelling": [
        one_of(
            "`driver_async_cancel`",
            "driver_async_cancel",
            {
                "newest": Cell("takes the newest job, or hangs", "era.cancel-hang"),
                "search": Cell("takes a queued job", "era.cancel-found"),
                "nothing": Cell("does nothing", "era.cancel-nothing"),
                None: Cell("is gone", "cancel.no-such-call"),
            },
        ),
    ],
    "Timers": [
        either(
            "setting a running timer",
            "resets_timer",
            Cell("replaces it", "timeout.one-timer"),
            Cell("does nothing", "era.timer-stands"),
        ),
        either(
            "a timeout of 0 ms",
            "zero_timeout_in_line",
            Cell("stands in line at the port", "era.zero-timeout"),
            Cell("waits for the next tick", "era.zero-timeout"),
        ),
        either(
            "setting one without `timeout`",
            "timer_needs_timeout",
            Cell("returns -1", "era.timer-needs-timeout"),
            Cell("returns 0", "timeout.null-callback"),
        ),
    ],
    "Unloading": [
        Row(
            "with a job in flight",
            ("driver_async_locks_driver", "unload_waits_for_jobs"),
            unloading,
        ),
        as_is("the ports' reason", "unload_reason", "era.unload-reason"),
    ],
    "`halt`": [
        one_of("with one scheduler", "halt", AT_HALT),
        several(one_of("with several", "smp_halt", AT_HALT)),
    ],
    "Signals": [
        either(
            "a busy port suspends who sends",
            "busy_holds_any_message",
            Cell("anything", "era.busy-any-message"),
            Cell("a command", "busy.suspends"),
        ),
        either(
            "`Port ! Message` to a locked port",
            "signals_wait",
            Cell("waits for the lock", "era.send-waits"),
            Cell("leaves a signal", "busy.bang-is-asynchronous"),
        ),
        Row("commands may wait", ("busy_msgq_limits",), limits),
    ],
    "The header": [
        Row("driver interface", ("driver_version",), interface),
        Row("callbacks it lacks", ("callbacks",), missing),
        Row("flags it knows", ("driver_flags",), flags),
        either(
            "an error from `init`",
            "init_may_refuse",
            Cell("refuses the load", "era.init-ignored"),
            Cell("is ignored", "era.init-ignored"),
        ),
    ],
    "What the column describes": [
        Row("release", ("version", "erts"), lambda r: Cell(f"{r.version}, ERTS {r.erts}")),
    ],
}
"""The rows, under their headings."""

IN_HEAD = ("name", "covers", "years")
"""Fields that head a column."""
