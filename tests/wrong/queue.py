"""The driver queue and its lock, and busy: what keeps a port, or its senders, for ever."""

from __future__ import annotations

from support import opened

from driverref import Atomic, Driver, Emulator, Struct
from driverref.erl_driver import (
    ErlDrvPDL,
    ErlDrvPort,
    ErlDrvTid,
    driver_deq,
    driver_enq,
    driver_free,
    driver_pdl_create,
    driver_pdl_dec_refc,
    driver_pdl_inc_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_sizeq,
    erl_drv_thread_create,
    erl_drv_thread_join,
    set_busy_port,
)
from driverref.errors import Deadlock, Misuse, UseAfterFree
from wrong.case import Runner, Wrong, control_after_each, new, one_command


class State(Struct):
    """The driver data of a port."""

    port: ErlDrvPort
    pending: int
    job: Job | None


class Job(Struct):
    """What a job carries."""

    port: ErlDrvPort
    pdl: ErlDrvPDL
    failed: bool
    cancelled: Atomic


def data_lock(port: ErlDrvPort) -> ErlDrvPDL:
    """The port data lock, in a `start`."""
    pdl = driver_pdl_create(port)
    assert pdl is not None
    return pdl


class ByteStays(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_enq(port, b"1")
        self.submit(port, new(Job, failed=True))

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        failed = job.failed
        driver_free(job)
        if failed:
            return
        driver_deq(port, 1)


class ByteGoes(ByteStays):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job)
        driver_deq(port, 1)


BYTE_STAYS = Wrong(
    "byte-stays",
    "The byte that keeps the port for its jobs is not taken out for a job that failed: the port never closes.",
    Deadlock,
    1,
    ByteStays,
    ByteGoes,
)


class NobodyFlushes(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_enq(port, buf)


class Flushes(NobodyFlushes):
    def flush(self, port: ErlDrvPort) -> None:
        driver_deq(port, driver_sizeq(port))


NOBODY_FLUSHES = Wrong(
    "nobody-flushes",
    "output queues what it cannot write yet, and there is no flush: closing waits for somebody to write the rest.",
    Deadlock,
    0,
    NobodyFlushes,
    Flushes,
    one_command,
)


class DequeuesBare(Runner):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.pdl = data_lock(port)
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_pdl_lock(self.pdl)
        driver_enq(port, b"1")
        driver_pdl_unlock(self.pdl)
        self.submit(port, new(Job, port=port, pdl=self.pdl, failed=True))

    def work(self, job: Job) -> None:
        driver_deq(job.port, 1)


class DequeuesLocked(DequeuesBare):
    def work(self, job: Job) -> None:
        driver_pdl_lock(job.pdl)
        driver_deq(job.port, 1)
        driver_pdl_unlock(job.pdl)


DEQUEUES_BARE = Wrong(
    "dequeues-bare",
    "A job takes out of the driver queue what it has written, without the port data lock.",
    Misuse,
    1,
    DequeuesBare,
    DequeuesLocked,
)


class KeepsDataLock(DequeuesLocked):
    def work(self, job: Job) -> None:
        driver_pdl_lock(job.pdl)
        driver_deq(job.port, 1)
        if job.failed:
            return
        driver_pdl_unlock(job.pdl)


class GivesDataLockBack(KeepsDataLock):
    def work(self, job: Job) -> None:
        DequeuesLocked.work(self, job)


KEEPS_DATA_LOCK = Wrong(
    "keeps-data-lock",
    "A job ends with the port data lock held: the port, which empties its queue under it, never closes.",
    Deadlock,
    1,
    KeepsDataLock,
    GivesDataLockBack,
)


class DropsDataLock(DequeuesLocked):
    def stop(self, port: ErlDrvPort) -> None:
        driver_pdl_dec_refc(self.pdl)


class LeavesDataLock(DropsDataLock):
    def stop(self, port: ErlDrvPort) -> None:
        pass


def killed(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send the commands and kill the port, so that its queue is not waited for."""
    port = opened(erl, driver)
    erl.process_flag("trap_exit", True)
    for _ in range(jobs):
        erl.port_command(port, b"work")
    erl.exit(port, "kill")


DROPS_DATA_LOCK = Wrong(
    "drops-data-lock",
    "stop gives back the reference with which the port data lock was created, which is the port's: a job's lock goes.",
    UseAfterFree,
    1,
    DropsDataLock,
    LeavesDataLock,
    killed,
)


class ThreadBorrowsDataLock(Runner):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.pdl, self.tid = data_lock(port), ErlDrvTid()
        self.hold()
        erl_drv_thread_create("writer", self.tid, self.run, port, None)
        return port

    def hold(self) -> None:
        pass

    def run(self, port: ErlDrvPort) -> None:
        driver_pdl_lock(self.pdl)
        driver_sizeq(port)
        driver_pdl_unlock(self.pdl)

    def finish(self) -> None:
        erl_drv_thread_join(self.tid, None)


class ThreadHoldsDataLock(ThreadBorrowsDataLock):
    def hold(self) -> None:
        driver_pdl_inc_refc(self.pdl)

    def run(self, port: ErlDrvPort) -> None:
        super().run(port)
        driver_pdl_dec_refc(self.pdl)


THREAD_BORROWS_DATA_LOCK = Wrong(
    "thread-borrows-data-lock",
    "A job has a reference to the port data lock, a thread of the driver's own has none: OTP-10249 was the job's.",
    UseAfterFree,
    0,
    ThreadBorrowsDataLock,
    ThreadHoldsDataLock,
)


class StaysBusy(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        set_busy_port(port, 1)
        self.submit(port, new(Job, failed=True))

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        failed = job.failed
        driver_free(job)
        if not failed:
            set_busy_port(port, 0)


class BecomesFree(StaysBusy):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job)
        set_busy_port(port, 0)


STAYS_BUSY = Wrong(
    "stays-busy",
    "Busy is set when a job is submitted and not cleared when the job fails: the next sender waits for ever.",
    Deadlock,
    2,
    StaysBusy,
    BecomesFree,
)


class CancelledStillCounts(Runner):
    """One job at a time: the port is busy meanwhile."""

    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, pending=0, job=None)

    def output(self, state: State, buf: memoryview) -> None:
        state.job = new(Job, cancelled=Atomic(False))
        self.submit(state.port, state.job)
        self.count(state, +1)

    def count(self, state: State, change: int) -> None:
        state.pending += change
        set_busy_port(state.port, state.pending > 0)

    def control(self, state: State, command: int, buf: memoryview) -> bytes:
        if state.job is not None:
            state.job.cancelled.store(True)
        return b""

    def ready_async(self, state: State, job: Job) -> None:
        cancelled = job.cancelled.load()
        state.job = None
        driver_free(job)
        if not cancelled:
            self.count(state, -1)

    def stop(self, state: State) -> None:
        driver_free(state)


class CancelledCountsNoMore(CancelledStillCounts):
    def ready_async(self, state: State, job: Job) -> None:
        state.job = None
        driver_free(job)
        self.count(state, -1)


CANCELLED_STILL_COUNTS = Wrong(
    "cancelled-still-counts",
    "The number of jobs that makes the port busy is not lowered for a cancelled one: netaccess.",
    Deadlock,
    2,
    CancelledStillCounts,
    CancelledCountsNoMore,
    control_after_each,
)
