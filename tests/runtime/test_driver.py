"""The driver entry: what NULL means, what is shared, and which lock covers what."""

from __future__ import annotations

from typing import Any

import pytest
from support import (
    Gate,
    Kind,
    PortLockingWorker,
    Signal,
    WaitsForItsJob,
    both,
    handle_of,
    on_another_thread,
    opened,
)

from driverref import Driver, Emulator
from driverref.erl_driver import (
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_failure_eof,
    driver_monitor_process,
    driver_set_timer,
)
from driverref.errors import ErlangError
from driverref.runtime.driver import CALLBACKS


class Nothing(Driver):
    """An entry in which everything is NULL."""

    driver_name = "nothing"


class OnlyStart(Driver):
    """An entry with a `start` and nothing else; it leaves its handle in `port`."""

    driver_name = "only_start"
    port: ErlDrvPort

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.port = port
        driver_set_timer(port, 0)
        driver_async(port, None, lambda data: None, None)
        assert driver_monitor_process(port, port.owner.value.pid) == -1
        return port


@both
def test_a_callback_that_is_null_is_not_missed_where_it_need_not_be(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        for driver in (Nothing(), OnlyStart()):
            port = opened(erl, driver)
            assert erl.port_command(port, b"swallowed") is True
            assert erl.send(port, (erl.self(), ("command", b"swallowed"))) is not None
            with pytest.raises(ErlangError, match="badarg"):
                erl.port_control(port, 0, b"")
            with pytest.raises(ErlangError, match="badarg"):
                erl.port_call(port, 0, 0)
            assert erl.ports() == [port]
            erl.receive(timeout=1)
            erl.port_close(port)
    assert not {"timeout", "ready_async", "async_free", "stop", "flush"} & set(erl.trace.order())


def test_every_callback_of_the_entry_is_null_by_default() -> None:
    entry = Nothing()
    assert len(CALLBACKS) == 16
    assert [getattr(entry, name) for name in CALLBACKS] == [None] * 16
    assert (entry.driver_name, entry.driver_flags) == ("nothing", 0)


@both
@pytest.mark.rule("state.globals-shared")
def test_the_driver_object_is_shared_by_its_ports_and_the_driver_data_is_not(threads: Kind) -> None:
    class Counts(Driver):
        driver_name = "counts"

        def init(self) -> None:
            self.of_all = 0

        def start(self, port: ErlDrvPort, command: str) -> dict[str, int]:
            return {"of this port": 0}

        def control(self, data: dict[str, int], command: int, buf: memoryview) -> bytes:
            self.of_all += 1
            data["of this port"] += 1
            return bytes([self.of_all, data["of this port"]])

    with Emulator(threads=threads) as erl:
        driver = Counts()
        one, two = opened(erl, driver), opened(erl, driver)
        assert erl.port_control(one, 0, b"") == [1, 1]
        assert erl.port_control(one, 0, b"") == [2, 2]
        assert erl.port_control(two, 0, b"") == [3, 1]
        assert erl.trace.order("init") == ["init"]


class Sits(Driver):
    """`control` 0 sits at the gate; `control` 1 passes."""

    driver_name = "sits"

    def init(self) -> None:
        self.seat = Gate()
        self.passed = Signal()
        self.order: list[str] = []

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        if command == 0:
            self.seat.pass_through()
            self.order.append("sat")
        else:
            self.order.append("passed")
            self.passed.give()
        return b""


class SitsByPort(Sits):
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING


@both
@pytest.mark.rule("state.driver-lock")
def test_by_default_one_callback_runs_at_a_time_whatever_the_port(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        driver = Sits()
        one, two = opened(erl, driver), opened(erl, driver)
        erl.spawn(lambda: erl.port_control(one, 0, b""), scheduler=2)
        driver.seat.await_arrival()
        assert not handle_of(erl, two).lock.acquire(blocking=False)
        on_the_way = Signal()

        def call() -> None:
            on_the_way.give()
            erl.port_control(two, 1, b"")

        pid = erl.spawn(call, scheduler=3)
        ref = erl.monitor("process", pid)
        on_the_way.wait()
        driver.seat.open()
        assert erl.receive() == ("DOWN", ref, "process", pid, "normal")
    assert driver.order == ["sat", "passed"]


@both
@pytest.mark.rule("state.port-lock")
def test_with_port_locking_callbacks_of_two_ports_overlap_and_of_one_port_do_not(
    threads: Kind,
) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        driver = SitsByPort()
        one, two = opened(erl, driver), opened(erl, driver)
        erl.spawn(lambda: erl.port_control(one, 0, b""), scheduler=2)
        driver.seat.await_arrival()
        assert not handle_of(erl, one).lock.acquire(blocking=False)
        on_another_thread(erl, lambda: erl.port_control(two, 1, b""), scheduler=3)
        assert driver.order == ["passed"]
        driver.seat.open()
        on_another_thread(erl, lambda: erl.port_control(one, 1, b""), scheduler=3)
    assert driver.order == ["passed", "sat", "passed"]


@both
@pytest.mark.rule("state.job-without-lock")
@pytest.mark.parametrize("flags", [0, ERL_DRV_FLAG_USE_PORT_LOCKING])
def test_a_job_runs_while_a_callback_of_its_own_port_does(threads: Kind, flags: int) -> None:
    """The callback waits for the job that it has scheduled, and does not wait for ever."""

    class Waits(WaitsForItsJob):
        driver_flags = flags

    with Emulator(threads=threads) as erl:
        port = opened(erl, Waits())
        erl.port_command(port, b"x")
        assert erl.receive() == (port, ("data", b"the job is done"))
        assert erl.receive() == (port, ("data", b"x"))


def test_a_flag_is_there_or_not() -> None:
    class Soft(Nothing):
        driver_flags = ERL_DRV_FLAG_SOFT_BUSY | ERL_DRV_FLAG_USE_PORT_LOCKING

    with Emulator() as erl:
        opened(erl, Soft())
        loaded = erl.runtime.drivers["nothing"]
        assert loaded.flag(ERL_DRV_FLAG_SOFT_BUSY)
        assert not loaded.flag(1 << 2)
        assert loaded.lock is None


class Finishing(PortLockingWorker):
    """A `Worker` with a `finish` and a `stop`."""

    driver_name = "finishing"

    def stop(self, port: ErlDrvPort) -> None:
        pass

    def finish(self) -> None:
        pass


@both
def test_finish_comes_when_the_last_port_and_the_last_job_are_gone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = Finishing()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.erl_ddll.try_unload("finishing")
        assert erl.trace.order("stop", "finish") == ["stop"]
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["finishing"])
        ref = erl.erl_ddll.monitor("driver", ("finishing", "unloaded"))
        driver.work_gate.open()
        assert erl.receive(lambda message: message[0] == "DOWN")[1:3] == (ref, "driver")
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])
    assert erl.trace.order("async_return", "stop", "async_free", "finish") == [
        "stop",
        "async_return(1)",
        "async_free(1)",
        "finish",
    ]


