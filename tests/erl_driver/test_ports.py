"""What a driver asks about its port, its callers and the system: monitors, identifiers, the clock."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted, steps
from support import Gate, Kind, both, opened

from driverref import Emulator, Pid, Port, explore
from driverref.erl_driver import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    ErlDrvMonitor,
    ErlDrvPort,
    Key,
    driver_async,
    driver_caller,
    driver_cancel_timer,
    driver_compare_monitors,
    driver_connected,
    driver_demonitor_process,
    driver_deq,
    driver_enq,
    driver_exit,
    driver_failure_eof,
    driver_get_monitored_process,
    driver_mk_port,
    driver_monitor_process,
    driver_output,
    driver_read_timer,
    driver_set_timer,
    driver_system_info,
    erl_drv_busy_msgq_limits,
    erl_drv_monotonic_time,
    set_busy_port,
    set_errno,
    set_port_control_flags,
)
from driverref.errors import Misuse
from driverref.posix import usleep

OFF = ERL_DRV_BUSY_MSGQ_DISABLED


# Monitors.


def watching(seen: list[Any], **callbacks: Any) -> Any:
    """Command 0 monitors its caller, 1 takes the last monitor away."""

    def monitor(port: ErlDrvPort) -> str:
        seen.append(driver_monitor_process(port, driver_caller(port)))
        return "ok"

    def demonitor(port: ErlDrvPort) -> int:
        monitors = [item for item in seen if isinstance(item, ErlDrvMonitor)]
        return driver_demonitor_process(port, monitors[-1])

    return scripted(
        monitor,
        demonitor,
        lambda port: driver_monitor_process(port, Pid(99)),
        lambda port: driver_deq(port, 1),
        **{"process_exit": lambda port, monitor: seen.append((port.id, monitor)), **callbacks},
    )


@both
def test_a_monitored_process_s_end_is_told_once(threads: Kind) -> None:
    seen: list[Any] = []

    def process_exit(port: ErlDrvPort, monitor: ErlDrvMonitor) -> None:
        seen.append((port.id, monitor))
        driver_output(port, b"told")

    with Emulator(threads=threads) as erl:
        port = opened(erl, watching(seen, process_exit=process_exit))
        pid = erl.spawn(lambda: do(erl, port, 0), link=False)
        ref = erl.monitor("process", pid)
        assert erl.receive(lambda message: message[0] == "DOWN") in (
            ("DOWN", ref, "process", pid, "normal"),
            ("DOWN", ref, "process", pid, "noproc"),
        )
        assert erl.receive() == (port, ("data", b"told"))
        monitor, told = seen
        assert told == (port, monitor)
        assert isinstance(monitor, ErlDrvMonitor)
        assert monitor.pid == pid
        assert [event.detail for event in erl.trace.select("process_exit")] == [pid]


@both
@pytest.mark.parametrize("fail", [driver_failure_eof, partial(driver_exit, err=0)])
@pytest.mark.rule("port.no-failure-in-process-exit")
def test_a_port_must_not_fail_while_it_is_told_of_an_end(
    threads: Kind, fail: Callable[[ErlDrvPort], int]
) -> None:
    driver = made_of(
        control=lambda port, command, buf: [driver_monitor_process(port, driver_caller(port)), b""][
            1
        ],
        process_exit=lambda port, monitor: fail(port),
    )

    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, driver)
            pid = erl.spawn(lambda: do(erl, port, 0))
            ref = erl.monitor("process", pid)
            erl.receive(lambda message: message[1] == ref)
            erl.receive(timeout=10_000)

    with pytest.raises(Misuse, match="called in process_exit, which crashes the emulator"):
        story()


@both
def test_a_monitor_can_be_taken_back_and_dies_with_its_port(threads: Kind) -> None:
    seen: list[Any] = []
    with Emulator(threads=threads) as erl:
        first, second = opened(erl, watching(seen)), Port(2)
        gate = Gate()

        def live() -> None:
            do(erl, first, 0)
            assert do(erl, first, 1) == "0"
            assert do(erl, first, 1) == "1"  # it is gone
            do(erl, second, 0)
            gate.pass_through()

        assert erl.open_port(("spawn_driver", "d")) == second
        pid = erl.spawn(live)
        gate.await_arrival()
        erl.port_close(second)
        ref = erl.monitor("process", pid)
        gate.open()
        assert erl.receive()[1] == ref
        assert len(seen) == 2
        assert erl.trace.order("process_exit") == []


def given_up_at_the_end(erl: Emulator, give_up: Callable[[Emulator, Port], object]) -> Hashable:
    """A monitor is given up while the process ends: what that returns, and how often it is told."""
    seen: list[Any] = []
    me, port = erl.self(), opened(erl, watching(seen))
    erl.spawn(steps(lambda: do(erl, port, 0), lambda: erl.send(me, "monitored")), scheduler=2)
    erl.receive()
    return give_up(erl, port), len(seen) - 1


GIVEN_UP: dict[str, tuple[Callable[[Emulator, Port], object], set[Hashable]]] = {
    "demonitor": (lambda erl, port: do(erl, port, 1), {("0", 0), ("1", 1)}),
    "close": (lambda erl, port: erl.port_close(port), {(True, 0), (True, 1)}),
}


@pytest.mark.parametrize("how", GIVEN_UP)
def test_of_a_process_that_ends_the_port_is_told_or_has_given_the_monitor_up(how: str) -> None:
    give_up, both_ways = GIVEN_UP[how]
    story = partial(given_up_at_the_end, give_up=give_up)
    assert set(explore(story, schedulers=2)) == both_ways


@both
@pytest.mark.rule("port.closing-monitors")
def test_a_closing_port_gives_its_monitors_up(threads: Kind) -> None:
    """So OTP 25 did: the monitored process ends while the port waits for its driver queue."""
    seen: list[Any] = []
    with Emulator(threads=threads) as erl:
        port = opened(erl, watching(seen, output=driver_enq))
        gate = Gate()
        pid = erl.spawn(steps(lambda: do(erl, port, 0), gate.pass_through))
        gate.await_arrival()
        erl.unlink(port)
        erl.port_command(port, b"1")
        erl.port_close(port)
        assert do(erl, port, 1) == "1"
        ref = erl.monitor("process", pid)
        gate.open()
        assert erl.receive()[1] == ref
        assert erl.trace.order("process_exit") == []
        erl.exit(port, "kill")
        do(erl, port, 3)


@both
def test_a_monitor_that_flush_sets_does_not_outlive_the_port(threads: Kind) -> None:
    seen: list[Any] = []

    def flush(port: ErlDrvPort) -> None:
        seen.append(driver_monitor_process(port, pid))

    with Emulator(threads=threads) as erl:
        port = opened(erl, watching(seen, output=driver_enq, flush=flush))
        gate = Gate()
        pid = erl.spawn(gate.pass_through)
        gate.await_arrival()
        erl.unlink(port)
        erl.port_command(port, b"1")
        erl.port_close(port)
        do(erl, port, 3)
        assert erl.ports() == []
        ref = erl.monitor("process", pid)
        gate.open()
        assert erl.receive()[1] == ref
        assert isinstance(seen[0], ErlDrvMonitor)
        assert erl.trace.order("process_exit") == []


@both
def test_who_is_gone_or_cannot_be_told_is_not_monitored(threads: Kind) -> None:
    seen: list[Any] = []
    with Emulator(threads=threads) as erl:
        assert do(erl, opened(erl, watching(seen)), 2) == "1"
        deaf = opened(erl, made_of("deaf", control=lambda port, c, b: seen.append(ask(port))))

        def ask(port: ErlDrvPort) -> object:
            return driver_monitor_process(port, driver_caller(port))

        erl.port_control(deaf, 0, b"")
        assert seen == [-1]


@both
def test_monitors_can_be_compared_and_asked(threads: Kind) -> None:
    found: list[Any] = []

    def compare(port: ErlDrvPort) -> str:
        me = driver_caller(port)
        one, other = (driver_monitor_process(port, me) for _ in range(2))
        assert isinstance(one, ErlDrvMonitor)
        assert isinstance(other, ErlDrvMonitor)
        found.append(driver_get_monitored_process(port, one))
        same = ErlDrvMonitor(one.ref, one.pid)
        pairs = ((one, other), (other, one), (one, same))
        return repr([driver_compare_monitors(a, b) for a, b in pairs])

    with Emulator(threads=threads) as erl:
        driver = scripted(compare, process_exit=lambda port, monitor: None)
        assert do(erl, opened(erl, driver), 0) == "'[-1, 1, 0]'"
        assert found == [erl.self()]


# Who is there.


@both
def test_a_port_knows_its_identifier_and_its_owner(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(driver_mk_port, driver_connected))
        assert do(erl, port, 0) == "#Port<0.1>"
        assert do(erl, port, 1) == "<0.1.0>"
        heir = erl.spawn(erl.receive)
        erl.port_connect(port, heir)
        assert do(erl, port, 1) == repr(heir)


@both
def test_a_closed_port_knows_nobody(threads: Kind) -> None:
    def after_the_end(port: ErlDrvPort) -> list[object]:
        left, monitor = Key(5), driver_monitor_process(port, driver_caller(port))
        assert isinstance(monitor, ErlDrvMonitor)
        driver_failure_eof(port)
        set_busy_port(port, 1)
        set_port_control_flags(port, 1)
        erl_drv_busy_msgq_limits(port, left, left)
        with pytest.raises(Misuse, match="driver_mk_port: the port is closed"):
            driver_mk_port(port)
        return [
            driver_connected(port),
            driver_set_timer(port, 1),
            driver_cancel_timer(port),
            driver_read_timer(port, left),
            left.value,
            driver_monitor_process(port, Pid(1)),
            driver_demonitor_process(port, monitor),
            driver_get_monitored_process(port, monitor),
            driver_async(port, None, print, None),
        ]

    with Emulator(threads=threads) as erl:
        driver = scripted(after_the_end, process_exit=lambda port, monitor: None)
        answer = do(erl, opened(erl, driver), 0)
        assert answer == f"[None, -1, -1, -1, {OFF}, -1, -1, <0.1.0>, -1]"
        assert erl.trace.order("set_busy_port", "driver_set_timer", "driver_async") == []


# The system.


@both
@pytest.mark.rule("header.version")
def test_the_system_is_what_the_header_says(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=3, schedulers=2) as erl:
        box = Box()
        erl.port_command(
            opened(erl, made_of(output=lambda port, buf: box.put(driver_system_info()))), b""
        )
        info = box.value
        assert (info.driver_major_version, info.driver_minor_version) == (3, 3)
        assert (info.erts_version, info.otp_release) == ("13.1.5", "25")
        assert (info.thread_support, info.smp_support) == (1, 1)
        assert (info.async_threads, info.scheduler_threads) == (3, 2)
        assert info.async_threads == erl.system_info("thread_pool_size")


def test_the_clock_is_read_in_four_units() -> None:
    def clock(port: ErlDrvPort) -> list[int]:
        usleep(1_500_000)
        return [erl_drv_monotonic_time(unit) for unit in ("sec", "msec", "usec", "nsec")]

    with Emulator() as erl:
        port = opened(erl, scripted(clock))
        assert do(erl, port, 0) == "[1, 1500, 1500000, 1500000000]"


@both
def test_only_a_scheduler_has_that_clock(threads: Kind) -> None:
    caught: list[str] = []

    def work(data: object) -> None:
        with pytest.raises(Misuse, match="erl_drv_monotonic_time: only on a scheduler") as error:
            erl_drv_monotonic_time("sec")
        caught.append(str(error.value))

    with Emulator(threads=threads) as erl:
        driver = made_of(output=lambda port, buf: driver_async(port, None, work, None))
        erl.port_command(opened(erl, driver), b"")
    assert len(caught) == 1


def test_outside_an_emulator_there_is_no_system() -> None:
    with pytest.raises(Misuse, match="driver_system_info: no emulator is running in this thread"):
        driver_system_info()
    with pytest.raises(Misuse, match="set_errno: no emulator is running in this thread"):
        set_errno(1)
    with pytest.raises(Misuse, match="erl_drv_monotonic_time: no emulator is running"):
        erl_drv_monotonic_time("sec")
