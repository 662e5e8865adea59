"""`halt`: what it stops, what it waits for, and what it gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import (
    Kind,
    Worker,
    both,
    on_another_thread,
    opened,
)
from wrong.queue import KEEPS_DATA_LOCK

from driverref import Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_enq,
)
from driverref.errors import (
    Deadlock,
    EmulatorStopped,
    Misuse,
)
from driverref.posix import usleep


class Halting(Worker):
    """A `Worker` with a `stop`; nothing is freed by hand, as the memory goes with the emulator."""

    def stop(self, port: ErlDrvPort) -> None:
        pass


@both
@pytest.mark.rule("free.halt-flush")
def test_halt_stops_the_ports_and_runs_the_queued_jobs(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Halting()
        port = opened(erl, driver)
        for text in (b"wait", b"2", b"3"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        driver.work_gate.open()
        assert erl.halt() == 0
        erl.stop()
    order = erl.trace.order("halt", "stop", "async_invoke", "async_return")
    assert order[:1] == ["async_invoke(1)"]
    jobs = [name for name in order if name.startswith("async")]
    assert jobs == [f"async_{event}({job})" for job in (1, 2, 3) for event in ("invoke", "return")]
    assert [name for name in order if name in ("halt", "stop")] == ["halt", "stop"]
    assert "it has halted" in repr(erl)


@pytest.mark.rule("free.halt-flush")
def test_whether_a_free_follows_depends_on_who_submitted_the_job() -> None:
    """The scheduler that halts handles no completions any more; another one may, until all is over."""

    def freed(schedulers: int, seed: int | None) -> int:
        with Emulator(schedulers=schedulers, seed=seed) as erl:

            def output(port: ErlDrvPort, buf: memoryview) -> None:
                driver_async(port, None, lambda data: usleep(60_000), None, lambda data: None)

            port = opened(erl, made_of(output=output))
            on_another_thread(erl, lambda: erl.port_command(port, b""), scheduler=schedulers)
            erl.halt()
            assert erl.trace.order("async_return") == ["async_return(1)"]
            return len(erl.trace.select("async_free"))

    assert freed(schedulers=1, seed=None) == 0
    assert {freed(schedulers=2, seed=seed) for seed in range(30)} >= {0, 1}


@both
@pytest.mark.rule("free.halt-no-flush")
def test_halt_without_flush_calls_nothing_any_more(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Halting()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"queued")
        driver.work_gate.await_arrival()
        assert erl.halt(3, flush=False) == 3
        with pytest.raises(EmulatorStopped, match="it has halted"):
            erl.self()
    after = erl.trace.order()
    assert after[-1] == "halt"
    assert erl.trace.order("stop", "async_free", "ready_async", "async_return") == []


@both
def test_halt_gives_up_at_a_port_that_never_empties_its_queue(threads: Kind) -> None:
    with Emulator(threads=threads, release="27") as erl:
        port = opened(erl, made_of(output=driver_enq))
        erl.port_command(port, b"x")
        assert erl.halt(flush_timeout=20) == 255
        erl.stop()


@both
def test_halt_gives_up_at_a_job_that_never_returns(threads: Kind) -> None:
    with Emulator(threads=threads, release="27") as erl:
        driver = Halting()
        erl.port_command(opened(erl, driver), b"wait")
        driver.work_gate.await_arrival()
        assert erl.halt(flush_timeout=20) == 255
    assert erl.trace.order("stop", "async_return") == ["stop"]


@both
def test_halt_in_time_keeps_its_status(threads: Kind) -> None:
    with Emulator(threads=threads, release="27") as erl:
        erl.port_command(opened(erl, Halting()), b"x")
        assert erl.halt(7, flush_timeout=60_000) == 7


@pytest.mark.rule("timeout.stuck-thread")
@pytest.mark.parametrize("end", [Emulator.halt, Emulator.stop])
def test_a_job_that_never_returns_keeps_halt_and_stop_waiting_for_ever(
    end: Callable[[Emulator], object],
) -> None:
    def story() -> None:
        with Emulator() as erl:
            driver = Halting()
            erl.port_command(opened(erl, driver), b"wait")
            end(erl)

    with pytest.raises(Deadlock) as caught:
        story()
    waiting = "\n".join(caught.value.waiting)
    assert "process <0.1.0> waits for the " in waiting
    assert "async 1 waits for " in waiting
    assert "scheduler 1 waits for " in waiting


def test_a_port_that_never_empties_its_queue_keeps_halt_waiting_for_ever() -> None:
    def story(end: Callable[[Emulator], object]) -> None:
        with Emulator() as erl:
            driver = made_of(output=driver_enq)
            erl.erl_ddll.load_driver(driver)

            def owner() -> None:
                erl.port_command(opened(erl, driver), b"x")

            erl.port_command(
                opened(erl, made_of("e", output=driver_enq, flush=lambda port: None)), b"ab"
            )
            erl.monitor("process", erl.spawn(owner))
            erl.receive()
            end(erl)

    for end in (Emulator.halt, Emulator.stop, Emulator.self):
        with pytest.raises(Deadlock) as caught:
            story(end)
        assert caught.value.waiting[0].startswith(
            "process <0.1.0> waits for its ports to close: #Port<0.1> of driver 'e' is closing with"
            " 2 bytes in its driver queue; #Port<0.2> of driver 'd' is closing with 1 byte in its"
            " driver queue, the driver has no flush, its owner <0.2.0> is gone; it stands at test_h"
        )


def test_a_port_that_cannot_close_for_another_reason_is_named_all_the_same() -> None:
    """Its driver queue is empty; a job keeps the port data lock, which the port needs to go."""
    case = KEEPS_DATA_LOCK
    with pytest.raises(Deadlock) as caught, Emulator() as erl:
        case.story(erl, case.wrong(), case.jobs)
    waits = "process <0.1.0> waits for its ports to close: #Port<0.1> of driver 'runner' is closed"
    assert caught.value.waiting[0].startswith(f"{waits}; it stands at test_halt.py:")


@both
def test_another_process_can_halt_it(threads: Kind) -> None:
    before = set(threading.enumerate())
    with Emulator(threads=threads) as erl:
        ended: list[object] = []

        def halt() -> None:
            try:
                erl.halt()
            except EmulatorStopped as error:
                ended.append(str(error))
                raise

        erl.spawn(halt)
        with pytest.raises(EmulatorStopped, match="it has halted"):
            erl.receive()
        with pytest.raises(EmulatorStopped):
            erl.self()
        erl.stop()
    for thread in set(threading.enumerate()) - before:  # nobody waits for who has halted
        thread.join()
    assert ended == ["the emulator has halted, and this process with it"]


@both
def test_a_crash_of_a_job_while_halt_waits_for_it_is_seen(threads: Kind) -> None:
    class Boom(Worker):
        def work(self, job: Any) -> None:
            self.work_gate.pass_through()
            raise ArithmeticError("late")

        def stop(self, port: ErlDrvPort) -> None:
            self.work_gate.open()

    with Emulator(threads=threads) as erl:
        driver = Boom()
        erl.port_command(opened(erl, driver), b"x")
        driver.work_gate.await_arrival()
        with pytest.raises(ArithmeticError, match="late"):
            erl.halt()
        erl.stop()


class Emergency(Halting):
    """Says which callback has come, with the number of the port."""

    def emergency_close(self, port: ErlDrvPort) -> None:
        pass


@both
@pytest.mark.rule("header.emergency-close")
def test_a_halt_with_a_slogan_closes_in_an_emergency(threads: Kind) -> None:
    """What OTP 25, 27 and 29 were seen to do."""
    with Emulator(threads=threads) as erl:
        driver = Emergency()
        ports = [opened(erl, driver), erl.open_port(("spawn_driver", driver.driver_name))]
        assert erl.halt("it is over") == 1
        erl.stop()
    names = ("halt", "stop", "flush", "emergency_close", "async_invoke")
    assert [event.name for event in erl.trace if event.name in names] == [
        "halt",
        "emergency_close",
        "emergency_close",
    ]
    closed = [event.port for event in erl.trace if event.name == "emergency_close"]
    assert closed == ports


@both
@pytest.mark.rule("header.emergency-close")
def test_a_halt_with_a_number_is_no_emergency(threads: Kind) -> None:
    for flush in (True, False):
        with Emulator(threads=threads) as erl:
            opened(erl, Emergency())
            assert erl.halt(3, flush=flush) == 3
        assert "emergency_close" not in str(erl.trace.order())


@pytest.mark.rule("header.emergency-close")
def test_a_driver_that_crashes_is_not_closed_in_an_emergency() -> None:
    class Crashes(Emergency):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Emulator() as erl:
        erl.port_command(opened(erl, Crashes()), b"")
    assert "emergency_close" not in str(erl.trace.order())


@both
def test_a_release_before_18_does_not_know_it(threads: Kind) -> None:
    with Emulator(threads=threads, release="R16B") as erl:
        opened(erl, Emergency())
        assert erl.halt("it is over") == 1
    assert erl.trace.order("emergency_close") == []


def test_a_driver_that_closes_in_an_emergency_is_no_process() -> None:
    class Asks(Emergency):
        def emergency_close(self, port: ErlDrvPort) -> None:
            driver_enq(port, b"late")

    with Emulator() as erl:
        opened(erl, Asks())
        with pytest.raises(Misuse, match="driver_enq: scheduler 1 does not run a callback of #Por"):
            erl.halt("it is over")