@both
def test_jobs_of_two_schedulers_keep_a_driver_until_both_are_back(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2, async_threads=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Finishing()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        on_another_thread(erl, lambda: erl.port_command(port, b"wait"), scheduler=2)
        for _ in range(2):
            driver.work_gate.await_arrival()
        driver.work_gate.open()
        driver.work_gate.open()
        assert erl.erl_ddll.unload_driver("finishing") == "ok"
        assert erl.trace.order("finish") == ["finish"]


def test_a_driver_is_finished_once_whoever_looks_first() -> None:
    """Its only port fails while it is being given up: the port's end and the unloading both look."""

    class Fails(Finishing):
        def start(self, port: ErlDrvPort, command: str) -> Any:
            self.port = port
            return port

        def stop(self, port: ErlDrvPort) -> None:
            driver_failure_eof(port)

    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        opened(erl, Fails())
        erl.erl_ddll.unload_driver("finishing")
    assert erl.trace.order("finish") == ["finish"]


@pytest.mark.parametrize("seed", range(60))
def test_no_port_is_opened_of_a_driver_that_is_gone(seed: int) -> None:
    """Scheduler 2 opens a port while scheduler 1 unloads: never `start` after `finish`."""
    log: list[str] = []

    class Logs(Driver):
        driver_name = "logs"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            log.append("start")
            return port

        def stop(self, port: ErlDrvPort) -> None:
            log.append("stop")

        def finish(self) -> None:
            log.append("finish")

    with Emulator(schedulers=2, seed=seed) as erl:
        erl.erl_ddll.load_driver(Logs())
        erl.spawn(lambda: erl.open_port(("spawn_driver", "logs")), scheduler=2)
        erl.erl_ddll.unload_driver("logs")
    assert log in (["finish"], ["start", "stop", "finish"])


@both
def test_a_driver_that_is_loaded_again_while_it_waits_to_be_unloaded_stays(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Finishing()
        assert erl.erl_ddll.load(driver) == "ok"
        port = erl.open_port(("spawn_driver", "finishing"))
        erl.erl_ddll.unload("finishing")
        ref = erl.erl_ddll.monitor("driver", ("finishing", "unloaded"))
        assert erl.erl_ddll.load(driver) == "ok"
        assert erl.receive() == ("UP", ref, "driver", "finishing", "unload_cancelled")
        erl.port_close(port)
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["finishing"])
        assert erl.trace.order("finish") == []
