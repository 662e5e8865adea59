"""A driver in C and its twin in Python, line by line: what a schedule costs, and what a use of memory does.

`flow_drv.c` is the book's.  `WALK` walks over its heap; `SPOIL` uses a block that it has freed, so each run of it
is abandoned in the middle of C.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

from driverref import Driver, Emulator, Struct, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    driver_alloc,
    driver_async,
    driver_caller,
    driver_failure_posix,
    driver_free,
    driver_mk_port,
    erl_drv_send_term,
)
from driverref.errors import UseAfterFree
from driverref.hosting import CDriver, CompileError, c_driver
from driverref.terms import Pid, Port

FLOW = Path(__file__).resolve().parents[2] / "docs/questions/flow/flow_drv.c"
ASK = (1).to_bytes(8, "big") + (3).to_bytes(4, "big")
STEP = 1_000_000
"""How many numbers a command has `WALK` touch for each of its bytes."""


class State(Struct):
    port: Any
    port_term: Port


class Job(Struct):
    caller: Pid
    tag: int
    number: int
    square: int


class Flow(Driver):
    """`flow_drv.c` in Python."""

    driver_name = "flow_drv"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def start(self, port, command):  # type: ignore[no-untyped-def]
        state = driver_alloc(State)
        assert state is not None
        state.port = port
        state.port_term = driver_mk_port(port)
        return state

    def stop(self, state):  # type: ignore[no-untyped-def]
        driver_free(state)

    def square(self, job):  # type: ignore[no-untyped-def]
        job.square = job.number * job.number

    def output(self, state, buf):  # type: ignore[no-untyped-def]
        if len(buf) != 12:
            driver_failure_posix(state.port, 22)
            return
        job = driver_alloc(Job)
        if job is None:
            driver_failure_posix(state.port, 12)
            return
        job.caller = driver_caller(state.port)
        job.tag = int.from_bytes(buf[:8], "big")
        job.number = int.from_bytes(buf[8:], "big")
        driver_async(state.port, None, self.square, job, driver_free)

    def ready_async(self, state, job):  # type: ignore[no-untyped-def]
        reply = (state.port_term, job.tag, job.square)
        erl_drv_send_term(state.port_term, job.caller, reply)
        driver_free(job)


HEAD = """
#include <stdlib.h>
#include <erl_driver.h>
static ErlDrvData start(ErlDrvPort port, char *command) { return (ErlDrvData)port; }
static ErlDrvEntry entry = {.driver_name = "small", .start = start, .output = output,
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION, .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING};
DRIVER_INIT(small) { return &entry; }
"""

WALK = f"""
static void output(ErlDrvData data, char *buf, ErlDrvSizeT length)
{{
    for (ErlDrvSizeT pass = 0; pass < length; pass++) {{
        int *numbers = malloc({STEP} * sizeof(int));
        for (int i = 0; i < {STEP}; i++)
            numbers[i] = i;
        free(numbers);
    }}
}}
"""

SPOIL = """
static void output(ErlDrvData data, char *buf, ErlDrvSizeT length)
{
    int *number = malloc(sizeof(int));
    free(number);
    *number = 1;
}
"""

Missing = CompileError
"""Raised where no driver in C can be compiled."""


@cache
def small(body: str) -> CDriver:
    """A driver with this `output`."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "small_drv.c"
        begin, end = HEAD.split("static ErlDrvEntry", 1)
        source.write_text(f"{begin}{body}\nstatic ErlDrvEntry{end}")
        return c_driver(source, flags=["-w"])


def schedules(make: Callable[[], Driver]) -> float:
    """Schedules run in a second of one core: two commands and a close, on two async threads."""

    def scenario(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(make())
        port = erl.open_port(("spawn_driver", "flow_drv"))
        erl.port_command(port, ASK)
        erl.port_command(port, ASK)
        erl.port_close(port)

    begin = process_time()
    outcomes = explore(scenario, async_threads=2, limit=1000, progress=False)
    assert not outcomes.faults
    return outcomes.schedules / (process_time() - begin)


def pair() -> tuple[float, float]:
    """Schedules in a second, of the driver in C and of its twin, measured in turn."""
    return schedules(c_driver(FLOW)), schedules(Flow)


def use_of_memory() -> float:
    """The nanoseconds of one store to the heap, the first one to its bytes in its segment."""
    driver = small(WALK)

    def took(passes: int) -> float:
        with Emulator() as erl:
            erl.erl_ddll.load_driver(driver())
            port = erl.open_port(("spawn_driver", "small"))
            begin = process_time()
            erl.port_command(port, bytes(passes))
            end = process_time()
            erl.port_close(port)
        return end - begin

    took(1)
    return min(took(3) - took(1) for _ in range(5)) / (2 * STEP) * 1e9


def left_behind(runs: int) -> float:
    """The bytes that this process has grown by after so many runs, each of them abandoned in C."""
    driver = small(SPOIL)

    def run() -> None:
        try:
            with Emulator() as erl:
                erl.process_flag("trap_exit", True)
                erl.erl_ddll.load_driver(driver())
                erl.port_command(erl.open_port(("spawn_driver", "small")), b"")
        except UseAfterFree:
            return
        raise AssertionError("the mistake was not found")

    for _ in range(200):
        run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(runs):
        run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024.0
