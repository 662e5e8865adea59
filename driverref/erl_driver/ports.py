"""What a driver asks of its port: the timer, busy, failure, processes, the system.

Every function is for callbacks of the port, unless its docstring allows more.  A callback holds the
port's lock, so a function takes no lock.  It checks its arguments and hands the work to the module
of the runtime that has the rules: `port_timer`, `senders`, `closing`, `entities`.  Source: `io.c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from driverref.erl_driver.checks import check_type, in_callback
from driverref.errors import Misuse, check_int, errno_name, wrong_type
from driverref.runtime import callbacks, senders
from driverref.runtime.async_pool import Key
from driverref.runtime.driver import ErlDrvMonitor
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import DRAINING
from driverref.since import since
from driverref.terms import NORMAL, Atom, Pid, Port, Ref, Tuple
from driverref.threads import current

__all__ = [
    "ERL_DRV_BUSY_MSGQ_DISABLED",
    "ERL_DRV_BUSY_MSGQ_READ_ONLY",
    "ERL_DRV_ERROR_BADARG",
    "ERL_DRV_ERROR_ERRNO",
    "ERL_DRV_ERROR_GENERAL",
    "ErlDrvSysInfo",
    "driver_caller",
    "driver_cancel_timer",
    "driver_compare_monitors",
    "driver_connected",
    "driver_demonitor_process",
    "driver_exit",
    "driver_failure",
    "driver_failure_atom",
    "driver_failure_eof",
    "driver_failure_posix",
    "driver_get_monitored_process",
    "driver_mk_port",
    "driver_monitor_process",
    "driver_read_timer",
    "driver_set_timer",
    "driver_system_info",
    "erl_drv_busy_msgq_limits",
    "erl_drv_monotonic_time",
    "set_busy_port",
    "set_errno",
    "set_port_control_flags",
]

ERL_DRV_ERROR_GENERAL = -1
ERL_DRV_ERROR_ERRNO = -2
ERL_DRV_ERROR_BADARG = -3

ERL_DRV_BUSY_MSGQ_READ_ONLY = 0
ERL_DRV_BUSY_MSGQ_DISABLED = 2**32 - 1
"""All bits of a size, which in a `Key` are 32."""
_DISABLED = (ERL_DRV_BUSY_MSGQ_DISABLED, ERL_DRV_BUSY_MSGQ_DISABLED)


def set_errno(value: int) -> None:
    """Set the calling thread's `errno`, for a `start` that returns `ERL_DRV_ERROR_ERRNO`.

    Any thread.  Stands for the assignment `errno = value`.
    """
    check_int("set_errno", "value", value, 0, 2**31 - 1, "an errno")
    current("set_errno").errno = value


# The timer.


def driver_set_timer(port: ErlDrvPort, t: int) -> int:
    """Have `timeout` called once, `t` milliseconds from now or later; 0 means as soon as possible.

    The port has one timer: a running one is replaced.  The timer is cancelled when the port closes.
    Returns 0, or -1 if the port is closed.  Returns 0 also if the driver has no `timeout`, although
    the manual says -1.

    Until R10B-9 a running timer stays as it is, and the result is 0.  Until R12B-4 a driver without
    `timeout` gets -1.  Only in a callback of the port.  Stands for `driver_set_timer`.
    """
    check_int("driver_set_timer", "t", t, 0, 2**64 - 1, "milliseconds")
    if not in_callback("driver_set_timer", port):
        return -1
    if port.runtime.release.timer_needs_timeout and port.driver.entry.timeout is None:
        return -1
    port.note("driver_set_timer", detail=t)
    # The scheduler calls this without any lock: it takes the port's lock itself, and finds out then
    # whether the timer is still the port's.
    port.timer.set(t, partial(callbacks.timer_due, port))
    return 0


def driver_cancel_timer(port: ErlDrvPort) -> int:
    """Stop the timer, if one runs.  Returns 0, or -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_cancel_timer`.
    """
    if not in_callback("driver_cancel_timer", port):
        return -1
    port.note("driver_cancel_timer")
    port.timer.cancel()
    return 0


def driver_read_timer(port: ErlDrvPort, time_left: Key) -> int:
    """Write the milliseconds left to `time_left.value`, rounded up; 0 if no timer runs.

    Returns 0, or -1 if the port is closed.  Only in a callback of the port.  Stands for
    `driver_read_timer`.
    """
    check_type("driver_read_timer", "time_left", time_left, Key, "a Key")
    if not in_callback("driver_read_timer", port):
        return -1
    # Rounded up, so that 0 does not mean "in less than a millisecond".
    time_left.value = -(-port.timer.left() // 1_000_000)
    return 0


# Busy.


def set_busy_port(port: ErlDrvPort, on: int) -> None:
    """With `on`, suspend every process that sends a command from now on; with 0, let them go on.

    `control`, `call`, close and connect still get through.  A closed port is left as it is.  Only
    in a callback of the port.  Stands for `set_busy_port`.
    """
    # C's flag is an int, and a Python driver writes `True`.
    check_int("set_busy_port", "on", int(on) if isinstance(on, bool) else on, 0, 1, "a flag")
    if in_callback("set_busy_port", port):
        port.note("set_busy_port", detail=int(on))
        senders.set_busy(port, bool(on))


@since("R16A")
def erl_drv_busy_msgq_limits(port: ErlDrvPort, low: Key | None, high: Key | None) -> None:
    """Set or read how many bytes of commands may wait for a locked port.

    Senders are suspended above `high` bytes and go on below `low` bytes.  A value of 0, which is
    `ERL_DRV_BUSY_MSGQ_READ_ONLY`, sets nothing.  The limits in force are written back to each
    `Key`.

    `low` never stays above `high`.  A new `high` lowers `low`.  Without a new `high`, a new `low`
    raises `high`.

    `ERL_DRV_BUSY_MSGQ_DISABLED` in either turns the limits off for good, and writes nothing back.
    From then on this value is what is read.  A closed port reads the same.  Only in a callback of
    the port.  Stands for `erl_drv_busy_msgq_limits`.
    """
    for name, value in (("low", low), ("high", high)):
        check_type("erl_drv_busy_msgq_limits", name, value, Key | None, "a Key or None")
    # What a port without limits answers, and a closed port too.
    limits = _DISABLED
    if in_callback("erl_drv_busy_msgq_limits", port) and (old := port.senders.limits.value):
        new_low, new_high = (0 if key is None else key.value for key in (low, high))
        if ERL_DRV_BUSY_MSGQ_DISABLED in (new_low, new_high):
            # For good: each later call finds `None` and only answers.
            port.senders.limits.value = None
            return
        old_low, old_high = old
        # The pair is set as one value: a sender reads it without the port's lock, and must not see
        # half of it.
        new_high = new_high or max(old_high, new_low)
        port.senders.limits.value = limits = min(new_low or old_low, new_high), new_high
    for key, limit in zip((low, high), limits, strict=True):
        if key is not None:
            key.value = limit


def set_port_control_flags(port: ErlDrvPort, flags: int) -> None:
    """Choose the reply of `port_control`: with `PORT_CONTROL_FLAG_BINARY` a binary, with 0 a list.

    It is a list of bytes.  Only in a callback of the port.  Stands for `set_port_control_flags`.
    """
    check_int("set_port_control_flags", "flags", flags, 0, 1, "PORT_CONTROL_FLAG_BINARY or 0")
    if in_callback("set_port_control_flags", port):
        port.control_flags = flags


# Failure.  Each call runs `stop` before it returns: the driver data is gone then.


def driver_failure_atom(port: ErlDrvPort, string: str) -> int:
    """Close the port with the atom `string` as the reason, which the owner gets as an exit signal.

    `stop` runs before this returns; `flush` is not called.  Returns 0, or -1 if the port is closed.
    In `start` and in `process_exit` it is `Misuse`: the emulator would crash.  Only in a callback
    of the port.  Stands for `driver_failure_atom`.
    """
    check_type("driver_failure_atom", "string", string, str, "a str")
    return _fail("driver_failure_atom", port, Atom(string))


def driver_failure_posix(port: ErlDrvPort, error: int) -> int:
    """As `driver_failure_atom`, with the name of an errno, such as `enoent`, as the reason.

    Stands for `driver_failure_posix`.
    """
    check_int("driver_failure_posix", "error", error, 0, 2**31 - 1, "an errno")
    return _fail("driver_failure_posix", port, Atom(errno_name(error)))


def driver_failure_eof(port: ErlDrvPort) -> int:
    """Close the port with the reason `normal`, as `driver_failure_atom` does.

    A port that was opened with `eof` stays open: its owner gets `{Port, eof}` instead.  Stands for
    `driver_failure_eof`.
    """
    if in_callback("driver_failure_eof", port) and port.eof and port.state.value not in DRAINING:
        port.note("driver_failure_eof")
        port.owner.value.deliver(Tuple((port.id, Atom("eof"))))
        return 0
    return _fail("driver_failure_eof", port, NORMAL)


def driver_failure(port: ErlDrvPort, error: int) -> int:
    """As `driver_failure_atom`, with an int as the reason.  0 is `driver_failure_eof`.

    Stands for `driver_failure`.
    """
    check_int("driver_failure", "error", error, -(2**31), 2**31 - 1, "an int")
    return driver_failure_eof(port) if error == 0 else _fail("driver_failure", port, error)


def driver_exit(port: ErlDrvPort, err: int) -> int:
    """Close the port without an exit signal to its owner: the link to the owner is removed first.

    Every other process that is linked gets the name of the errno `err` as the reason, or `normal`
    if `err` is 0.  For the rest as `driver_failure_atom`.  Stands for `driver_exit`.
    """
    check_int("driver_exit", "err", err, -(2**31), 2**31 - 1, "an int")
    if in_callback("driver_exit", port):
        # The owner gets no signal because nothing links it any more, not by an exception for it.
        port.runtime.entities.unlink(port.id, port.owner.value.pid)
    return _fail("driver_exit", port, Atom(errno_name(err)) if err else NORMAL)


def _fail(call: str, port: ErlDrvPort, reason: object) -> int:
    """Close the port with a reason, and return what a failure returns."""
    if not in_callback(call, port):
        return -1
    port.note(call, detail=reason)
    return port.runtime.closing.fail(port, reason)


# The port's identifier, and the processes it knows.


def driver_mk_port(port: ErlDrvPort) -> Port:
    """The port's identifier, for terms and for `erl_drv_send_term`.

    `Misuse` if the port is closed.  Only in a callback of the port.  Stands for `driver_mk_port`.
    """
    if not in_callback("driver_mk_port", port):
        raise Misuse("driver_mk_port: the port is closed")
    return port.id


def driver_connected(port: ErlDrvPort) -> Pid | None:
    """The port's owner; `None` if the port is closed.

    Only in a callback of the port.  Stands for `driver_connected`.
    """
    return port.owner.value.pid if in_callback("driver_connected", port) else None


def driver_caller(port: ErlDrvPort) -> Pid:
    """The process that called.

    In `start` it is the process that opened the port.  In `output`, `outputv`, `control` and `call`
    it is the process that sent.  The other callbacks have no caller, and there this is `Misuse`, as
    it is on a closed port: keep the pid when you schedule a job.  Only in a callback of the port.
    Stands for `driver_caller`.
    """
    # C returns a term that is no process, and the mistake shows where it is used.
    if not in_callback("driver_caller", port) or port.caller is None:
        raise Misuse("driver_caller: no process has called; keep the pid when you schedule the job")
    return port.caller


@since("R11B-3")
def driver_monitor_process(port: ErlDrvPort, process: Pid) -> ErlDrvMonitor | int:
    """Have `process_exit(drv_data, monitor)` called when the process ends.

    Returns the monitor.  C writes the monitor to its third parameter and returns 0.  Returns a
    positive number if the process is gone, and -1 if the driver has no `process_exit` or the port
    is closed.  Only in a callback of the port.  Stands for `driver_monitor_process`.
    """
    check_type("driver_monitor_process", "process", process, Pid, "a Pid")
    if not in_callback("driver_monitor_process", port) or port.driver.entry.process_exit is None:
        return -1
    monitor = ErlDrvMonitor(port.runtime.new(Ref), process)

    def gone(_: Pid) -> None:
        # Called by the process that ends.  It holds no port's lock, and the callback needs it.
        with port:
            callbacks.process_exit(port, monitor)

    port.note("driver_monitor_process", detail=process)
    # A process may end just before the call.  Then `process_exit` is not called, and 1 says so.
    return monitor if port.runtime.entities.monitor(monitor.ref, process, gone) else 1


@since("R11B-3")
def driver_demonitor_process(port: ErlDrvPort, monitor: ErlDrvMonitor) -> int:
    """Undo `driver_monitor_process`.

    Returns 0, or a positive number if the process is gone, or -1 if the port is closed.  Only in a
    callback of the port.  Stands for `driver_demonitor_process`.
    """
    check_type("driver_demonitor_process", "monitor", monitor, ErlDrvMonitor, "an ErlDrvMonitor")
    if not in_callback("driver_demonitor_process", port):
        return -1
    port.note("driver_demonitor_process", detail=monitor.pid)
    return 0 if port.runtime.entities.demonitor(monitor.ref, monitor.pid) else 1


@since("R11B-3")
def driver_get_monitored_process(port: ErlDrvPort, monitor: ErlDrvMonitor) -> Pid:
    """The process that a monitor is about.

    Only in a callback of the port.  Stands for `driver_get_monitored_process`.
    """
    call = "driver_get_monitored_process"
    check_type(call, "monitor", monitor, ErlDrvMonitor, "an ErlDrvMonitor")
    in_callback(call, port)
    return monitor.pid


@since("R11B-3")
def driver_compare_monitors(monitor1: ErlDrvMonitor, monitor2: ErlDrvMonitor) -> int:
    """Compare two monitors: 0 if they are the same, -1 if `monitor1` sorts first, else 1.

    Any thread.  Stands for `driver_compare_monitors`.
    """
    for name, monitor in (("monitor1", monitor1), ("monitor2", monitor2)):
        check_type("driver_compare_monitors", name, monitor, ErlDrvMonitor, "an ErlDrvMonitor")
    return (monitor1.ref > monitor2.ref) - (monitor1.ref < monitor2.ref)


# The system.


@dataclass(frozen=True, slots=True)
class ErlDrvSysInfo:
    """What `driver_system_info` reports."""

    driver_major_version: int
    driver_minor_version: int
    erts_version: str
    otp_release: str
    thread_support: int
    smp_support: int
    async_threads: int
    scheduler_threads: int


@since("R11B-3")
def driver_system_info() -> ErlDrvSysInfo:
    """The emulator's versions and numbers of threads.

    C fills a struct of the caller's.  Any thread.  Stands for `driver_system_info`.
    """
    runtime = current("driver_system_info").runtime
    release = runtime.release
    major, minor = release.driver_version or (0, 0)
    return ErlDrvSysInfo(
        major,
        minor,
        release.erts,
        release.name,
        1,
        # R11B to R14B came in two builds.  One scheduler stands for the one without SMP support.
        int(len(runtime.schedulers) > 1 or not release.async_thread_completes),
        runtime.pool.size,
        len(runtime.schedulers),
    )


@since("18.3")
def erl_drv_monotonic_time(time_unit: str) -> int:
    """The emulator's clock, in the unit `time_unit`: `"sec"`, `"msec"`, `"usec"` or `"nsec"`.

    Only on a scheduler's thread, else `Misuse`; C returns `ERL_DRV_TIME_ERROR` there.  Stands for
    `erl_drv_monotonic_time`.
    """
    call = "erl_drv_monotonic_time"
    units = {"sec": 1_000_000_000, "msec": 1_000_000, "usec": 1_000, "nsec": 1}
    if not isinstance(time_unit, str) or time_unit not in units:
        raise wrong_type(call, "time_unit", "one of " + ", ".join(units), time_unit)
    thread = current(call)
    if thread.scheduler is None:
        raise Misuse(f"{call}: only on a scheduler")
    now: int = thread.runtime.threads.read_clock()
    return now // units[time_unit]
