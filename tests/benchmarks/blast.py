"""The blast of OTP's `driver_SUITE`: 100 processes open a port each, and each port submits 10,000 jobs at once.

A port answers its process when the last of its jobs has come back to `ready_async`.  With one async
thread there are a million jobs in one queue at the worst.  `beam.py` runs the same on the real
emulator (`blast.erl`, `blast_drv.c`).
"""

from __future__ import annotations

import gc
import tracemalloc
from time import perf_counter
from typing import Literal

from driverref import Atom, Driver, Emulator, Pid
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_caller,
    driver_mk_port,
    driver_send_term,
)

Kind = Literal["simulated", "native"]
KINDS: tuple[Kind, ...] = ("simulated", "native")

SCHEDULERS = 2


class State:
    """What a port has.  No block of `driver_alloc`: it is the jobs that are measured."""

    port: ErlDrvPort
    caller: Pid
    left: int


class Blast(Driver):
    """A command submits `jobs` jobs that do nothing.  When all have come back, its caller is told."""

    driver_name = "blast"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def start(self, port, command):  # type: ignore[no-untyped-def]
        state = State()
        state.port = port
        return state

    def output(self, state, buf):  # type: ignore[no-untyped-def]
        port = state.port
        state.caller, state.left = driver_caller(port), self.jobs
        for _ in range(self.jobs):
            driver_async(port, None, nothing, None, None)

    def ready_async(self, state, data):  # type: ignore[no-untyped-def]
        state.left -= 1
        if state.left == 0:
            done = (driver_mk_port(state.port), Atom("done"))
            driver_send_term(state.port, state.caller, done)


def nothing(data: object) -> None:
    """An empty job."""


def ours(jobs: int, ports: int, threads: Kind, trace: bool = False) -> float:
    """Seconds a job.  Each of the ports does its part of the jobs."""
    with Emulator(threads=threads, schedulers=SCHEDULERS, trace=trace) as erl:
        erl.erl_ddll.load_driver(Blast(jobs // ports))
        return blasted(erl, ports) / jobs


def blasted(erl: Emulator, ports: int) -> float:
    """Seconds until each of so many processes has opened its port, and been told that it is done."""
    me = erl.self()

    def process() -> None:
        port = erl.open_port(("spawn_driver", "blast"))
        erl.port_command(port, b"")
        done = erl.receive()
        erl.port_close(port)
        erl.send(me, done == (port, "done"))

    begin = perf_counter()
    for number in range(ports):
        erl.spawn(process, scheduler=number % SCHEDULERS + 1)
    for _ in range(ports):
        assert erl.receive() is True
    return perf_counter() - begin


def bytes_left(jobs: int, ports: int, threads: Kind) -> float:
    """Bytes that a blast leaves behind in a running emulator that has been through one before."""
    with Emulator(threads=threads, schedulers=SCHEDULERS, trace=False) as erl:
        erl.erl_ddll.load_driver(Blast(jobs // ports))
        blasted(erl, ports)
        gc.collect()
        tracemalloc.start()
        blasted(erl, ports)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size
