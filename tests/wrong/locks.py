"""Mutexes, conditions, flags: what is not locked, what is locked wrongly, and what waits for ever."""

from __future__ import annotations

from typing import Any

from support import opened

from driverref import Atomic, Driver, Emulator, Struct
from driverref.erl_driver import (
    ErlDrvCond,
    ErlDrvMutex,
    ErlDrvPort,
    ErlDrvRWLock,
    driver_free,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_rwlock_create,
    erl_drv_rwlock_destroy,
    erl_drv_rwlock_rlock,
    erl_drv_rwlock_runlock,
    erl_drv_rwlock_rwlock,
    erl_drv_rwlock_rwunlock,
)
from driverref.errors import DataRace, Deadlock, Leak, Livelock, Misuse, Uninitialised
from driverref.posix import usleep
from wrong.case import Runner, Wrong, control_after, new


class State(Struct):
    """What threads share."""

    port: ErlDrvPort
    mtx: ErlDrvMutex | None
    cnd: ErlDrvCond | None
    rwlck: ErlDrvRWLock | None
    count: int
    jobs: int
    done: bool
    go: bool
    cancelled: bool
    refs: Atomic


class Job(Struct):
    """What a job carries."""

    state: State
    first: ErlDrvMutex
    second: ErlDrvMutex
    failed: bool


class Shared(Runner):
    """Its jobs share a state that lives as long as the driver."""

    def init(self) -> None:
        mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
        self.state = new(State, mtx=mtx, cnd=cnd, count=0, done=False, go=False)

    def lock(self) -> None:
        erl_drv_mutex_lock(self.state.mtx)

    def unlock(self) -> None:
        erl_drv_mutex_unlock(self.state.mtx)

    def finish(self) -> None:
        erl_drv_mutex_destroy(self.state.mtx)
        erl_drv_cond_destroy(self.state.cnd)
        driver_free(self.state)


class PlainFlag(Shared):
    def init(self) -> None:
        super().init()
        self.state.cancelled = False

    def work(self, job: Any) -> None:
        if self.state.cancelled:
            return

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.state.cancelled = True
        return b""


class AtomicFlag(PlainFlag):
    def init(self) -> None:
        super().init()
        self.cancelled = Atomic(False)

    def work(self, job: Any) -> None:
        if self.cancelled.load():
            return

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.cancelled.store(True)
        return b""


PLAIN_FLAG = Wrong(
    "plain-flag",
    "The flag that cancels a job is a plain int: the compiler may keep it in a register, and the job never sees it.",
    DataRace,
    1,
    PlainFlag,
    AtomicFlag,
    control_after,
)


class PlainCount(Shared):
    def work(self, job: Any) -> None:
        self.state.count += 1


class LockedCount(PlainCount):
    def work(self, job: Any) -> None:
        self.lock()
        super().work(job)
        self.unlock()


PLAIN_COUNT = Wrong(
    "plain-count",
    "Two jobs add to one counter: with +A 1 they never meet, and the counts are right.",
    DataRace,
    2,
    PlainCount,
    LockedCount,
    async_threads=2,
)


class HalfLocked(LockedCount):
    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return b"%d" % self.state.count


class WholeLocked(HalfLocked):
    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.lock()
        reply = super().control(port, command, buf)
        self.unlock()
        return reply


HALF_LOCKED = Wrong(
    "half-locked",
    "The job locks to write, and control reads without a lock, since it only reads.",
    DataRace,
    1,
    HalfLocked,
    WholeLocked,
    control_after,
)


class WritesAsReader(Shared):
    def init(self) -> None:
        super().init()
        self.state.rwlck = erl_drv_rwlock_create("rw")

    def work(self, job: Any) -> None:
        erl_drv_rwlock_rlock(self.state.rwlck)
        self.state.count += 1
        erl_drv_rwlock_runlock(self.state.rwlck)

    def finish(self) -> None:
        erl_drv_rwlock_destroy(self.state.rwlck)
        super().finish()


