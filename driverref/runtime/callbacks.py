"""What Erlang asks of a port, and the callback of the driver entry that answers it.

Each function here is called with the port's lock held, but for `output_at_once` and `timer_due`, which take it.

A buffer is lent to the callback for the call only.  It is a `memoryview` that is released afterwards, so a driver that
keeps it is found out when it uses it.

Source: `io.c:erts_open_driver`, `call_driver_output`, `call_driver_control`, `call_driver_call`, `call_driver_timeout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from driverref.errors import errno_name
from driverref.runtime.ioq import ErlIOVec, taken_over
from driverref.runtime.port_state import CLOSING, CONNECTED
from driverref.terms import NOPROC, Pid, Tuple
from driverref.threads import Thread, running

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort
    from driverref.runtime.process import Process
    from driverref.runtime.scheduler import Timer

PORT_CONTROL_FLAG_BINARY = 1 << 0


def start(port: ErlDrvPort, command: str, caller: Pid) -> str | None:
    """Run `start`.  `None` if the port is open, else the reason with which `open_port` fails."""
    thread = running()
    thread.errno = 0
    port.caller = caller
    result = port.callback("start", port, command, detail=command)
    port.caller = None
    if type(result) is int and result in (-1, -2, -3):  # ERL_DRV_ERROR_GENERAL, _ERRNO, _BADARG
        port.transit("start failed")
        port.runtime.closing.part(
            port, NOPROC
        )  # as OTP 25 answers what linked to it while `start` ran
        port.runtime.closing.gone(port)
        if result == -2:
            return errno_name(thread.errno)
        return "einval" if result == -1 else "badarg"
    port.drv_data = result
    port.transit("start returned")
    port.runtime.entities.link(port.id, port.owner.value.pid)
    return None


def output_at_once(port: ErlDrvPort, thread: Thread, process: Process, data: bytes) -> bool:
    """Carry out a command in the ordinary case.  `False`, and nothing is done, in any other.

    It does what `BIF, lock, signals, output, unlock, epilogue` do together, written out.  That is not pretty, and it
    stays: on OS threads a command that takes the general way costs three times as much.  Attributes that are functions
    are called through local names, which CPython 3.11 does much faster.
    """
    lock, driver, runtime = port.lock, port.driver, port.runtime
    turn, mutex = process.scheduler.mutex, lock.mutex
    record, output, senders = runtime.record, driver.plain_output, port.senders
    turn.acquire()
    try:
        if mutex is not None:
            mutex.acquire()
        try:
            if (
                output is None
                or port.state.value is not CONNECTED
                or senders.busy.value
                or senders.signals.value
                or port.timer.set_to_0_by is not None
            ):
                return False
            lock.holder, thread.process, port.caller = thread, None, process.pid
            if record is not None:
                now = runtime.now
                record((now(), thread.lane, "output", port.number, None, data))
            buf = memoryview(data)
            output(port.drv_data, buf)
            buf.release()
            port.caller = None
            return True
        finally:
            lock.holder, thread.process = None, process
            if mutex is not None:
                mutex.release()
                lock.pass_on(thread)
    except Exception as error:
        raise runtime.fault(error) from None
    finally:
        turn.release()


def command(port: ErlDrvPort, parts: Sequence[bytes], caller: Pid) -> None:
    """Give the parts of a command to `outputv`; to `output`, joined, if there is none; else to nothing."""
    port.caller = caller
    if port.driver.entry.outputv is not None:
        ev = ErlIOVec.lend(parts)
        sent = None if port.runtime.record is None else b"".join(parts)
        port.callback("outputv", port.drv_data, ev, detail=sent)
        ev.take_back()
    else:
        joined = b"".join(parts)
        with memoryview(joined) as buf:
            port.callback("output", port.drv_data, buf, detail=joined)
    port.caller = None


def control(port: ErlDrvPort, operation: int, data: bytes, caller: Pid) -> object:
    """Run `control`.  The reply as Erlang gets it, or `None` for `badarg`."""
    port.caller = caller
    reply: object = -1
    if port.driver.entry.control is not None:
        with memoryview(data) as buf:
            reply = port.callback("control", port.drv_data, operation, buf, detail=operation)
    port.caller = None
    if type(reply) is int and reply < 0:
        return None
    answer = b"" if reply is None else taken_over("control", "the reply", reply)
    return answer if port.control_flags & PORT_CONTROL_FLAG_BINARY else list(answer)


def call(port: ErlDrvPort, operation: int, term: object, caller: Pid) -> object:
    """Run `call`.  The term it replies, or `None` for `badarg`."""
    port.caller = caller
    reply = port.callback("call", port.drv_data, operation, term, detail=operation)
    port.caller = None
    return Tuple(reply) if isinstance(reply, tuple) else reply


def process_exit(port: ErlDrvPort, monitor: object, pid: Pid) -> None:
    """Run `process_exit`, if the port is still there for it."""
    if port.state.value in (CONNECTED, CLOSING):
        port._telling_exit = True
        port.callback("process_exit", port.drv_data, monitor, detail=pid)
        port._telling_exit = False


def timer_due(port: ErlDrvPort, timer: Timer) -> None:
    """A scheduler has found a timer of the port due: run `timeout`, under the port's lock."""
    with port:
        time_out(port, timer)


def time_out(port: ErlDrvPort, timer: Timer | None) -> None:
    """Run `timeout` for a timer that is due, unless it was cancelled or set again since."""
    if port.timer.take(timer):
        port.callback("timeout", port.drv_data)
