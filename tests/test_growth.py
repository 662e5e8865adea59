"""A run keeps nothing of what is over, however long it is: no job, process, thread, port or timer."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import opened

from driverref import Driver, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    ErlDrvTid,
    driver_alloc,
    driver_async,
    driver_cancel_timer,
    driver_free,
    driver_output,
    driver_set_timer,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_thread_create,
    erl_drv_thread_join,
    set_busy_port,
)

ROUNDS = 40
MOST = 100
"""Bytes a round.  What is kept of anything is more than that; the growth of a table is less."""


class Does(Driver):
    """Does what a command says, and answers when it is over.  `control` ends a busy port."""

    driver_name = "does"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        what = bytes(buf)
        if what == b"job":
            driver_async(port, None, lambda data: None, None)
        elif what == b"timer":
            driver_set_timer(port, 1)
        elif what == b"busy":
            set_busy_port(port, 1)
        else:
            if what == b"cancelled timer":
                driver_set_timer(port, 1_000)
                driver_cancel_timer(port)
            elif what == b"block":
                driver_free(driver_alloc(8))
            elif what == b"thread":
                tid = ErlDrvTid()
                erl_drv_thread_create("worker", tid, self.locks, None, None)
                erl_drv_thread_join(tid, None)
            driver_output(port, buf)

    def locks(self, arg: object) -> None:
        mutex = erl_drv_mutex_create("mutex")
        erl_drv_mutex_lock(mutex)
        erl_drv_mutex_unlock(mutex)
        erl_drv_mutex_destroy(mutex)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> None:
        set_busy_port(port, 0)

    def ready_async(self, port: ErlDrvPort, data: object) -> None:
        driver_output(port, b"job")

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"timer")


class Unloaded(Does):
    driver_name = "unloaded"


Round = Callable[[Emulator, Port], object]


def a_command(what: bytes) -> Round:
    def round_(erl: Emulator, port: Port) -> None:
        erl.port_command(port, what)
        assert erl.receive() == (port, ("data", what))

    round_.__name__ = what.decode()
    return round_


def a_process(erl: Emulator, port: Port) -> None:
    erl.monitor("process", erl.spawn(lambda: None))
    erl.receive()


def a_linked_process(erl: Emulator, port: Port) -> None:
    erl.spawn(lambda: None, link=True)
    erl.receive()


def a_port(erl: Emulator, port: Port) -> None:
    erl.port_close(erl.open_port(("spawn_driver", "does")))
    erl.receive()


def a_port_of_another_process(erl: Emulator, port: Port) -> None:
    erl.monitor("process", erl.spawn(lambda: erl.open_port(("spawn_driver", "does"))))
    erl.receive()


def a_monitor(erl: Emulator, port: Port) -> None:
    erl.demonitor(erl.monitor("port", port))


def a_receive_that_times_out(erl: Emulator, port: Port) -> None:
    erl.receive(timeout=1)


def a_suspended_sender(erl: Emulator, port: Port) -> None:
    me = erl.self()

    def sender() -> None:
        erl.send(me, "begins")
        erl.port_command(port, b"sent")
        erl.send(me, "ends")

    erl.port_command(port, b"busy")
    erl.spawn(sender)
    erl.receive(lambda message: message == "begins")
    erl.receive(timeout=1)
    erl.port_control(port, 0, b"")
    erl.receive(lambda message: message == "ends")
    erl.receive(lambda message: message == (port, ("data", b"sent")))


def a_driver(erl: Emulator, port: Port) -> None:
    erl.erl_ddll.load_driver(Unloaded())
    erl.erl_ddll.unload_driver("unloaded")


EVERY = [
    *(a_command(what) for what in (b"answer", b"job", b"timer", b"cancelled timer", b"block")),
    a_command(b"thread"),
    a_process,
    a_linked_process,
    a_port,
    a_port_of_another_process,
    a_monitor,
    a_receive_that_times_out,
    a_suspended_sender,
    a_driver,
]


def growths(rounds: Callable[[], object]) -> Iterator[float]:
    """How many bytes a round leave behind, in one stretch of rounds after the other."""
    before = None
    while True:
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        if before is not None:
            yield (size - before) / ROUNDS
        before = size
        for _ in range(ROUNDS):
            rounds()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="simulated"),
        pytest.param({"schedulers": 2}, id="2 schedulers"),
        pytest.param({"seed": 1}, id="seed 1"),
        pytest.param({"schedulers": 2, "threads": "native"}, id="native", marks=pytest.mark.native),
    ],
)
@pytest.mark.parametrize("round_", EVERY, ids=lambda round_: str(round_.__name__))
def test_nothing_is_kept_of_what_is_over(round_: Round, options: dict[str, Any]) -> None:
    with Emulator(trace=False, **options) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Does())
        for _ in range(ROUNDS):
            round_(erl, port)
        tracemalloc.start()
        gc.freeze()  # the collector need not look at what was there before, again and again
        try:
            stretches = growths(lambda: round_(erl, port))
            # A table grows now and then, all at once; what is kept is kept in every round.
            assert min(next(stretches) for _ in range(4)) < MOST
        finally:
            gc.unfreeze()
            tracemalloc.stop()
