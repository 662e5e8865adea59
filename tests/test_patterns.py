"""What drivers do because a job cannot be stopped: flags, generations, time limits inside the job."""

from __future__ import annotations

from typing import Any

import pytest
from support import Gate, Kind, Signal, both, opened

from driverref import Atomic, Driver, Emulator, Struct
from driverref.erl_driver import (
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_cancel_timer,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.posix import SHUT_RDWR, socketpair, usleep

CANCEL = 1
"""The `control` command that cancels the job scheduled last."""


class Task(Struct):
    """A job that looks at a flag now and then."""

    number: int
    generation: int
    cancelled: Atomic
    ended: str


class Cancellable(Driver):
    """A command schedules a task, `control` cancels it; the caller is answered at once.

    A task takes its time in steps of 1 ms, and looks at its flag before each.  Whoever cancels it
    sets the flag and forgets it; `ready_async` alone frees it.
    """

    driver_name = "cancellable"
    steps = 1000

    def init(self) -> None:
        self.order: list[str] = []
        self.tasks: list[Task] = []
        self.was_ready = Signal()

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        task = driver_alloc(Task)
        assert task is not None
        task.number = int(bytes(buf))
        task.cancelled = Atomic(False)
        self.tasks.append(task)
        driver_async(port, None, self.work, task, driver_free)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.tasks[int(bytes(buf)) - 1].cancelled.store(True)
        self.order.append(f"cancel {int(bytes(buf))}")
        return b"cancelled"

    def work(self, task: Task) -> None:
        self.order.append(f"begin {task.number}")
        task.ended = "done"
        for _ in range(self.steps):
            if task.cancelled.load():
                task.ended = "cancelled"
                break
            self.step()
        self.order.append(f"end {task.number}: {task.ended}")

    def step(self) -> None:
        usleep(1000)

    def ready_async(self, port: ErlDrvPort, task: Task) -> None:
        if not task.cancelled.load():
            driver_output(port, b"%d" % task.number)
        self.order.append(f"ready {task.number}")
        driver_free(task)
        self.was_ready.give()


class CancellableAtGates(Cancellable):
    """Its task takes a step whenever the story lets it."""

    def init(self) -> None:
        super().init()
        self.gate = Gate()

    def step(self) -> None:
        self.gate.pass_through()


@both
@pytest.mark.rule("cancel.flag", "cancel.late-result-dropped")
def test_a_job_that_polls_a_flag_ends_early_and_its_result_is_dropped(threads: Kind) -> None:
    driver = CancellableAtGates()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"1")
        for _ in range(2):
            driver.gate.await_arrival()
            driver.gate.open()
        driver.gate.await_arrival()
        assert erl.port_control(port, CANCEL, b"1") == list(b"cancelled")
        assert driver.order == ["begin 1", "cancel 1"]  # answered at once, the job still runs
        driver.gate.open()
        erl.port_command(port, b"2")
        driver.gate.await_arrival()  # so job 1 has ended
        assert driver.order[:3] == ["begin 1", "cancel 1", "end 1: cancelled"]
        erl.port_control(port, CANCEL, b"2")
        driver.gate.open()
        for _ in range(2):
            driver.was_ready.wait()
        assert erl.receive(timeout=0) is None
    assert erl.trace.order("ready_async", "driver_output") == ["ready_async(1)", "ready_async(2)"]


@pytest.mark.rule("cancel.flag")
def test_the_flag_is_seen_within_one_step_of_the_job() -> None:
    """A task of 1000 ms is cancelled at 10.5 ms and ends at 11."""
    driver = Cancellable()
    with Emulator() as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"1")
        usleep(10_500)
        erl.port_control(port, CANCEL, b"1")
        erl.receive(timeout=5)
        [end] = erl.trace.select("async_return")
        assert end.time == 11_000_000
    assert driver.order == ["begin 1", "cancel 1", "end 1: cancelled", "ready 1"]


