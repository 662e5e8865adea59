"""What a job may not call, and what it may not wait for."""

from __future__ import annotations

from typing import Any

from support import opened

from driverref import Atom, Driver, Emulator, Pid, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_MSEC,
    ERL_DRV_NSEC,
    ErlDrvCond,
    ErlDrvMutex,
    ErlDrvPort,
    driver_async,
    driver_caller,
    driver_failure_atom,
    driver_free,
    driver_mk_port,
    driver_output,
    driver_output_term,
    driver_set_timer,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_wait,
    erl_drv_convert_time_unit,
    erl_drv_monotonic_time,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_output_term,
    erl_drv_send_term,
    set_busy_port,
)
from driverref.errors import Deadlock, ErlangError, Misuse, StackOverflow, Uninitialised
from wrong.case import Runner, Wrong, control_after, new


class Job(Struct):
    """What a job carries."""

    port: ErlDrvPort
    port_id: Port
    caller: Pid
    number: int
    stage: int
    began: int
    asks: bool


class State(Struct):
    """What the driver's jobs share."""

    mtx: ErlDrvMutex | None
    cnd: ErlDrvCond | None
    port: ErlDrvPort
    arrived: int
    parties: int
    pending: int
    question: int
    answered: bool


class Talks(Runner):
    """Its jobs know their port."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        job = new(Job, port=port, port_id=driver_mk_port(port), caller=driver_caller(port), stage=1)
        self.submit(port, job)


class OutputFromThread(Talks):
    def work(self, job: Job) -> None:
        driver_output(job.port, b"done")


class OutputFromReady(OutputFromThread):
    def work(self, job: Job) -> None:
        pass

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output(port, b"done")
        driver_free(job)


OUTPUT_FROM_THREAD = Wrong(
    "output-from-thread",
    "The job sends its result with driver_output, which needs the port's lock: so does a callback at the same time.",
    Misuse,
    1,
    OutputFromThread,
    OutputFromReady,
)


class TermFromThread(Talks):
    def work(self, job: Job) -> None:
        driver_output_term(job.port, Atom("done"))


class TermById(TermFromThread):
    def work(self, job: Job) -> None:
        erl_drv_output_term(job.port_id, Atom("done"))


TERM_FROM_THREAD = Wrong(
    "term-from-thread",
    "driver_output_term from an async thread, 'a big no-no': erlang_js 15, found by a lock checker.",
    Misuse,
    1,
    TermFromThread,
    TermById,
)


class SubmitsFromThread(Talks):
    def work(self, job: Job) -> None:
        if job.stage == 1:
            driver_async(
                job.port, None, self.work, new(Job, port=job.port, stage=2), self.async_free
            )


class SubmitsFromReady(SubmitsFromThread):
    def work(self, job: Job) -> None:
        pass

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        if job.stage == 1:
            job.stage = 2
            self.submit(port, job)
        else:
            driver_free(job)


SUBMITS_FROM_THREAD = Wrong(
    "submits-from-thread",
    "A job submits the next one; driver_async is for callbacks.",
    Misuse,
    1,
    SubmitsFromThread,
    SubmitsFromReady,
)


class CallerTooLate(Talks):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        erl_drv_send_term(driver_mk_port(port), driver_caller(port), Atom("done"))
        driver_free(job)


class CallerKept(CallerTooLate):
    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        erl_drv_send_term(driver_mk_port(port), job.caller, Atom("done"))
        driver_free(job)


CALLER_TOO_LATE = Wrong(
    "caller-too-late",
    "ready_async asks who called; nobody has: the pid must be kept when the job is submitted.",
    Misuse,
    1,
    CallerTooLate,
    CallerKept,
)


class BusyFromThread(Talks):
    def work(self, job: Job) -> None:
        set_busy_port(job.port, 0)


class BusyFromReady(BusyFromThread):
    def work(self, job: Job) -> None:
        pass

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        set_busy_port(port, 0)
        driver_free(job)


BUSY_FROM_THREAD = Wrong(
    "busy-from-thread",
    "The job itself says that the port is not busy any more.",
    Misuse,
    1,
    BusyFromThread,
    BusyFromReady,
)


class TimerFromThread(Talks):
    def work(self, job: Job) -> None:
        driver_set_timer(job.port, 10)


class TimerFromOutput(TimerFromThread):
    def work(self, job: Job) -> None:
        pass

    def submit(self, port: ErlDrvPort, job: Job) -> None:
        driver_set_timer(port, 10)
        super().submit(port, job)


TIMER_FROM_THREAD = Wrong(
    "timer-from-thread",
    "The job starts the timer that is to watch over it.",
    Misuse,
    1,
    TimerFromThread,
    TimerFromOutput,
)


def now() -> int:
    """The time in milliseconds."""
    return erl_drv_convert_time_unit(
        erl_drv_monotonic_time(ERL_DRV_NSEC), ERL_DRV_NSEC, ERL_DRV_MSEC
    )


class TimeInThread(Talks):
    def work(self, job: Job) -> None:
        job.began = now()


class TimeInOutput(TimeInThread):
    def submit(self, port: ErlDrvPort, job: Job) -> None:
        job.began = now()
        super().submit(port, job)

    def work(self, job: Job) -> None:
        pass


TIME_IN_THREAD = Wrong(
    "time-in-thread",
    "The job asks the emulator for the time, which only schedulers know; the error value is taken for a time.",
    Misuse,
    1,
    TimeInThread,
    TimeInOutput,
)


class FailsInStart(Runner):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort | int:
        if command.endswith("no"):
            driver_failure_atom(port, "no")
        return port


class RefusesInStart(FailsInStart):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort | int:
        return -1 if command.endswith("no") else port


def refused(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open a port that does not open."""
    try:
        opened(erl, driver, "no")
    except ErlangError as error:
        assert error.reason == "einval"  # noqa: PT017 - the wrong driver raises something else


