"""What a driver asks of its port: the timer, busy, the processes that the port knows.

Every function is for callbacks of the port, unless its docstring allows more.  A callback holds the
port's lock, so a function takes no lock.  It checks its arguments and hands the work to the module
of the runtime that has the rules: `port_timer`, `senders`, `entities`.  Source: `io.c`.
"""

from __future__ import annotations

from functools import partial

from driverref.erl_driver.checks import check_type, in_callback
from driverref.errors import Misuse, check_int, wrong_value
from driverref.runtime import callbacks, senders
from driverref.runtime.async_pool import Key
from driverref.runtime.creating import create_port
from driverref.runtime.driver import ErlDrvMonitor
from driverref.runtime.entities import Watch
from driverref.runtime.port import ErlDrvPort
from driverref.since import since
from driverref.terms import Pid, Port, Ref

__all__ = [
    "ERL_DRV_BUSY_MSGQ_DISABLED",
    "ERL_DRV_BUSY_MSGQ_READ_ONLY",
    "PORT_CONTROL_FLAG_HEAVY",
    "PORT_FLAG_BINARY",
    "PORT_FLAG_LINE",
    "driver_caller",
    "driver_cancel_timer",
    "driver_compare_monitors",
    "driver_connected",
    "driver_create_port",
    "driver_demonitor_process",
    "driver_get_monitored_process",
    "driver_lock_driver",
    "driver_mk_port",
    "driver_monitor_process",
    "driver_read_timer",
    "driver_set_timer",
    "erl_drv_busy_msgq_limits",
    "erl_drv_consume_timeslice",
    "erl_drv_set_os_pid",
    "get_port_flags",
    "set_busy_port",
    "set_port_control_flags",
]

ERL_DRV_BUSY_MSGQ_READ_ONLY = 0
ERL_DRV_BUSY_MSGQ_DISABLED = 2**32 - 1
"""All bits of a size, which in a `Key` are 32."""
PORT_CONTROL_FLAG_HEAVY = 1 << 1
PORT_FLAG_BINARY = 1 << 0
PORT_FLAG_LINE = 1 << 1
_DISABLED = (ERL_DRV_BUSY_MSGQ_DISABLED, ERL_DRV_BUSY_MSGQ_DISABLED)


# The timer.