@both
@pytest.mark.rule("cancel.queued-job-keeps-place")
def test_a_queued_job_sees_the_flag_when_it_gets_the_thread_and_not_before(threads: Kind) -> None:
    driver = CancellableAtGates()
    driver.steps = 1
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        for number in (b"1", b"2", b"3"):
            erl.port_command(port, number)
        driver.gate.await_arrival()
        erl.port_control(port, CANCEL, b"2")
        assert erl.receive(timeout=0) is None
        assert driver.order == ["begin 1", "cancel 2"]
        driver.gate.open()
        assert erl.receive() == (port, ("data", b"1"))
        driver.gate.await_arrival()
        driver.gate.open()
        assert erl.receive() == (port, ("data", b"3"))
    jobs = [event for event in driver.order if event.startswith(("begin", "end"))]
    assert jobs == [
        *("begin 1", "end 1: done"),
        *("begin 2", "end 2: cancelled"),
        *("begin 3", "end 3: done"),
    ]


@both
@pytest.mark.rule("cancel.late-result-dropped")
def test_a_job_that_is_cancelled_after_it_ended_is_dropped_all_the_same(threads: Kind) -> None:
    """The flag is set between the end of the job and `ready_async`, which is the one that looks last."""

    class CancelledLate(Cancellable):
        steps = 0

        def work(self, task: Task) -> None:
            super().work(task)
            task.cancelled.store(True)

    driver = CancelledLate()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"1")
        driver.was_ready.wait()
        assert erl.receive(timeout=0) is None
    assert driver.order == ["begin 1", "end 1: done", "ready 1"]


class Generations(Driver):
    """Answers each command within a time limit: with the job's result, or with `timeout`.

    A timeout, and an answer, begin a new generation.  A result of an old one is dropped.
    """

    driver_name = "generations"

    def init(self) -> None:
        self.gate = Gate()
        self.order: list[str] = []

    def start(self, port: ErlDrvPort, command: str) -> dict[str, Any]:
        return {"port": port, "generation": 0}

    def output(self, data: dict[str, Any], buf: memoryview) -> None:
        task = driver_alloc(Task)
        assert task is not None
        task.number = int(bytes(buf))
        task.generation = data["generation"]
        driver_async(data["port"], 0, self.work, task, driver_free)
        driver_set_timer(data["port"], 0 if task.number == 1 else 60_000)

    def work(self, task: Task) -> None:
        self.order.append(f"begin {task.number}")
        if task.number == 1:
            self.gate.pass_through()

    def timeout(self, data: dict[str, Any]) -> None:
        self.answer(data, b"timeout")

    def ready_async(self, data: dict[str, Any], task: Task) -> None:
        if task.generation == data["generation"]:
            driver_cancel_timer(data["port"])
            self.answer(data, b"%d" % task.number)
        else:
            self.order.append(f"dropped {task.number}")
        driver_free(task)

    def answer(self, data: dict[str, Any], text: bytes) -> None:
        data["generation"] += 1
        self.order.append(text.decode())
        driver_output(data["port"], text)


@both
@pytest.mark.rule("timeout.generation", "timeout.thread-stays-occupied")
def test_a_late_result_is_dropped_and_the_next_job_waits_behind_it(threads: Kind) -> None:
    driver = Generations()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"1")
        assert erl.receive() == (port, ("data", b"timeout"))
        driver.gate.await_arrival()
        erl.port_command(port, b"2")
        assert erl.receive(timeout=1) is None  # the thread is still that of job 1
        assert driver.order == ["timeout", "begin 1"] or driver.order == ["begin 1", "timeout"]
        driver.gate.open()
        assert erl.receive() == (port, ("data", b"2"))
    assert sorted(driver.order[:2]) == ["begin 1", "timeout"]
    assert driver.order.index("dropped 1") < driver.order.index("2")
    assert driver.order.count("timeout") == 1