FAILS_IN_START = Wrong(
    "fails-in-start",
    "start calls driver_failure_atom instead of returning an error: there is no port yet, and the emulator crashes.",
    Misuse,
    0,
    FailsInStart,
    RefusesInStart,
    refused,
)


class Meets(Runner):
    """Its jobs share a state that lives as long as the driver."""

    def init(self) -> None:
        mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
        self.state = new(State, mtx=mtx, cnd=cnd, arrived=0, answered=False)

    def finish(self) -> None:
        erl_drv_mutex_destroy(self.state.mtx)
        erl_drv_cond_destroy(self.state.cnd)
        driver_free(self.state)


class WaitsForNext(Meets):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.state.parties = int(command.split()[1])
        return port

    def work(self, job: Any) -> None:
        erl_drv_mutex_lock(self.state.mtx)
        self.state.arrived += 1
        erl_drv_cond_broadcast(self.state.cnd)
        while self.state.arrived < self.state.parties:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)
        erl_drv_mutex_unlock(self.state.mtx)


class CountsInReady(WaitsForNext):
    def work(self, job: Any) -> None:
        pass

    def ready_async(self, port: ErlDrvPort, job: Any) -> None:
        driver_free(job)
        self.state.arrived += 1
        if self.state.arrived == self.state.parties:
            driver_output(port, b"all")


