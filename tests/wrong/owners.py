"""Who owns a block, and until when: the state that `stop` frees, the data of a job, and who frees them twice."""

from __future__ import annotations

from typing import Any

from support import on_another_thread, opened

from driverref import Atom, Atomic, Driver, Emulator, Port, Struct
from driverref.erl_driver import (
    ErlDrvMonitor,
    ErlDrvPort,
    driver_async,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_failure_eof,
    driver_free,
    driver_mk_port,
    driver_monitor_process,
    driver_realloc,
    erl_drv_output_term,
)
from driverref.errors import DoubleFree, Leak, UseAfterFree
from driverref.memory import Memory
from wrong.case import Runner, Wrong, control_after, new, one_command


class State(Struct):
    """The driver data of a port."""

    port: ErlDrvPort
    port_id: Port
    limit: int
    failures: int
    refs: Atomic
    job: Job | None


class Job(Struct):
    """What a job carries."""

    state: State
    port_id: Port
    number: int
    limit: int
    result: int
    parts: int
    cancelled: Atomic


class StopFreesState(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, limit=10)

    def output(self, state: State, buf: memoryview) -> None:
        self.submit(state.port, new(Job, state=state))

    def work(self, job: Job) -> None:
        job.result = job.state.limit

    def stop(self, state: State) -> None:
        driver_free(state)


class JobCarriesWhatItNeeds(StopFreesState):
    def output(self, state: State, buf: memoryview) -> None:
        self.submit(state.port, new(Job, limit=state.limit))

    def work(self, job: Job) -> None:
        job.result = job.limit


STOP_FREES_STATE = Wrong(
    "stop-frees-state",
    "stop does not wait for jobs, but the job reads the port's state: OTP's own fd driver crashed so on rapid close.",
    UseAfterFree,
    1,
    StopFreesState,
    JobCarriesWhatItNeeds,
)


class FlagForOwner(StopFreesState):
    def init(self) -> None:
        self.stopped = Atomic(False)

    def work(self, job: Job) -> None:
        if not self.stopped.load():
            job.result = job.state.limit

    def stop(self, state: State) -> None:
        self.stopped.store(True)
        driver_free(state)


class LastOneFrees(StopFreesState):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, limit=10, refs=Atomic(1))

    def output(self, state: State, buf: memoryview) -> None:
        state.refs.fetch_add(1)
        super().output(state, buf)

    def async_free(self, job: Job) -> None:
        self.drop(job.state)
        driver_free(job)

    def stop(self, state: State) -> None:
        self.drop(state)

    def drop(self, state: State) -> None:
        if state.refs.fetch_sub(1) == 1:
            driver_free(state)


class FlagAndCount(LastOneFrees, FlagForOwner):
    def stop(self, state: State) -> None:
        self.stopped.store(True)
        self.drop(state)


FLAG_FOR_OWNER = Wrong(
    "flag-for-owner",
    "The job looks at an atomic flag, and stop sets it and frees: between the look and the use the state is gone.",
    UseAfterFree,
    1,
    FlagForOwner,
    FlagAndCount,
)


class CountInTwoSteps(LastOneFrees):
    def work(self, job: Job) -> None:
        super().work(job)
        self.drop(job.state)

    def async_free(self, job: Job) -> None:
        driver_free(job)

    def drop(self, state: State) -> None:
        left = state.refs.load() - 1
        state.refs.store(left)
        if left == 0:
            driver_free(state)


class CountInOneStep(CountInTwoSteps):
    def drop(self, state: State) -> None:
        if state.refs.fetch_sub(1) == 1:
            driver_free(state)


COUNT_IN_TWO_STEPS = Wrong(
    "count-in-two-steps",
    "The count of references is atomic, but is read and then written: a job and stop may both see somebody left.",
    Leak,
    1,
    CountInTwoSteps,
    CountInOneStep,
)


class QueueForOwner(StopFreesState):
    def output(self, state: State, buf: memoryview) -> None:
        driver_enq(state.port, b"1")
        super().output(state, buf)

    def ready_async(self, state: State, job: Job) -> None:
        driver_free(job)
        driver_deq(state.port, 1)


class LastOneFreesDespiteQueue(QueueForOwner, LastOneFrees):
    def ready_async(self, state: State, job: Job) -> None:
        driver_deq(state.port, 1)
        self.async_free(job)


