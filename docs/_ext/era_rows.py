"""The rows of the table of eras: for each property of a release, its words and its rule.

A row names the fields of `driverref.release.Release` that it shows, and has a function that turns
a release into a cell. So no cell is written by hand, and a test checks that every field is shown.
`MAP`, at the end, has the rows under their headings; before it are the cells that need more than
one field, or more than words. `releases` draws the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from driverref.release import OTP_25, Release
from driverref.runtime import driver


class Cell(NamedTuple):
    """What a release does, in words with `code` in them, and the id of the rule about it."""

    words: str
    rule: str | None = None


class Row(NamedTuple):
    """A property of releases."""

    title: str
    fields: tuple[str, ...]
    """The fields of `Release` that `read` looks at."""
    read: Callable[[Release], Cell]


def one_of(title: str, field: str, cells: Mapping[object, Cell]) -> Row:
    """Return the row of a field with a few values, which has a cell for each value."""
    return Row(title, (field,), lambda release: cells[getattr(release, field)])


def either(title: str, field: str, yes: Cell, no: Cell) -> Row:
    """Return the row of a field that is true or false."""
    return one_of(title, field, {True: yes, False: no})


def as_is(title: str, field: str, rule: str) -> Row:
    """Return the row of a field whose value is shown as it is."""
    return Row(title, (field,), lambda release: Cell(str(getattr(release, field)), rule))


def several(row: Row) -> Row:
    """Return a row about several schedulers, which an emulator with one thread cannot have."""

    def read(release: Release) -> Cell:
        if release.max_schedulers == 1:
            return Cell("one emulator thread", "era.one-thread")
        return row.read(release)

    return Row(row.title, (*row.fields, "max_schedulers"), read)


# The functions that make the cells of one row each. The row's title, in `MAP`, says what they tell.


def without_threads(release: Release) -> Cell:
    if release.min_async_threads:
        return Cell("there is always a thread", "era.default-threads")
    returned = "the job's id" if release.numbers_inline_jobs else "0"
    return Cell(f"runs the job, returns {returned}", "era.no-pool-id")


def batch(release: Release) -> Cell:
    if release.ready_async_batch is None:
        return Cell("all there are", "era.stack")
    return Cell(str(release.ready_async_batch), "flow.batch")


def port_of_job(release: Release) -> Cell:
    if release.slots:
        return Cell(f"one of {release.slots} slots", "era.slot")
    return Cell("its identifier", "free.port-closed-before-ready")


def pdl(release: Release) -> Cell:
    if release.lacks("driver_pdl_create", "R11B-3"):
        return Cell("there is no such lock", "era.calls")
    if release.pdl_held_for_completion:
        return Cell("until it has been handed over", "era.pdl-early")
    return Cell("until it has run, with one scheduler", "era.pdl-early")


def closed_port(release: Release) -> Cell:
    if release.slots:
        return Cell("to the next port in its slot", "era.stale-port")
    return Cell("nowhere", "port.closed-badarg")


def unloading(release: Release) -> Cell:
    if release.driver_async_locks_driver:
        return Cell("is refused: the driver is permanent", "era.permanent")
    if release.unload_waits_for_jobs:
        return Cell("waits, then closes the ports", "era.unload-after-jobs")
    return Cell("closes the ports, then waits", "free.unload-waits")


def commands_waiting(release: Release) -> Cell:
    if release.busy_msgq_limits is None:
        return Cell("without limit", "era.msgq")
    _, high = release.busy_msgq_limits
    return Cell(f"up to {high} bytes", "era.msgq")


def big_map(release: Release) -> Cell:
    if release.lacks("maps", "17.0"):
        return Cell("there are no maps", "flow.no-big-map")
    return Cell("crashes the emulator, until 27.2", "flow.no-big-map")


def interface(release: Release) -> Cell:
    if release.driver_version is None:
        return Cell("without a version", "era.calls")
    return Cell(".".join(map(str, release.driver_version)), "era.calls")


def loads(release: Release) -> Cell:
    if release.driver_version is None:
        return Cell("any", "era.plain-entry")
    oldest, newest = release.oldest_interface, ".".join(map(str, release.driver_version))
    plain = ", and without a version" if release.loads_plain_entries else ""
    return Cell(
        f"version {oldest}.0 to {newest}{plain}",
        "era.plain-entry" if plain else "header.version-on-load",
    )


def nifs(release: Release) -> Cell:
    if release.nif_version is None:
        return Cell("none", "era.calls")
    return Cell(".".join(map(str, release.nif_version)), "era.calls")


def callbacks_lacking(release: Release) -> Cell:
    """Return the callbacks of today's entry that the release does not have, in its order."""
    lacking = OTP_25.callbacks - release.callbacks
    names = [f"`{name}`" for name in driver.CALLBACKS if name in lacking]
    return Cell(", ".join(names) or "none", "era.callbacks")