class WritesAsWriter(WritesAsReader):
    def work(self, job: Any) -> None:
        erl_drv_rwlock_rwlock(self.state.rwlck)
        self.state.count += 1
        erl_drv_rwlock_rwunlock(self.state.rwlck)


WRITES_AS_READER = Wrong(
    "writes-as-reader",
    "What only counts the readers is written under the read lock, which lets two of them in.",
    DataRace,
    2,
    WritesAsReader,
    WritesAsWriter,
    async_threads=2,
)


class Upgrades(WritesAsReader):
    def work(self, job: Any) -> None:
        erl_drv_rwlock_rlock(self.state.rwlck)
        if not self.state.count:
            erl_drv_rwlock_rwlock(self.state.rwlck)
            self.state.count += 1
            erl_drv_rwlock_rwunlock(self.state.rwlck)
        erl_drv_rwlock_runlock(self.state.rwlck)


class WritesFromTheStart(Upgrades):
    def work(self, job: Any) -> None:
        erl_drv_rwlock_rwlock(self.state.rwlck)
        if not self.state.count:
            self.state.count += 1
        erl_drv_rwlock_rwunlock(self.state.rwlck)


UPGRADES = Wrong(
    "upgrades",
    "A reader who finds something to write asks for the write lock and waits for itself to have read.",
    Misuse,
    1,
    Upgrades,
    WritesFromTheStart,
)


class Transfers(Runner):
    def init(self) -> None:
        self.one, self.two = erl_drv_mutex_create("one"), erl_drv_mutex_create("two")

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        back = bytes(buf) == b"back"
        first, second = (self.two, self.one) if back else (self.one, self.two)
        self.submit(port, new(Job, first=first, second=second))

    def work(self, job: Job) -> None:
        erl_drv_mutex_lock(job.first)
        erl_drv_mutex_lock(job.second)
        erl_drv_mutex_unlock(job.second)
        erl_drv_mutex_unlock(job.first)

    def finish(self) -> None:
        erl_drv_mutex_destroy(self.one)
        erl_drv_mutex_destroy(self.two)


class TransfersInOrder(Transfers):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job, first=self.one, second=self.two))