@pytest.mark.rule("timeout.thread-stays-occupied")
def test_the_next_job_begins_when_the_abandoned_one_ends() -> None:
    """A limit of 10 ms, a job of 100: the answer comes at 10, the next job begins at 100."""

    class Limited(Generations):
        def output(self, data: dict[str, Any], buf: memoryview) -> None:
            super().output(data, buf)
            driver_set_timer(data["port"], 10 if bytes(buf) == b"1" else 1000)

        def work(self, task: Task) -> None:
            usleep(100_000 if task.number == 1 else 5_000)

    with Emulator() as erl:
        port = opened(erl, Limited())
        erl.port_command(port, b"1")
        assert erl.receive()[1][1] == b"timeout"
        erl.port_command(port, b"2")
        assert erl.receive()[1][1] == b"2"
    times = {(event.name, event.job): event.time // 1_000_000 for event in erl.trace}
    assert times["timeout", None] == 10
    assert times["async_invoke", 2] == times["async_return", 1] == 100
    assert times["ready_async", 2] == 105


class Reader(Driver):
    """A job reads from a peer that says nothing.

    The driver data are the two ends.  `limit` is the time limit of a read.
    """

    driver_name = "reader"
    limit: float | None = None

    def init(self) -> None:
        self.got: list[object] = []

    def start(self, port: ErlDrvPort, command: str) -> dict[str, Any]:
        ours, peer = socketpair()
        if self.limit is not None:
            ours.settimeout(self.limit)
        return {"port": port, "ours": ours, "peer": peer}

    def output(self, data: dict[str, Any], buf: memoryview) -> None:
        driver_async(data["port"], None, self.read, {"socket": data["ours"]}, lambda job: None)

    def read(self, job: dict[str, Any]) -> None:
        try:
            job["result"] = job["socket"].recv(100)
        except TimeoutError:
            job["result"] = b"timed out"

    def control(self, data: dict[str, Any], command: int, buf: memoryview) -> bytes:
        if command == CANCEL:
            data["ours"].shutdown(SHUT_RDWR)
        else:
            data["peer"].send(bytes(buf))
        return b""

    def ready_async(self, data: dict[str, Any], job: dict[str, Any]) -> None:
        driver_output(data["port"], job["result"])

    def stop(self, data: dict[str, Any]) -> None:
        data["ours"].shutdown(SHUT_RDWR)
        self.ends = [data["ours"], data["peer"]]

    def finish(self) -> None:
        for end in self.ends:
            end.close()


@both
@pytest.mark.rule("timeout.receive-timeout")
@pytest.mark.parametrize(
    ("what", "result"), [("timeout", b"timed out"), ("shutdown", b""), ("answer", b"hello")]
)
def test_a_time_limit_or_a_shutdown_gets_the_thread_back(
    threads: Kind, what: str, result: bytes
) -> None:
    driver = Reader()
    driver.limit = 0.001 if what == "timeout" else None
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        if what == "shutdown":
            erl.port_control(port, CANCEL, b"")
        elif what == "answer":
            erl.port_control(port, 0, b"hello")
        assert erl.receive() == (port, ("data", result))


@both
@pytest.mark.rule("timeout.receive-timeout")
def test_a_stop_that_shuts_the_socket_down_frees_the_thread_that_reads(threads: Kind) -> None:
    """Without it the emulator could not stop: the job would wait for the peer for ever."""
    driver = Reader()
    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert erl.trace.order("async_return", "async_free") == ["async_return(1)", "async_free(1)"]


def test_a_time_limit_is_as_long_as_it_says() -> None:
    driver = Reader()
    driver.limit = 0.25
    with Emulator() as erl:
        erl.port_command(opened(erl, driver), b"")
        erl.receive()
    [end] = erl.trace.select("async_return")
    assert end.time == 250_000_000


@pytest.mark.rule("timeout.limit-begins-with-job")
def test_a_limit_of_a_read_begins_when_the_job_gets_the_thread() -> None:
    """Five commands, a limit of 20 ms and one thread: the last answer comes after 100 ms."""
    driver = Reader()
    driver.limit = 0.02
    with Emulator(async_threads=1) as erl:
        port = opened(erl, driver)
        for _ in range(5):
            erl.port_command(port, b"")
        for _ in range(5):
            assert erl.receive() == (port, ("data", b"timed out"))
    times = [event.time // 1_000_000 for event in erl.trace.select("driver_output")]
    assert times == [20, 40, 60, 80, 100]
