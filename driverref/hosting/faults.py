"""What the runtime has found wrong, as the errors of `driverref.errors` and a few of C's own.

The runtime says what is wrong in eight numbers, where the address, the lines and the threads are
(`host.h`, `shadow.c`).  Here they become a sentence with both places in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driverref import errors
from driverref.errors import DriverFault

if TYPE_CHECKING:
    from driverref.hosting.host import Host
    from driverref.hosting.run import Run

RACE, FREED, UNWRITTEN, OUTSIDE, NULL, DOUBLE_FREE, INVALID_FREE, ENDLESS = range(1, 9)

KINDS = {
    1: ("block", "driver_free"),
    2: ("malloc block", "free"),
    3: ("block of new", "delete"),
    4: ("block of new[]", "delete[]"),
    5: ("binary", "driver_free_binary"),
    6: ("buffer lent by the emulator", ""),
}
"""By the kind of a block, what it is called and the call that frees it."""


class OutOfBounds(DriverFault):
    """The driver used memory beside a block or a global variable.

    The driver's fault: the bytes there belong to something else, or to nothing.  Look at the length
    that the loop or the copy ran to.
    """


class Crash(DriverFault):
    """The driver ended the process: a signal, `abort`, `exit`, a failed assertion, no stack left.

    The driver's fault, and in a real emulator the end of every process and port in it.
    """


class Endless(DriverFault):
    """The driver's code loops, and makes no call by which another thread could go on.

    The driver's fault.  A real emulator keeps running with one scheduler or async thread less.
    """


class Unmodelled(Exception):
    """The driver called what `erl_driver.h` has and this model does not.

    Nobody's fault.  Leave the call out, with `#ifdef`, to explore the rest of the driver.
    """


def what_block(kind: int, size: int) -> str:
    """What a block is called: `block of 16 bytes`."""
    return f"{KINDS[kind][0]} of {size} byte{'s' * (size != 1)}"


def fault_of(host: Host, run: Run) -> Exception:
    """The error for what the runtime has found."""
    wrong, address, _, how, site, other, other_site, other_how = host.fault
    here = host.place(site)
    by = f"by {run.threads.running.name} at {here}"
    start, length, kind, born, ended, _ = host.block(address)
    what, begun = "memory", ""
    if start:
        what = what_block(kind, length)
        begun = f"; allocated at {host.place(born)}" if kind != 6 else ""
    elif (variable := variable_at(host, address)) is not None:
        what = f"variable {variable[0]}"
        start = address - variable[1]
    elif (owner := run.stack_of(address)) is not None:
        what = f"a local variable of {owner}"
        start = address
    # A free is of the whole block: which byte of it another thread has used does not matter.
    named = start and (start != address or wrong == OUTSIDE) and not (wrong == RACE and how & 4)
    where = f"{what}: byte {address - start}" if named else what
    verb = _verb(how)
    if wrong == RACE:
        name = run.names[other]
        first = f"{_verb(other_how)} by {name} at {host.place(other_site)}"
        return errors.DataRace(
            f"{where} {first}, and {verb} {by}, and nothing orders the two{begun}"
        )
    if wrong == FREED:
        return errors.UseAfterFree(
            f"{where} {verb} {by} after it was {_freed(host, kind, ended)}{begun}"
        )
    if wrong == UNWRITTEN:
        return errors.Uninitialised(f"{where} {verb} {by} before it was written{begun}")
    if wrong == OUTSIDE:
        return OutOfBounds(f"{where} {verb} {by}, which is outside of it{begun}")
    if wrong == NULL:
        return Crash(f"NULL {verb} {by}")
    if wrong == DOUBLE_FREE:
        twice = f"freed twice: first at {host.place(ended)}, now {by}"
        return errors.DoubleFree(f"{what} {twice}{begun}")
    if wrong == INVALID_FREE:
        return errors.InvalidFree(f"{_not_freeable(address, start, kind, what)}, freed {by}{begun}")
    return Endless(f"{run.threads.running.name} loops at {here}")


def _verb(how: int) -> str:
    return "freed" if how & 4 else "written" if how & 1 else "read"


def _freed(host: Host, kind: int, ended: int) -> str:
    if kind == 6:
        return "taken back: it is lent for the call only"
    return f"freed at {host.place(ended)}"


def _not_freeable(address: int, start: int, kind: int, what: str) -> str:
    if not kind:
        return f"{what} is no block"
    if start != address:
        return f"the middle of a {what} is no block"
    by = KINDS[kind][1]
    return f"a {what} is to be freed by {by}" if by else f"a {what} is not the driver's"


def variable_at(host: Host, address: int) -> tuple[str, int] | None:
    """The global variable that an address lies in or just behind, and the byte in it."""
    for module in host.modules.values():
        if 0 <= address - module.base < 1 << 31 and module.table.variables:
            return module.table.variable(address - module.base)
    return None
