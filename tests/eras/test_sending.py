"""`driver_send_term` on threads: R11B-3 to R15B with several schedulers take it, no other emulator does."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import made_of
from support import Gate, Kind, both, opened, received

from driverref import Emulator, Pid, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    ErlDrvTid,
    driver_async,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_output,
    driver_output_term,
    driver_send_term,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import Misuse

HAVE_IT = pytest.mark.parametrize("release", ["R11B-5", "R13B", "R14B04"])


class Sender:
    """A driver whose job waits at a gate and then sends, and what the calls returned."""

    gate: Gate

    def __init__(self, call: Any = driver_send_term) -> None:
        self.call = call
        self.returned: list[int] = []
        self.driver = made_of(
            flags=ERL_DRV_FLAG_USE_PORT_LOCKING,
            init=self.init,
            output=self.output,
            control=self.control,
            flush=lambda port: None,
            ready_async=lambda port, _: None,
        )

    def init(self) -> None:
        self.gate = Gate()

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        caller = driver_caller(port)
        if bytes(buf) == b"keep":
            driver_enq(port, b"x")
        driver_async(port, None, lambda _: self.work(port, caller), None, None)

    def work(self, port: ErlDrvPort, caller: Pid) -> None:
        self.gate.pass_through()
        self.returned.append(self.call(port, caller, ("job", 7)))

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> None:
        driver_deq(port, 1)


@both
@HAVE_IT
@pytest.mark.rule("era.threads-send")
def test_a_job_sends_with_its_port_s_handle(threads: Kind, release: str) -> None:
    with Emulator(threads=threads, release=release, async_threads=1, schedulers=2) as erl:
        sender = Sender()
        port = opened(erl, sender.driver)
        erl.port_command(port, b"")
        sender.gate.await_arrival()
        sender.gate.open()
        assert erl.receive() == ("job", 7)
    assert sender.returned == [1]
    assert [event.thread for event in erl.trace.select("driver_send_term")] == ["async 1"]


@both
@HAVE_IT
@pytest.mark.rule("era.threads-send")
@pytest.mark.parametrize(("command", "returned"), [(b"", -1), (b"keep", 0)])
def test_for_a_closed_port_that_is_minus_1_and_for_a_closing_one_0(
    threads: Kind, release: str, command: bytes, returned: int
) -> None:
    with Emulator(threads=threads, release=release, async_threads=1, schedulers=2) as erl:
        sender = Sender()
        port = opened(erl, sender.driver)
        erl.port_command(port, command)
        sender.gate.await_arrival()
        erl.port_close(port)
        sender.gate.open()
        while not sender.returned:
            erl.receive(timeout=1)
        if command:
            erl.port_control(port, 0, b"")
        assert received(erl) == []
    assert sender.returned == [returned]


@pytest.mark.rule("era.threads-send")
def test_a_close_may_come_before_it_or_after_it() -> None:
    def story(erl: Emulator) -> object:
        returned: list[int] = []

        def work(port: ErlDrvPort, caller: Pid) -> None:
            returned.append(driver_send_term(port, caller, "job"))

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            caller = driver_caller(port)
            driver_async(port, None, lambda _: work(port, caller), None, None)

        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        erl.port_close(port)
        message = erl.receive(timeout=1000)
        return message, tuple(returned)

    outcomes = explore(story, release="R14B04", async_threads=1, schedulers=2)
    assert {("job", (1,)), (None, (-1,))} <= set(outcomes)
    assert not outcomes.faults


@both
@pytest.mark.parametrize("release", ["R13B", "R14B04"])
@pytest.mark.rule("era.threads-send")
def test_so_does_a_thread_of_the_driver_s_own(threads: Kind, release: str) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        caller, tid = driver_caller(port), ErlDrvTid()
        erl_drv_thread_create(
            "own", tid, lambda _: driver_send_term(port, caller, ("own", 1)), None, None
        )
        erl_drv_thread_join(tid, None)
        driver_output(port, b"joined")

    with Emulator(threads=threads, release=release, schedulers=2) as erl:
        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        assert received(erl) == [("own", 1), (port, ("data", b"joined"))]


def misuse_of(sender: Sender, release: str, schedulers: int) -> str:
    """What is said to a driver whose job sends where it may not."""

    def play() -> None:
        with Emulator(release=release, async_threads=1, schedulers=schedulers) as erl:
            erl.port_command(opened(erl, sender.driver), b"")
            sender.gate.await_arrival()
            sender.gate.open()

    with pytest.raises(Misuse) as told:
        play()
    return str(told.value)


@pytest.mark.rule("era.threads-send")
@pytest.mark.parametrize(
    ("release", "schedulers"),
    [("R7B-3", 1), ("R11B-5", 1), ("R13B", 1), ("R14B04", 1), ("R16B", 2), ("25", 2), ("29", 2)],
)
def test_on_every_other_emulator_it_is_misuse(release: str, schedulers: int) -> None:
    told = misuse_of(Sender(), release, schedulers)
    assert told.startswith("driver_send_term: only a callback of #Port<0.1> may call it")


@HAVE_IT
@pytest.mark.rule("era.threads-send")
def test_driver_output_term_stays_with_callbacks(release: str) -> None:
    """It reads the port's owner, which the port's lock protects."""
    sender = Sender(lambda port, caller, term: driver_output_term(port, term))
    told = misuse_of(sender, release, 2)
    assert told.startswith("driver_output_term: only a callback of #Port<0.1> may call it")


@HAVE_IT
def test_what_is_no_handle_is_refused_there_too(release: str) -> None:
    with Emulator(release=release, schedulers=2) as erl:
        caught: list[str] = []

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            wrong: Any = port.id
            with pytest.raises(TypeError) as refused:
                driver_send_term(wrong, driver_caller(port), "x")
            caught.append(str(refused.value))

        erl.port_command(opened(erl, made_of(output=output)), b"")
        assert caught[0].startswith("driver_send_term: port must be the ErlDrvPort")
