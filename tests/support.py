"""What the tests of the runtime share: both kinds of threads, a gate, and small drivers.

A story waits for nothing but what another thread in it does: a job stands at a gate until the story
opens it.  A gate is a queue of the seam, so the same story is told on simulated threads and on OS
threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
from scripted import Box

from driverref import Driver, Emulator, Pid, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvBinary,
    ErlDrvPort,
    ErlIOVec,
    Key,
    SysIOVec,
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_deq,
    driver_enq,
    driver_free,
    driver_output,
    driver_sizeq,
)
from driverref.errors import ErlangError
from driverref.threads import running_thread

Kind = Literal["simulated", "native"]

both = pytest.mark.parametrize(
    "threads", ["simulated", pytest.param("native", marks=pytest.mark.native)]
)
"""The story is told on simulated threads and on OS threads."""


def handle_of(erl: Emulator, port: Port) -> ErlDrvPort:
    """The handle of a port that is open, which its driver was given."""
    handle = erl.runtime.ports.find(port)
    assert handle is not None
    return handle


class Signal:
    """What one thread gives and another waits for, as often.  Made inside an emulator."""

    def __init__(self, what: str = "a signal") -> None:
        self._queue = running_thread.get().runtime.threads.queue(what)

    def give(self) -> None:
        self._queue.put(self)

    def wait(self) -> None:
        self._queue.get()


class Gate:
    """A place where one thread waits until another lets it pass.  Made inside an emulator."""

    def __init__(self) -> None:
        self._arrived, self._opened = Signal("somebody at the gate"), Signal("the gate to open")

    def pass_through(self) -> None:
        """Say that one is here and wait until the gate is opened."""
        self._arrived.give()
        self._opened.wait()

    def await_arrival(self) -> None:
        """Wait until somebody stands at the gate."""
        self._arrived.wait()

    def open(self) -> None:
        """Let one pass: who stands there, or the next to come."""
        self._opened.give()


class Job(Struct):
    """What a job carries.  Whoever gets it last frees it, or the emulator's end is a `Leak`."""

    text: bytes


class Worker(Driver):
    """Has a job done for every command.

    The job of the command `wait` waits at the gate `work_gate`; the jobs of all others end at once.
    `ready_async` sends the text back.  `key` is given to every `driver_async`.
    """

    driver_name = "worker"
    key: Key | int | None = None
    work_gate: Gate

    def init(self) -> None:
        self.work_gate = Gate()
        self.ids: list[int] = []
        """What `driver_async` returned."""

    def start(self, port: ErlDrvPort, command: str) -> Any:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, bytes(buf))

    def submit(self, port: ErlDrvPort, text: bytes) -> None:
        """Schedule a job."""
        job = new_job(text)
        self.ids.append(driver_async(port, self.key, self.work, job, self.async_free))

    def work(self, job: Job) -> None:
        if job.text == b"wait":
            self.work_gate.pass_through()

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output(port, job.text)
        driver_free(job)

    def async_free(self, job: Job) -> None:
        driver_free(job)


class WaitsForItsJob(Worker):
    """A `Worker` whose `output` waits for the job that it has scheduled, and then calls `go_on`."""

    def init(self) -> None:
        super().init()
        self.done = Signal()

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        super().output(port, buf)
        self.done.wait()
        self.go_on(port)

    def work(self, job: Job) -> None:
        self.done.give()

    def go_on(self, port: ErlDrvPort) -> None:
        """Do the rest of `output`."""
        driver_output(port, b"the job is done")


class PortLockingWorker(Worker):
    """A `Worker` whose ports have a lock each."""

    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING


def new_job(text: bytes) -> Job:
    """A job's data, allocated and written."""
    job = driver_alloc(Job)
    assert job is not None
    job.text = text
    return job


def binary_of(data: bytes) -> ErlDrvBinary:
    """A driver binary that holds `data`."""
    binary = driver_alloc_binary(len(data))
    assert binary is not None
    binary.orig_bytes[:] = data
    return binary


def vector_of(*pieces: bytes | bytearray | ErlDrvBinary) -> ErlIOVec:
    """A vector of a driver's own: an element for each piece, with a binary behind what is one."""
    bases = [p.orig_bytes if isinstance(p, ErlDrvBinary) else p for p in pieces]
    iov = [SysIOVec(base, len(base)) for base in bases]
    binv = [p if isinstance(p, ErlDrvBinary) else None for p in pieces]
    return ErlIOVec(len(iov), sum(map(len, bases)), iov, binv)


def pieces_of(iov: Sequence[SysIOVec]) -> list[bytes]:
    """The bytes of each element."""
    return [b"" if v.iov_base is None else bytes(v.iov_base[: v.iov_len]) for v in iov]


def opened(erl: Emulator, driver: Driver, arguments: str = "") -> Port:
    """A port of `driver`, which is loaded if it is not."""
    assert erl.erl_ddll.load_driver(driver) == "ok"
    return erl.open_port(("spawn_driver", f"{driver.driver_name} {arguments}"))


def received(erl: Emulator) -> list[Any]:
    """The data of the messages that have come, in order."""
    messages = []
    while (message := erl.receive(timeout=0)) is not None:
        messages.append(message)
    return messages


def from_port(port: Port) -> Callable[[Any], bool]:
    """For `receive`: a message from this port."""
    return lambda message: bool(message[0] == port)


def lanes(erl: Emulator, name: str) -> dict[int | None, str]:
    """On which thread each job had the event `name`."""
    return {event.job: event.thread for event in erl.trace.select(name)}


def on_another_thread(erl: Emulator, work: Callable[[], object], scheduler: int = 1) -> None:
    """Do `work` in a process on `scheduler` and wait for its end."""
    pid = erl.spawn(work, scheduler=scheduler)
    ref = erl.monitor("process", pid)
    erl.receive(lambda message: message[1] == ref)


class Keeper(Worker):
    """Keeps its port until its jobs have come back: a byte in the driver queue for each.

    Without `empties` it leaves them there; then the port goes when `control` drops what is left.
    """

    driver_name = "keeper"
    empties = True

    def submit(self, port: ErlDrvPort, text: bytes) -> None:
        driver_enq(port, b"!")
        super().submit(port, text)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        super().ready_async(port, job)
        if self.empties:
            driver_deq(port, 1)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_deq(port, driver_sizeq(port))
        return b"emptied"

    def flush(self, port: ErlDrvPort) -> None:
        pass

    def stop(self, port: ErlDrvPort) -> None:
        pass


class Stopping(Worker):
    """A `Worker` with a `stop`, so that the trace shows when it runs."""

    driver_name = "stopping"

    def stop(self, port: ErlDrvPort) -> None:
        pass


def refused(reason: str = "badarg") -> Any:
    """What `port_command` and its like raise."""
    return pytest.raises(ErlangError, match=f"^{reason}: ")


def suspended(erl: Emulator, send: Callable[[], object]) -> tuple[Pid, Callable[[], object]]:
    """A process that does `send` and has been suspended by it; and a way to get the result."""
    box, me = Box(), erl.self()
    before = len(erl.trace.select("suspended"))

    def sender() -> None:
        try:
            box.put(send())
        except ErlangError as error:
            box.put(error.reason)
        erl.send(me, ("sent", erl.self()))

    pid = erl.spawn(sender, scheduler=1)
    while len(erl.trace.select("suspended")) == before:
        erl.receive(lambda message: False, timeout=1)  # let others run

    def result() -> object:
        erl.receive(lambda message: message == ("sent", pid))
        return box.value

    return pid, result
