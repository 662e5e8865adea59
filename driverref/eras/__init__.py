"""What earlier emulators did otherwise: classes that stand in for one of today's.

`driverref.runtime` is the emulator of OTP 25 and asks for no release.  Where an earlier one
differs, a class here replaces the one there, and `Emulator` chooses it once, when it is made, by
the functions below:

| today's | replaced by |
|---|---|
| `AsyncPool` | `pools`: `StackPool`, `SmpPool`, `InlinePool`; with `cancelling` |
| `Completions`, `PortTable` | `slots`: `SlotCompletions`, `LeakyCompletions`, `SlotTable` |
| `Closing` | `closing`: `ClosedFirst` |
| `PortTimer` | `timers`: `StandingTimer`, `TickingTimer` |
| `LoadedDriver` | `drivers`: `OldDriver` |
| `Halting` | `halting`: `Exiting`, `Joining` |
| `Vectors` | `vectors`: `OldVectors` |

What differs in one number or one name is read from the release where it is used: the callbacks that
an entry has, the bounds of `+A`.  `driverref.release` has the records, and says of each field where
it was read.
"""

from __future__ import annotations

from driverref.eras.closing import ClosedFirst
from driverref.eras.drivers import OldDriver
from driverref.eras.halting import Exiting, Joining
from driverref.eras.pools import pool_for
from driverref.eras.slots import LeakyCompletions, SlotCompletions, SlotTable
from driverref.eras.timers import StandingTickingTimer, StandingTimer, TickingTimer
from driverref.eras.vectors import OldVectors
from driverref.release import Release
from driverref.runtime.check_io import CheckIo
from driverref.runtime.closing import Closing
from driverref.runtime.completions import Completions
from driverref.runtime.core import Runtime
from driverref.runtime.entities import PortTable
from driverref.runtime.halting import Halting
from driverref.runtime.iovec import Vectors
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port_timer import PortTimer
from driverref.runtime.scheduler import Scheduler
from driverref.threads import Threads

__all__ = ["furnish", "ports_for"]

_TIMERS = {
    (True, True): PortTimer,
    (True, False): TickingTimer,
    (False, True): StandingTimer,
    (False, False): StandingTickingTimer,
}
"""By `Release.resets_timer` and `Release.zero_timeout_in_line`."""

_HALTING = {"exit": Exiting, "join": Joining, "flush": Halting}
"""By `Release.halt`, or `Release.smp_halt` with several schedulers."""


def ports_for(release: Release, threads: Threads) -> PortTable:
    """The port table of a release."""
    return SlotTable(threads, release.slots) if release.slots else PortTable(threads)


def furnish(runtime: Runtime, schedulers: int, async_threads: int) -> None:
    """Give a runtime the parts of its release, and start its schedulers and async threads.

    Raises `RuntimeError` if the operating system has no thread left.
    """
    release = runtime.release
    runtime.busy_msgq_limits = release.busy_msgq_limits
    runtime.signals_wait = release.signals_wait
    runtime.check_io = CheckIo(runtime)
    runtime.unknown_errno = release.unknown_errno
    runtime.completions = _completions_for(release)
    runtime.vectors = Vectors() if _vectors_as_today(release) else OldVectors(release)
    runtime.closing = ClosedFirst() if release.closed_before_stop else Closing()
    runtime.timer_type = _TIMERS[release.resets_timer, release.zero_timeout_in_line]
    runtime.driver_type = LoadedDriver if _unloads_as_today(release) else OldDriver
    runtime.halting = _HALTING[release.smp_halt if schedulers > 1 else release.halt]()
    # Where one stack holds all finished jobs it is one item of work, taken at once.
    batch = release.ready_async_batch or 1
    runtime.schedulers = [Scheduler(runtime, n + 1, batch) for n in range(schedulers)]
    runtime.pool = pool_for(runtime, max(async_threads, release.min_async_threads))


def _completions_for(release: Release) -> Completions:
    if release.slots:
        return SlotCompletions()
    return Completions() if release.frees_for_closed_port else LeakyCompletions()


def _unloads_as_today(release: Release) -> bool:
    reason = release.unload_reason == "driver_unloaded"
    return release.init_may_refuse and reason and not release.unload_waits_for_jobs


def _vectors_as_today(release: Release) -> bool:
    small = release.copies_small_parts and release.empty_binary_is_element
    return release.packs_vectors and small
