"""What a callback is lent, and driver binaries: who may look how long, and who gives a reference back."""

from __future__ import annotations

from typing import Any

from support import opened

from driverref import Driver, Emulator, Struct
from driverref.erl_driver import (
    ErlDrvBinary,
    ErlDrvPort,
    ErlIOVec,
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_binary_dec_refc,
    driver_binary_get_refc,
    driver_binary_inc_refc,
    driver_free,
    driver_free_binary,
    driver_output_binary,
    driver_realloc_binary,
)
from driverref.errors import DataRace, DoubleFree, Leak, Misuse, OutOfBounds, UseAfterFree
from driverref.memory import Memory
from wrong.case import Runner, Wrong, commands, new


class Job(Struct):
    """What a job carries."""

    text: Any
    binary: ErlDrvBinary


def binary_of(size: int) -> ErlDrvBinary:
    """A driver binary of zeros."""
    binary = driver_alloc_binary(size)
    assert binary is not None
    binary.orig_bytes[:] = bytes(size)
    return binary


def long_commands(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send commands of 100 bytes, which come as counted binaries; one at least."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, bytes(100))


def a_long_command(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send one command of 100 bytes."""
    long_commands(erl, driver, 1)


class BufferKept(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job, text=buf))

    def work(self, job: Job) -> None:
        bytes(job.text)


class BufferCopied(BufferKept):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job, text=bytes(buf)))


BUFFER_KEPT = Wrong(
    "buffer-kept",
    "The job is given output's buf, which is lent for the call: it works as long as the job is the faster one.",
    UseAfterFree,
    1,
    BufferKept,
    BufferCopied,
)


class BinaryBorrowed(Runner):
    output: Any = None

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        self.submit(port, new(Job, binary=ev.binv[1]))

    def work(self, job: Job) -> None:
        bytes(job.binary.orig_bytes)


class BinaryCounted(BinaryBorrowed):
    def submit(self, port: ErlDrvPort, job: Job) -> None:
        driver_binary_inc_refc(job.binary)
        super().submit(port, job)

    def async_free(self, job: Job) -> None:
        driver_free_binary(job.binary)
        driver_free(job)


BINARY_BORROWED = Wrong(
    "binary-borrowed",
    "outputv's binary is kept without driver_binary_inc_refc: asked on erlang-questions in 2001, and since.",
    UseAfterFree,
    1,
    BinaryBorrowed,
    BinaryCounted,
    long_commands,
)


class BinaryFreedForErlang(Runner):
    output: Any = None

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        driver_free_binary(ev.binv[1])


class BinaryLeftToErlang(BinaryFreedForErlang):
    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        pass


BINARY_FREED_FOR_ERLANG = Wrong(
    "binary-freed-for-erlang",
    "outputv frees a binary it was lent: the reference is the emulator's, which gives it back after the call.",
    DoubleFree,
    0,
    BinaryFreedForErlang,
    BinaryLeftToErlang,
    a_long_command,
)


class SentIsGone(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job))

    def work(self, job: Job) -> None:
        job.binary = binary_of(8)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_binary(port, b"", job.binary, 0, 8)
        driver_free(job)

    def async_free(self, job: Job) -> None:
        driver_free_binary(job.binary)
        driver_free(job)


class SentIsStillOurs(SentIsGone):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_binary(port, b"", job.binary, 0, 8)
        self.async_free(job)


SENT_IS_GONE = Wrong(
    "sent-is-gone",
    "driver_output_binary is taken to free what it sends; it takes a reference of its own, and the driver's is left.",
    Leak,
    1,
    SentIsGone,
    SentIsStillOurs,
)


class SentTwiceGone(SentIsStillOurs):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_binary(port, b"", job.binary, 0, 8)
        driver_free_binary(job.binary)
        self.async_free(job)


class SentOnceGone(SentTwiceGone):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_binary(port, b"", job.binary, 0, 8)
        self.async_free(job)


SENT_TWICE_GONE = Wrong(
    "binary-freed-once-too-often",
    "The reference is given back after sending, and by the function that frees a job once more.",
    DoubleFree,
    1,
    SentTwiceGone,
    SentOnceGone,
)


class DecrementedOnly(SentIsGone):
    def async_free(self, job: Job) -> None:
        driver_binary_dec_refc(job.binary)
        driver_free(job)


class GivenBack(DecrementedOnly):
    def async_free(self, job: Job) -> None:
        driver_free_binary(job.binary)
        driver_free(job)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_binary(port, b"", job.binary, 0, 8)
        self.async_free(job)


DECREMENTED_ONLY = Wrong(
    "decremented-only",
    "driver_binary_dec_refc gives the last reference back: it counts and never frees.",
    Leak,
    1,
    DecrementedOnly,
    GivenBack,
)


class GrowsUnderReader(Runner):
    def init(self) -> None:
        self.log = binary_of(1)

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.grow()
        driver_binary_inc_refc(self.log)
        self.submit(port, self.log)

    def grow(self) -> None:
        size = self.log.orig_size + 1
        self.log = driver_realloc_binary(self.log, size) or self.log

    def async_free(self, binary: ErlDrvBinary) -> None:
        driver_free_binary(binary)

    def finish(self) -> None:
        driver_free_binary(self.log)


class GrowsAlone(GrowsUnderReader):
    def grow(self) -> None:
        if driver_binary_get_refc(self.log) == 1:
            super().grow()
            return
        old = self.log
        self.log = binary_of(old.orig_size + 1)
        driver_free_binary(old)


GROWS_UNDER_READER = Wrong(
    "grows-under-reader",
    "A binary is made longer while a job has a reference to it: the job is left with the old address.",
    Misuse,
    2,
    GrowsUnderReader,
    GrowsAlone,
)


class OneScratch(Runner):
    def init(self) -> None:
        self.scratch = binary_of(8)

    def work(self, job: Any) -> None:
        self.scratch.orig_bytes[0] = 1

    def finish(self) -> None:
        driver_free_binary(self.scratch)


class OneScratchOneThread(OneScratch):
    def submit(self, port: ErlDrvPort, job: Any) -> None:
        driver_async(port, 0, self.work, job, self.async_free)


class NoRoomForZero(Runner):
    room = 0

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        text = driver_alloc(len(buf) + self.room)
        assert text is not None
        text[: len(buf)] = buf
        self.submit(port, text)

    def work(self, text: Memory) -> None:
        text[len(b"work")] = 0


class RoomForZero(NoRoomForZero):
    room = 1


NO_ROOM_FOR_ZERO = Wrong(
    "no-room-for-zero",
    "A string is copied with malloc(len), and the job ends it with a zero byte, which needs one more.",
    OutOfBounds,
    1,
    NoRoomForZero,
    RoomForZero,
)


ONE_SCRATCH = Wrong(
    "one-scratch",
    "Jobs write to one buffer, and without a key they are on different threads: erlang-sqlite3 restored its key.",
    DataRace,
    2,
    OneScratch,
    OneScratchOneThread,
    commands,
    async_threads=2,
)
