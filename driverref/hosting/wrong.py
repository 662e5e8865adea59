"""The requests by which the runtime and the C library tell that something is wrong, or over."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from driverref.hosting.faults import Crash, Endless, fault_of
from driverref.hosting.host import handles
from driverref.memory.allocation import fails
from driverref.threads import running

if TYPE_CHECKING:
    from driverref.hosting.run import Run


def _here(run: Run) -> str:
    """The running thread, and the line at which it stands."""
    thread = running()
    where = run.where(getattr(thread, "number", 0))
    return f"{thread.name} at {where}" if where else thread.name


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
    number, null, overflow, caller = a[:4]
    if number == signal.SIGVTALRM:
        thread = running()
        # Where exactly it was interrupted is an accident, so the function's first line is told.
        # Between two functions, in code of the linker's, it is the caller's.
        place = run.host.start_of(run.site(getattr(thread, "number", 0)), caller)
        raise Endless(f"{thread.name} loops in {place}")
    if overflow:
        raise Crash(f"no stack is left: endless recursion, in {_here(run)}")
    what = "NULL used" if null and number == signal.SIGSEGV else signal.Signals(number).name
    raise Crash(f"{what} by {_here(run)}")


@handles("abort")
def abort(run: Run, a: memoryview) -> None:
    raise Crash(f"abort called by {_here(run)}")


@handles("exit")
@handles("_exit")
@handles("_Exit")
def ends(run: Run, a: memoryview) -> None:
    raise Crash(f"exit called by {_here(run)}: it would end the emulator")


@handles("__assert_fail")
def assertion(run: Run, a: memoryview) -> None:
    raise Crash(f"assertion '{run.text(a[0])}' failed in {_here(run)}")
