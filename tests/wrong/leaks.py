"""What is never freed, what nobody wrote, and what is freed by the wrong call."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from support import opened

from driverref import Atomic, Driver, Emulator, Struct
from driverref.erl_driver import (
    ERL_DRV_ERROR_GENERAL,
    ErlDrvBinary,
    ErlDrvPort,
    ErlDrvTSDKey,
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_failure_eof,
    driver_free,
    driver_free_binary,
    driver_output,
    erl_drv_tsd_get,
    erl_drv_tsd_key_create,
    erl_drv_tsd_key_destroy,
    erl_drv_tsd_set,
    memset,
    sizeof,
)
from driverref.errors import ErlangError, InvalidFree, Leak, Uninitialised
from driverref.memory import Memory
from wrong.case import Runner, Wrong, control_after, new, one_command


class Job(Struct):
    """What a job carries."""

    text: Memory
    result: Memory
    cancelled: Atomic
    answer: int


class State(Struct):
    """The driver data of a port."""

    port: ErlDrvPort
    count: int
    job: Job | None


def block(size: int) -> Memory:
    """A block of bytes that nobody has written."""
    allocated = driver_alloc(size)
    assert allocated is not None
    return allocated


class NullFree(Runner):
    async_free: Any = None

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job)


class FreesUnanswered(NullFree):
    def async_free(self, job: Job) -> None:
        driver_free(job)


NULL_FREE = Wrong(
    "null-free",
    "NULL for async_free: every job whose port has closed leaks, as in erlang_js, gen_driver and erlxsl.",
    Leak,
    1,
    NullFree,
    FreesUnanswered,
)


class ByTheManual(Runner):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        pass


class ReadyFrees(ByTheManual):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job)


BY_THE_MANUAL = Wrong(
    "by-the-manual",
    "Only async_free frees, as the manual has it: every job that succeeds leaks.",
    Leak,
    1,
    ByTheManual,
    ReadyFrees,
)


class ShallowFree(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job, text=block(len(buf))))

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job.text)
        driver_free(job)


class DeepFree(ShallowFree):
    def async_free(self, job: Job) -> None:
        driver_free(job.text)
        driver_free(job)


SHALLOW_FREE = Wrong(
    "shallow-free",
    "driver_free as async_free frees the job and not the buffer it points to: CloudI and others.",
    Leak,
    1,
    ShallowFree,
    DeepFree,
)


class ResultDropped(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job))

    def work(self, job: Job) -> None:
        job.result = block(8)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job.result)
        driver_free(job)


class ResultReleased(ResultDropped):
    def async_free(self, job: Job) -> None:
        driver_free(job.result)
        driver_free(job)


RESULT_DROPPED = Wrong(
    "result-dropped",
    "async_free frees what was submitted and not what the job has made of it: OTP-10677, a descriptor of file:open.",
    Leak,
    1,
    ResultDropped,
    ResultReleased,
)


class DroppedOnCancel(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, job=None)

    def output(self, state: State, buf: memoryview) -> None:
        state.job = new(Job, cancelled=Atomic(False))
        self.submit(state.port, state.job)

    def control(self, state: State, command: int, buf: memoryview) -> bytes:
        if state.job is not None:
            state.job.cancelled.store(True)
        return b""

    def ready_async(self, state: State, job: Job) -> None:
        state.job = None
        if job.cancelled.load():
            return
        driver_free(job)

    def stop(self, state: State) -> None:
        driver_free(state)


class FreedOnCancel(DroppedOnCancel):
    def ready_async(self, state: State, job: Job) -> None:
        state.job = None
        driver_free(job)


DROPPED_ON_CANCEL = Wrong(
    "dropped-on-cancel",
    "ready_async ignores the result of a cancelled job, and with it the job.",
    Leak,
    1,
    DroppedOnCancel,
    FreedOnCancel,
    control_after,
)


class UnwrittenOnCancel(FreedOnCancel):
    def work(self, job: Job) -> None:
        if job.cancelled.load():
            return
        job.answer = 42

    def ready_async(self, state: State, job: Job) -> None:
        driver_output(state.port, b"%d" % job.answer)
        super().ready_async(state, job)


class WrittenOnCancel(UnwrittenOnCancel):
    def work(self, job: Job) -> None:
        job.answer = 0 if job.cancelled.load() else 42


UNWRITTEN_ON_CANCEL = Wrong(
    "unwritten-on-cancel",
    "A job that sees its flag returns at once, and ready_async sends the result that nobody has written.",
    Uninitialised,
    1,
    UnwrittenOnCancel,
    WrittenOnCancel,
    control_after,
)


class RefusedForgotten(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_failure_eof(port)
        self.submit(port, new(Job))


class RefusedFreed(RefusedForgotten):
    def submit(self, port: ErlDrvPort, job: Job) -> None:
        if driver_async(port, None, self.work, job, self.async_free) == -1:
            driver_free(job)


REFUSED_FORGOTTEN = Wrong(
    "refused-forgotten",
    "After driver_failure driver_async returns -1, and nobody looks: the job is still the caller's.",
    Leak,
    1,
    RefusedForgotten,
    RefusedFreed,
)


class StartGivesUp(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State | int:
        state = new(State, port=port)
        if command.endswith("no"):
            self.give_up(state)
            return ERL_DRV_ERROR_GENERAL
        return state

    def give_up(self, state: State) -> None:
        pass

    def stop(self, state: State) -> None:
        driver_free(state)


class StartCleansUp(StartGivesUp):
    def give_up(self, state: State) -> None:
        driver_free(state)


def refused(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open a port that does not open."""
    with suppress(ErlangError):
        opened(erl, driver, "no")


