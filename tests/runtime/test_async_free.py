"""Where the data of a job ends: in `ready_async`, in `async_free`, or nowhere."""

from __future__ import annotations

import pytest
from support import (
    Gate,
    Job,
    Keeper,
    Kind,
    Signal,
    Stopping,
    WaitsForItsJob,
    Worker,
    both,
    from_port,
    lanes,
    on_another_thread,
    opened,
)

from driverref import Emulator
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_exit,
    driver_output,
)
from driverref.errors import ErlangError, Leak
from driverref.posix import usleep


class NoReadyAsync(Worker):
    """A `Worker` whose entry has NULL for `ready_async`."""

    driver_name = "no_ready_async"
    ready_async = None  # type: ignore[assignment]


@both
@pytest.mark.rule("free.not-after-ready")
def test_a_job_that_ready_async_got_is_not_freed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Worker())
        for _ in range(3):
            erl.port_command(port, b"x")
            erl.receive()
    assert erl.trace.order("ready_async", "async_free") == [
        "ready_async(1)",
        "ready_async(2)",
        "ready_async(3)",
    ]


@both
@pytest.mark.rule("free.no-ready-async")
def test_a_driver_without_ready_async_gets_every_job_back_by_async_free(threads: Kind) -> None:
    class Sends(NoReadyAsync):
        port: ErlDrvPort

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            self.port = port
            return port

        def async_free(self, job: Job) -> None:
            driver_output(self.port, job.text)  # only with the port's lock may it do that
            super().async_free(job)

    with Emulator(threads=threads) as erl:
        port = opened(erl, Sends())
        for text in (b"a", b"b", b"c"):
            erl.port_command(port, text)
        assert [erl.receive()[1][1] for _ in range(3)] == [b"a", b"b", b"c"]
    assert erl.trace.order("async_free", "ready_async") == [f"async_free({n})" for n in (1, 2, 3)]
    assert set(lanes(erl, "async_free").values()) == {"scheduler 1"}


@both
@pytest.mark.rule("free.port-closed-while-queued", "free.port-closed-while-running")
@pytest.mark.rule("port.stop-at-once")
def test_jobs_outlive_their_port_the_running_one_and_those_behind_it(threads: Kind) -> None:
    driver = Stopping()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        for text in (b"wait", b"2", b"3"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        erl.port_close(port)
        assert erl.ports() == []
        assert erl.trace.order("async_invoke", "async_return", "stop") == [
            "async_invoke(1)",
            "stop",
        ]
        driver.work_gate.open()
    assert erl.trace.order("stop", "async_invoke", "async_return") == [
        "async_invoke(1)",
        "stop",
        "async_return(1)",
        "async_invoke(2)",
        "async_return(2)",
        "async_invoke(3)",
        "async_return(3)",
    ]
    assert erl.trace.order("async_free") == ["async_free(1)", "async_free(2)", "async_free(3)"]
    assert erl.trace.order("ready_async") == []
    for job in (1, 2, 3):  # and free comes after the job, not beside it
        of_job = [event.name for event in erl.trace if event.job == job]
        assert of_job == ["driver_async", "async_invoke", "async_return", "async_free"]


@both
@pytest.mark.rule("free.port-closed-before-ready")
def test_a_job_that_is_done_but_not_delivered_when_the_port_closes_is_freed(threads: Kind) -> None:
    """The scheduler is kept in a callback until the job is done, and the port is closed from there."""

    class Closes(WaitsForItsJob):
        def go_on(self, port: ErlDrvPort) -> None:
            driver_exit(port, 0)

        def stop(self, port: ErlDrvPort) -> None:
            pass

    driver = Closes()
    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"x")
        assert erl.ports() == []
    assert erl.trace.order("stop", "ready_async", "async_free") == ["stop", "async_free(1)"]


def test_a_job_that_waits_for_the_scheduler_when_the_port_closes_is_freed() -> None:
    """As on the real emulator: a callback of 30 ms, the job is done at 10 ms, then the port is closed."""

    class Slow(Stopping):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            super().output(port, buf)
            usleep(30_000)

        def work(self, job: Job) -> None:
            usleep(10_000)

    with Emulator() as erl:
        port = opened(erl, Slow())
        erl.port_command(port, b"x")
        erl.port_close(port)
    order = erl.trace.order("async_return", "port_close", "stop", "ready_async", "async_free")
    assert order == ["async_return(1)", "port_close", "stop", "async_free(1)"]


