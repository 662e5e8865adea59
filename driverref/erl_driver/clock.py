"""The emulator's clock, and times in the units of the header.

The emulator has a monotonic clock, which never goes back, and a constant that makes the time of day
of it: the time offset.  On simulated threads the clock begins at 0 and the offset is 10^18 ns, so
that a run begins in September 2001, every time.

Only schedulers know that clock.  Any thread may ask `driver_get_now`, and convert times.

Sources: `erl_time_sup.c:erts_napi_monotonic_time` and the three functions after it, `get_now`.
"""

from __future__ import annotations

from dataclasses import dataclass

from driverref.errors import Misuse, check_int
from driverref.since import since
from driverref.threads import Thread, current

__all__ = [
    "ERL_DRV_MSEC",
    "ERL_DRV_NSEC",
    "ERL_DRV_SEC",
    "ERL_DRV_TIME_ERROR",
    "ERL_DRV_USEC",
    "ErlDrvNowData",
    "driver_get_now",
    "erl_drv_convert_time_unit",
    "erl_drv_monotonic_time",
    "erl_drv_time_offset",
]

ERL_DRV_SEC = 0
ERL_DRV_MSEC = 1
ERL_DRV_USEC = 2
ERL_DRV_NSEC = 3
ERL_DRV_TIME_ERROR = -(2**63)

_NS = {ERL_DRV_SEC: 10**9, ERL_DRV_MSEC: 10**6, ERL_DRV_USEC: 10**3, ERL_DRV_NSEC: 1}
"""Nanoseconds in a unit."""


@dataclass(frozen=True, slots=True)
class ErlDrvNowData:
    """What `driver_get_now` reports: a time of day, as `erlang:now/0` splits it."""

    megasecs: int
    secs: int
    microsecs: int


@since("18.3")
def erl_drv_monotonic_time(time_unit: int) -> int:
    """Return the emulator's clock, rounded down to the unit `time_unit`, such as `ERL_DRV_MSEC`.

    Returns `ERL_DRV_TIME_ERROR` if there is no such unit, and on any other thread.

    Only on a scheduler's thread.  Stands for `erl_drv_monotonic_time`.
    """
    thread = _asks("erl_drv_monotonic_time", time_unit)
    if thread.scheduler is None or time_unit not in _NS:
        return ERL_DRV_TIME_ERROR
    now: int = thread.runtime.threads.read_clock()
    return now // _NS[time_unit]


@since("18.3")
def erl_drv_time_offset(time_unit: int) -> int:
    """Return what to add to `erl_drv_monotonic_time` to get the time of day, counted from 1970.

    Returns `ERL_DRV_TIME_ERROR` if there is no such unit, and on any other thread.

    Only on a scheduler's thread.  Stands for `erl_drv_time_offset`.
    """
    thread = _asks("erl_drv_time_offset", time_unit)
    if thread.scheduler is None or time_unit not in _NS:
        return ERL_DRV_TIME_ERROR
    offset: int = thread.runtime.threads.time_offset
    return offset // _NS[time_unit]


def _asks(call: str, time_unit: int) -> Thread:
    """The thread that asks for a time in this unit."""
    check_int(call, "time_unit", time_unit, unit="an ErlDrvTimeUnit")
    return current(call)


@since("18.3")
def erl_drv_convert_time_unit(val: int, from_: int, to: int) -> int:
    """Return the time `val` in the unit `to`, rounded down.

    `from_`, which is C's `from`, is the unit of `val`.  Returns `ERL_DRV_TIME_ERROR` if there is no
    such unit.  `Misuse` if C's computation overflows, as it does for `ERL_DRV_TIME_ERROR` itself.

    Any thread.  Stands for `erl_drv_convert_time_unit`.
    """
    call = "erl_drv_convert_time_unit"
    check_int(call, "val", val, -(2**63), 2**63 - 1, "an ErlDrvTime")
    check_int(call, "from_", from_, unit="an ErlDrvTimeUnit")
    check_int(call, "to", to, unit="an ErlDrvTimeUnit")
    if from_ not in _NS or to not in _NS:
        return ERL_DRV_TIME_ERROR
    up, down = max(_NS[from_] // _NS[to], 1), max(_NS[to] // _NS[from_], 1)
    # To round down what is negative, C subtracts first, and then divides towards 0.
    computed = val * up - (down - 1 if val < 0 else 0)
    if not -(2**63) <= computed < 2**63:
        what = "ERL_DRV_TIME_ERROR, which is no time," if val == ERL_DRV_TIME_ERROR else str(val)
        raise Misuse(f"{call}: val is {what} and overflows 64 bits when it is converted")
    return val * up // down


@since("R11B-3")
def driver_get_now() -> ErlDrvNowData:
    """Return the time of day, later than at any call before.

    For this it may be ahead of the clock.  C fills a struct of the caller's and returns 0; here the
    struct is returned.  Deprecated in C in favour of `erl_drv_monotonic_time`.

    Any thread.  Stands for `driver_get_now`.
    """
    runtime = current("driver_get_now").runtime
    threads = runtime.threads
    now = (threads.read_clock() + threads.time_offset) // 1000
    with runtime.last_now_lock:
        # `erlang:now` returns no time twice, and this is the same clock.
        now = runtime.last_now.value = max(now, runtime.last_now.value + 1)
    return ErlDrvNowData(now // 10**12, now // 10**6 % 10**6, now % 10**6)
