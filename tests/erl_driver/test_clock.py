"""The clock, as a driver reads it: in which unit, on which thread, and what it makes of a time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Box, do, made_of, scripted
from support import Kind, both, opened

from driverref import Emulator, explore
from driverref.erl_driver import (
    ERL_DRV_MSEC,
    ERL_DRV_NSEC,
    ERL_DRV_SEC,
    ERL_DRV_TIME_ERROR,
    ERL_DRV_USEC,
    ErlDrvNowData,
    ErlDrvPort,
    driver_async,
    driver_get_now,
    erl_drv_convert_time_unit,
    erl_drv_monotonic_time,
    erl_drv_time_offset,
)
from driverref.errors import Misuse
from driverref.posix import usleep

UNITS = (ERL_DRV_SEC, ERL_DRV_MSEC, ERL_DRV_USEC, ERL_DRV_NSEC)
NO_UNITS = (-1, 4, 77)

units = st.sampled_from(UNITS)


def in_callback(function: Callable[[], object], threads: Kind = "simulated") -> object:
    """What a function returns in a callback."""
    box = Box()
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=lambda port, buf: box.put(function())))
        erl.port_command(port, b"")
    return box.value


def test_the_clock_is_read_in_four_units() -> None:
    def clock(port: ErlDrvPort) -> list[int]:
        usleep(1_500_000)
        return [erl_drv_monotonic_time(unit) for unit in UNITS]

    with Emulator() as erl:
        port = opened(erl, scripted(clock))
        assert do(erl, port, 0) == "[1, 1500, 1500000, 1500000000]"


@both
@pytest.mark.rule("header.clock")
def test_only_a_scheduler_has_that_clock(threads: Kind) -> None:
    def clocks() -> list[int]:
        asked = (erl_drv_monotonic_time, erl_drv_time_offset)
        return [ask(unit) for ask in asked for unit in (*UNITS, *NO_UNITS)]

    def work(box: Box) -> None:
        box.put(clocks())

    box = Box()
    with Emulator(threads=threads) as erl:
        driver = made_of(output=lambda port, buf: driver_async(port, None, work, box))
        erl.port_command(opened(erl, driver), b"")
    assert set(box.value) == {ERL_DRV_TIME_ERROR}
    there = in_callback(clocks, threads)
    assert isinstance(there, list)
    assert [value == ERL_DRV_TIME_ERROR for value in there] == [*[False] * 4, *[True] * 3] * 2


@both
def test_the_offset_makes_the_time_of_day_of_the_clock(threads: Kind) -> None:
    def both_clocks() -> tuple[int, int]:
        day = erl_drv_monotonic_time(ERL_DRV_SEC) + erl_drv_time_offset(ERL_DRV_SEC)
        now = driver_get_now()
        return day, now.megasecs * 10**6 + now.secs

    read = in_callback(both_clocks, threads)
    assert isinstance(read, tuple)
    day, now = read
    assert abs(day - now) < 60
    # A minute is far more than a test takes: it is the same clock that is asked here.
    expected = 10**9 if threads == "simulated" else time.time()
    assert abs(day - expected) < 60


@both
@pytest.mark.rule("header.clock")
def test_no_time_of_day_is_told_twice(threads: Kind) -> None:
    def three() -> list[ErlDrvNowData]:
        return [driver_get_now() for _ in range(3)]

    times = in_callback(three, threads)
    assert isinstance(times, list)
    micros = [(now.megasecs, now.secs, now.microsecs) for now in times]
    assert micros == sorted(set(micros))
    if threads == "simulated":
        assert times[0] == ErlDrvNowData(1000, 0, 0)
        assert times[2] == ErlDrvNowData(1000, 0, 2)


def test_two_threads_are_told_different_times_of_day() -> None:
    def scenario(erl: Emulator) -> object:
        times: list[int] = []
        driver = made_of(
            output=lambda port, buf: driver_async(port, None, lambda job: times.append(now()), None)
        )
        port = opened(erl, driver)
        for _ in range(2):
            erl.port_command(port, b"")
        erl.stop()
        return tuple(sorted(times))

    def now() -> int:
        return driver_get_now().microsecs

    assert set(explore(scenario, async_threads=2)) == {(0, 1)}


@pytest.mark.rule("header.clock")
@pytest.mark.parametrize(
    ("val", "unit", "to", "converted"),
    [
        (1999, ERL_DRV_MSEC, ERL_DRV_SEC, 1),
        (-1, ERL_DRV_MSEC, ERL_DRV_SEC, -1),
        (-1000, ERL_DRV_USEC, ERL_DRV_MSEC, -1),
        (-1001, ERL_DRV_USEC, ERL_DRV_MSEC, -2),
        (9223372036, ERL_DRV_SEC, ERL_DRV_NSEC, 9223372036000000000),
        (2**63 - 1, ERL_DRV_NSEC, ERL_DRV_SEC, 9223372036),
        (-(2**63), ERL_DRV_USEC, ERL_DRV_USEC, -(2**63)),
        *[(5, bad, ERL_DRV_SEC, ERL_DRV_TIME_ERROR) for bad in NO_UNITS],
        *[(5, ERL_DRV_SEC, bad, ERL_DRV_TIME_ERROR) for bad in NO_UNITS],
        (5, 4, 4, ERL_DRV_TIME_ERROR),
    ],
)
def test_a_time_is_converted_as_the_emulator_does_it(
    val: int, unit: int, to: int, converted: int
) -> None:
    """What OTP 25, 27 and 29 were seen to return."""
    assert erl_drv_convert_time_unit(val, unit, to) == converted


@given(st.integers(-(2**31), 2**31), units, units)
def test_a_time_is_rounded_down_and_comes_back_if_the_unit_is_finer(
    val: int, unit: int, to: int
) -> None:
    there = erl_drv_convert_time_unit(val, unit, to)
    back = erl_drv_convert_time_unit(there, to, unit)
    if to >= unit:
        assert back == val
    else:
        assert back <= val < back + 10 ** (3 * (unit - to))


@pytest.mark.parametrize("val", [9223372037, -9223372037, ERL_DRV_TIME_ERROR])
def test_a_time_that_c_cannot_convert_is_a_fault(val: int) -> None:
    with pytest.raises(Misuse, match="overflows 64 bits when it is converted; called at test_cl"):
        erl_drv_convert_time_unit(val, ERL_DRV_SEC, ERL_DRV_NSEC)


def test_the_error_value_is_no_time_to_convert() -> None:
    """C computes `val - 999` before it divides."""
    with pytest.raises(Misuse, match="val is ERL_DRV_TIME_ERROR, which is no time"):
        erl_drv_convert_time_unit(ERL_DRV_TIME_ERROR, ERL_DRV_MSEC, ERL_DRV_SEC)


def test_outside_an_emulator_there_is_no_clock() -> None:
    for ask in (erl_drv_monotonic_time, erl_drv_time_offset):
        with pytest.raises(Misuse, match=f"{ask.__name__}: no emulator is running"):
            ask(ERL_DRV_SEC)
    with pytest.raises(Misuse, match="driver_get_now: no emulator is running"):
        driver_get_now()