def there_and_back(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Transfer something there, and something back."""
    port = opened(erl, driver)
    for command in (b"there", b"back")[:jobs]:
        erl.port_command(port, command)


LOCK_ORDER = Wrong(
    "lock-order",
    "A job locks the two mutexes of what it works on in the order of its arguments, and another job the other way.",
    Deadlock,
    2,
    Transfers,
    TransfersInOrder,
    there_and_back,
    async_threads=2,
)


class WaitsWithoutLooking(Shared):
    def work(self, job: Any) -> None:
        self.lock()
        self.state.done = True
        erl_drv_cond_signal(self.state.cnd)
        self.unlock()

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.lock()
        erl_drv_cond_wait(self.state.cnd, self.state.mtx)
        self.unlock()
        return b""


class LooksBeforeWaiting(WaitsWithoutLooking):
    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.lock()
        while not self.state.done:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)
        self.unlock()
        return b""


LOST_WAKE_UP = Wrong(
    "lost-wake-up",
    "A callback waits for a job's signal without looking whether the job is done: a signal is not kept for later.",
    Deadlock,
    1,
    WaitsWithoutLooking,
    LooksBeforeWaiting,
    control_after,
)


class LooksOnce(Shared):
    def work(self, job: Any) -> None:
        self.lock()
        self.state.jobs = 7
        self.state.done = True
        erl_drv_cond_signal(self.state.cnd)
        self.unlock()

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.lock()
        self.wait()
        found = self.state.jobs
        self.unlock()
        return bytes([found])

    def wait(self) -> None:
        if not self.state.done:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)


class LooksAgain(LooksOnce):
    def wait(self) -> None:
        while not self.state.done:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)


LOOKS_ONCE = Wrong(
    "looks-once",
    "A callback looks with `if` and not with `while` before it waits: it may wake without a signal.",
    Uninitialised,
    1,
    LooksOnce,
    LooksAgain,
    control_after,
)


class ForgetsTheFlag(Shared):
    def init(self) -> None:
        super().init()
        self.done = Atomic(0)

    def work(self, job: Any) -> None:
        pass

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        while not self.done.load():
            usleep(1000)
        return b""


class SetsTheFlag(ForgetsTheFlag):
    def work(self, job: Any) -> None:
        self.done.store(1)


POLLS_FOR_EVER = Wrong(
    "polls-for-ever",
    "A callback polls a flag until the job has set it, and one way through the job does not set it.",
    Livelock,
    1,
    ForgetsTheFlag,
    SetsTheFlag,
    control_after,
)


class SetsWithoutLock(LooksBeforeWaiting):
    def init(self) -> None:
        super().init()
        self.done = Atomic(False)

    def work(self, job: Any) -> None:
        self.done.store(True)
        erl_drv_cond_signal(self.state.cnd)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.lock()
        while not self.done.load():
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)
        self.unlock()
        return b""


class SetsWithLock(SetsWithoutLock):
    def work(self, job: Any) -> None:
        self.lock()
        super().work(job)
        self.unlock()


SETS_WITHOUT_LOCK = Wrong(
    "sets-without-lock",
    "The flag is atomic, so it is set and signalled without the mutex: between the waiter's look and its wait.",
    Deadlock,
    1,
    SetsWithoutLock,
    SetsWithLock,
    control_after,
)


class SignalsOne(Shared):
    def work(self, job: Any) -> None:
        self.lock()
        while not self.state.go:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)
        self.unlock()

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.lock()
        self.state.go = True
        self.wake()
        self.unlock()
        return b""

    def wake(self) -> None:
        erl_drv_cond_signal(self.state.cnd)


class SignalsAll(SignalsOne):
    def wake(self) -> None:
        erl_drv_cond_broadcast(self.state.cnd)


SIGNALS_ONE = Wrong(
    "signals-one",
    "Two jobs wait for the same thing to happen, and erl_drv_cond_signal wakes one of them.",
    Deadlock,
    2,
    SignalsOne,
    SignalsAll,
    control_after,
    async_threads=2,
)


class WaitsUnlocked(SignalsAll):
    def work(self, job: Any) -> None:
        self.lock()
        go = self.state.go
        self.unlock()
        if not go:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)


class WaitsLocked(WaitsUnlocked):
    def work(self, job: Any) -> None:
        SignalsAll.work(self, job)


WAITS_UNLOCKED = Wrong(
    "waits-unlocked",
    "The mutex is given back before the wait, not by it.",
    Misuse,
    1,
    WaitsUnlocked,
    WaitsLocked,
    control_after,
)


class ErrorKeepsLock(Shared):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job, failed=True))

    def work(self, job: Job) -> None:
        self.lock()
        if job.failed:
            return
        self.unlock()


class ErrorGivesBack(ErrorKeepsLock):
    def work(self, job: Job) -> None:
        self.lock()
        if job.failed:
            self.unlock()
            return
        self.unlock()


ERROR_KEEPS_LOCK = Wrong(
    "error-keeps-lock",
    "The way out for errors leaves the function without unlocking.",
    Misuse,
    1,
    ErrorKeepsLock,
    ErrorGivesBack,
)


class LocksTwice(LockedCount):
    def work(self, job: Any) -> None:
        self.lock()
        super().work(job)
        self.unlock()


class LocksOnce(LocksTwice):
    def work(self, job: Any) -> None:
        LockedCount.work(self, job)


LOCKS_TWICE = Wrong(
    "locks-twice",
    "A function that locks calls another that locks the same mutex, which is not recursive.",
    Misuse,
    1,
    LocksTwice,
    LocksOnce,
)


class LockHandedOver(Shared):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.lock()
        super().output(port, buf)

    def work(self, job: Any) -> None:
        self.unlock()


class LockKept(LockHandedOver):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        super().output(port, buf)
        self.unlock()

    def work(self, job: Any) -> None:
        self.lock()
        self.unlock()


LOCK_HANDED_OVER = Wrong(
    "lock-handed-over",
    "output locks and the job unlocks when it is done: a mutex belongs to the thread that has locked it.",
    Misuse,
    1,
    LockHandedOver,
    LockKept,
)


class MutexForgotten(Shared):
    def finish(self) -> None:
        erl_drv_cond_destroy(self.state.cnd)
        driver_free(self.state)


class MutexRemembered(MutexForgotten):
    def finish(self) -> None:
        erl_drv_mutex_destroy(self.state.mtx)
        super().finish()


MUTEX_FORGOTTEN = Wrong(
    "mutex-forgotten",
    "A mutex is created and not destroyed: the number of them climbs for ever, as in couchdb-erlfdb 49.",
    Leak,
    0,
    MutexForgotten,
    MutexRemembered,
)


class StopDestroysMutex(Runner):
    """Every port has a mutex of its own."""

    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, mtx=erl_drv_mutex_create("m"), refs=Atomic(1), count=0)

    def output(self, state: State, buf: memoryview) -> None:
        state.refs.fetch_add(1)
        self.submit(state.port, new(Job, state=state))

    def work(self, job: Job) -> None:
        erl_drv_mutex_lock(job.state.mtx)
        job.state.count += 1
        erl_drv_mutex_unlock(job.state.mtx)

    def async_free(self, job: Job) -> None:
        self.drop(job.state)
        driver_free(job)

    def drop(self, state: State) -> None:
        if state.refs.fetch_sub(1) == 1:
            driver_free(state)

    def stop(self, state: State) -> None:
        erl_drv_mutex_destroy(state.mtx)
        self.drop(state)


class LastOneDestroysMutex(StopDestroysMutex):
    def drop(self, state: State) -> None:
        if state.refs.fetch_sub(1) == 1:
            erl_drv_mutex_destroy(state.mtx)
            driver_free(state)

    def stop(self, state: State) -> None:
        self.drop(state)


STOP_DESTROYS_MUTEX = Wrong(
    "stop-destroys-mutex",
    "stop destroys the port's mutex, which a job holds or is about to lock; the state itself is counted.",
    Misuse,
    1,
    StopDestroysMutex,
    LastOneDestroysMutex,
)


class StopDestroysCond(Runner):
    """Every port has a gate at which its jobs wait; `stop` opens it."""

    def start(self, port: ErlDrvPort, command: str) -> State:
        mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
        return new(State, port=port, mtx=mtx, cnd=cnd, jobs=0, go=False)

    def output(self, state: State, buf: memoryview) -> None:
        erl_drv_mutex_lock(state.mtx)
        state.jobs += 1
        erl_drv_mutex_unlock(state.mtx)
        self.submit(state.port, new(Job, state=state))

    def work(self, job: Job) -> None:
        state = job.state
        erl_drv_mutex_lock(state.mtx)
        while not state.go:
            erl_drv_cond_wait(state.cnd, state.mtx)
        state.jobs -= 1
        erl_drv_cond_broadcast(state.cnd)
        erl_drv_mutex_unlock(state.mtx)

    def stop(self, state: State) -> None:
        self.open_gate(state)
        erl_drv_cond_destroy(state.cnd)
        erl_drv_mutex_destroy(state.mtx)
        driver_free(state)

    def open_gate(self, state: State) -> None:
        erl_drv_mutex_lock(state.mtx)
        state.go = True
        erl_drv_cond_broadcast(state.cnd)
        erl_drv_mutex_unlock(state.mtx)


class StopSeesThemOut(StopDestroysCond):
    def open_gate(self, state: State) -> None:
        super().open_gate(state)
        erl_drv_mutex_lock(state.mtx)
        while state.jobs:
            erl_drv_cond_wait(state.cnd, state.mtx)
        erl_drv_mutex_unlock(state.mtx)


STOP_DESTROYS_COND = Wrong(
    "stop-destroys-cond",
    "stop wakes the jobs that wait for a condition and destroys it before they are out.",
    Misuse,
    1,
    StopDestroysCond,
    StopSeesThemOut,
)