def flags(release: Release) -> Cell:
    """Return the flags that the release knows, as short words: `use port locking`."""
    known = [
        name.removeprefix("ERL_DRV_FLAG_").removeprefix("USE_").replace("_", " ").lower()
        for name, value in vars(driver).items()
        if name.startswith("ERL_DRV_FLAG_") and value & release.driver_flags
    ]
    return Cell(", ".join(known) or "none", "era.flags")


AT_HALT: Mapping[object, Cell] = {
    "exit": Cell("drops the jobs", "era.halt-exit"),
    "join": Cell("runs queued jobs, for status 0", "era.halt-join"),
    "flush": Cell("closes the ports, then runs queued jobs", "era.halt-flush"),
}

MAP: dict[str, list[Row]] = {
    "The pool": [
        as_is("threads by default", "default_async_threads", "era.default-threads"),
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
        Row("handed over in one go", ("ready_async_batch",), batch),
        several(
            either(
                "handed over, with several schedulers, by",
                "async_thread_completes",
                Cell("the async thread", "era.async-thread"),
                Cell("the scheduler", "flow.thread-calls-nothing"),
            )
        ),
        Row("a job knows its port by", ("slots",), port_of_job),
        either(
            "`async_free` for a closed port",
            "frees_for_closed_port",
            Cell("is called", "free.port-closed-before-ready"),
            Cell("is not called: a leak", "era.leak"),
        ),
        Row("a job's reference to the port data lock lasts", ("pdl_held_for_completion",), pdl),
    ],
    "The vector of `outputv`": [
        either(
            "many elements",
            "packs_vectors",
            Cell("smaller binaries are packed into one", "memory.vector-packed"),
            Cell("stay apart", "era.vector-packed"),
        ),
        either(
            "a part of a binary, up to 64 bytes",
            "copies_small_parts",
            Cell("is a copy", "memory.vector-binaries"),
            Cell("shares the bytes of the whole", "era.vector-parts"),
        ),
        either(
            "an empty binary",
            "empty_binary_is_element",
            Cell("has an element without bytes", "era.vector-empty"),
            Cell("has none", "era.vector-empty"),
        ),
    ],
    "Closing": [
        either(
            "`{Port, closed}` is sent",
            "closed_before_stop",
            Cell("before `stop`", "era.closed-before-stop"),
            Cell("after `stop`", "port.exit-before-stop"),
        ),
        Row("a closed port's identifier leads", ("slots",), closed_port),
        either(
            "`driver_create_port` of a driver with one lock for its ports",
            "create_port_takes_lock",
            Cell("waits for ever", "era.create-port-lock"),
            Cell("makes a port", "era.create-port-lock"),
        ),
        either(
            "a value that `erl_drv_getenv` has no room for",
            "getenv_tells_size",
            Cell("its size is told", "era.getenv-size"),
            Cell("its size is not told", "header.environment"),
        ),
        as_is("an errno without a name, as a reason", "unknown_errno", "era.unknown-errno"),
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
            "a busy port suspends a process that sends",
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
        Row("commands may wait", ("busy_msgq_limits",), commands_waiting),
    ],
    "Terms": [
        several(
            either(
                "`driver_send_term`, with several schedulers, is for",
                "threads_send_terms",
                Cell("any thread", "era.threads-send"),
                Cell("callbacks", "era.threads-send"),
            )
        ),
        either(
            "a small integer as the whole term",
            "bare_integer_crashes",
            Cell("may crash the emulator", "flow.no-bare-integer"),
            Cell("is sent", "flow.no-bare-integer"),
        ),
        Row("a map of over 128 keys, sent by a thread", ("big_map_crashes",), big_map),
    ],
    "The header": [
        Row("driver interface", ("driver_version",), interface),
        Row(
            "drivers it loads",
            ("driver_version", "oldest_interface", "loads_plain_entries"),
            loads,
        ),
        Row("NIF interface that `driver_system_info` tells", ("nif_version",), nifs),
        Row("callbacks it lacks", ("callbacks",), callbacks_lacking),
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
"""The fields that head a column."""
