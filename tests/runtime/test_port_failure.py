"""A driver makes its port fail: what is told to whom, and that `stop` has run before the call returns."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from scripted import Act, Box, do, scripted
from support import (
    Gate,
    Job,
    Keeper,
    Kind,
    Stopping,
    both,
    opened,
    received,
)

from driverref import Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    driver_enq,
    driver_exit,
    driver_failure,
    driver_failure_atom,
    driver_failure_eof,
    driver_failure_posix,
)
from driverref.errors import ProcessExit


class Failing(Stopping):
    """Calls what the command says in the callback that the command names, and keeps what it returned."""

    driver_name = "failing"
    failures: dict[str, Callable[[ErlDrvPort], int]] = {  # noqa: RUF012
        "eof": driver_failure_eof,
        "boom": lambda port: driver_failure_atom(port, "boom"),
        "kill": lambda port: driver_failure_atom(port, "kill"),
        "enoent": lambda port: driver_failure_posix(port, errno.ENOENT),
        "nameless": lambda port: driver_failure_posix(port, 9999),
        "minus one": lambda port: driver_failure(port, -1),
        "zero": lambda port: driver_failure(port, 0),
        "exit 0": lambda port: driver_exit(port, 0),
        "exit 7": lambda port: driver_exit(port, 7),
    }

    WITH_QUEUE = 1
    """The `control` command that puts something into the driver queue first."""

    def init(self) -> None:
        super().init()
        self.stopped = "stop has not run"
        self.results: list[tuple[int, str]] = []

    def stop(self, port: ErlDrvPort) -> None:
        self.stopped = "stop has run"

    def fail(self, port: ErlDrvPort, how: str) -> None:
        self.results.append((self.failures[how](port), self.stopped))

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        how = bytes(buf).decode()
        if command == self.WITH_QUEUE:
            driver_enq(port, b"something that flush would wait for")
        self.fail(port, how)
        return b"done"

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        how = job.text.decode()
        super().ready_async(port, job)
        if how in self.failures:
            self.fail(port, how)


# Failure.


@both
@pytest.mark.rule("port.failure-runs-stop")
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("eof", "normal"),
        ("boom", "boom"),
        ("kill", "kill"),
        ("enoent", "enoent"),
        ("nameless", "unknown"),
        ("minus one", -1),
        ("zero", "normal"),
    ],
)
def test_a_failure_tells_the_owner_and_runs_stop_before_it_returns(
    threads: Kind, how: str, reason: object
) -> None:
    driver = Failing()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_command(port, how.encode())
        assert erl.receive() == (port, ("data", how.encode()))
        assert erl.receive() == ("EXIT", port, reason)
    assert driver.results == [(0, "stop has run")]
    assert erl.trace.order("ready_async", "exit", "stop") == ["ready_async(1)", "exit", "stop"]


@both
@pytest.mark.rule("port.failure-runs-stop")
def test_after_a_failure_in_control_the_reply_is_given_all_the_same(threads: Kind) -> None:
    """And what waited in the driver queue is dropped: there is no `flush`."""
    driver = Failing()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        assert erl.port_control(port, Failing.WITH_QUEUE, b"boom") == list(b"done")
        assert received(erl) == [("EXIT", port, "boom")]
    assert driver.results == [(0, "stop has run")]
    assert erl.trace.order("control", "flush", "exit", "stop") == ["control", "exit", "stop"]


@both
@pytest.mark.rule("port.failure-runs-stop", "free.port-closed-while-queued")
def test_jobs_behind_the_one_that_failed_are_run_and_freed(threads: Kind) -> None:
    """One command submits all three: after the failure no other would be taken."""

    class Three(Failing):
        driver_name = "three"

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            for text in (b"boom", b"wait", b"3"):
                self.submit(port, text)

    driver = Three()
    driver.key = 0
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_command(port, b"")
        driver.work_gate.await_arrival()
        erl.receive(lambda message: message[0] == "EXIT")
        driver.work_gate.open()
    assert erl.trace.order("ready_async", "stop", "async_free") == [
        "ready_async(1)",
        "stop",
        "async_free(2)",
        "async_free(3)",
    ]


@both
def test_a_closed_port_cannot_fail_again(threads: Kind) -> None:
    class Twice(Failing):
        driver_name = "twice"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            assert [driver_failure_atom(port, "a"), driver_failure_atom(port, "b")] == [0, -1]
            return b""

        def stop(self, port: ErlDrvPort) -> None:
            super().stop(port)
            assert driver_failure_atom(port, "in stop") == 0  # it is on its way already

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Twice())
        erl.port_control(port, 0, b"")
        assert received(erl) == [("EXIT", port, "a")]
    assert erl.trace.order("stop") == ["stop"]


@both
def test_a_closing_port_that_fails_stops_now(threads: Kind) -> None:
    """Whether it is in `flush` or later."""

    class FailsInFlush(Keeper):
        driver_name = "fails_in_flush"

        def flush(self, port: ErlDrvPort) -> None:
            assert driver_failure_eof(port) == 0

    class FailsLater(Keeper):
        driver_name = "fails_later"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            assert driver_failure_atom(port, "never told") == 0
            return b"failed"

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        for driver in (FailsInFlush(), FailsLater()):
            port = opened(erl, driver)
            erl.port_command(port, b"wait")
            erl.port_close(port)
            if isinstance(driver, FailsLater):
                assert erl.ports() == [port]
                assert erl.port_control(port, 0, b"") == list(b"failed")
            assert erl.ports() == []
            assert received(erl) == [("EXIT", port, "normal")]
            driver.work_gate.open()


@both
@pytest.mark.rule("port.driver-exit-silent")
@pytest.mark.parametrize("how", ["exit 0", "exit 7"])
def test_driver_exit_tells_the_owner_nothing(threads: Kind, how: str) -> None:
    driver = Failing()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_control(port, 0, how.encode())
        assert erl.ports() == []
        assert received(erl) == []
    assert driver.results == [(0, "stop has run")]


@both
def test_with_the_option_eof_the_port_stays_open(threads: Kind) -> None:
    driver = Failing()
    with Emulator(threads=threads) as erl:
        assert erl.erl_ddll.load_driver(driver) == "ok"
        port = erl.open_port(("spawn_driver", "failing"), ["binary", "eof"])
        erl.port_control(port, 0, b"eof")
        assert received(erl) == [(port, "eof")]
        erl.port_command(port, b"still there")
        assert erl.receive() == (port, ("data", b"still there"))


@both
def test_an_owner_that_does_not_trap_exits_dies_with_the_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Failing()
        port = opened(erl, driver)

        def own() -> None:
            erl.port_connect(port, erl.self())
            at_work.pass_through()
            erl.port_control(port, 0, b"boom")
            erl.receive()

        at_work = Gate()
        erl.process_flag("trap_exit", True)
        owner = erl.spawn(own)
        at_work.await_arrival()
        ref = erl.monitor("process", owner)
        at_work.open()
        messages = {erl.receive(), erl.receive()}
    assert messages == {("EXIT", port, "boom"), ("DOWN", ref, "process", owner, "boom")}


@both
def test_a_closing_port_that_fails_in_stop_is_stopped_once(threads: Kind) -> None:
    class FailsInStop(Keeper):
        def stop(self, port: ErlDrvPort) -> None:
            assert driver_failure_atom(port, "again") == 0

    with Emulator(threads=threads) as erl:
        driver = FailsInStop()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_close(port)
        erl.port_control(port, 0, b"")
        driver.work_gate.open()
    assert erl.trace.order("stop") == ["stop"]


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
def test_a_process_that_a_failure_kills_is_gone(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, scripted(lambda port: driver_failure(port, 5)))
            do(erl, port, 0)
            erl.self()

    with pytest.raises(ProcessExit) as caught:
        story()
    assert caught.value.reason == 5