START_GIVES_UP = Wrong(
    "start-gives-up",
    "start allocates the state and then refuses the port; stop is not called for a port that has not started.",
    Leak,
    0,
    StartGivesUp,
    StartCleansUp,
    refused,
)


class StopForgets(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, count=0)

    def output(self, state: State, buf: memoryview) -> None:
        state.count += 1


class StopRemembers(StopForgets):
    def stop(self, state: State) -> None:
        driver_free(state)


STOP_FORGETS = Wrong(
    "stop-forgets",
    "Nobody frees the driver data: the port is gone, and the emulator collects no garbage of a driver's.",
    Leak,
    0,
    StopForgets,
    StopRemembers,
    one_command,
)


class FinishForgets(Runner):
    def init(self) -> None:
        self.table = block(64)


class FinishRemembers(FinishForgets):
    def finish(self) -> None:
        driver_free(self.table)


FINISH_FORGETS = Wrong(
    "finish-forgets",
    "What init has allocated stays when the driver is unloaded: each upgrade leaks one.",
    Leak,
    0,
    FinishForgets,
    FinishRemembers,
)


class NotCleared(StopRemembers):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port)


class Cleared(NotCleared):
    def start(self, port: ErlDrvPort, command: str) -> State:
        state = new(State)
        memset(state, 0, sizeof(state))
        state.port = port
        return state


NOT_CLEARED = Wrong(
    "not-cleared",
    "A counter begins with what was in the memory before: driver_alloc does not clear, and the first page is often 0.",
    Uninitialised,
    0,
    NotCleared,
    Cleared,
    one_command,
)


class HeaderUnwritten(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, block(4 + len(buf)))

    def work(self, reply: Memory) -> None:
        reply[4:] = bytes(len(reply) - 4)

    def ready_async(self, port: ErlDrvPort, reply: Memory) -> None:
        driver_output(port, reply)
        driver_free(reply)


class HeaderWritten(HeaderUnwritten):
    def work(self, reply: Memory) -> None:
        super().work(reply)
        reply[:4] = len(reply).to_bytes(4, "big")


HEADER_UNWRITTEN = Wrong(
    "header-unwritten",
    "The job writes the text behind a header of four bytes, and nobody the header: what was there before is sent.",
    Uninitialised,
    1,
    HeaderUnwritten,
    HeaderWritten,
)


class FreesBinary(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, driver_alloc_binary(len(buf)))

    def ready_async(self, port: ErlDrvPort, binary: ErlDrvBinary) -> None:
        driver_free_binary(binary)


class FreesBinaryAsBinary(FreesBinary):
    def async_free(self, binary: ErlDrvBinary) -> None:
        driver_free_binary(binary)


FREES_BINARY = Wrong(
    "frees-binary",
    "The data is a driver binary and its free callback is driver_free: they come from different allocators.",
    InvalidFree,
    1,
    FreesBinary,
    FreesBinaryAsBinary,
)


class FreesForeign(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, bytes(buf))


class FreesOwn(FreesForeign):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        copy = block(len(buf))
        copy[:] = buf
        self.submit(port, copy)


FREES_FOREIGN = Wrong(
    "frees-foreign",
    "The data is a strdup, so malloc's, and is given to driver_free, which works until the allocators part.",
    InvalidFree,
    1,
    FreesForeign,
    FreesOwn,
)


class ScratchStays(Runner):
    def init(self) -> None:
        self.key = ErlDrvTSDKey()
        erl_drv_tsd_key_create("scratch", self.key)

    def work(self, job: Any) -> None:
        if erl_drv_tsd_get(self.key) is None:
            erl_drv_tsd_set(self.key, block(64))

    def finish(self) -> None:
        erl_drv_tsd_key_destroy(self.key)


class ScratchGoes(ScratchStays):
    def work(self, job: Any) -> None:
        super().work(job)
        driver_free(erl_drv_tsd_get(self.key))
        erl_drv_tsd_set(self.key, None)


SCRATCH_STAYS = Wrong(
    "scratch-stays",
    "A buffer that each async thread keeps in its thread specific data: no callback tells when the thread ends.",
    Leak,
    1,
    ScratchStays,
    ScratchGoes,
)
