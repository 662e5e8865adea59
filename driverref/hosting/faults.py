"""What the runtime has found wrong, as the errors of `driverref.errors` and a few of C's own.

The runtime says what is wrong in eight numbers, where the address, the lines and the threads are
(`host.h`, `shadow.c`).  Here they become an error in the words of `memory.ledger`: what was used
and how, the line of the use, what is wrong with it, and where the block was allocated.

The line of the use is that of the request under way, which every error finds by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from driverref import errors
from driverref.errors import DriverFault
from driverref.hosting import library
from driverref.memory.ledger import found

if TYPE_CHECKING:
    from driverref.hosting.host import Host
    from driverref.hosting.run import Run

RACE, FREED, UNWRITTEN, OUTSIDE, NULL, DOUBLE_FREE, INVALID_FREE, ENDLESS = range(1, 9)

KINDS = {
    library.DRIVER_ALLOC: ("block", "driver_free"),
    library.MALLOC: ("malloc block", "free"),
    library.NEW: ("block of new", "delete"),
    library.NEW_ARRAY: ("block of new[]", "delete[]"),
    library.BINARY: ("binary", "driver_free_binary"),
    library.LENT: ("buffer lent by the emulator", "nothing: it is the emulator's"),
}
"""By the kind of a block, what it is called and the call that frees it."""

LENT_ONLY = "it is lent for the call only: copy it"


class Crash(DriverFault):
    """The driver ended the process: a signal, `abort`, `exit`, a failed assertion.

    The driver's fault, and in a real emulator the end of every process and port in it.
    """


class Endless(DriverFault):
    """The driver's code loops, and makes no call by which another thread could go on.

    The driver's fault.  A real emulator keeps running with one scheduler or async thread less.
    """


class Unmodelled(Exception):
    """The driver called a function that the host does not have.

    No fault of the driver.  Have Python do it, with `stand_ins` of `c_driver`; or leave the call
    out, with `#ifdef`, to explore the rest of the driver.
    """


class Used(NamedTuple):
    """The memory that an address lies in."""

    what: str
    """`block of 16 bytes`, `variable count`, `a local variable of async 1`, `memory`."""
    start: int
    """Its first byte; 0 if that is not known."""
    kind: int
    """The kind of a block; 0 for other memory."""
    ended: str
    """The line that has freed it."""
    origin: str
    """Where it was made, for the end of a message."""

    def byte(self, address: int) -> str:
        """The words for a byte of it."""
        at = address - self.start
        if self.kind != library.BINARY:
            return f"{self.what}: byte {at}"
        # The bytes of a binary stand behind its `orig_size`.
        return f"{self.what}: byte {at - 8}" if at >= 8 else f"{self.what}: orig_size"


def what_block(kind: int, size: int) -> str:
    """What a block is called: `block of 16 bytes`."""
    size -= 8 * (kind == library.BINARY)
    return f"{KINDS[kind][0]} of {size} byte{'s' * (size != 1)}"


def used_at(host: Host, run: Run, address: int) -> Used:
    """The memory that an address lies in, or just behind."""
    start, size, kind, born, ended, _ = host.block(address)
    if start:
        origin = f"; allocated at {host.place(born)}" if kind != library.LENT else ""
        return Used(what_block(kind, size), start, kind, host.place(ended), origin)
    if (variable := variable_at(host, address)) is not None:
        return Used(f"variable {variable[0]}", address - variable[1], 0, "", "")
    if (owner := run.stack_of(address)) is not None:
        return Used(f"a local variable of {owner}", 0, 0, "", "")
    return Used("memory", 0, 0, "", "")


def fault_of(host: Host, run: Run) -> DriverFault:
    """The error for what the runtime has found."""
    return found(_fault_of(host, run))


def _fault_of(host: Host, run: Run) -> DriverFault:
    wrong, address, _, how, _, other, _, _ = host.fault
    me, used, verb = run.threads.running.name, used_at(host, run, address), _verb(how)
    byte = used.byte(address) if used.start else used.what
    if wrong == RACE:
        return _race(host, run, used, byte)
    if wrong == FREED and used.kind == library.LENT:
        then = f", after the callback had returned; {LENT_ONLY}"
        return errors.UseAfterFree(f"{byte} {verb}", then)
    if wrong == FREED:
        then = f", after it was freed at {used.ended}{used.origin}"
        return errors.UseAfterFree(f"{byte} {verb}", then, used.ended)
    if wrong == UNWRITTEN:
        return errors.Uninitialised(f"{byte} {verb}", f", before it was written{used.origin}")
    if wrong == OUTSIDE:
        kind = "block" if used.kind else "variable"
        return errors.OutOfBounds(f"{byte} {verb}", f", outside of the {kind}{used.origin}")
    if wrong == NULL:
        return Crash(f"NULL {verb} by {me}", "")
    if wrong == DOUBLE_FREE:
        twice = f"{KINDS[other][1]}: {used.what} freed twice: first at {used.ended}, now"
        return errors.DoubleFree(twice, used.origin, used.ended)
    if wrong == INVALID_FREE:
        return errors.InvalidFree(f"{KINDS[other][1]} cannot free {_unfreeable(used, address)}")
    return Endless(f"{me} loops", "")


def _race(host: Host, run: Run, used: Used, byte: str) -> DriverFault:
    """The error for two uses that nothing orders."""
    _, _, _, how, _, other, other_site, other_how = host.fault
    name, place = run.names[other], host.place(other_site)
    if used.kind == library.LENT and how & library.FREE:
        # The emulator takes the buffer back, so it is the first use that is wrong.
        then = f", and nothing orders it before the callback's return; {LENT_ONLY}"
        what = f"{byte} {_verb(other_how)} by {name}"
        return errors.UseAfterFree(what, then, place=host.position(other_site))
    # A free is of the whole block: which byte of it another thread has used does not matter.
    byte = used.what if how & library.FREE else byte
    what = f"{byte} {_verb(other_how)} by {name} at {place}, and {_verb(how)} by"
    what += f" {run.threads.running.name}"
    return errors.DataRace(what, f", and nothing orders the two{used.origin}", place)


def _verb(how: int) -> str:
    return "freed" if how & library.FREE else "written" if how & library.WRITE else "read"


def _unfreeable(used: Used, address: int) -> str:
    if not used.kind:
        return f"{used.what}, which is no block"
    if used.start != address:
        return f"the middle of a {used.what}{used.origin}"
    return f"a {used.what}: use {KINDS[used.kind][1]}{used.origin}"


def variable_at(host: Host, address: int) -> tuple[str, int] | None:
    """The global variable that an address lies in or just behind, and the byte in it."""
    below = [module for module in host.modules.values() if module.base <= address]
    # Drivers lie close to each other, so only the nearest one can be meant.
    module = max(below, key=lambda module: module.base, default=None)
    if module is None or address - module.base >= 1 << 31:
        return None
    return module.table.variable(address - module.base)
