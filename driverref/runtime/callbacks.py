"""What Erlang asks of a port, and the callback of the driver entry that answers it.

Each function here is called with the port's lock held, but for `output_at_once` and `timer_due`,
which take it.

A buffer is lent to the callback for the call only.  It is a `memoryview` that is released
afterwards, so a driver that keeps it is found out when it uses it.  The vector of `outputv` is lent
too, and so are its binaries (`iovec`).

Source: `io.c:erts_open_driver`, `call_driver_output`, `call_driver_control`, `call_driver_call`,
`call_driver_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import ref

from driverref.diagnostics import defined
from driverref.errors import UseAfterFree, errno_name
from driverref.runtime.core import LENT
from driverref.runtime.crossing import handed_out
from driverref.runtime.driver import ERL_DRV_FLAG_USE_INIT_ACK
from driverref.runtime.ioq import taken_over
from driverref.runtime.port_state import CLOSING, CONNECTED
from driverref.terms import Part, Pid, Port
from driverref.threads import Thread, running

if TYPE_CHECKING:
    from driverref.runtime.driver import ErlDrvMonitor
    from driverref.runtime.port import ErlDrvPort
    from driverref.runtime.process import Process
    from driverref.runtime.scheduler import Timer

PORT_CONTROL_FLAG_BINARY = 1 << 0


def start(port: ErlDrvPort, command: str, caller: Pid) -> str | None:
    """Run `start`.  `None` if the port is open, else the reason with which `open_port` fails."""
    thread = running()
    # An errno that an earlier call has left would become the reason if `start` returned
    # ERL_DRV_ERROR_ERRNO and had set none.
    thread.errno = 0
    # `driver_caller` in `start` is the process that opens the port.
    port.caller = caller
    result = port.callback("start", port, command, detail=command)
    port.caller = None
    if (reason := refusal(port, result)) is not None:
        port.transit("start failed")
        # `stop` is not called: there is no driver data that it could free.
        port.runtime.closing.gone(port)
        return reason
    # Only now.  A job that `start` submitted, and that finishes at once, waits for the lock, so its
    # `ready_async` finds the data.
    port.drv_data = result
    port.transit("start returned")
    port.runtime.entities.link(port, port.owner.value)
    if port.driver.flag(ERL_DRV_FLAG_USE_INIT_ACK):
        # Only now: a driver that acknowledges within `start` is not heard.
        port.opener = port.owner.value
    return None


def refusal(port: ErlDrvPort, result: object) -> str | None:
    """The reason with which `open_port` fails, if the driver data is one of `ERL_DRV_ERROR_*`."""
    # _GENERAL, _ERRNO and _BADARG are -1, -2 and -3.  In C the data is a pointer, and these are the
    # pointers that no driver data can have.
    if type(result) is not int or result not in (-1, -2, -3):
        return None
    if result == -2:
        return errno_name(running().errno, port.runtime.unknown_errno)
    return "einval" if result == -1 else "badarg"


def acknowledge(port: ErlDrvPort, answer: Port | str) -> None:
    """Have `open_port` return the port, or fail with this reason, if it still waits."""
    opener, port.opener = port.opener, None
    if opener is not None:
        port.acknowledged.value = answer
        opener.wake()


def output_at_once(port: ErlDrvPort, thread: Thread, process: Process, data: bytes) -> bool:
    """Carry out a command in the ordinary case.  `False`, and nothing is done, in any other.

    `thread` is the running one and carries `process`.
    """
    # This is what the BIF, the lock, the signals, `command` and the way out of the lock do
    # together, written out.  It is not pretty, and it stays: on OS threads a command that takes the
    # general way costs three times as much.  Attributes that are functions are called through local
    # names, which CPython 3.11 does much faster.
    lock, driver, runtime = port.lock, port.driver, port.runtime
    turn, mutex = process.scheduler.mutex, lock.mutex
    record, output, senders = runtime.record, driver.plain_output, port.senders
    # First the scheduler, then the port: a process that waits for a port occupies its scheduler.
    turn.acquire()
    try:
        if mutex is not None:
            mutex.acquire()
        try:
            # In each of these cases something has to come before the command, or in its place: an
            # `outputv`, the process's end, an error, a suspension, an earlier signal, a timeout of
            # 0 ms.
            if (
                output is None
                or process.doom.value is not None
                or port.state.value is not CONNECTED
                or senders.busy.value
                or senders.signals.value
                or port.timer.set_to_0_by is not None
            ):
                return False
            # From here on the thread runs the driver's code, so it is no process.
            lock.holder, thread.process, port.caller = thread, None, process.pid
            lock.timeslice = 0
            if record is not None:
                now = runtime.now
                record((now(), thread.lane, "output", port.number, None, data))
            buf, port.bytes_out = memoryview(data), port.bytes_out + len(data)
            there = ref(buf)
            output(port.drv_data, buf)
            try:
                buf.release()
            except BufferError:
                raise _kept(output) from None
            del buf
            if there() is not None:
                runtime.kept_buffers.append(there())
            port.caller = None
            if port.created:
                port.leave_created()
            # No epilogue: a connected port that has closed itself meanwhile has done so within
            # `driver_failure`, and another thread cannot have closed it.
            return True
        finally:
            for made in port.created:  # only if `output` has raised
                made.unlock()
            lock.holder, thread.process = None, process
            if mutex is not None:
                mutex.release()
                lock.pass_on(thread)
    except Exception as error:
        raise runtime.fault(error) from None
    finally:
        turn.release()


def lend(
    port: ErlDrvPort, callback: object, data: bytes, call: Callable[[memoryview], object]
) -> object:
    """Run a callback with data as it gets it, for the call only: `call(buf)`.  What it returns."""
    buf = memoryview(data)
    # What the callback raises says more, so nothing is done then.  Its traceback keeps the
    # callback's variables, and one of them may be a part of the buffer.
    result = call(buf)
    try:
        buf.release()
    except BufferError:
        raise _kept(callback) from None
    there = ref(buf)
    del buf
    # To keep it is no fault, but to use it then is one: see `Runtime.fault`.
    if there() is not None:
        port.runtime.kept_buffers.append(there())
    return result


def _kept(callback: object) -> UseAfterFree:
    """The fault behind Python's refusal to release a buffer: a part of it is still referred to."""
    what = "a callback's buffer was kept by something when the callback returned, which stands"
    return UseAfterFree(what, f"; {LENT}", place=defined(callback))