def driver_set_timer(port: ErlDrvPort, t: int) -> int:
    """Set the port's timer: `timeout` is called once, `t` milliseconds from now or later.

    0 means as soon as possible.  The port has one timer: a running one is replaced.  The timer is
    cancelled when the port closes.  Returns 0, or -1 if the port is closed.  Returns 0 also if the
    driver has no `timeout`, although the manual says -1.

    Until R10B-9 a running timer stays as it is, and the result is 0.  Until R12B-4 the result is -1
    if the driver has no `timeout`.

    Only in a callback of the port.  Stands for `driver_set_timer`.
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
    """Stop the port's timer, if it runs.  Returns 0, or -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_cancel_timer`.
    """
    if not in_callback("driver_cancel_timer", port):
        return -1
    port.note("driver_cancel_timer")
    port.timer.cancel()
    return 0


def driver_read_timer(port: ErlDrvPort, time_left: Key) -> int:
    """Write the milliseconds left to `time_left.value`, rounded up; 0 if no timer runs.

    Returns 0, or -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_read_timer`.
    """
    check_type("driver_read_timer", "time_left", time_left, Key, "a Key")
    if not in_callback("driver_read_timer", port):
        return -1
    # Rounded up, so that 0 does not mean "in less than a millisecond".
    time_left.value = -(-port.timer.left() // 1_000_000)
    return 0


# Busy.


def set_busy_port(port: ErlDrvPort, on: int) -> None:
    """Make the port busy with `on` 1, and no longer busy with 0.

    A busy port suspends each process that sends it a command, until the port is no longer busy.
    `port_control`, `port_call`, `port_close` and `port_connect` are not held up.  Returns nothing.
    The call does nothing if the port is closed.

    Only in a callback of the port.  Stands for `set_busy_port`.
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

    `ERL_DRV_BUSY_MSGQ_DISABLED` in either turns the limits off for ever, and writes nothing back.
    Each later call reads this value.  A call on a closed port reads it too.

    Only in a callback of the port.  Stands for `erl_drv_busy_msgq_limits`.
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

    The list is a list of bytes.  `PORT_CONTROL_FLAG_HEAVY` has no effect.  The call does nothing if
    the port is closed.

    Only in a callback of the port.  Stands for `set_port_control_flags`.
    """
    check_int("set_port_control_flags", "flags", flags, 0, 3, "PORT_CONTROL_FLAG_*")
    if in_callback("set_port_control_flags", port):
        port.control_flags = flags


# What the port was opened with, and what it is to the system.


@since("R9B-0")
def get_port_flags(port: ErlDrvPort) -> int:
    """Return the options of `open_port`: `PORT_FLAG_BINARY` and `PORT_FLAG_LINE`, or'ed.

    Returns 0 if the port is closed.

    Only in a callback of the port.  Stands for `get_port_flags`.
    """
    if not in_callback("get_port_flags", port):
        return 0
    return PORT_FLAG_BINARY * port.binary | PORT_FLAG_LINE * (port.lines is not None)


@since("19.0")
def erl_drv_set_os_pid(port: ErlDrvPort, pid: int) -> None:
    """Set what `port_info` shows as `os_pid`, for a port with a process of the operating system.

    A negative `pid` is shown as `undefined`, as before the first call.  The call does nothing if
    the port is closed.

    Only in a callback of the port.  Stands for `erl_drv_set_os_pid`.
    """
    check_int("erl_drv_set_os_pid", "pid", pid, -(2**63), 2**63 - 1, "a process of the system")
    if in_callback("erl_drv_set_os_pid", port):
        port.os_pid = None if pid < 0 else pid


@since("R16B")
def erl_drv_consume_timeslice(port: ErlDrvPort, percent: int) -> int:
    """Say how much of its time slice a callback has used since its begin, or since the last call.

    Less than 1 percent counts as 1, and more than 100 as 100.  Returns 1 if the slice is used up:
    then the callback should return and go on later, by `driver_set_timer` for example.  Returns 0
    if it is not, and -1 if the port is closed.  A slice begins each time that the port's lock is
    taken.

    Only in a callback of the port.  Stands for `erl_drv_consume_timeslice`.
    """
    check_int("erl_drv_consume_timeslice", "percent", percent, -(2**31), 2**31 - 1, "percent")
    if not in_callback("erl_drv_consume_timeslice", port):
        return -1
    port.lock.timeslice += min(max(percent, 1), 100)
    return int(port.lock.timeslice >= 100)


@since("R11B-2")
def driver_lock_driver(port: ErlDrvPort) -> int:
    """Keep the port's driver in memory for ever: unloading it is `{error, permanent}` from now on.

    This is for a driver whose own threads cannot be ended before it is unloaded.  A process that
    waits for the unloading gets the message for it.  Returns 0, or -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_lock_driver`.
    """
    if not in_callback("driver_lock_driver", port):
        return -1
    port.driver.make_permanent()
    return 0


# Another port.


def driver_create_port(
    creator_port: ErlDrvPort, connected: Pid, name: str, drv_data: object
) -> ErlDrvPort | int:
    """Make a port of the same driver, for a connection that was accepted, for example.

    `connected` is its owner, to which it is linked, `name` what `port_info` shows, and `drv_data`
    its driver data.  `start` is not called, and the port has no options of `open_port`.  The
    callback may use the new port until the callback returns; what others send to the new port is
    carried out later.

    Returns the port.  Returns -1 if `creator_port` is closed, the owner has ended, or the driver's
    ports are being killed.

    From R16A on the call takes the driver's lock, if the driver has one lock for all its ports.
    The callback holds this lock, so the call never returns: here that is `Misuse`.

    Only in a callback of the port.  Stands for `driver_create_port`.
    """
    call = "driver_create_port"
    check_type(call, "connected", connected, Pid, "a Pid")
    check_type(call, "name", name, str, "a str")
    if "\0" in name:
        raise wrong_value(call, "name", "text without NUL", name)
    if not in_callback(call, creator_port, "creator_port"):
        return -1
    runtime, lock = creator_port.runtime, creator_port.driver.lock
    if lock is not None and runtime.release.create_port_takes_lock:
        flag = "set ERL_DRV_FLAG_USE_PORT_LOCKING"
        raise Misuse(f"{call}: it would wait for the driver's lock, which its caller holds: {flag}")
    port = create_port(creator_port, connected, name, drv_data)
    creator_port.note(call, detail=-1 if port is None else port.id)
    return -1 if port is None else port


# The port's identifier, and the processes it knows.


def driver_mk_port(port: ErlDrvPort) -> Port:
    """Return the port's identifier, for terms and for `erl_drv_send_term`.

    `Misuse` if the port is closed.

    Only in a callback of the port.  Stands for `driver_mk_port`.
    """
    if not in_callback("driver_mk_port", port):
        raise Misuse("driver_mk_port: the port is closed")
    return port.id


def driver_connected(port: ErlDrvPort) -> Pid | None:
    """Return the port's owner, or `None` if the port is closed.

    Only in a callback of the port.  Stands for `driver_connected`.
    """
    return port.owner.value.pid if in_callback("driver_connected", port) else None


def driver_caller(port: ErlDrvPort) -> Pid:
    """Return the process that has called the callback.

    In `start` it is the process that opened the port.  In `output`, `outputv`, `control` and `call`
    it is the process that sent.  The other callbacks have no caller, so the call is `Misuse` there,
    as it is on a closed port.  A driver that answers after a job keeps the pid when it submits the
    job.

    Only in a callback of the port.  Stands for `driver_caller`.
    """
    # C returns a term that is no process, and the mistake shows where it is used.
    if not in_callback("driver_caller", port) or port.caller is None:
        raise Misuse("driver_caller: no process has called; keep the pid when you schedule the job")
    return port.caller


@since("R11B-3")
def driver_monitor_process(port: ErlDrvPort, process: Pid) -> ErlDrvMonitor | int:
    """Monitor a process: `process_exit(drv_data, monitor)` is called when it ends.

    Returns the monitor.  C writes the monitor to its third parameter and returns 0.  Returns a
    positive number if the process is gone, and -1 if the driver has no `process_exit` or the port
    is closed.

    A port that closes removes its monitors, so `process_exit` is not called while the port waits
    for its driver queue.

    Only in a callback of the port.  Stands for `driver_monitor_process`.
    """
    check_type("driver_monitor_process", "process", process, Pid, "a Pid")
    if not in_callback("driver_monitor_process", port) or port.driver.entry.process_exit is None:
        return -1
    monitor = ErlDrvMonitor(port.runtime.new(Ref), process)
    port.note("driver_monitor_process", detail=process)
    entities = port.runtime.entities
    entities.watch(monitor.ref, port, Watch("process", process, process))
    of = entities.find_process(process)
    if of is not None and entities.monitor(monitor.ref, of, port):
        return monitor
    # The process may have ended just before.  Then `process_exit` is not called, and 1 says so.
    entities.unwatch(monitor.ref, port)
    return 1


@since("R11B-3")
def driver_demonitor_process(port: ErlDrvPort, monitor: ErlDrvMonitor) -> int:
    """Remove a monitor that `driver_monitor_process` has made.

    Returns 0, and `process_exit` is not called.  Returns a positive number if `process_exit` has
    been called, or if the port closes and has removed the monitor.  Returns -1 if the port is
    closed.

    Only in a callback of the port.  Stands for `driver_demonitor_process`.
    """
    check_type("driver_demonitor_process", "monitor", monitor, ErlDrvMonitor, "an ErlDrvMonitor")
    if not in_callback("driver_demonitor_process", port):
        return -1
    port.note("driver_demonitor_process", detail=monitor.pid)
    entities = port.runtime.entities
    if entities.unwatch(monitor.ref, port) is None:
        return 1
    # The process may be on its way to tell the port.  It finds the port's half gone.
    of = entities.find_process(monitor.pid)
    if of is not None:
        entities.demonitor(monitor.ref, of)
    return 0


@since("R11B-3")
def driver_get_monitored_process(port: ErlDrvPort, monitor: ErlDrvMonitor) -> Pid:
    """Return the process that a monitor watches.

    Only in a callback of the port.  Stands for `driver_get_monitored_process`.
    """
    call = "driver_get_monitored_process"
    check_type(call, "monitor", monitor, ErlDrvMonitor, "an ErlDrvMonitor")
    in_callback(call, port)
    return monitor.pid


@since("R11B-3")
def driver_compare_monitors(monitor1: ErlDrvMonitor, monitor2: ErlDrvMonitor) -> int:
    """Compare two monitors.  Returns 0 if they are the same, -1 if `monitor1` sorts first, else 1.

    Any thread.  Stands for `driver_compare_monitors`.
    """
    for name, monitor in (("monitor1", monitor1), ("monitor2", monitor2)):
        check_type("driver_compare_monitors", name, monitor, ErlDrvMonitor, "an ErlDrvMonitor")
    return (monitor1.ref > monitor2.ref) - (monitor1.ref < monitor2.ref)
