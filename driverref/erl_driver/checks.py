"""What every call on a port checks first: the type of the handle, and the calling thread.

In C neither mistake is noticed until something breaks.  The rule is the header's: a function that
is not documented as thread-safe may be called only by a thread that runs a callback of the port.
Where the driver has one lock for all its ports, a callback of any of its ports will do.
"""

from __future__ import annotations

from types import UnionType

from driverref.errors import Misuse, null_pointer, wrong_type, wrong_value
from driverref.runtime.core import OVER, Over
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED
from driverref.terms import Atom, Pid, Port
from driverref.threads import current, running


def in_callback(call: str, port: ErlDrvPort, parameter: str = "port") -> bool:
    """Whether `port` is still open.  `False` for a closed port, which C answers with -1 or NULL.

    Raises `Misuse` unless the running thread is inside a callback that holds the port's lock, and
    `TypeError` unless `port`, which the header calls `parameter`, is an `ErlDrvPort`.
    """
    if port is None:
        raise null_pointer(call, parameter)
    if not isinstance(port, ErlDrvPort):
        raise wrong_type(call, parameter, "the ErlDrvPort that start was given", port)
    thread = running()
    # The lock is asked, and not the callback: where a driver has one lock for all its ports, a
    # callback of one port may call for another.
    if port.lock.holder is thread:
        # Every call is a step: not all that it uses is under the port's lock.
        port.runtime.threads.step()
        return port.state.value is not CLOSED
    if isinstance(port.runtime, Over):
        raise Misuse(f"{call}: {port.id} is not there any more: {OVER}")
    if thread.runtime not in (None, port.runtime):
        raise Misuse(f"{call}: {port.id} is a port of another emulator")
    if thread.scheduler is None:
        raise Misuse(f"{call}: only a callback of {port.id} may call it, not {thread.name}")
    # A closed port has no callbacks, and C finds no port by the handle.  So a scheduler that calls
    # without the lock gets the answer that C gives.
    if port.state.value is CLOSED:
        return False
    # The lane, which is the scheduler: a process's thread has the process's name, and the process
    # has not made the call.
    raise Misuse(f"{call}: {thread.lane} does not run a callback of {port.id}")


def in_any_callback(call: str) -> None:
    """Raise `Misuse` unless the running thread is inside a callback, of whatever port or driver.

    For a call that names no port, whose lock could be asked for.
    """
    thread = current(call)
    # A thread that runs a callback is a scheduler's, and carries no process meanwhile.
    if thread.scheduler is None or thread.process is not None:
        raise Misuse(f"{call}: only a callback may call it, not {thread.name}")


def atom(call: str, string: str) -> Atom:
    """The atom that C makes of a string: of its characters in Latin-1, and the first 255 of them.

    Source: `atom.c:erts_atom_put`, which both callers tell to cut the name.
    """
    check_type(call, "string", string, str, "a str")
    # C sees the bytes of a `char *` and takes each for a character.
    if any(ord(character) > 255 for character in string):
        raise wrong_value(call, "string", "of the characters of Latin-1", string)
    return Atom(string[:255])


def check_type(
    call: str, parameter: str, value: object, kind: type | UnionType, expected: str
) -> None:
    """Raise `TypeError` unless `value` is of `kind`, which the message calls `expected`.

    `None` is NULL, and `Misuse` where a pointer is wanted that must not be NULL.
    """
    if not isinstance(value, kind):
        # A term is no pointer: a driver in C has no way to give NULL for a process or a port.
        if value is None and kind not in (Pid, Port):
            raise null_pointer(call, parameter)
        raise wrong_type(call, parameter, expected, value)
