"""The port's one timer: it fires late, for what is gone, or for what came after."""

from __future__ import annotations

from typing import Any

from support import opened

from driverref import Driver, Emulator, Struct
from driverref.erl_driver import (
    ErlDrvPort,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.errors import Deadlock, DoubleFree, UseAfterFree
from driverref.posix import SHUT_RDWR, socketpair, usleep
from wrong.case import Runner, Wrong, new


class State(Struct):
    """The driver data of a port."""

    port: ErlDrvPort
    request: Request | None
    connection: Connection | None
    waiting: list[Any]


class Request(Struct):
    """A job's data."""

    number: int
    connection: Connection
    socket: Any


class Connection(Struct):
    """What lasts from one request to the next."""

    used: int


class Timed(Runner):
    """A request has a time limit: who waits for it is told when that is over."""

    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, request=None)

    def output(self, state: State, buf: memoryview) -> None:
        state.request = new(Request, number=1)
        driver_set_timer(state.port, 10)
        self.submit(state.port, state.request)

    def ready_async(self, state: State, request: Request) -> None:
        driver_cancel_timer(state.port)
        driver_output(state.port, b"done")
        driver_free(request)

    def timeout(self, state: State) -> None:
        driver_output(state.port, b"timeout")

    def stop(self, state: State) -> None:
        driver_free(state)


def answered(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send each command when the one before has been answered, and then wait."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, b"work")
        erl.receive()
    erl.receive(timeout=20)


class TimeoutFrees(Timed):
    def timeout(self, state: State) -> None:
        super().timeout(state)
        driver_free(state.request)


class TimeoutAnswers(TimeoutFrees):
    def timeout(self, state: State) -> None:
        Timed.timeout(self, state)


TIMEOUT_FREES = Wrong(
    "timeout-frees",
    "When the time is over the request is answered and freed, but no timeout takes it from the job that works on it.",
    DoubleFree,
    1,
    TimeoutFrees,
    TimeoutAnswers,
    answered,
)


class TimerOutlivesRequest(Timed):
    def ready_async(self, state: State, request: Request) -> None:
        driver_output(state.port, b"done")
        driver_free(request)

    def timeout(self, state: State) -> None:
        if state.request is not None:
            driver_output(state.port, b"timeout %d" % state.request.number)


class TimerEndsWithRequest(TimerOutlivesRequest):
    def ready_async(self, state: State, request: Request) -> None:
        driver_cancel_timer(state.port)
        super().ready_async(state, request)


TIMER_OUTLIVES_REQUEST = Wrong(
    "timer-outlives-request",
    "ready_async frees the request and leaves its timer running, which then looks at the request.",
    UseAfterFree,
    1,
    TimerOutlivesRequest,
    TimerEndsWithRequest,
    answered,
)


class IdleTimerRunsOn(Runner):
    """The connection is given up after 10 ms without a request.

    A byte in the driver queue keeps it for its jobs.
    """

    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, connection=None)

    def output(self, state: State, buf: memoryview) -> None:
        if state.connection is None:
            state.connection = new(Connection)
        driver_enq(state.port, b"1")
        self.submit(state.port, new(Request, connection=state.connection))

    def work(self, request: Request) -> None:
        usleep(20_000)
        request.connection.used = 1

    def ready_async(self, state: State, request: Request) -> None:
        driver_output(state.port, b"done")
        driver_free(request)
        driver_deq(state.port, 1)
        driver_set_timer(state.port, 10)

    def timeout(self, state: State) -> None:
        driver_free(state.connection)
        state.connection = None

    def stop(self, state: State) -> None:
        driver_free(state.connection)
        driver_free(state)


class IdleTimerStops(IdleTimerRunsOn):
    def output(self, state: State, buf: memoryview) -> None:
        driver_cancel_timer(state.port)
        super().output(state, buf)


IDLE_TIMER_RUNS_ON = Wrong(
    "idle-timer-runs-on",
    "The timer that was set when the last request ended fires into the next one, and takes its connection away.",
    UseAfterFree,
    2,
    IdleTimerRunsOn,
    IdleTimerStops,
    answered,
)


class OneTimerForTwo(Runner):
    """A job reads from a peer that says nothing; when its time is over its socket is shut down."""

    def start(self, port: ErlDrvPort, command: str) -> State:
        return new(State, port=port, waiting=[])

    def output(self, state: State, buf: memoryview) -> None:
        socket, _ = socketpair()
        self.watch(state)
        state.waiting.append(socket)
        self.submit(state.port, new(Request, socket=socket))

    def watch(self, state: State) -> None:
        driver_set_timer(state.port, 10)

    def work(self, request: Request) -> None:
        request.socket.recv(1)

    def timeout(self, state: State) -> None:
        state.waiting.pop().shutdown(SHUT_RDWR)

    def ready_async(self, state: State, request: Request) -> None:
        driver_output(state.port, b"timeout")
        driver_free(request)

    def stop(self, state: State) -> None:
        for socket in state.waiting:
            socket.shutdown(SHUT_RDWR)
        driver_free(state)


class OneTimerForAll(OneTimerForTwo):
    def timeout(self, state: State) -> None:
        while state.waiting:
            super().timeout(state)


def all_answered(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send the commands and wait for as many answers."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, b"work")
    for _ in range(jobs):
        erl.receive()


ONE_TIMER_FOR_TWO = Wrong(
    "one-timer-for-two",
    "A second request sets the timer anew; the port has one, so that of the first is gone and its job waits for ever.",
    Deadlock,
    2,
    OneTimerForTwo,
    OneTimerForAll,
    all_answered,
    async_threads=2,
)
