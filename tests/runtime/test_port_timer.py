"""The timer of a port: when it fires, and what keeps it from firing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted import do, scripted
from support import (
    Kind,
    Worker,
    both,
    on_another_thread,
    opened,
)

from driverref import Driver, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    Key,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_failure_eof,
    driver_output,
    driver_read_timer,
    driver_set_timer,
)
from driverref.posix import usleep

MS = 1_000_000


def tick(port: ErlDrvPort) -> None:
    driver_output(port, b"tick")


TICK = (Port(1), ("data", b"tick"))


def times(erl: Emulator, name: str) -> list[int]:
    """When the events of this name happened, in milliseconds."""
    return [event.time // MS for event in erl.trace.select(name)]


@pytest.mark.rule("timeout.one-timer")
@pytest.mark.parametrize(("first", "second"), [(50, 100), (100, 20)])
def test_setting_the_timer_replaces_the_one_that_runs(first: int, second: int) -> None:
    driver = scripted(
        lambda port: driver_set_timer(port, first),
        lambda port: driver_set_timer(port, second),
        timeout=tick,
    )
    with Emulator() as erl:
        port = opened(erl, driver)
        do(erl, port, 0)
        erl.receive(timeout=10)
        do(erl, port, 1)
        assert erl.receive() == TICK
        assert erl.receive(timeout=500) is None
        assert times(erl, "timeout") == [10 + second]


@both
@pytest.mark.rule("timeout.one-timer")
def test_one_timer_fires_once_and_each_port_has_its_own(threads: Kind) -> None:
    def twice(port: ErlDrvPort) -> None:
        driver_set_timer(port, 1)
        driver_set_timer(port, 1)

    driver = scripted(twice, timeout=tick)
    with Emulator(threads=threads) as erl:
        one, other = opened(erl, driver), opened(erl, driver)
        for port in (one, other):
            do(erl, port, 0)
        assert {erl.receive()[0], erl.receive()[0]} == {one, other}
        assert erl.receive(timeout=20) is None


@pytest.mark.rule("timeout.milliseconds-never-early")
@pytest.mark.parametrize("t", [0, 1, 2, 50, 3_600_000])
def test_the_timer_counts_milliseconds(t: int) -> None:
    with Emulator() as erl:
        port = opened(erl, scripted(lambda port: driver_set_timer(port, t), timeout=tick))
        do(erl, port, 0)
        erl.receive()
        assert times(erl, "timeout") == [t]


@pytest.mark.native
@pytest.mark.rule("timeout.milliseconds-never-early")
def test_on_os_threads_too_the_timer_is_never_early() -> None:
    with Emulator(threads="native") as erl:
        port = opened(erl, scripted(lambda port: driver_set_timer(port, 3), timeout=tick))
        for _ in range(5):
            do(erl, port, 0)
            erl.receive()
        events = list(erl.trace.select("driver_set_timer", "timeout"))
        pairs = zip(events[::2], events[1::2], strict=True)
        assert all(fired.time - began.time >= 3 * MS for began, fired in pairs)


@both
def test_a_timer_of_0_fires_after_the_callback_that_set_it(threads: Kind) -> None:
    def set_timer(port: ErlDrvPort) -> None:
        driver_set_timer(port, 0)
        driver_output(port, b"set")

    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(set_timer, timeout=tick))
        do(erl, port, 0)
        assert [erl.receive(), erl.receive()] == [(port, ("data", b"set")), TICK]


def test_a_callback_delays_the_timer() -> None:
    def busy(port: ErlDrvPort) -> None:
        driver_set_timer(port, 50)
        usleep(300_000)

    with Emulator() as erl:
        port = opened(erl, scripted(busy, timeout=tick))
        do(erl, port, 0)
        erl.receive()
        assert times(erl, "timeout") == [300]


@pytest.mark.rule("timeout.read-and-cancel")
def test_the_timer_can_be_read_and_cancelled() -> None:
    left = Key(99)

    def read(port: ErlDrvPort) -> object:
        return driver_read_timer(port, left), left.value

    driver = scripted(
        read,
        lambda port: driver_set_timer(port, 50),
        driver_cancel_timer,
        timeout=tick,
    )
    with Emulator() as erl:
        port = opened(erl, driver)
        assert do(erl, port, 2) == "0"  # there is none
        assert do(erl, port, 0) == "(0, 0)"
        do(erl, port, 1)
        assert do(erl, port, 0) == "(0, 50)"
        erl.receive(timeout=20)
        assert do(erl, port, 0) == "(0, 30)"
        assert do(erl, port, 2) == "0"
        assert do(erl, port, 0) == "(0, 0)"
        assert erl.receive(timeout=1000) is None
        do(erl, port, 1)
        assert erl.receive() == TICK
        assert do(erl, port, 0) == "(0, 0)"


@both
@pytest.mark.rule("timeout.read-and-cancel")
def test_what_is_left_is_rounded_up_and_never_negative(threads: Kind) -> None:
    left = Key(0)

    def overdue(port: ErlDrvPort) -> list[int]:
        seen = []
        driver_set_timer(port, 2)
        for _ in range(2):
            driver_read_timer(port, left)
            seen.append(left.value)
            usleep(1500)
        usleep(2000)
        driver_read_timer(port, left)
        return [*seen, left.value]

    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(overdue))
        answer = do(erl, port, 0)
        assert answer == "[2, 1, 0]" or threads == "native"
        assert answer.endswith(", 0]")


@both
@pytest.mark.rule("timeout.cancelled-at-close")
def test_the_timer_never_fires_after_stop(threads: Kind) -> None:
    def set_again(port: ErlDrvPort) -> None:
        left = Key(99)
        assert driver_read_timer(port, left) == 0
        assert left.value == 0  # it is cancelled already
        assert driver_set_timer(port, 1) == 0

    soon = 5 if threads == "simulated" else 60_000  # to an OS thread the close may take 5 ms
    with Emulator(threads=threads) as erl:
        driver = scripted(lambda port: driver_set_timer(port, soon), timeout=tick, stop=set_again)
        port = opened(erl, driver)
        do(erl, port, 0)
        erl.port_close(port)
        assert erl.receive(timeout=30) is None
        assert erl.trace.order("timeout") == []


@both
@pytest.mark.rule("timeout.cancelled-at-close")
def test_a_timer_that_is_due_when_its_port_closes_does_not_fire(threads: Kind) -> None:
    """The port is closed by the callback that has made its own timer late."""

    def late(port: ErlDrvPort) -> None:
        driver_set_timer(port, 1)
        usleep(5000)
        driver_failure_eof(port)

    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(late, timeout=tick))
        do(erl, port, 0)
        assert erl.receive(timeout=10) is None
        assert erl.trace.order("timeout") == []


@both
@pytest.mark.rule("timeout.fires-in-closing")
def test_the_timer_fires_while_the_port_is_closing(threads: Kind) -> None:
    def timeout(port: ErlDrvPort) -> None:
        driver_deq(port, 1)

    with Emulator(threads=threads) as erl:
        driver = scripted(
            lambda port: driver_enq(port, b"x"),
            flush=lambda port: driver_set_timer(port, 5),
            timeout=timeout,
            stop=lambda port: None,
        )
        port = opened(erl, driver)
        do(erl, port, 0)
        ref = erl.monitor("port", port)
        erl.port_close(port)
        assert erl.receive() == ("DOWN", ref, "port", port, "normal")
    order = erl.trace.order("flush", "timeout", "driver_deq", "stop")
    assert order == ["flush", "timeout", "driver_deq", "stop"]


@both
@pytest.mark.rule("timeout.independent-of-jobs")
def test_the_timer_fires_while_a_job_runs(threads: Kind) -> None:
    class Timed(Worker):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            driver_set_timer(port, 5)
            return b""

        def timeout(self, port: ErlDrvPort) -> None:
            driver_output(port, b"timeout")

    with Emulator(threads=threads) as erl:
        driver = Timed()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_control(port, 0, b"")
        assert erl.receive() == (port, ("data", b"timeout"))
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
        order = erl.trace.order("async_invoke", "timeout", "async_return")
        assert order == ["async_invoke(1)", "timeout", "async_return(1)"]


@both
@pytest.mark.rule("timeout.null-callback")
def test_a_driver_without_timeout_may_set_a_timer_to_no_effect(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(lambda port: driver_set_timer(port, 1)))
        assert do(erl, port, 0) == "0"
        assert erl.receive(timeout=10) is None
        assert erl.trace.order("timeout") == []


@pytest.mark.parametrize(("act", "fires"), [(driver_cancel_timer, []), (driver_set_timer, [25])])
def test_a_timeout_that_waits_for_the_lock_can_still_be_called_off(
    act: Callable[..., int], fires: list[int]
) -> None:
    def hold(port: ErlDrvPort) -> None:
        usleep(5000)
        act(port, *[20] * len(fires))

    driver = scripted(
        lambda port: driver_set_timer(port, 2),
        hold,
        timeout=tick,
        flags=ERL_DRV_FLAG_USE_PORT_LOCKING,
    )
    with Emulator(schedulers=2) as erl:
        port = opened(erl, driver)
        do(erl, port, 0)
        erl.spawn(lambda: do(erl, port, 1), scheduler=2)
        erl.receive(timeout=100)
        assert times(erl, "timeout") == fires


@both
def test_a_timer_belongs_to_the_scheduler_that_set_it(threads: Kind) -> None:
    driver = scripted(lambda port: driver_set_timer(port, 1), timeout=tick)
    with Emulator(threads=threads, schedulers=2) as erl:
        port = opened(erl, driver)
        erl.spawn(lambda: do(erl, port, 0), scheduler=2)
        assert erl.receive() == TICK
        assert erl.trace.select("timeout")[0].thread == "scheduler 2"


@both
def test_a_timer_that_has_been_replaced_or_cancelled_does_not_fire(threads: Kind) -> None:
    """A callback sets it to 0, and while it is due sets another, or none."""

    class Resets(Driver):
        driver_name = "resets"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            for t in buf:
                driver_set_timer(port, t)
            if command:
                driver_cancel_timer(port)
            return b""

        def timeout(self, port: ErlDrvPort) -> None:
            driver_output(port, b"timeout")

    with Emulator(threads=threads) as erl:
        port = opened(erl, Resets())
        erl.port_control(port, 0, b"\0\0\1")
        assert erl.receive() == (port, ("data", b"timeout"))
        erl.port_control(port, 1, b"\0")
        assert erl.receive(timeout=5) is None


def test_a_timer_that_is_cancelled_while_it_waits_for_the_lock_does_not_fire() -> None:
    """Scheduler 1 waits with the timeout for the port's lock, scheduler 2 cancels it in a callback."""

    class Slow(Driver):
        driver_name = "slow"
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            driver_set_timer(port, 1)
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(5_000)
            driver_cancel_timer(port)
            return b""

        def timeout(self, port: ErlDrvPort) -> None:
            raise AssertionError("it was cancelled")

    with Emulator(schedulers=2) as erl:
        port = opened(erl, Slow())
        on_another_thread(erl, lambda: erl.port_control(port, 0, b""), scheduler=2)
        assert erl.receive(timeout=10) is None


def test_each_call_for_the_timer_is_in_the_trace() -> None:
    """The pictures of the book have a row for each."""
    driver = scripted(lambda port: driver_set_timer(port, 5), driver_cancel_timer)
    with Emulator() as erl:
        port = opened(erl, driver)
        for number in (0, 1, 0, 1):
            do(erl, port, number)
        calls = erl.trace.select("driver_set_timer", "driver_cancel_timer")
    assert [event.name for event in calls] == ["driver_set_timer", "driver_cancel_timer"] * 2