def command(port: ErlDrvPort, parts: Sequence[Part], caller: Pid) -> None:
    """Give the parts of a command to `outputv`, or, joined, to `output`.

    A driver that has neither swallows them.
    """
    port.caller = caller
    port.bytes_out += sum(map(len, parts))
    if port.driver.entry.outputv is not None:
        ev = port.runtime.vectors.lend(parts)
        sent = None if port.runtime.record is None else b"".join(parts)
        port.callback("outputv", port.drv_data, ev, detail=sent)
        ev.take_back()
    else:
        joined = b"".join(parts)
        lend(
            port,
            port.driver.entry.output,
            joined,
            lambda buf: port.callback("output", port.drv_data, buf, detail=joined),
        )
    # Cleared, so that `driver_caller` in a later callback that has no caller is found out.
    port.caller = None


def control(port: ErlDrvPort, operation: int, data: bytes, caller: Pid) -> object:
    """Run `control`.  The reply as Erlang gets it, or `None` for `badarg`."""
    port.caller = caller
    # A driver without `control` answers as one whose `control` returns -1.
    reply: object = -1
    if port.driver.entry.control is not None:
        reply = lend(
            port,
            port.driver.entry.control,
            data,
            lambda buf: port.callback("control", port.drv_data, operation, buf, detail=operation),
        )
    port.caller = None
    if type(reply) is int and reply < 0:
        return None
    # A block or a binary that `control` returns becomes the emulator's, which frees it.
    answer = b"" if reply is None else taken_over("control", "the reply", reply)
    return answer if port.control_flags & PORT_CONTROL_FLAG_BINARY else list(answer)


def call(port: ErlDrvPort, operation: int, term: object, caller: Pid) -> object:
    """Run `call`.  The term it replies, or `None` for `badarg`.  `term` is the driver's own."""
    port.caller = caller
    # In C the term comes and goes in the external format.  Here it is a copy.
    reply = port.callback("call", port.drv_data, operation, term, detail=operation)
    port.caller = None
    return None if reply is None else handed_out("call", "the reply", reply)


def process_exit(port: ErlDrvPort, monitor: ErlDrvMonitor) -> None:
    """Run `process_exit`, unless `stop` has run."""
    # A port that closes gives its monitors up, but its driver may set others until then.
    if port.state.value in (CONNECTED, CLOSING):
        # Meanwhile `driver_failure` is refused: the emulator would crash on the way back.
        port._fired = monitor
        port.callback("process_exit", port.drv_data, monitor, detail=monitor.pid)
        port._fired = None


def timer_due(port: ErlDrvPort, timer: Timer) -> None:
    """Run `timeout` under the port's lock: a scheduler has found a timer of the port due."""
    with port:
        time_out(port, timer)


def time_out(port: ErlDrvPort, timer: Timer | None) -> None:
    """Run `timeout` for a timer that is due, unless it was cancelled or set again since."""
    # "Since": the scheduler saw that the timer was due before it had the lock.
    if port.timer.take(timer):
        port.callback("timeout", port.drv_data)
