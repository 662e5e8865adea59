"""What a driver asks of the emulator: its versions, its numbers of threads."""

from __future__ import annotations

from dataclasses import dataclass

from driverref.since import since
from driverref.threads import current

__all__ = [
    "ErlDrvSysInfo",
    "driver_system_info",
]


@dataclass(frozen=True, slots=True)
class ErlDrvSysInfo:
    """What `driver_system_info` reports."""

    driver_major_version: int
    driver_minor_version: int
    erts_version: str
    otp_release: str
    thread_support: int
    smp_support: int
    async_threads: int
    scheduler_threads: int
    nif_major_version: int
    nif_minor_version: int
    dirty_scheduler_support: int


@since("R11B-3")
def driver_system_info() -> ErlDrvSysInfo:
    """The emulator's versions and numbers of threads.

    C fills a struct of the caller's, as much of it as the caller knows; here it is returned, and
    what an older release has no field for is 0.  Any thread.  Stands for `driver_system_info`.
    """
    runtime = current("driver_system_info").runtime
    release = runtime.release
    major, minor = release.driver_version or (0, 0)
    nif_major, nif_minor = release.nif_version or (0, 0)
    return ErlDrvSysInfo(
        major,
        minor,
        release.erts,
        release.name,
        1,
        # R11B to R14B came in two builds.  One scheduler stands for the one without SMP support.
        int(len(runtime.schedulers) > 1 or not release.async_thread_completes),
        runtime.pool.size,
        len(runtime.schedulers),
        nif_major,
        nif_minor,
        int(not release.lacks("dirty_scheduler_support", "20.0")),
    )
