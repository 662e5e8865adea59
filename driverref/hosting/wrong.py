"""The requests by which the runtime and the C library tell that something is wrong, or over."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from driverref.errors import StackOverflow
from driverref.hosting.faults import Crash, fault_of
from driverref.hosting.host import handles
from driverref.memory.allocation import fails

if TYPE_CHECKING:
    from driverref.hosting.run import Run


@handles("a footprint")
def footprint(run: Run, a: memoryview) -> None:
    """The array of footprints is full.  `Host.call` has emptied it before it came here."""


@handles("an allocation")
def allocation(run: Run, a: memoryview) -> int:
    return int(fails("driver_alloc"))


@handles("a fault")
def fault(run: Run, a: memoryview) -> None:
    raise fault_of(run.host, run)


@handles("a signal")
def signalled(run: Run, a: memoryview) -> None:
    number, null, overflow, line, caller = a[:5]
    name = run.threads.running.name
    if overflow:
        # In which line it was full is an accident, so the function's first line is told.  Between
        # two functions, in code of the linker's, it is the caller's.
        then = f" until the stack of {name} is full; in C the emulator dies of it"
        raise StackOverflow("calls nest", then, place=run.host.beginning(line, caller))
    what = "NULL used" if null and number == signal.SIGSEGV else signal.Signals(number).name
    raise Crash(f"{what} by {name}", "")


@handles("abort")
def abort(run: Run, a: memoryview) -> None:
    raise Crash(f"abort called by {run.threads.running.name}", "")


@handles("exit")
@handles("_exit")
@handles("_Exit")
def ends(run: Run, a: memoryview) -> None:
    raise Crash(f"exit called by {run.threads.running.name}", "; it would end the emulator")


@handles("__assert_fail")
def assertion(run: Run, a: memoryview) -> None:
    name = run.threads.running.name
    raise Crash(f"assertion '{run.text(a[0])}' of {name} failed", "")
