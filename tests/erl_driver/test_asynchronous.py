"""`driver_async` as a driver calls it: what it returns, who owns the data, from where it may be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import Gate, Job, Kind, Signal, WaitsForItsJob, Worker, both, lanes, new_job, opened

from driverref import Driver, Emulator, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    Key,
    driver_alloc,
    driver_async,
    driver_async_port_key,
    driver_deq,
    driver_enq,
    driver_failure_eof,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.errors import DataRace, ErlangError, Leak, Misuse, check_int


@both
@pytest.mark.rule("memory.ownership")
def test_the_job_is_given_the_very_object_and_ready_async_gets_it_back(threads: Kind) -> None:
    class Same(Driver):
        driver_name = "same"

        def init(self) -> None:
            self.seen: list[object] = []
            self.data: object = object()

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_async(port, None, self.seen.append, self.data, self.seen.append)

        def ready_async(self, port: ErlDrvPort, data: object) -> None:
            self.seen.append(data)
            driver_output(port, b"")

    driver = Same()
    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"")
        erl.receive()
    assert [data is driver.data for data in driver.seen] == [True, True]


@both
@pytest.mark.rule("memory.refused-is-yours", "free.refused")
def test_on_minus_one_nothing_is_called_and_the_data_is_still_the_drivers(threads: Kind) -> None:
    """The port has failed in the same callback: it is closed, and the driver frees the job itself."""

    class TooLate(Worker):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            job = new_job(b"x")
            driver_failure_eof(port)
            key = Key(7)
            assert driver_async(port, key, self.work, job, self.async_free) == -1
            assert key.value == 7
            if command:
                driver_free(job)
            return b""

    def scenario(frees: int) -> Emulator:
        with Emulator(threads=threads) as erl:
            erl.process_flag("trap_exit", True)
            port = opened(erl, TooLate())
            erl.port_control(port, frees, b"")
        return erl

    erl = scenario(1)
    assert erl.trace.order("driver_async", "async_invoke", "async_free", "ready_async") == []
    with pytest.raises(Leak, match="1 block never freed"):
        scenario(0)


@both
def test_a_refused_call_uses_up_no_id(threads: Kind) -> None:
    class Handle(Worker):
        handle: ErlDrvPort

        def start(self, port: ErlDrvPort, command: str) -> Any:
            self.old, self.handle = getattr(self, "handle", port), port
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            assert driver_async(self.old, None, print, None) == -1
            return b""

    driver = Handle()
    with Emulator(threads=threads) as erl:
        erl.port_close(opened(erl, driver))
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        erl.port_command(port, b"x")
        erl.receive()
    assert driver.ids == [1]


@both
@pytest.mark.rule("key.port-key")
def test_the_ports_key_is_its_number_and_of_a_closed_port_it_is_zero(threads: Kind) -> None:
    class Keys(Driver):
        driver_name = "keys"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            keys = [driver_async_port_key(port)]
            if command:
                driver_failure_eof(port)
                keys.append(driver_async_port_key(port))
            return bytes(keys)

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = Keys()
        for number in range(1, 20):
            port = opened(erl, driver)
            assert port.number == number
            assert erl.port_control(port, 0, b"") == [number]
        assert erl.port_control(port, 1, b"") == [19, 0]


@both
@pytest.mark.rule("flow.invoke-may-be-early")
def test_a_job_may_end_before_the_callback_that_scheduled_it_goes_on(threads: Kind) -> None:
    """The callback waits for it, without any lock that a job would need."""

    class Waits(WaitsForItsJob):
        def go_on(self, port: ErlDrvPort) -> None:
            driver_output(port, b"done before output has returned")

    with Emulator(threads=threads) as erl:
        port = opened(erl, Waits())
        erl.port_command(port, b"x")
        assert erl.receive()[1][1] == b"done before output has returned"
        assert erl.receive()[1][1] == b"x"


@pytest.mark.rule("flow.invoke-may-be-early")
def test_what_is_written_to_the_data_after_driver_async_may_come_too_late() -> None:
    """The driver notes the id in the job, after the call that returned it.

    No schedule lets that pass.
    """

    class Noted(Struct):
        id: int

    class Notes(Driver):
        driver_name = "notes"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            job = driver_alloc(Noted)
            assert job is not None
            job.id = 0
            job.id = driver_async(port, None, self.work, job, driver_free)

        def work(self, job: Noted) -> None:
            assert job.id in (0, 1)

    for seed in range(20):
        with pytest.raises(DataRace, match=r"id (read|written) by .* in (work|output), and"):
            with Emulator(seed=seed) as erl:
                erl.port_command(opened(erl, Notes()), b"")


class FromEverywhere(Worker):
    """Schedules a job in the callback that its command line names."""

    driver_name = "from_everywhere"

    def init(self) -> None:
        super().init()
        self.where = ""

    def at(self, where: str, port: ErlDrvPort) -> None:
        if self.where == where:
            self.submit(port, where.encode())

    def start(self, port: ErlDrvPort, command: str) -> Any:
        self.where = command.split()[1]
        self.at("start", port)
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.at("output", port)
        if self.where == "ready_async":
            self.submit(port, b"first")
        if self.where == "flush":
            driver_enq(port, b"!")
        driver_set_timer(port, 0)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.at("control", port)
        return b""

    def call(self, port: ErlDrvPort, command: int, term: object) -> object:
        self.at("call", port)
        return "called"

    def timeout(self, port: ErlDrvPort) -> None:
        self.at("timeout", port)
        driver_output(port, b"it is time")

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        if job.text == b"first":
            self.at("ready_async", port)
        driver_deq(port, 1)
        super().ready_async(port, job)

    def flush(self, port: ErlDrvPort) -> None:
        self.at("flush", port)

    def stop(self, port: ErlDrvPort) -> None:
        self.at("stop", port)


@both
@pytest.mark.parametrize(
    ("where", "given_to"),
    [
        ("start", "ready_async"),
        ("output", "ready_async"),
        ("control", "ready_async"),
        ("call", "ready_async"),
        ("timeout", "ready_async"),
        ("ready_async", "ready_async"),
        ("flush", "ready_async"),
        ("stop", "async_free"),
    ],
)
def test_a_job_may_be_scheduled_in_every_callback_of_a_port(
    threads: Kind, where: str, given_to: str
) -> None:
    driver = FromEverywhere()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver, where)
        erl.port_command(port, b"")
        erl.port_control(port, 0, b"")
        erl.port_call(port, 0, 0)
        expected = {b"it is time"} | ({where.encode()} - {b"flush", b"stop"})
        expected |= {b"first"} if where == "ready_async" else set()
        assert {erl.receive()[1][1] for _ in expected} == expected
        erl.port_close(port)
    last = len(driver.ids)
    assert driver.ids == list(range(1, last + 1))
    assert lanes(erl, given_to)[last] == "scheduler 1"


@both
def test_a_job_of_start_is_delivered_when_start_has_returned_and_with_its_result(
    threads: Kind,
) -> None:
    class Early(Worker):
        def init(self) -> None:
            super().init()
            self.done = Signal()

        def start(self, port: ErlDrvPort, command: str) -> Any:
            self.port = port
            self.submit(port, b"x")
            self.done.wait()
            return {"the driver data": port}

        def work(self, job: Job) -> None:
            self.done.give()

        def ready_async(self, data: Any, job: Job) -> None:
            super().ready_async(data["the driver data"], job)

    with Emulator(threads=threads) as erl:
        port = opened(erl, Early())
        assert erl.receive() == (port, ("data", b"x"))


@both
def test_a_job_may_be_called_without_a_free_function(threads: Kind) -> None:
    class Plain(Driver):
        driver_name = "plain"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_async(port, None, len, [])

    with Emulator(threads=threads) as erl:
        port = opened(erl, Plain())
        erl.port_command(port, b"")
        erl.receive(timeout=1)
    assert erl.trace.order("async_invoke", "async_free", "ready_async") == ["async_invoke(1)"]


class Calls(Driver):
    """`control` does what it is told and keeps the error."""

    driver_name = "calls"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def init(self) -> None:
        self.error: BaseException | None = None
        self.handles: list[ErlDrvPort] = []
        self.gate = Gate()

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.handles.append(port)
        return port

    def do(self, call: Callable[[], object]) -> None:
        self.error = None
        try:
            call()
        except Exception as error:
            self.error = error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None, len, [], None), None),
        (("key", len, [], None), "driver_async: key must be a Key, an int or None, not 'key'"),
        ((True, len, [], None), "driver_async: key must be a Key, an int or None, not True"),
        ((1.0, len, [], None), "driver_async: key must be a Key, an int or None, not 1.0"),
        (
            (None, 7, [], None),
            "driver_async: async_invoke must be a function of one argument, not 7",
        ),
        ((None, len, [], 7), "async_free must be a function of one argument, or None, not 7"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_happens(
    arguments: tuple[Any, ...], error: str | None
) -> None:
    class Wrong(Calls):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.do(lambda: driver_async(port, *arguments))
            return bytes([driver_async(port, None, len, [])])

    driver = Wrong()
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        next_id = erl.port_control(opened(erl, driver), 0, b"")
        assert next_id == [1 if error else 2]
        erl.erl_ddll.unload_driver("calls")  # waits for every job that was accepted
    if error is None:
        assert driver.error is None
    else:
        assert isinstance(driver.error, TypeError)
        assert error in str(driver.error)


@pytest.mark.parametrize(
    "call", [driver_async_port_key, lambda port: driver_async(port, None, len, [])]
)
def test_what_is_no_port_is_refused(call: Callable[[Any], object]) -> None:
    class Wrong(Calls):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.do(lambda: call(port.id))
            return b""

    driver = Wrong()
    with Emulator() as erl:
        erl.port_control(opened(erl, driver), 0, b"")
    assert isinstance(driver.error, TypeError)
    assert "port must be the ErlDrvPort that start was given, not #Port<0.1>" in str(driver.error)


def submit(port: ErlDrvPort) -> int:
    return driver_async(port, None, len, [])


@both
def test_an_async_thread_may_not_schedule_a_job(threads: Kind) -> None:
    """Not even when the port is closed: off the schedulers nobody can know."""

    class FromJob(Calls):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_async(port, None, self.work, port, lambda data: None)

        def work(self, port: ErlDrvPort) -> None:
            self.gate.pass_through()
            self.do(lambda: submit(port))

    driver = FromJob()
    for close in (False, True):
        with Emulator(threads=threads) as erl:
            port = opened(erl, driver)
            erl.port_command(port, b"")
            driver.gate.await_arrival()
            if close:
                erl.port_close(port)
            driver.gate.open()
        assert isinstance(driver.error, Misuse)
        who = r"driver_async: only a callback of #Port<0.1> may call it, not async 1"
        assert str(driver.error).startswith(f"{who}; called at test_asynchronous.py:")


@both
def test_a_callback_of_another_port_may_not_call_with_port_locking(threads: Kind) -> None:
    class OfTheOther(Calls):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.do(lambda: submit(self.handles[0]))
            return b""

    class OneLock(OfTheOther):
        driver_name = "one_lock"
        driver_flags = 0

    for driver in (OfTheOther(), OneLock()):
        with Emulator(threads=threads) as erl:
            _, other = opened(erl, driver), opened(erl, driver)
            erl.port_control(other, 0, b"")
        if isinstance(driver, OneLock):
            assert driver.error is None
        else:
            assert isinstance(driver.error, Misuse)
            assert "scheduler 1 does not run a callback of #Port<0.1>" in str(driver.error)


def test_neither_may_a_process_nor_a_thread_without_an_emulator() -> None:
    driver = Calls()
    with Emulator() as erl:
        opened(erl, driver)
        handle = driver.handles[0]
        with pytest.raises(Misuse, match="scheduler 1 does not run a callback of #Port<0.1>"):
            submit(handle)
        with pytest.raises(Misuse, match="scheduler 1 does not run a callback of #Port<0.1>"):
            driver_async_port_key(handle)
    with pytest.raises(Misuse, match="not a thread without an emulator"):
        submit(handle)


def test_a_number_is_checked_for_its_type_and_its_range() -> None:
    check_int("call", "n", 0, 0, 7, "bytes")
    check_int("call", "n", 7, 0, 7, "bytes")
    for wrong in ("7", None, True, 7.0):
        with pytest.raises(TypeError, match=r"call: n must be an int \(bytes\), not"):
            check_int("call", "n", wrong, 0, 7, "bytes")
    for far in (-1, 8):
        with pytest.raises(ValueError, match=f"call: n must be bytes from 0 to 7, not {far}"):
            check_int("call", "n", far, 0, 7, "bytes")


@both
def test_a_start_that_fails_cannot_be_submitted_to_later(threads: Kind) -> None:
    class Refuses(Calls):
        def start(self, port: ErlDrvPort, command: str) -> Any:
            super().start(port, command)
            return -1 if command.endswith("no") else port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            assert submit(self.handles[0]) == -1
            return b""

    driver = Refuses()
    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError):
            opened(erl, driver, "no")
        port = erl.open_port(("spawn_driver", "calls"))
        erl.port_control(port, 0, b"")
