"""What a driver asks of its port: the timer, failure, monitors, who is there, the system."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Kind, Worker, both, opened, received

from driverref import Emulator, Pid, Port
from driverref.erl_driver import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    ERL_DRV_BUSY_MSGQ_READ_ONLY,
    ERL_DRV_ERROR_BADARG,
    ERL_DRV_ERROR_ERRNO,
    ERL_DRV_ERROR_GENERAL,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
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
    driver_failure,
    driver_failure_atom,
    driver_failure_eof,
    driver_failure_posix,
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
from driverref.errors import ErlangError, Misuse, ProcessExit
from driverref.posix import usleep

MS = 1_000_000
Act = Callable[[ErlDrvPort], object]


def scripted(*acts: Act, **callbacks: Any) -> Any:
    """A driver whose `control` number n does `acts[n]` and replies what that returned, as text."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return repr(acts[command](port)).encode()

    return made_of(control=control, **callbacks)


def do(erl: Emulator, port: Port, number: int) -> str:
    reply = erl.port_control(port, number, b"")
    assert isinstance(reply, list)
    return bytes(reply).decode()


def tick(port: ErlDrvPort) -> None:
    driver_output(port, b"tick")


TICK = (Port(1), ("data", b"tick"))


def times(erl: Emulator, name: str) -> list[int]:
    """When the events of this name happened, in milliseconds."""
    return [event.time // MS for event in erl.trace.select(name)]


# The timer.


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


# Busy.

LOW, HIGH = 4096, 8192
OFF = ERL_DRV_BUSY_MSGQ_DISABLED
READ_ONLY = ERL_DRV_BUSY_MSGQ_READ_ONLY


@both
@pytest.mark.parametrize(
    ("low", "high", "now"),
    [
        (READ_ONLY, READ_ONLY, (LOW, HIGH)),
        (None, None, (LOW, HIGH)),
        (5, None, (5, HIGH)),
        (None, 10, (10, 10)),
        (READ_ONLY, 10, (10, 10)),
        (100, 20_000, (100, 20_000)),
        (20_000, 100, (100, 100)),
        (20_000, READ_ONLY, (20_000, 20_000)),
        (20_000, None, (20_000, 20_000)),
        (OFF, READ_ONLY, (OFF, OFF)),
        (3, OFF, (OFF, OFF)),
        (None, OFF, (OFF, OFF)),
    ],
)
def test_the_low_limit_of_waiting_commands_never_exceeds_the_high_one(
    threads: Kind, low: int | None, high: int | None, now: tuple[int, int]
) -> None:
    """What an emulator of Erlang/OTP 25 answers to the same calls."""
    given = [None if value is None else Key(value) for value in (low, high)]

    def limits(port: ErlDrvPort) -> list[int]:
        erl_drv_busy_msgq_limits(port, *given)
        read = Key(READ_ONLY), Key(READ_ONLY)
        erl_drv_busy_msgq_limits(port, *read)
        return [key.value for key in read]

    with Emulator(threads=threads) as erl:
        assert do(erl, opened(erl, scripted(limits)), 0) == str([*now])
    turned_off = OFF in (low, high)  # then nothing is written back
    for key, before, value in zip(given, (low, high), now, strict=True):
        assert key is None or key.value == (before if turned_off else value)


@both
def test_a_closed_port_has_no_limits(threads: Kind) -> None:
    low, high = Key(7), Key(8)

    def limits(port: ErlDrvPort) -> list[int]:
        driver_failure_eof(port)
        erl_drv_busy_msgq_limits(port, low, high)
        return [low.value, high.value]

    with Emulator(threads=threads) as erl:
        assert do(erl, opened(erl, scripted(limits)), 0) == str([OFF, OFF])


# Failure.

FAILURES: list[tuple[str, Act, object]] = [
    ("atom", lambda port: driver_failure_atom(port, "broken"), "broken"),
    ("posix", lambda port: driver_failure_posix(port, errno.ENOENT), "enoent"),
    ("posix 0", lambda port: driver_failure_posix(port, 0), "unknown"),
    ("number", lambda port: driver_failure(port, -1), -1),
    ("0", lambda port: driver_failure(port, 0), "normal"),
    ("eof", driver_failure_eof, "normal"),
]


@both
@pytest.mark.parametrize(
    ("fail", "reason"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)
def test_failing_runs_stop_at_once_and_tells_the_owner(
    threads: Kind, fail: Act, reason: object
) -> None:
    seen: list[object] = []

    def broken(port: ErlDrvPort) -> str:
        driver_enq(port, b"dropped")
        seen.append(fail(port))
        seen.append("failed")
        return "answer"

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = scripted(
            broken,
            flush=lambda port: seen.append("flush"),
            stop=lambda port: seen.append("stop"),
        )
        port = opened(erl, driver)
        assert do(erl, port, 0) == "'answer'"
        assert seen == ["stop", 0, "failed"]
        assert received(erl) == [("EXIT", port, reason)]
        assert erl.ports() == []


@both
def test_with_the_eof_option_eof_is_a_message_and_the_port_stays(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(scripted(driver_failure_eof))
        port = erl.open_port(("spawn_driver", "d"), ["eof"])
        assert do(erl, port, 0) == "0"
        assert received(erl) == [(port, "eof")]
        assert erl.ports() == [port]


@both
def test_on_a_closing_port_eof_is_the_end_whatever_the_option(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = scripted(lambda port: driver_enq(port, b"x"), driver_failure_eof)
        erl.erl_ddll.load_driver(driver)
        port = erl.open_port(("spawn_driver", "d"), ["eof"])
        do(erl, port, 0)
        erl.port_close(port)
        assert do(erl, port, 1) == "0"
        assert erl.ports() == []
        assert received(erl) == []


@both
@pytest.mark.rule("port.driver-exit-silent")
@pytest.mark.parametrize(
    ("err", "reason"),
    [(0, "normal"), (errno.EIO, "eio"), (errno.E2BIG, "e2big"), (-1, "unknown"), (9999, "unknown")],
)
def test_driver_exit_tells_the_owner_nothing_and_others_an_errnos_name(
    threads: Kind, err: int, reason: str
) -> None:
    """What an emulator of Erlang/OTP 25 was seen to do."""
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        gate, box = Gate(), Box()
        port = opened(erl, scripted(lambda port: driver_exit(port, err), stop=lambda port: None))

        def linked() -> None:
            erl.process_flag("trap_exit", True)
            erl.link(port)
            gate.pass_through()
            box.put(erl.receive())

        ref = erl.monitor("process", erl.spawn(linked))
        gate.await_arrival()
        assert do(erl, port, 0) == "0"
        gate.open()
        assert erl.receive()[1] == ref
        assert box.value == ("EXIT", port, reason)
        assert received(erl) == []
        assert erl.trace.order("stop") == ["stop"]


@both
def test_a_port_fails_once(threads: Kind) -> None:
    def twice(port: ErlDrvPort) -> list[object]:
        return [act(port) for act in (driver_failure_eof, *(f[1] for f in FAILURES))] + [
            driver_exit(port, 0)
        ]

    with Emulator(threads=threads) as erl:
        assert do(erl, opened(erl, scripted(twice)), 0) == str([0, *[-1] * 7])


@both
def test_to_fail_in_stop_changes_nothing(threads: Kind) -> None:
    answers: list[int] = []
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = scripted(stop=lambda port: answers.append(driver_failure_atom(port, "late")))
        port = opened(erl, driver)
        erl.port_close(port)
        assert answers == [0]
        assert received(erl) == [("EXIT", port, "normal")]


@both
def test_to_fail_in_start_is_misuse(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            opened(erl, made_of(start=lambda port, command: driver_failure_eof(port)))

    with pytest.raises(Misuse, match="return ERL_DRV_ERROR_GENERAL instead"):
        story()


@both
def test_start_says_why_it_refuses(threads: Kind) -> None:
    def start(port: ErlDrvPort, command: str) -> int:
        number = int(command.split()[1])
        if number > 0:
            set_errno(number)
            return ERL_DRV_ERROR_ERRNO
        return number

    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(start=start))
        for number, reason in (
            (ERL_DRV_ERROR_GENERAL, "einval"),
            (ERL_DRV_ERROR_BADARG, "badarg"),
            (ERL_DRV_ERROR_ERRNO, "unknown"),  # errno is 0
            (errno.EACCES, "eacces"),
            (999, "unknown"),
        ):
            with pytest.raises(ErlangError) as caught:
                erl.open_port(("spawn_driver", f"d {number}"))
            assert caught.value.reason == reason
        assert isinstance(erl.open_port(("spawn_driver", "d -4")), Port)


# Monitors.


def watching(seen: list[Any], **callbacks: Any) -> Any:
    """Command 0 monitors its caller, 1 takes the last monitor away."""

    def monitor(port: ErlDrvPort) -> str:
        seen.append(driver_monitor_process(port, driver_caller(port)))
        return "ok"

    return scripted(
        monitor,
        lambda port: driver_demonitor_process(port, seen[-1]),
        lambda port: driver_monitor_process(port, Pid(99)),
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


@both
def test_a_timer_belongs_to_the_scheduler_that_set_it(threads: Kind) -> None:
    driver = scripted(lambda port: driver_set_timer(port, 1), timeout=tick)
    with Emulator(threads=threads, schedulers=2) as erl:
        port = opened(erl, driver)
        erl.spawn(lambda: do(erl, port, 0), scheduler=2)
        assert erl.receive() == TICK
        assert erl.trace.select("timeout")[0].thread == "scheduler 2"


@both
def test_a_process_that_a_failure_kills_is_gone(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, scripted(lambda port: driver_failure(port, 5)))
            do(erl, port, 0)
            erl.self()

    with pytest.raises(ProcessExit) as caught:
        story()
    assert caught.value.reason == 5
