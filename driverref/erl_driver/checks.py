"""What every call on a port checks first: the type of the handle, and the calling thread.

In C neither mistake is noticed until something breaks.  The rule is the header's: a function that
is not documented as thread-safe may be called only by a thread that runs a callback of the port.
Where the driver has one lock for all its ports, a callback of any of its ports will do.
"""

from __future__ import annotations

from types import UnionType

from driverref.errors import Misuse, wrong_type
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED
from driverref.threads import Thread, current, running


def in_callback(call: str, port: ErlDrvPort) -> bool:
    """Whether `port` is still open.  `False` for a closed port, which C answers with -1 or NULL.

    Raises `Misuse` unless the running thread is inside a callback that holds the port's lock, and
    `TypeError` unless `port` is an `ErlDrvPort`.
    """
    if not isinstance(port, ErlDrvPort):
        raise wrong_type(call, "port", "the ErlDrvPort that start was given", port)
    thread = running()
    # The lock is asked, and not the callback: where a driver has one lock for all its ports, a
    # callback of one port may call for another.
    if port.lock.holder is thread:
        # Every call is a step: not all that it uses is under the port's lock.
        port.runtime.threads.step()
        return port.state.value is not CLOSED
    if thread.scheduler is None:
        raise Misuse(f"{call}: only a callback of {port.id} may call it, not {thread.name}")
    # A closed port has no callbacks, and C finds no port by the handle.  So a scheduler that calls
    # without the lock gets the answer that C gives.
    if port.state.value is CLOSED:
        return False
    # The lane, which is the scheduler: a process's thread has the process's name, and the process
    # has not made the call.
    raise Misuse(f"{call}: {thread.lane} does not run a callback of {port.id}")


def check_callback(call: str) -> Thread:
    """The running thread, for a call that names no port, so that no port's lock can be asked for.

    Raises `Misuse` unless it runs a callback.
    """
    # Such a thread is a scheduler's, and carries no process meanwhile.
    thread = current(call)
    if thread.scheduler is None or thread.process is not None:
        raise Misuse(f"{call}: only a callback may call it, not {thread.name}")
    return thread


def check_type(
    call: str, parameter: str, value: object, kind: type | UnionType, expected: str
) -> None:
    """Raise `TypeError` unless `value` is of `kind`, which the message calls `expected`."""
    if not isinstance(value, kind):
        raise wrong_type(call, parameter, expected, value)
