"""What may differ between releases of the emulator: the fields of a record.

A field is named after the behaviour, not after the release that changed it, and its docstring says
where the behaviour was read.  Sources are named `release file:function`; `ERTS x` are the release
notes of that version of the run-time system.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What an emulator of one era does.  Units are in the names or beside the fields."""

    name: str
    """The name to pass, as in `Emulator(release="R7B-3")`."""
    version: str
    """The release that was read or run for the record, such as `"R13B03"`."""
    years: str
    """The years in which releases behaved so."""
    covers: str
    """The releases that behave alike, as far as a driver can see."""
    erts: str
    """The run-time system's version: what `driver_system_info` reports."""
    driver_version: tuple[int, int] | None
    """`ERL_DRV_EXTENDED_MAJOR_VERSION` and `_MINOR_VERSION` of `erl_driver.h`.

    `None` before there were any.
    """
    nif_version: tuple[int, int] | None
    """`ERL_NIF_MAJOR_VERSION` and `_MINOR_VERSION`, which `driver_system_info` reports.

    `None` where it does not (R13B03 `erl_driver.h`).  Source: the history in 29 `erl_nif.h`.
    """

    # The driver entry.

    callbacks: frozenset[str]
    """The callbacks that the driver entry has a field for.

    The emulator never calls any other.
    """
    driver_flags: int
    """The `ERL_DRV_FLAG_*` that the emulator knows, or'ed.  It ignores all others."""
    oldest_interface: int
    """The major version of the oldest interface for which a driver may have been compiled.

    A newer one than the emulator's is never loaded.  0 where versions are not looked at.  Source:
    `erl_bif_ddll.c:do_load_driver_entry`.
    """
    loads_plain_entries: bool
    """Whether an entry without the extended marker, as before R11B-3, is loaded."""
    init_may_refuse: bool
    """Whether an error from `init` keeps the driver from being loaded.

    Source: ERTS 5.6; R11B `io.c:add_driver_entry` ignores the result.
    """

    # Threads.

    max_schedulers: int
    """The most schedulers that can be asked for; 1 in the releases without SMP.

    Where there were two emulators, plain and SMP, one scheduler stands for the plain one.
    """
    default_async_threads: int
    """Threads in the pool when `+A` is not given."""
    min_async_threads: int
    """A smaller `+A` is raised to this.  Source: 25 `erl_init.c`, where `+A 0` gives 1."""
    max_async_threads: int
    """A larger `+A` is refused."""
    numbers_inline_jobs: bool
    """Whether `driver_async` without a pool returns the job's id; else it returns 0.

    Source: R15B `erl_async.c:driver_async`.
    """

    # Completions.

    completions: Literal["stack", "queue"]
    """Where finished jobs wait for the emulator.

    `"stack"`: on one stack.  The last job in is the first out, and all are taken at once (R7B
    `erl_async.c:async_ready`, `check_async_ready`).  `"queue"`: in a queue of the scheduler that
    submitted the job.
    """
    async_thread_completes: bool
    """Whether the async thread itself calls `ready_async` where there are several schedulers.

    It holds the port's lock during the call.
    Source: R11B to R14B `erl_async.c:async_main`.
    """
    ready_async_batch: int | None
    """The number of completions that a scheduler runs before it turns to other work.

    `None`: the whole stack at once.  Source: `ERTS_MAX_ASYNC_READY_CALLS_IN_SEQ`.
    """
    slots: int
    """The size of the port table, where a job finds its port by the slot in it.

    Another port may have the slot when the job ends.  0: a job finds its port by the port's own
    identifier (R11B-3).  Source: R7B `erl_async.c:check_async_ready`.
    """
    frees_for_closed_port: bool
    """Whether `async_free` is called when the port is gone.

    It is not in R11B-3 to R12B-5.  Source: ERTS 5.7, OTP-7784.
    """
    driver_async_cancel: Literal["newest", "search", "nothing"] | None
    """What `driver_async_cancel` does.

    `"newest"`: it looks only at the newest job of each queue, and loops for ever if that is another
    job (R7B `erl_async.c:async_del`).  `"search"`: it searches the queues (ERTS 5.8.4, OTP-9302).
    `"nothing"`: nothing (R15A).  `None`: it does not exist (17.0).
    """
    pdl_held_for_completion: bool
    """Whether a job keeps its reference to the port data lock until its completion has run.

    Where the async thread runs the completion, the job keeps it in any case.  Source: ERTS 5.9.2,
    OTP-10249.
    """

    # The data of a command.

    packs_vectors: bool
    """Whether a vector of many elements has its smaller binaries copied into one.

    It has from R8B-0 on.  Source: R7B `io.c:write_port`, R8B-0 `io.c:io_list_vec_len`.
    """
    copies_small_parts: bool
    """Whether a part of a binary is a copy if it has at most 64 bytes; else it shares the bytes.

    Source: 25 `erl_bits.c:erts_extract_sub_binary`; 19.0 `binary.c:split_binary`.
    """
    empty_binary_is_element: bool
    """Whether the vector of an empty binary has an element for it; else only element 0.

    Source: 25 `erl_io_queue.h:erts_ioq_iodata_to_vec`; 19.0 `io.c:io_list_to_vec`.
    """

    # The end.

    closed_before_stop: bool
    """Whether `{Port, closed}` is sent before `stop` runs; else it is sent after it.

    Source: R7B `io.c:terminate_port`; OTP-6437.
    """
    halt: Literal["exit", "join", "flush"]
    """What `halt` does about jobs, with one scheduler.

    `"exit"`: nothing.  `"join"`: with status 0, the queued jobs still run, but not their
    completions.  `"flush"`: it closes the ports as well (ERTS 5.9.1).
    """
    smp_halt: Literal["exit", "join", "flush"]
    """What `halt` does about jobs, with several schedulers.  The values are those of `halt`."""
    unload_reason: str | int
    """The reason with which unloading kills a driver's ports.  Source: ERTS 5.5.1."""
    unload_waits_for_jobs: bool
    """Whether unloading leaves the ports alone until the driver's last job is done.

    Source: R7B `ddll_drv.c`.
    """
    driver_async_locks_driver: bool
    """Whether the first `driver_async` makes a driver permanent.

    Source: R11B-2 to R14B `erl_async.c:driver_async`.
    """

    # Ports.

    resets_timer: bool
    """Whether `driver_set_timer` replaces a running timer; else it does nothing and returns 0.

    Source: ERTS 5.4.13, OTP-5942.
    """
    zero_timeout_in_line: bool
    """Whether a timeout of 0 ms is queued at its port at once, as a signal is.

    Else it waits for the timer's next tick.  Source: OTP 21.2, OTP-15472.
    """
    timer_needs_timeout: bool
    """Whether `driver_set_timer` returns -1 if the driver has no `timeout` callback.

    It does until R12B-4.
    """
    busy_holds_any_message: bool
    """Whether a busy port suspends the sender of any message; else only that of a command.

    Source: R7B `bif.c:send`; ERTS 5.10, OTP-10336.
    """
    signals_wait: bool
    """Whether `Port ! Message` waits for the port's lock, as the BIFs do; else it leaves a signal.

    Source: ERTS 5.10.
    """
    busy_msgq_limits: tuple[int, int] | None
    """Two numbers of bytes: the limits of the command data that waits for a locked port.

    Above the second, senders are suspended.  Below the first, they go on.  `None` where commands
    are not queued as signals.
    """

    create_port_takes_lock: bool
    """Whether `driver_create_port` waits for the lock of a driver that has one for all its ports.

    The caller holds it.  Source: R16A `io.c:create_port`; seen on 25.2.3, 27.3.4 and 29.1.1.
    """

    # The system.

    getenv_tells_size: bool
    """Whether `erl_drv_getenv` says what size a value needs that does not fit.

    Else it leaves one less than it was given.  Source: 19.2 `sys.c:erts_sys_getenv__`; seen on
    25.2.3, 27.3.4 and 29.1.1.
    """

    # Terms that a driver sends.

    threads_send_terms: bool
    """Whether any thread may call `driver_send_term`, where there are several schedulers.

    The call needs no lock of the port then.  Source: R11B-3 to R15B
    `io.c:driver_send_term`, `deliver_term_check_port`.
    """
    bare_integer_crashes: bool
    """Whether a small integer that is the whole term may break the emulator's memory.

    Source: OTP 25 `io.c:driver_deliver_term`; seen on 25.2.3, 27.3.4.1 and 29.1.1.
    """
    big_map_crashes: bool
    """Whether a map of more than 128 keys crashes the emulator if no scheduler sends it.

    Source: erlang/otp issue 8208; seen on 25.2.3, and no more on 27.3.4.1 and 29.1.1.
    """

    # Errors.

    unknown_errno: str
    """The name of an errno that has none, with `{}` for the number.

    Source: `erl_posix_str.c:erl_errno_id`; `errno_9999` was seen on 29.1.1, and `unknown` on 25.2.3
    and 27.3.4.1.  OTP 28 was not run.
    """

    @property
    def behaviour(self) -> Release:
        """The record without its names.

        Two releases with equal behaviours have the same schedules and outcomes in a scenario that
        calls nothing that only one of them has.
        """
        return replace(self, name="", version="", years="", covers="", erts="", nif_version=None)

    def lacks(self, what: str, since: str, until: str | None = None) -> str | None:
        """Return a sentence that says that this release lacks `what`, or `None` if it has it.

        The releases from `since` on have it, up to but without `until`.
        """
        here = _order(self.version)
        if _order(since) <= here and (until is None or here < _order(until)):
            return None
        life = f"it came with {since}" + (f" and went with {until}" if until else "")
        return f"{what}: {self.name} does not have it; {life}"


def _order(version: str) -> tuple[int, str, int]:
    """The place of a version among all: R7B-3, R13B03, 17.0 and 25.2.3 sort in this order."""
    match = re.fullmatch(r"R?(\d+)([A-C]?)[-.]?(\d*)[.\d]*", version)
    assert match, f"{version!r} is no release"
    major, letter, minor = match.groups()
    return int(major), letter, int(minor or 0)
