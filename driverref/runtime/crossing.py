"""What crosses from a process to another one or to a driver, or back, is copied.

Processes share no data with each other, nor with a driver.  In Python a list that has been sent
could be changed by its sender, unseen by the receiver and by a search of the schedules.  So every
call that takes a term takes a copy of it, and refuses what is no term before anything happens:

* `given`, where a process gives a term: `send`, `exit`, `port_call`;
* `handed_out`, where a driver does, whose term may hold its memory.

A message is copied once more when it enters a mailbox (`Process.deliver`), so that the trace, and
the other processes that are told the same, keep theirs.
"""

from __future__ import annotations

from functools import partial

from driverref.errors import wrong_type
from driverref.memory import Memory
from driverref.memory.binary import ErlDrvBinary
from driverref.runtime.ioq import output_bytes
from driverref.terms import NoTerm, copied


def given(call: str, parameter: str, term: object) -> object:
    """A copy of a term that a process gives to `call`; `TypeError` if it is no term."""
    try:
        return copied(term)
    except NoTerm as error:
        raise _refused(call, parameter, error) from None


def handed_out(call: str, parameter: str, term: object) -> object:
    """The same for a driver, which may also give memory and binaries: their bytes are copied."""
    try:
        return copied(term, partial(_memory, call, parameter))
    except NoTerm as error:
        raise _refused(call, parameter, error) from None


def given_if_term(value: object) -> object:
    """A copy of a list, a map or a tuple that is a term; any other value itself."""
    if not isinstance(value, list | dict | tuple):
        return value
    try:
        return copied(value)
    except NoTerm:
        return value


def _memory(call: str, parameter: str, value: object) -> bytes:
    if isinstance(value, ErlDrvBinary | Memory | bytes | bytearray | memoryview):
        return output_bytes(call, parameter, value)
    raise wrong_type(call, parameter, "an Erlang term", value)


def _refused(call: str, parameter: str, error: NoTerm) -> TypeError:
    return TypeError(f"{call}: {parameter} must be an Erlang term: {error}")
