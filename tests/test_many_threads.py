"""As many threads as one likes, each with a stack of its own, on both kinds of threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, opened

from driverref import Driver, Emulator, Pid, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    ErlDrvTid,
    Pointer,
    driver_alloc,
    driver_async,
    driver_caller,
    driver_free,
    driver_mk_port,
    driver_output,
    driver_send_term,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import ErlangError


def at_depth(calls: int, function: Callable[[], Any]) -> Any:
    """What the function returns, called from so many calls."""
    return at_depth(calls - 1, function) if calls else function()


def started(erl: Emulator, count: int, function: Callable[[], object]) -> list[Pid]:
    """So many processes, or as many as the operating system has threads for."""
    pids: list[Pid] = []
    try:
        while len(pids) < count:
            pids.append(erl.spawn(function))
    except ErlangError as error:
        if error.reason != "system_limit" or erl.runtime.threads.simulated:
            raise
    return pids


@both
def test_3000_processes_wait_at_once(threads: Kind) -> None:
    with Emulator(threads=threads, trace=False) as erl:
        me = erl.self()

        def waits() -> None:
            erl.send(me, erl.self())
            erl.receive()
            erl.send(me, "woken")

        pids = started(erl, 3_000, waits)
        assert len(pids) > 500
        # Each has come to its `receive`, or will: none of them ends before the last one is there.
        assert {erl.receive() for _ in pids} == set(pids)
        for pid in pids:
            erl.send(pid, "go on")
        assert [erl.receive() for _ in pids] == ["woken"] * len(pids)


@both
def test_3000_processes_end_while_others_begin(threads: Kind) -> None:
    with Emulator(threads=threads, trace=False) as erl:
        pids = [erl.spawn(erl.send, erl.self(), "ended") for _ in range(3_000)]
        assert [erl.receive() for _ in pids] == ["ended"] * 3_000


@both
def test_processes_start_each_other_from_the_depth(threads: Kind) -> None:
    """100 processes of 100 frames each, every one of which was started by the one before."""
    with Emulator(threads=threads) as erl:

        def live(parent: Pid, generation: int) -> None:
            def inner() -> object:
                if generation:
                    erl.spawn(live, erl.self(), generation - 1)
                    return erl.receive() + 1
                return 1

            erl.send(parent, at_depth(100, inner))

        erl.spawn(live, erl.self(), 99)
        assert erl.receive() == 100


@both
def test_a_process_nests_deep_while_many_others_wait(threads: Kind) -> None:
    """It waits down there, too: the others run meanwhile."""
    with Emulator(threads=threads) as erl:
        me = erl.self()

        def deep() -> None:
            erl.send(me, at_depth(700, erl.receive))

        waiting = [erl.spawn(at_depth, 200, erl.receive) for _ in range(100)]
        nested = [erl.spawn(deep) for _ in range(3)]
        for pid in waiting:
            erl.send(pid, "go on")
        for pid in nested:
            erl.send(pid, "from the depth")
        assert [erl.receive() for _ in nested] == ["from the depth"] * 3


def crowd(count: int, depth: int) -> Any:
    """A driver that starts so many threads, which all wait so deep, and lets them go on."""

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        driver.mutex, driver.cond = erl_drv_mutex_create("mutex"), erl_drv_cond_create("cond")
        driver.open, driver.arrived = False, 0
        driver.tids = [ErlDrvTid() for _ in range(count)]
        for number, tid in enumerate(driver.tids):
            assert erl_drv_thread_create(f"thread {number}", tid, work, number, None) == 0
        return port

    def work(number: int) -> int:
        return int(at_depth(depth, lambda: wait(number)))

    def wait(number: int) -> int:
        erl_drv_mutex_lock(driver.mutex)
        driver.arrived += 1
        erl_drv_cond_broadcast(driver.cond)
        while not driver.open:
            erl_drv_cond_wait(driver.cond, driver.mutex)
        erl_drv_mutex_unlock(driver.mutex)
        return number

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        erl_drv_mutex_lock(driver.mutex)
        while driver.arrived < count:
            erl_drv_cond_wait(driver.cond, driver.mutex)
        driver.open = True
        erl_drv_cond_broadcast(driver.cond)
        erl_drv_mutex_unlock(driver.mutex)
        total, value = 0, Pointer()
        for tid in driver.tids:
            erl_drv_thread_join(tid, value)
            total += value.value
        erl_drv_cond_destroy(driver.cond)
        erl_drv_mutex_destroy(driver.mutex)
        driver_output(port, b"%d" % total)

    driver: Any = made_of(start=start, output=output)
    return driver


@both
@pytest.mark.parametrize(("count", "depth"), [(500, 0), (30, 300)])
def test_so_many_threads_of_a_driver_wait_at_once(threads: Kind, count: int, depth: int) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, crowd(count, depth))
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"%d" % sum(range(count))))


def test_many_that_wait_are_unwound_when_the_program_leaves() -> None:
    left: list[str] = []

    def waits() -> None:
        try:
            erl.receive()
        finally:
            left.append("unwound")

    with suppress(ArithmeticError), Emulator() as erl:
        for _ in range(500):
            erl.spawn(at_depth, 100, waits)
        erl.receive(timeout=1)
        for _ in range(500):
            erl.spawn(waits)  # have not begun when the program leaves
        raise ArithmeticError
    assert left == ["unwound"] * 500


class Blast(Driver):
    """A command submits 40 jobs, each with a block; its caller is told when all have come back."""

    driver_name = "blast"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def start(self, port: ErlDrvPort, command: str) -> Any:
        state = driver_alloc(State)
        assert state is not None
        state.port, state.ready = port, 0
        return state

    def stop(self, state: State) -> None:
        driver_free(state)

    def output(self, state: State, buf: memoryview) -> None:
        state.caller = driver_caller(state.port)
        for _ in range(40):
            driver_async(state.port, None, lambda block: None, driver_alloc(8), driver_free)

    def ready_async(self, state: State, block: object) -> None:
        driver_free(block)
        state.ready += 1
        if state.ready == 40:
            driver_send_term(state.port, state.caller, (driver_mk_port(state.port), "done"))


class State(Struct):
    """What a port of `Blast` has."""

    port: ErlDrvPort
    caller: Pid
    ready: int


@both
@pytest.mark.parametrize(("async_threads", "schedulers"), [(1, 1), (8, 2)])
def test_of_a_blast_of_jobs_every_one_comes_back(
    threads: Kind, async_threads: int, schedulers: int
) -> None:
    """100 processes open a port each.  What was left of a port or of a job would be a `Leak`."""
    with Emulator(threads=threads, async_threads=async_threads, schedulers=schedulers) as erl:
        erl.erl_ddll.load_driver(Blast())
        me = erl.self()

        def process() -> None:
            port = erl.open_port(("spawn_driver", "blast"))
            erl.port_command(port, b"")
            assert erl.receive() == (port, "done")
            erl.port_close(port)
            erl.send(me, port)

        for _ in range(100):
            erl.spawn(process)
        assert len({erl.receive() for _ in range(100)}) == 100
        assert len(erl.trace.select("ready_async")) == 4_000