def killed(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send the commands and kill the port."""
    port = opened(erl, driver)
    erl.process_flag("trap_exit", True)
    for _ in range(jobs):
        erl.port_command(port, b"work")
    erl.exit(port, "kill")


QUEUE_FOR_OWNER = Wrong(
    "queue-for-owner",
    "A byte in the driver queue keeps stop away until the jobs are back, but not if the port is killed.",
    UseAfterFree,
    1,
    QueueForOwner,
    LastOneFreesDespiteQueue,
    killed,
)


class ReplyInFree(StopFreesState):
    ready_async: Any = None

    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, port_id=driver_mk_port(port))

    def work(self, job: Job) -> None:
        pass

    def async_free(self, job: Job) -> None:
        erl_drv_output_term(job.state.port_id, Atom("done"))
        driver_free(job)


class ReplyFromJob(ReplyInFree):
    def output(self, state: State, buf: memoryview) -> None:
        self.submit(state.port, new(Job, port_id=state.port_id))

    def async_free(self, job: Job) -> None:
        erl_drv_output_term(job.port_id, Atom("done"))
        driver_free(job)


REPLY_IN_FREE = Wrong(
    "reply-in-free",
    "The free callback is the way to reply, as in tcerl, but what it replies from is the state that stop has freed.",
    UseAfterFree,
    1,
    ReplyInFree,
    ReplyFromJob,
)


class StopSubmits(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, limit=10)

    def work(self, state: State) -> None:
        state.failures = state.limit

    def stop(self, state: State) -> None:
        self.submit(state.port, state)
        driver_free(state)


class StopHandsOver(StopSubmits):
    def stop(self, state: State) -> None:
        self.submit(state.port, state)


def ports(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open as many ports as there are to be jobs: each has one when it is closed."""
    erl.erl_ddll.load_driver(driver)
    for _ in range(jobs):
        erl.open_port(("spawn_driver", driver.driver_name))


STOP_SUBMITS = Wrong(
    "stop-submits-and-frees",
    "stop has a job close what the state holds, which tcerl's author was not sure of, and then frees the state.",
    UseAfterFree,
    1,
    StopSubmits,
    StopHandsOver,
    ports,
)


class StopExpectsReady(StopHandsOver):
    def async_free(self, state: State) -> None:
        pass

    def ready_async(self, port: Any, state: State) -> None:
        driver_free(state)


class StopExpectsFree(StopExpectsReady):
    def async_free(self, state: State) -> None:
        driver_free(state)


STOP_EXPECTS_READY = Wrong(
    "stop-expects-ready",
    "stop submits a job and leaves its data to ready_async, which no longer comes: R7B's file driver leaked so.",
    Leak,
    1,
    StopExpectsReady,
    StopExpectsFree,
    ports,
)


class FailThenCount(StopFreesState):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, limit=10, failures=0)

    def output(self, state: State, buf: memoryview) -> None:
        self.submit(state.port, new(Job, limit=state.limit))

    def work(self, job: Job) -> None:
        pass

    def ready_async(self, state: State, job: Job) -> None:
        driver_free(job)
        driver_failure_eof(state.port)
        state.failures += 1


class CountThenFail(FailThenCount):
    def ready_async(self, state: State, job: Job) -> None:
        driver_free(job)
        state.failures += 1
        driver_failure_eof(state.port)


FAIL_THEN_COUNT = Wrong(
    "fail-then-count",
    "driver_failure runs stop before it returns, and then the state is touched: basho/enm 15.",
    UseAfterFree,
    1,
    FailThenCount,
    CountThenFail,
)


class FailThenFree(FailThenCount):
    def output(self, state: State, buf: memoryview) -> None:
        driver_failure_eof(state.port)
        driver_free(state)


class FailOnly(FailThenFree):
    def output(self, state: State, buf: memoryview) -> None:
        driver_failure_eof(state.port)


FAIL_THEN_FREE = Wrong(
    "fail-then-free",
    "driver_failure runs stop, which frees the state, and the callback that failed cleans up as well.",
    DoubleFree,
    0,
    FailThenFree,
    FailOnly,
    one_command,
)


