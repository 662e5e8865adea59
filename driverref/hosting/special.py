"""The functions of `erl_driver.h` that write to their parameters, or take a function of C."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any

from driverref import erl_driver as c
from driverref.erl_driver import Key, Pointer
from driverref.erl_driver.system import filled
from driverref.errors import InvalidFree, Misuse, errno_name
from driverref.hosting import library
from driverref.hosting.calls import signed, unsigned
from driverref.hosting.host import HANDLERS, handles
from driverref.hosting.vectors import entries, lay_out, vector
from driverref.threads import running

if TYPE_CHECKING:
    from driverref.erl_driver import ErlDrvPort, ErlDrvTid
    from driverref.hosting.run import Run


def function(run: Run, call: str, parameter: str, address: int) -> Any:
    """A function of the driver's, as one of Python's that takes and returns a word."""
    if not address:
        raise Misuse(f"{call}: {parameter} is NULL")
    return partial(run.host.call, run, address)


# Jobs and timers.


@handles("driver_async")
def driver_async(run: Run, a: memoryview) -> int:
    port, key, invoke, data, free = run.port("driver_async", a[0]), *a[1:5]
    box = Key(run.read_word(key, 4)) if key else None
    work = function(run, "driver_async", "async_invoke", invoke)
    give_back = function(run, "driver_async", "async_free", free) if free else None
    job = c.driver_async(port, box, work, data, give_back)
    if box is not None and job != -1:
        run.write_word(key, box.value, 4)
    return job


@handles("driver_read_timer")
def driver_read_timer(run: Run, a: memoryview) -> int:
    left = Key(0)
    result = c.driver_read_timer(run.port("driver_read_timer", a[0]), left)
    run.write_word(a[1], left.value)
    return result


@handles("erl_drv_busy_msgq_limits")
def erl_drv_busy_msgq_limits(run: Run, a: memoryview) -> None:
    port, low_at, high_at = run.port("erl_drv_busy_msgq_limits", a[0]), a[1], a[2]
    low, high = (Key(run.read_word(at) & 0xFFFFFFFF) if at else None for at in (low_at, high_at))
    c.erl_drv_busy_msgq_limits(port, low, high)
    for at, key in ((low_at, low), (high_at, high)):
        if key is not None:
            disabled = key.value == c.ERL_DRV_BUSY_MSGQ_DISABLED
            run.write_word(at, -1 if disabled else key.value)


@handles("driver_get_now")
def driver_get_now(run: Run, a: memoryview) -> int:
    now = c.driver_get_now()
    run.write(a[0], struct.pack("<QQQ", now.megasecs, now.secs, now.microsecs))
    return 0


@handles("erl_drv_getenv")
def erl_drv_getenv(run: Run, a: memoryview) -> int:
    size = c.Key(run.read_word(a[2]) & 0xFFFFFFFF)
    value = bytearray(size.value)
    result = c.erl_drv_getenv(run.text(a[0]), value, size)
    if result == 0:
        run.write(a[1], bytes(value[: size.value + 1]))
    run.write_word(a[2], size.value)
    return result


@handles("erl_drv_init_ack")
def erl_drv_init_ack(run: Run, a: memoryview) -> None:
    thread: Any = running()
    thread.errno = run.errno(thread.number)
    # A word, as what `start` returns; those of an error are negative.
    c.erl_drv_init_ack(run.port("erl_drv_init_ack", a[0]), signed(a[1]))


@handles("driver_mk_term_nil")
def driver_mk_term_nil(run: Run, a: memoryview) -> int:
    return run.word(c.driver_term_nil)


# Processes.


@handles("driver_monitor_process")
def driver_monitor_process(run: Run, a: memoryview) -> int:
    call, at = "driver_monitor_process", a[2]
    monitor = c.driver_monitor_process(run.port(call, a[0]), run.thing(call, a[1], "the process"))
    if isinstance(monitor, int):
        return monitor
    run.write(at, monitor_bytes(run, monitor))
    return 0


def monitor_bytes(run: Run, monitor: c.ErlDrvMonitor) -> bytes:
    """An `ErlDrvMonitor` as C has it: a word for the monitor, and three that mean nothing."""
    return struct.pack("<QQQQ", run.word(monitor), 0, 0, 0)


def monitor_at(run: Run, call: str, address: int) -> c.ErlDrvMonitor:
    """The monitor that stands at an address."""
    monitor = run.thing(call, run.read_word(address), "the monitor")
    assert isinstance(monitor, c.ErlDrvMonitor)
    return monitor


@handles("driver_demonitor_process")
def driver_demonitor_process(run: Run, a: memoryview) -> int:
    call = "driver_demonitor_process"
    return c.driver_demonitor_process(run.port(call, a[0]), monitor_at(run, call, a[1]))


@handles("driver_get_monitored_process")
def driver_get_monitored_process(run: Run, a: memoryview) -> int:
    call = "driver_get_monitored_process"
    pid = c.driver_get_monitored_process(run.port(call, a[0]), monitor_at(run, call, a[1]))
    return run.word(pid)


@handles("driver_compare_monitors")
def driver_compare_monitors(run: Run, a: memoryview) -> int:
    one, other = (monitor_at(run, "driver_compare_monitors", at) for at in a[:2])
    return c.driver_compare_monitors(one, other)


# Binaries and vectors.


@handles("driver_free_binary")
def driver_free_binary(run: Run, a: memoryview) -> None:
    if a[0] and a[0] not in run.binaries:
        raise InvalidFree("driver_free_binary: the argument is no driver binary")
    c.driver_free_binary(run.binaries.get(a[0]))


@handles("driver_realloc_binary")
def driver_realloc_binary(run: Run, a: memoryview) -> int:
    call = "driver_realloc_binary"
    old = run.binary(call, a[0]) if a[0] else None
    return run.binary_word(c.driver_realloc_binary(old, a[1]))


def _peeked(run: Run, port: ErlDrvPort) -> list[int]:
    """What was lent of the queue of a port, to be taken back when the queue loses bytes."""
    lent: list[int] = run.peeked.setdefault(port.number, [])
    return lent


@handles("driver_peekq")
def driver_peekq(run: Run, a: memoryview) -> int:
    port, count = run.port("driver_peekq", a[0]), a[1]
    pieces = c.driver_peekq(port)
    run.write_word(count, -1 if pieces is None else len(pieces), 4)
    if not pieces:
        return 0
    at, _ = entries(run, pieces, [binary for _, binary in port.queue.value.elements()])
    _peeked(run, port).append(at)
    return at


@handles("driver_peekqv")
def driver_peekqv(run: Run, a: memoryview) -> int:
    port, at = run.port("driver_peekqv", a[0]), a[1]
    ev = c.driver_peekqv(port)
    if ev is None:
        return -1
    struct_, lent = lay_out(run, ev)
    _peeked(run, port).extend(lent)
    run.write(at, struct_)
    return ev.size


_deq = HANDLERS["driver_deq"]


@handles("driver_deq")
def driver_deq(run: Run, a: memoryview) -> int:
    port = run.port("driver_deq", a[0])
    left: int = _deq(run, a)
    if left != -1:
        for lent in run.peeked.pop(port.number, ()):
            run.host.end(run, lent, library.LENT)
    return left


@handles("driver_vec_to_buf")
def driver_vec_to_buf(run: Run, a: memoryview) -> int:
    at, size = a[1], a[2]
    buf = bytearray(size)
    with vector(run, "driver_vec_to_buf", a[0]) as ev:
        copied = c.driver_vec_to_buf(ev, buf, size)
    run.write(at, bytes(buf[:copied]))
    return copied


@handles("driver_outputv")
def driver_outputv(run: Run, a: memoryview) -> int:
    call = "driver_outputv"
    port, header = run.port(call, a[0]), run.read(a[1], a[2], library.WHOLE)
    with vector(run, call, a[3]) as ev:
        return c.driver_outputv(port, header, ev, unsigned(a[4]))


@handles("driver_enqv")
def driver_enqv(run: Run, a: memoryview) -> int:
    with vector(run, "driver_enqv", a[1]) as ev:
        return c.driver_enqv(run.port("driver_enqv", a[0]), ev, unsigned(a[2]))


@handles("driver_pushqv")
def driver_pushqv(run: Run, a: memoryview) -> int:
    with vector(run, "driver_pushqv", a[1]) as ev:
        return c.driver_pushqv(run.port("driver_pushqv", a[0]), ev, unsigned(a[2]))


# The system.


@handles("driver_system_info")
def driver_system_info(run: Run, a: memoryview) -> None:
    at, size = a[0], filled(unsigned(a[1]))
    info = c.driver_system_info()
    erts, release = run.text_word(info.erts_version), run.text_word(info.otp_release)
    data = struct.pack(
        "<iiQQiiiiiii",
        info.driver_major_version,
        info.driver_minor_version,
        erts,
        release,
        info.thread_support,
        info.smp_support,
        info.async_threads,
        info.scheduler_threads,
        info.nif_major_version,
        info.nif_minor_version,
        info.dirty_scheduler_support,
    )
    # An older driver has a shorter struct.
    run.write(at, data[:size])


@handles("erl_errno_id")
def erl_errno_id(run: Run, a: memoryview) -> int:
    return run.text_word(errno_name(a[0] & 0xFFFFFFFF, run.runtime.unknown_errno))


# Threads, and what each has for itself.


def tid_word(run: Run, tid: ErlDrvTid) -> int:
    """The word for a thread: the same whichever call has told of it."""
    number = getattr(tid.thread, "number")  # noqa: B009 - only simulated threads have one
    word = run.word(("tid", number))
    if word not in run.tids or tid.own is not None:
        run.tids[word] = tid
    return word


def tid_of(run: Run, call: str, word: int) -> ErlDrvTid:
    """The thread that a word stands for."""
    if word not in run.tids:
        raise Misuse(f"{call}: the argument identifies no thread")
    return run.tids[word]


@handles("erl_drv_thread_opts_create")
def erl_drv_thread_opts_create(run: Run, a: memoryview) -> int:
    opts = c.erl_drv_thread_opts_create(run.text(a[0]) if a[0] else None)
    if opts is None:
        return 0
    at = run.host.lend(run, struct.pack("<i", opts.suggested_stack_size))
    run.give(at, opts)
    return at


@handles("erl_drv_thread_opts_destroy")
def erl_drv_thread_opts_destroy(run: Run, a: memoryview) -> None:
    at, call = a[0], "erl_drv_thread_opts_destroy"
    c.erl_drv_thread_opts_destroy(run.thing(call, at))
    run.host.end(run, at, library.LENT)


@handles("erl_drv_thread_create")
def erl_drv_thread_create(run: Run, a: memoryview) -> int:
    name, at, func, argument, opts = a[:5]
    call, tid = "erl_drv_thread_create", c.ErlDrvTid()
    result = c.erl_drv_thread_create(
        run.text(name) if name else None,
        tid,
        function(run, call, "func", func),
        argument,
        run.thing(call, opts) if opts else None,
    )
    if result == 0:
        run.write_word(at, tid_word(run, tid))
    return result


@handles("erl_drv_thread_join")
def erl_drv_thread_join(run: Run, a: memoryview) -> int:
    at, value = a[1], Pointer()
    result = c.erl_drv_thread_join(tid_of(run, "erl_drv_thread_join", a[0]), value)
    if at and result == 0:
        run.write_word(at, value.value or 0)
    return result


@handles("erl_drv_thread_exit")
def erl_drv_thread_exit(run: Run, a: memoryview) -> None:
    c.erl_drv_thread_exit(a[0])


@handles("erl_drv_thread_self")
def erl_drv_thread_self(run: Run, a: memoryview) -> int:
    return tid_word(run, c.erl_drv_thread_self())


@handles("erl_drv_equal_tids")
def erl_drv_equal_tids(run: Run, a: memoryview) -> int:
    one, other = (tid_of(run, "erl_drv_equal_tids", word) for word in a[:2])
    return c.erl_drv_equal_tids(one, other)


@handles("erl_drv_thread_name")
def erl_drv_thread_name(run: Run, a: memoryview) -> int:
    return run.text_word(c.erl_drv_thread_name(tid_of(run, "erl_drv_thread_name", a[0])))


@handles("erl_drv_tsd_key_create")
def erl_drv_tsd_key_create(run: Run, a: memoryview) -> int:
    key, at = c.ErlDrvTSDKey(), a[1]
    result = c.erl_drv_tsd_key_create(run.text(a[0]) if a[0] else None, key)
    if result == 0:
        run.keys.append(key)
        run.write_word(at, len(run.keys) - 1, 4)
    return result


def key_of(run: Run, call: str, word: int) -> Any:
    """The key that a number stands for."""
    number = word & 0xFFFFFFFF
    if number >= len(run.keys):
        raise Misuse(f"{call}: the key has not been created")
    return run.keys[number]


# The C library has the same three calls, under names of its own.


def _destroy_key(call: str, run: Run, a: memoryview) -> None:
    c.erl_drv_tsd_key_destroy(key_of(run, call, a[0]))


def _set_value(call: str, run: Run, a: memoryview) -> None:
    c.erl_drv_tsd_set(key_of(run, call, a[0]), a[1])


def _get_value(call: str, run: Run, a: memoryview) -> int:
    return signed(c.erl_drv_tsd_get(key_of(run, call, a[0])) or 0)


for call, serve in {
    "erl_drv_tsd_key_destroy": _destroy_key,
    "pthread_key_delete": _destroy_key,
    "erl_drv_tsd_set": _set_value,
    "pthread_setspecific": _set_value,
    "erl_drv_tsd_get": _get_value,
    "pthread_getspecific": _get_value,
}.items():
    HANDLERS[call] = partial(serve, call)
