"""What a driver asks of the emulator: its versions, its numbers of threads.

The struct has grown with the releases, and a driver says how many bytes it knows of it.  The
emulator fills whole parts: those that ended a struct once (`PARTS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from driverref.errors import Misuse, Uninitialised, check_int
from driverref.memory.ledger import found
from driverref.since import since
from driverref.threads import current

__all__ = [
    "ErlDrvSysInfo",
    "driver_system_info",
]

PARTS = {32: 6, 40: 8, 48: 10, 52: 11}
"""Where a struct ended once, in bytes, and how many fields it had."""

SIZE = 56
"""The bytes of today's struct, as `sizeof` tells them."""


@dataclass(frozen=True, slots=True, repr=False)
class ErlDrvSysInfo:
    """What `driver_system_info` reports.

    A field that the driver's `size` leaves out is not written: to read it is `Uninitialised`.
    """

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

    def __getattr__(self, name: str) -> int:
        # Only called for what is not there.
        if name not in NAMES:
            raise AttributeError(f"ErlDrvSysInfo has no field {name}")
        what = f"ErlDrvSysInfo: {name} read"
        raise found(Uninitialised(what, "; the size given to driver_system_info leaves it out"))

    def __repr__(self) -> str:
        return f"ErlDrvSysInfo({', '.join(_written(self))})"


NAMES = tuple(field.name for field in fields(ErlDrvSysInfo))


def _written(info: ErlDrvSysInfo) -> Iterator[str]:
    """The fields that are written, with their values."""
    for name in NAMES:
        try:
            yield f"{name}={object.__getattribute__(info, name)!r}"
        except AttributeError:
            return


def filled(size: int) -> int:
    """How many bytes of its struct a driver has filled that gives this size.

    `Misuse` if it is too small: the emulator ends there.
    """
    check_int("driver_system_info", "size", size, 0, None, "bytes")
    if size < min(PARTS):
        raise Misuse(
            f"driver_system_info: size must be at least {min(PARTS)} bytes, not {size}:"
            " the emulator ends here"
        )
    return max(end for end in PARTS if end <= size)


@since("R11B-3")
def driver_system_info(size: int = SIZE) -> ErlDrvSysInfo:
    """Return the emulator's versions and numbers of threads.

    C fills a struct of the caller's; here it is returned.  `size` is its size in bytes, smaller for
    a driver that was compiled with an older header: 32 up to `smp_support`, 40 up to
    `scheduler_threads`, 48 up to `nif_minor_version`, 52 for all.  A size between two of these is
    the smaller one, and below 32 it is `Misuse`.  A field that an older release does not have is 0.

    Any thread.  Stands for `driver_system_info`.
    """
    runtime = current("driver_system_info").runtime
    release = runtime.release
    count = PARTS[filled(size)]
    major, minor = release.driver_version or (0, 0)
    nif_major, nif_minor = release.nif_version or (0, 0)
    values = (
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
    info = object.__new__(ErlDrvSysInfo)
    for name, value in zip(NAMES[:count], values, strict=False):
        object.__setattr__(info, name, value)
    return info
