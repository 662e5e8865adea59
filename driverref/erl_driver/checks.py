"""What every call on a port checks first: that the handle is one, and that the caller may make the call.

In C both mistakes go unnoticed until something breaks.  The rule is the header's: a function that is not
documented as thread-safe may be called only by the thread that runs a callback of the port, and, where the
driver has one lock for all its ports, of any of them.
"""

from __future__ import annotations

from types import UnionType

from driverref.errors import Misuse, wrong_type
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED
from driverref.threads import running


def in_callback(call: str, port: ErlDrvPort) -> bool:
    """Whether `port` still is one: `False` if it is closed, which C answers with -1 or NULL.

    Raises `Misuse` unless the running thread is inside a callback that holds the port's lock.
    """
    if not isinstance(port, ErlDrvPort):
        raise wrong_type(call, "port", "the ErlDrvPort that start was given", port)
    thread = running()
    if port.lock.holder is thread:
        return port.state.value is not CLOSED
    if thread.scheduler is None:
        raise Misuse(f"{call}: only a callback of {port.id} may call it, not {thread.name}")
    if port.state.value is CLOSED:
        return False
    raise Misuse(f"{call}: {thread.lane} does not run a callback of {port.id}")


def check_type(
    call: str, parameter: str, value: object, kind: type | UnionType, expected: str
) -> None:
    """Raise unless `value` is of the `kind` that the message calls `expected`."""
    if not isinstance(value, kind):
        raise wrong_type(call, parameter, expected, value)
