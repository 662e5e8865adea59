"""What a driver asks of the emulator: its versions, its numbers of threads, its clock."""

from __future__ import annotations

from dataclasses import dataclass

from driverref.errors import Misuse, wrong_type
from driverref.since import since
from driverref.threads import current

__all__ = [
    "ErlDrvSysInfo",
    "driver_system_info",
    "erl_drv_monotonic_time",
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


@since("R11B-3")
def driver_system_info() -> ErlDrvSysInfo:
    """The emulator's versions and numbers of threads.

    C fills a struct of the caller's; here it is returned.  Any thread.  Stands for
    `driver_system_info`.
    """
    runtime = current("driver_system_info").runtime
    release = runtime.release
    major, minor = release.driver_version or (0, 0)
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
    )


@since("18.3")
def erl_drv_monotonic_time(time_unit: str) -> int:
    """The emulator's clock, in the unit `time_unit`: `"sec"`, `"msec"`, `"usec"` or `"nsec"`.

    Only on a scheduler's thread, else `Misuse`; C returns `ERL_DRV_TIME_ERROR` there.  Stands for
    `erl_drv_monotonic_time`.
    """
    units = {"sec": 1_000_000_000, "msec": 1_000_000, "usec": 1_000, "nsec": 1}
    if not isinstance(time_unit, str) or time_unit not in units:
        raise wrong_type(
            "erl_drv_monotonic_time", "time_unit", "one of " + ", ".join(units), time_unit
        )
    thread = current("erl_drv_monotonic_time")
    if thread.scheduler is None:
        raise Misuse("erl_drv_monotonic_time: only on a scheduler")
    now: int = thread.runtime.threads.read_clock()
    return now // units[time_unit]
