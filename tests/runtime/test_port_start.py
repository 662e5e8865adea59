"""`start`: what it is given, what it returns, and what is left of an open that failed."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from scripted import made_of
from support import (
    Gate,
    Kind,
    Stopping,
    Worker,
    both,
    opened,
    vector_of,
)

from driverref import Driver, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_ERROR_BADARG,
    ERL_DRV_ERROR_ERRNO,
    ERL_DRV_ERROR_GENERAL,
    ErlDrvPort,
    driver_alloc_binary,
    driver_async,
    driver_deq,
    driver_enq,
    driver_enqv,
    driver_failure_eof,
    driver_free_binary,
    driver_output,
    driver_pdl_create,
    driver_set_timer,
    memset,
    set_errno,
)
from driverref.errors import ErlangError, Misuse


@both
@pytest.mark.rule("state.one-start-per-open", "state.verbatim")
def test_start_runs_once_per_open_and_every_callback_gets_what_it_returned(threads: Kind) -> None:
    class Told(Driver):
        """Notes which driver data each callback gets."""

        driver_name = "told"

        def init(self) -> None:
            self.made: list[object] = []
            self.got: list[tuple[str, object]] = []

        def start(self, port: ErlDrvPort, command: str) -> object:
            data = {"port": port, "command": command}
            self.made.append(data)
            return data

        def note(self, name: str, data: object) -> None:
            self.got.append((name, data))

        def output(self, data: Any, buf: memoryview) -> None:
            self.note("output", data)
            driver_enq(data["port"], b"!")
            driver_set_timer(data["port"], 0)

        def timeout(self, data: Any) -> None:
            self.note("timeout", data)
            driver_async(data["port"], None, lambda _: None, None)

        def ready_async(self, data: Any, job: object) -> None:
            self.note("ready_async", data)
            driver_output(data["port"], b"ready")

        def control(self, data: Any, command: int, buf: memoryview) -> bytes:
            self.note("control", data)
            return b""

        def call(self, data: Any, command: int, term: object) -> object:
            self.note("call", data)
            return "called"

        def flush(self, data: Any) -> None:
            self.note("flush", data)
            driver_deq(data["port"], 1)

        def stop(self, data: object) -> None:
            self.note("stop", data)

    driver = Told()
    with Emulator(threads=threads) as erl:
        one, two = opened(erl, driver, "first"), opened(erl, driver, "second")
        for port in (one, two):
            erl.port_command(port, b"")
            assert erl.receive() == (port, ("data", b"ready"))
            erl.port_control(port, 0, b"")
            erl.port_call(port, 0, 0)
            erl.port_close(port)
    names = ["output", "timeout", "ready_async", "control", "call", "flush", "stop"]
    assert [data["command"] for data in driver.made] == ["told first", "told second"]  # type: ignore[index]
    expected = [(name, data) for data in driver.made for name in names]
    assert [(name, id(data)) for name, data in driver.got] == [(n, id(d)) for n, d in expected]


@pytest.mark.rule("state.verbatim")
@pytest.mark.parametrize("data", [None, 0, False, -4, 1.5, "text", [], -1.0, True])
def test_all_but_three_numbers_are_driver_data(data: object) -> None:
    class Returns(Driver):
        driver_name = "returns"
        got: object = "nothing"

        def start(self, port: ErlDrvPort, command: str) -> object:
            return data

        def stop(self, drv_data: object) -> None:
            self.got = drv_data

    driver = Returns()
    with Emulator() as erl:
        erl.port_close(opened(erl, driver))
    assert driver.got is data


@both
@pytest.mark.rule("state.reserved")
@pytest.mark.parametrize(
    ("result", "number", "reason"),
    [
        (ERL_DRV_ERROR_GENERAL, errno.EACCES, "einval"),
        (ERL_DRV_ERROR_ERRNO, errno.EACCES, "eacces"),
        (ERL_DRV_ERROR_ERRNO, errno.ENOENT, "enoent"),
        (ERL_DRV_ERROR_ERRNO, 0, "unknown"),
        (ERL_DRV_ERROR_ERRNO, 9999, "unknown"),
        (ERL_DRV_ERROR_BADARG, errno.EACCES, "badarg"),
    ],
)
def test_three_numbers_mean_that_the_open_failed(
    threads: Kind, result: int, number: int, reason: str
) -> None:
    class Refuses(Stopping):
        def start(self, port: ErlDrvPort, command: str) -> object:
            set_errno(number)
            return result

    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError) as error:
            opened(erl, Refuses())
        assert error.value.reason == reason
        assert erl.ports() == []
        assert erl.receive(timeout=0) is None
        assert erl.trace.order() == ["load_driver", "init", "start"]


def test_errno_is_that_of_this_start_and_not_of_one_before() -> None:
    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            if command.endswith("first"):
                set_errno(errno.EACCES)
            return ERL_DRV_ERROR_ERRNO

    with Emulator() as erl:
        with pytest.raises(ErlangError, match="eacces"):
            opened(erl, Refuses(), "first")
        with pytest.raises(ErlangError, match="unknown"):
            erl.open_port(("spawn_driver", "refuses second"))


def test_a_refused_open_uses_up_a_port_number() -> None:
    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            return -1 if command.endswith("no") else port

    with Emulator() as erl:
        with pytest.raises(ErlangError):
            opened(erl, Refuses(), "no")
        assert erl.open_port(("spawn_driver", "refuses")) == Port(2)


@both
def test_who_links_or_monitors_a_port_while_start_runs_is_told_if_it_fails(threads: Kind) -> None:
    """As OTP 25 does: the exit signal and the message say `noproc`, and nothing is left of the link."""

    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            gate.pass_through()
            return ERL_DRV_ERROR_GENERAL

    with Emulator(threads=threads, schedulers=2) as erl:
        gate, driver, me = Gate(), Refuses(), erl.self()

        def opens() -> None:
            with pytest.raises(ErlangError, match="einval"):
                opened(erl, driver)

        def links() -> None:
            [port] = erl.ports()
            erl.process_flag("trap_exit", True)
            erl.link(port)
            ref = erl.monitor("port", port)
            gate.open()
            assert erl.receive() == ("EXIT", port, "noproc")
            assert erl.receive() == ("DOWN", ref, "port", port, "noproc")
            erl.send(me, "told")

        erl.spawn(opens, scheduler=2)
        gate.await_arrival()
        linked = erl.monitor("process", erl.spawn(links, scheduler=1))
        assert erl.receive() == "told"
        assert erl.receive()[1] == linked


@both
def test_what_a_start_that_fails_left_behind_is_taken_away(threads: Kind) -> None:
    """Its timer does not fire, its driver queue and its port data lock do not leak."""

    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            if command.endswith("ok"):
                return port
            driver_set_timer(port, 1)
            binary = driver_alloc_binary(10)
            assert binary is not None
            memset(binary.orig_bytes, 0, 10)
            driver_enqv(port, vector_of(binary))
            driver_free_binary(binary)
            assert driver_pdl_create(port) is not None
            return -1

        def timeout(self, port: ErlDrvPort) -> None:
            driver_output(port, b"timeout")

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_set_timer(port, 2)

    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError):
            opened(erl, Refuses())
        port = erl.open_port(("spawn_driver", "refuses ok"))
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"timeout"))
    assert [event.port for event in erl.trace.select("timeout")] == [port]


@both
def test_failure_in_start_is_a_fault_of_the_driver(threads: Kind) -> None:
    class Fails(Worker):
        def start(self, port: ErlDrvPort, command: str) -> object:
            return driver_failure_eof(port)

    erl = Emulator(threads=threads)
    with pytest.raises(Misuse, match="driver_failure was called in start"):
        opened(erl, Fails())
    erl.stop()


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
