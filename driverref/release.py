"""What differs between releases of the emulator, as one frozen record a release.

No other module compares versions: it reads a field.  A field is named after the behaviour, not after
the release that changed it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """What an emulator of one era does.  Units are in the names or beside the fields."""

    name: str
    """The release that was run to check the record, such as `"25"`."""
    covers: str
    """The releases that behave alike, as far as a driver can see."""
    erts: str
    """The run-time system's version: what `driver_system_info` reports."""
    driver_version: tuple[int, int]
    """`ERL_DRV_EXTENDED_MAJOR_VERSION` and `_MINOR_VERSION` of `erl_driver.h`."""
    default_async_threads: int
    """Threads in the pool when `+A` is not given."""
    min_async_threads: int
    """`+A` below this is raised to it (`erl_init.c`: `+A 0` gives 1)."""
    max_async_threads: int
    """`+A` above this is refused."""
    ready_async_batch: int
    """Completions a scheduler handles before it turns to other work (`ERTS_MAX_ASYNC_READY_CALLS_IN_SEQ`)."""
    busy_msgq_high: int
    """Bytes of command data waiting for a locked port at which its senders are suspended."""
    busy_msgq_low: int
    """Bytes of waiting command data at which suspended senders go on."""


OTP_25 = Release(
    name="25",
    covers="23 to 29",
    erts="13.1.5",
    driver_version=(3, 3),
    default_async_threads=1,
    min_async_threads=1,
    max_async_threads=1024,
    ready_async_batch=20,
    busy_msgq_high=8192,
    busy_msgq_low=4096,
)