@pytest.mark.rule("free.port-closed-before-ready")
def test_a_job_whose_ready_async_waits_for_the_lock_when_the_port_closes_is_freed() -> None:
    """Scheduler 1 waits for the port, in which scheduler 2 sits; there the port is closed."""

    class ClosedByAnother(Stopping):
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(30_000)
            driver_exit(port, 0)
            return b""

        def work(self, job: Job) -> None:
            usleep(10_000)

    with Emulator(schedulers=2) as erl:
        port = opened(erl, ClosedByAnother())
        erl.port_command(port, b"x")
        on_another_thread(erl, lambda: erl.port_control(port, 0, b""), scheduler=2)
    order = erl.trace.order("async_return", "stop", "ready_async", "async_free")
    assert order == ["async_return(1)", "stop", "async_free(1)"]


@both
@pytest.mark.rule("free.closing-gets-ready", "port.flush-delays-stop")
def test_while_the_driver_queue_keeps_the_port_ready_async_comes(threads: Kind) -> None:
    driver = Keeper()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.process_flag("trap_exit", True)
        for text in (b"wait", b"2"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        erl.port_close(port)
        assert erl.ports() == [port]
        assert erl.receive() == ("EXIT", port, "normal")
        driver.work_gate.open()
    assert erl.trace.order("exit", "flush", "ready_async", "async_free", "driver_deq", "stop") == [
        "exit",
        "flush",
        "ready_async(1)",
        "driver_deq",
        "ready_async(2)",
        "driver_deq",
        "stop",
    ]


@both
@pytest.mark.rule("free.start-failed")
def test_a_job_of_a_start_that_fails_is_run_and_freed(threads: Kind) -> None:
    class Refuses(Worker):
        def start(self, port: ErlDrvPort, command: str) -> object:
            self.submit(port, b"from start")
            return -1

    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError, match="einval"):
            opened(erl, Refuses())
    assert erl.trace.order() == [
        "load_driver",
        "init",
        "start",
        "driver_async(1)",
        "async_invoke(1)",
        "async_return(1)",
        "async_free(1)",
    ]


@both
@pytest.mark.rule("free.null-leaks")
@pytest.mark.parametrize("why", ["the port is closed", "there is no ready_async"])
def test_with_null_for_async_free_nothing_is_called_and_the_data_leaks(
    threads: Kind, why: str
) -> None:
    class Forgetful(Worker):
        async_free = None  # type: ignore[assignment]

    class Neither(Forgetful):
        ready_async = None  # type: ignore[assignment]

    driver = Forgetful() if why == "the port is closed" else Neither()
    erl = Emulator(threads=threads)
    port = opened(erl, driver)
    for text in (b"wait", b"2"):
        erl.port_command(port, text)
    driver.work_gate.await_arrival()
    if why == "the port is closed":
        erl.port_close(port)
    driver.work_gate.open()
    with pytest.raises(Leak) as leak:
        erl.stop()
    assert len(leak.value.blocks) == 2
    assert "Job allocated at support.py" in leak.value.blocks[0]
    assert erl.trace.order("async_invoke") == ["async_invoke(1)", "async_invoke(2)"]
    assert erl.trace.order("async_free", "ready_async") == []


@both
@pytest.mark.rule("free.no-lock-when-gone")
def test_once_the_port_is_gone_async_free_runs_without_a_lock(threads: Kind) -> None:
    """With one lock for the driver: a port of it sits in a callback, the other port's job is freed."""

    class Sits(Stopping):
        def init(self) -> None:
            super().init()
            self.seat, self.freed = Gate(), Signal()

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.seat.pass_through()
            return b""

        def async_free(self, job: Job) -> None:
            super().async_free(job)
            self.freed.give()

    driver = Sits()
    with Emulator(threads=threads, schedulers=2) as erl:
        gone, sitting = opened(erl, driver), opened(erl, driver)
        erl.port_command(gone, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(gone)
        erl.spawn(lambda: erl.port_control(sitting, 0, b""), scheduler=2)
        driver.seat.await_arrival()  # the driver's lock is taken
        driver.work_gate.open()
        driver.freed.wait()  # and yet
        driver.seat.open()
        erl.erl_ddll.unload_driver("stopping")
    assert erl.trace.order("control", "async_free", "ready_async") == ["control", "async_free(1)"]


@both
@pytest.mark.rule("memory.ownership")
def test_each_jobs_data_goes_to_exactly_one_of_the_two(threads: Kind) -> None:
    """Twenty jobs, a port that closes among them, and every block has been freed once."""
    driver = Stopping()
    with Emulator(threads=threads, async_threads=3) as erl:
        ports = [opened(erl, driver) for _ in range(4)]
        for _ in range(5):
            for port in ports:
                erl.port_command(port, b"x")
        erl.port_close(ports[0])
        for port in ports[1:]:
            for _ in range(5):
                erl.receive(from_port(port))
    given = [event.job for event in erl.trace.select("ready_async", "async_free")]
    assert sorted(given, key=int) == list(range(1, 21))  # type: ignore[arg-type]
