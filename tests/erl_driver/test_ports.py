"""What a driver asks about its port, its callers and the system: monitors, identifiers, the clock."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted, steps
from support import Gate, Kind, both, opened

from driverref import Emulator, Pid, Port, explore
from driverref.erl_driver import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    PORT_CONTROL_FLAG_HEAVY,
    PORT_FLAG_BINARY,
    PORT_FLAG_LINE,
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
    driver_lock_driver,
    driver_mk_port,
    driver_monitor_process,
    driver_output,
    driver_read_timer,
    driver_set_timer,
    driver_system_info,
    erl_drv_busy_msgq_limits,
    erl_drv_consume_timeslice,
    erl_drv_set_os_pid,
    get_port_flags,
    set_busy_port,
    set_errno,
    set_port_control_flags,
)
from driverref.errors import Misuse, Uninitialised
from driverref.explore import Fault

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
        erl_drv_set_os_pid(port, 1)
        assert get_port_flags(port) == 0
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
            driver_lock_driver(port),
            erl_drv_consume_timeslice(port, 1),
        ]

    with Emulator(threads=threads) as erl:
        driver = scripted(after_the_end, process_exit=lambda port, monitor: None)
        answer = do(erl, opened(erl, driver), 0)
        assert answer == f"[None, -1, -1, -1, {OFF}, -1, -1, <0.1.0>, -1, -1, -1]"
        assert erl.trace.order("set_busy_port", "driver_set_timer", "driver_async") == []


# What the port was opened with, and what it is to the system.


@pytest.mark.rule("header.port-settings")
@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ([], 0),
        (["binary"], PORT_FLAG_BINARY),
        ([("line", 5)], PORT_FLAG_LINE),
        (["binary", ("line", 5)], PORT_FLAG_BINARY | PORT_FLAG_LINE),
        ([("packet", 2)], 0),
        (["stream", "eof", "in", "hide"], 0),
    ],
)
def test_a_driver_is_told_the_port_s_options(options: list[object], flags: int) -> None:
    """What OTP 25, 27 and 29 were seen to return."""
    with Emulator() as erl:
        erl.erl_ddll.load_driver(scripted(get_port_flags))
        port = erl.open_port(("spawn_driver", "d"), options)
        assert do(erl, port, 0) == str(flags)


@both
@pytest.mark.rule("header.port-settings")
@pytest.mark.parametrize(
    ("pid", "shown"),
    [(4242, 4242), (0, 0), (-1, None), (-7, None), (99_999_999_999, 99_999_999_999)],
)
def test_a_port_shows_the_process_that_its_driver_names(
    threads: Kind, pid: int, shown: int | None
) -> None:
    """What OTP 25, 27 and 29 were seen to show."""
    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(lambda port: erl_drv_set_os_pid(port, pid)))
        assert erl.port_info(port, "os_pid") == ("os_pid", None)
        assert do(erl, port, 0) == "None"
        assert erl.port_info(port, "os_pid") == ("os_pid", shown)
        assert ("os_pid", shown) in erl.port_info(port)


@pytest.mark.rule("header.port-settings")
@pytest.mark.parametrize(
    ("flags", "reply"),
    [(0, list(b"ab")), (PORT_CONTROL_FLAG_HEAVY, list(b"ab")), (1, b"ab"), (3, b"ab")],
)
def test_only_one_control_flag_chooses_the_reply(flags: int, reply: object) -> None:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        set_port_control_flags(port, flags)
        return b"ab"

    with Emulator() as erl:
        assert erl.port_control(opened(erl, made_of(control=control)), 0, b"") == reply


@both
@pytest.mark.rule("header.timeslice")
@pytest.mark.parametrize(
    ("percents", "results"),
    [
        ([30, 30, 30, 30, 30, 0, -5], [0, 0, 0, 1, 1, 1, 1]),
        ([60, 39, 1, 1], [0, 0, 1, 1]),
        ([0, -5, 97, 1], [0, 0, 0, 1]),
        ([200], [1]),
        ([100], [1]),
    ],
)
def test_a_time_slice_is_used_up_at_100_percent(
    threads: Kind, percents: list[int], results: list[int]
) -> None:
    """What OTP 25, 27 and 29 were seen to return; each callback begins a slice."""

    def consume(port: ErlDrvPort, buf: object = None) -> None:
        told.append([erl_drv_consume_timeslice(port, percent) for percent in percents])

    told: list[list[int]] = []
    with Emulator(threads=threads) as erl:
        driver = scripted(consume, output=consume, timeout=consume)
        port = opened(erl, driver)
        for _ in range(2):
            erl.port_command(port, b"")
            do(erl, port, 0)
    assert told == [results] * 4


@both
@pytest.mark.rule("header.lock-driver")
def test_a_locked_driver_is_never_unloaded(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        driver = scripted(driver_lock_driver)
        port = opened(erl, driver)
        assert ddll.info("d", "permanent") is False
        assert do(erl, port, 0) == do(erl, port, 0) == "0"
        assert ddll.info("d", "permanent") is True
        for wanted in ("unloaded", "loaded"):
            ref = ddll.monitor("driver", ("d", wanted))
            assert erl.receive(timeout=0) == ("UP", ref, "driver", "d", "permanent")
        assert ddll.info("d") == [
            ("processes", "permanent"),
            ("driver_options", ["kill_ports"]),
            ("port_count", "permanent"),
            ("linked_in_driver", False),
            ("permanent", True),
            ("awaiting_load", "permanent"),
            ("awaiting_unload", "permanent"),
        ]
        refused = ("error", "permanent")
        assert ddll.unload_driver("d") == ddll.unload("d") == refused
        assert ddll.load_driver(driver) == ddll.load(driver) == refused
        assert ddll.try_unload("d", ["kill_ports"]) == refused
        erl.port_close(port)
        assert isinstance(erl.open_port(("spawn_driver", "d")), Port)


@both
@pytest.mark.rule("header.lock-driver")
def test_a_lock_takes_an_unloading_back(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load(scripted(driver_lock_driver))
        port = erl.open_port(("spawn_driver", "d"))
        ref = erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        assert erl.erl_ddll.try_unload("d", []) == ("ok", "pending_driver")
        do(erl, port, 0)
        assert erl.receive(timeout=1000) == ("UP", ref, "driver", "d", "permanent")
        erl.port_close(port)
        assert "finish" not in erl.trace.order()
        assert isinstance(erl.open_port(("spawn_driver", "d")), Port)


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
        assert (info.nif_major_version, info.nif_minor_version) == (2, 16)
        assert info.dirty_scheduler_support == 1
        assert info.async_threads == erl.system_info("thread_pool_size")


@pytest.mark.rule("header.system-info-size")
def test_the_system_is_told_as_far_as_the_driver_s_struct_goes() -> None:
    """OTP 25, 27 and 29 were asked with each size: they fill 32, 40, 48 or 52 bytes."""
    box = Box()
    sizes = (32, 39, 40, 47, 48, 51, 52, 56, 64)

    def output(port: object, buf: object) -> None:
        box.put([driver_system_info(size) for size in sizes])

    with Emulator() as erl:
        erl.port_command(opened(erl, made_of(output=output)), b"")
    infos = box.value
    last = [str(info).rpartition(", ")[2].partition("=")[0] for info in infos]
    assert last[:2] == ["smp_support"] * 2
    assert last[2:4] == ["scheduler_threads"] * 2
    assert last[4:6] == ["nif_minor_version"] * 2
    assert last[6:] == ["dirty_scheduler_support"] * 3
    assert infos[-1] == infos[-2]
    with pytest.raises(Uninitialised, match="async_threads read at .*; the size given"):
        _ = infos[0].async_threads
    with pytest.raises(AttributeError, match="no field asink"):
        _ = infos[0].asink


@pytest.mark.rule("header.system-info-size")
def test_to_read_what_the_size_leaves_out_is_a_fault_of_the_driver() -> None:
    def output(port: object, buf: object) -> None:
        with suppress(Uninitialised):
            _ = driver_system_info(32).async_threads

    def asked(erl: Emulator) -> None:
        erl.port_command(opened(erl, made_of(output=output)), b"")

    (fault,) = explore(asked)
    assert isinstance(fault, Fault)
    assert fault.name == "Uninitialised"
    assert "async_threads read" in fault.text


def test_outside_an_emulator_there_is_no_system() -> None:
    with pytest.raises(Misuse, match="driver_system_info: no emulator is running in this thread"):
        driver_system_info()
    with pytest.raises(Misuse, match="set_errno: no emulator is running in this thread"):
        set_errno(1)
