"""`driver_select` as the header has it: what it takes, what it returns, what stands in the trace."""

from __future__ import annotations

from scripted import Box, do, scripted
from support import opened

from driverref import Emulator
from driverref.erl_driver import (
    DO_READ,
    DO_WRITE,
    ERL_DRV_READ,
    ERL_DRV_USE,
    ERL_DRV_USE_NO_CALLBACK,
    ERL_DRV_WRITE,
    ErlDrvPort,
    driver_failure_eof,
    driver_select,
)
from driverref.posix import pipe


def test_the_numbers_are_those_of_the_header() -> None:
    assert (ERL_DRV_READ, ERL_DRV_WRITE, ERL_DRV_USE, ERL_DRV_USE_NO_CALLBACK) == (1, 2, 4, 12)
    assert (DO_READ, DO_WRITE) == (ERL_DRV_READ, ERL_DRV_WRITE)


def test_it_returns_0_and_minus_1_when_the_port_is_closed() -> None:
    def closed(port: ErlDrvPort) -> tuple[int, int]:
        first = driver_select(port, pipe()[0], 0, 1)
        driver_failure_eof(port)
        return first, driver_select(port, pipe()[0], ERL_DRV_READ, 1)

    results = Box()
    driver = scripted(lambda port: results.put(closed(port)))
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        do(erl, opened(erl, driver), 0)
    assert results.value == (0, -1)


def test_the_trace_says_what_is_switched_on_and_off() -> None:
    box = Box()

    def modes(port: ErlDrvPort) -> None:
        box.put(pipe()[0])
        driver_select(port, box.value, ERL_DRV_READ | ERL_DRV_USE, True)
        driver_select(port, box.value, 0, 1)
        driver_select(port, box.value, ERL_DRV_USE_NO_CALLBACK | ERL_DRV_READ, 0)

    with Emulator() as erl:
        do(erl, opened(erl, scripted(modes)), 0)
    assert [event.detail for event in erl.trace.select("driver_select")] == [
        "<read end of a pipe> ERL_DRV_READ | ERL_DRV_USE on",
        "<read end of a pipe> 0 on",
        "<read end of a pipe> ERL_DRV_READ | ERL_DRV_USE_NO_CALLBACK off",
    ]