class PartsFreeWhole(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        request = new(Job, parts=len(buf))
        for _ in buf:
            self.submit(port, request)


class LastPartFreesWhole(PartsFreeWhole):
    def async_free(self, request: Job) -> None:
        request.parts -= 1
        if request.parts == 0:
            driver_free(request)


def parts(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send one command of as many bytes as there are to be jobs."""
    erl.port_command(opened(erl, driver), bytes(jobs))


PARTS_FREE_WHOLE = Wrong(
    "parts-free-whole",
    "Two jobs are given one request, and ready_async frees it for one of them, async_free for the other.",
    DoubleFree,
    2,
    PartsFreeWhole,
    LastPartFreesWhole,
    parts,
)


class FreesAfterCallback(Runner):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        self.async_free(job)
        driver_free(job)


class FreesByCallback(FreesAfterCallback):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        self.async_free(job)


FREES_AFTER_CALLBACK = Wrong(
    "ready-and-free",
    "ready_async calls async_free, because the manual says that the data is freed there, and then frees it itself.",
    DoubleFree,
    1,
    FreesAfterCallback,
    FreesByCallback,
)


class ThreadFreesToo(Runner):
    def work(self, job: Job) -> None:
        driver_free(job)


class ThreadLeavesIt(ThreadFreesToo):
    def work(self, job: Job) -> None:
        pass


THREAD_FREES_TOO = Wrong(
    "thread-frees-too",
    "The job frees its data when it is done with it, as with a thread of one's own, and ready_async does again.",
    DoubleFree,
    1,
    ThreadFreesToo,
    ThreadLeavesIt,
)


class StopFreesPending(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, job=None)

    def output(self, state: State, buf: memoryview) -> None:
        state.job = new(Job)
        self.submit(state.port, state.job)

    def ready_async(self, state: State, job: Job) -> None:
        state.job = None
        driver_free(job)

    def stop(self, state: State) -> None:
        driver_free(state.job)
        driver_free(state)


class StopLeavesPending(StopFreesPending):
    def stop(self, state: State) -> None:
        driver_free(state)


STOP_FREES_PENDING = Wrong(
    "stop-frees-pending",
    "stop frees the jobs that have not come back; but they have not gone, and async_free gets each of them.",
    DoubleFree,
    1,
    StopFreesPending,
    StopLeavesPending,
)


class CancelFrees(StopLeavesPending):
    def control(self, state: State, command: int, buf: memoryview) -> bytes:
        driver_free(state.job)
        state.job = None
        return b""


class CancelForgets(CancelFrees):
    def control(self, state: State, command: int, buf: memoryview) -> bytes:
        state.job = None
        return b""


CANCEL_FREES = Wrong(
    "cancel-frees",
    "A cancelled job is freed at once, as if it were out of its queue: driver_async_cancel hardly ever did that.",
    DoubleFree,
    1,
    CancelFrees,
    CancelForgets,
    control_after,
)


class CancelTooLate(StopLeavesPending):
    def output(self, state: State, buf: memoryview) -> None:
        state.job = new(Job, cancelled=Atomic(False))
        self.submit(state.port, state.job)

    def ready_async(self, state: State, job: Job) -> None:
        driver_free(job)

    def control(self, state: State, command: int, buf: memoryview) -> bytes:
        if state.job is not None:
            state.job.cancelled.store(True)
        return b""


class CancelInTime(CancelTooLate):
    def ready_async(self, state: State, job: Job) -> None:
        state.job = None
        driver_free(job)


CANCEL_TOO_LATE = Wrong(
    "cancel-too-late",
    "The port keeps a pointer to its job for a cancel, and ready_async frees the job and not the pointer.",
    UseAfterFree,
    1,
    CancelTooLate,
    CancelInTime,
    control_after,
)


class NewestIsDone(StopLeavesPending):
    def ready_async(self, state: State, job: Job) -> None:
        driver_free(state.job)


class WhatCameIsDone(NewestIsDone):
    def ready_async(self, state: State, job: Job) -> None:
        driver_free(job)


NEWEST_IS_DONE = Wrong(
    "newest-is-done",
    "ready_async ends the port's current request instead of the one it is given: a late answer ends a newer request.",
    DoubleFree,
    2,
    NewestIsDone,
    WhatCameIsDone,
)


class ClientTakesJobAlong(StopLeavesPending):
    def output(self, state: State, buf: memoryview) -> None:
        driver_monitor_process(state.port, driver_caller(state.port))
        super().output(state, buf)

    def work(self, job: Job) -> None:
        job.result = 1

    def process_exit(self, state: State, monitor: ErlDrvMonitor) -> None:
        driver_free(state.job)
        state.job = None


class ClientLeavesJob(ClientTakesJobAlong):
    def process_exit(self, state: State, monitor: ErlDrvMonitor) -> None:
        state.job = None


def clients(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Have each command sent by a process that ends then."""
    port = opened(erl, driver)
    for _ in range(jobs):
        on_another_thread(erl, lambda: erl.port_command(port, b"work"))


CLIENT_TAKES_JOB_ALONG = Wrong(
    "client-takes-job-along",
    "A client dies and process_exit frees its request, which a job still works on.",
    UseAfterFree,
    1,
    ClientTakesJobAlong,
    ClientLeavesJob,
    clients,
)


class HandleAfterwards(Runner):
    ready_async: Any = None

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        job = new(Job)
        job.number = driver_async(port, None, self.work, job)

    def work(self, job: Job) -> None:
        driver_free(job)


class NumberBefore(HandleAfterwards):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, self.work, new(Job, number=1))


HANDLE_AFTERWARDS = Wrong(
    "handle-afterwards",
    "What driver_async returns is written into the job, as in netaccess; by then the job may be done and gone.",
    UseAfterFree,
    1,
    HandleAfterwards,
    NumberBefore,
)


class Text(Struct):
    """A job that reads a log."""

    log: Memory


class LogMoves(Runner):
    def init(self) -> None:
        self.log: Memory | None = None

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        size = 0 if self.log is None else len(self.log)
        self.log = driver_realloc(self.log, size + 1)
        assert self.log is not None
        self.log[size] = buf[0]
        self.submit(port, new(Text, log=self.log))

    def work(self, job: Text) -> None:
        bytes(job.log)

    def finish(self) -> None:
        driver_free(self.log)


class LogIsCopied(LogMoves):
    def submit(self, port: ErlDrvPort, job: Text) -> None:
        copy = driver_realloc(None, len(job.log))
        assert copy is not None
        copy[:] = bytes(job.log)
        job.log = copy
        super().submit(port, job)

    def async_free(self, job: Text) -> None:
        driver_free(job.log)
        driver_free(job)


LOG_MOVES = Wrong(
    "log-moves",
    "A job reads a block that the next command makes longer: driver_realloc frees the old one under it.",
    UseAfterFree,
    2,
    LogMoves,
    LogIsCopied,
)