def meeting(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Tell the port how many jobs there will be, and submit them."""
    port = opened(erl, driver, str(jobs))
    for _ in range(jobs):
        erl.port_command(port, b"work")


WAITS_FOR_NEXT = Wrong(
    "waits-for-next",
    "A job waits for a job that is queued behind it on its own thread: fine with +A 4, dead with +A 1.",
    Deadlock,
    2,
    WaitsForNext,
    CountsInReady,
    meeting,
)


class AsksErlang(Meets):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        job = new(Job, port_id=driver_mk_port(port), asks=bytes(buf) == b"ask")
        self.submit(port, job)

    def work(self, job: Job) -> None:
        if job.asks:
            erl_drv_output_term(job.port_id, Atom("question"))
            erl_drv_mutex_lock(self.state.mtx)
            while not self.state.answered:
                erl_drv_cond_wait(self.state.cnd, self.state.mtx)
            erl_drv_mutex_unlock(self.state.mtx)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        erl_drv_mutex_lock(self.state.mtx)
        self.state.answered = True
        erl_drv_cond_broadcast(self.state.cnd)
        erl_drv_mutex_unlock(self.state.mtx)
        return b""

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_term(port, Atom("done"))
        driver_free(job)


class AsksAndEnds(AsksErlang):
    def work(self, job: Job) -> None:
        pass

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_output_term(port, Atom("question") if job.asks else Atom("done"))
        driver_free(job)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.submit(port, new(Job, asks=False))
        return b""


def dialogue(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Answer a job's question, with two jobs only after another job has been done."""
    port = opened(erl, driver)
    if jobs:
        erl.port_command(port, b"ask")
        assert erl.receive() == "question"
        if jobs == 2:
            erl.port_command(port, b"look")
            assert erl.receive() == "done"
        erl.port_control(port, 1, b"")
        assert erl.receive() == "done"


ASKS_ERLANG = Wrong(
    "asks-erlang",
    "A job waits for Erlang's answer, which needs a job on the thread that it occupies: HyperBEAM dd145a52, with +A 1.",
    Deadlock,
    2,
    AsksErlang,
    AsksAndEnds,
    dialogue,
)


class AsksBeforeNoting(Meets):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.submit(port, new(Job, port_id=driver_mk_port(port), number=7))

    def work(self, job: Job) -> None:
        erl_drv_output_term(job.port_id, Atom("question"))
        self.note(job)

    def note(self, job: Job) -> None:
        erl_drv_mutex_lock(self.state.mtx)
        self.state.question = job.number
        erl_drv_mutex_unlock(self.state.mtx)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        erl_drv_mutex_lock(self.state.mtx)
        number = self.state.question
        erl_drv_mutex_unlock(self.state.mtx)
        return b"%d" % number


class NotesBeforeAsking(AsksBeforeNoting):
    def work(self, job: Job) -> None:
        self.note(job)
        erl_drv_output_term(job.port_id, Atom("question"))


def prompt(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Answer every question at once."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, b"work")
        assert erl.receive() == "question"
        erl.port_control(port, 1, b"answer")


ASKS_BEFORE_NOTING = Wrong(
    "asks-before-noting",
    "The job asks Erlang and then stores what it has asked: the answer comes before, as in HyperBEAM 3b0ae1ce.",
    Uninitialised,
    1,
    AsksBeforeNoting,
    NotesBeforeAsking,
    prompt,
)


class ReadsItsHandle(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        job = new(Job)
        job.number = driver_async(port, None, self.work, job, self.async_free)

    def work(self, job: Job) -> None:
        assert job.number


class ReadsItsNumber(ReadsItsHandle):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, self.work, new(Job, number=1), self.async_free)


READS_ITS_HANDLE = Wrong(
    "reads-its-handle",
    "A job reads the number that driver_async returned, which is written into it when it may have begun.",
    Uninitialised,
    1,
    ReadsItsHandle,
    ReadsItsNumber,
)


class StopWaitsForReady(Meets):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.state.pending = 0
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.change(+1)
        self.submit(port, new(Job))

    def change(self, by: int) -> None:
        erl_drv_mutex_lock(self.state.mtx)
        self.state.pending += by
        erl_drv_cond_broadcast(self.state.cnd)
        erl_drv_mutex_unlock(self.state.mtx)

    def async_free(self, job: Job) -> None:
        driver_free(job)
        self.change(-1)

    def stop(self, port: ErlDrvPort) -> None:
        erl_drv_mutex_lock(self.state.mtx)
        while self.state.pending:
            erl_drv_cond_wait(self.state.cnd, self.state.mtx)
        erl_drv_mutex_unlock(self.state.mtx)


class StopWaitsForWork(StopWaitsForReady):
    def work(self, job: Job) -> None:
        self.change(-1)

    def async_free(self, job: Job) -> None:
        driver_free(job)


STOP_WAITS_FOR_READY = Wrong(
    "stop-waits-for-ready",
    "stop waits until every job has come back; they come back on the scheduler that waits.",
    Deadlock,
    1,
    StopWaitsForReady,
    StopWaitsForWork,
)


class ControlWaitsForReady(StopWaitsForReady):
    stop: Any = None

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        StopWaitsForReady.stop(self, port)
        return b""


class ControlWaitsForWork(ControlWaitsForReady):
    def work(self, job: Job) -> None:
        self.change(-1)

    def async_free(self, job: Job) -> None:
        driver_free(job)


CONTROL_WAITS_FOR_READY = Wrong(
    "control-waits-for-ready",
    "control makes the call synchronous by waiting for ready_async, which needs the lock that control runs under.",
    Deadlock,
    1,
    ControlWaitsForReady,
    ControlWaitsForWork,
    control_after,
)


class RetriesByCall(Runner):
    def work(self, job: Any) -> None:
        if not self.reached():
            self.work(job)

    def reached(self) -> bool:
        """Whether what the job asks for has answered: it is gone for good."""
        return False


class RetriesByLoop(RetriesByCall):
    def work(self, job: Any) -> None:
        for _ in range(3):
            if self.reached():
                return


RETRIES_BY_CALL = Wrong(
    "retries-by-call",
    "The job tries again by calling itself, without an end, until its thread has no stack left.",
    StackOverflow,
    1,
    RetriesByCall,
    RetriesByLoop,
)
