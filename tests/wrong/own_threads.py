"""Threads of the driver's own: who tells them to end, who waits for that, and what they may use until then."""

from __future__ import annotations

from typing import Any

from driverref import Atom, Port, Struct
from driverref.erl_driver import (
    ErlDrvCond,
    ErlDrvMutex,
    ErlDrvPort,
    ErlDrvTid,
    driver_free,
    driver_mk_port,
    driver_output,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_output_term,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import DataRace, Deadlock, Leak, Misuse, UseAfterFree
from wrong.case import Runner, Wrong, new, one_command


class State(Struct):
    """The driver data of a port."""

    port: ErlDrvPort
    port_id: Port
    tid: ErlDrvTid
    mtx: ErlDrvMutex | None
    cnd: ErlDrvCond | None
    count: int
    ending: bool
    head: Item | None


class Item(Struct):
    """Something in a queue of the driver's own."""

    next: Item | None
    tid: ErlDrvTid


class Threaded(Runner):
    """Every port has a thread, which is joined by `stop`."""

    def start(self, port: ErlDrvPort, command: str) -> State:
        state = new(State, port=port, port_id=driver_mk_port(port), tid=ErlDrvTid(), head=None)
        state.count = 0
        state.mtx, state.cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
        state.ending = False
        erl_drv_thread_create("own", state.tid, self.run, state, None)
        return state

    def run(self, state: State) -> None:
        pass

    def output(self, state: State, buf: memoryview) -> None:
        pass

    def stop(self, state: State) -> None:
        erl_drv_thread_join(state.tid, None)
        self.free(state)

    def free(self, state: State) -> None:
        erl_drv_mutex_destroy(state.mtx)
        erl_drv_cond_destroy(state.cnd)
        driver_free(state)


class NeverJoined(Runner):
    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.tid = ErlDrvTid()
        erl_drv_thread_create("own", self.tid, self.run, port, None)
        return port

    def run(self, port: ErlDrvPort) -> None:
        pass


class Joined(NeverJoined):
    def stop(self, port: ErlDrvPort) -> None:
        erl_drv_thread_join(self.tid, None)


NEVER_JOINED = Wrong(
    "never-joined",
    "The thread ends by itself and nobody joins it: unloading takes away code that it may still be in.",
    Leak,
    0,
    NeverJoined,
    Joined,
)


class StopLeavesThread(Runner):
    def start(self, port: ErlDrvPort, command: str) -> State:
        self.tid = ErlDrvTid()
        state = new(State, port=port, count=0)
        erl_drv_thread_create("own", self.tid, self.run, state, None)
        return state

    def run(self, state: State) -> None:
        state.count += 1

    def stop(self, state: State) -> None:
        driver_free(state)

    def finish(self) -> None:
        erl_drv_thread_join(self.tid, None)


class StopWaitsForThread(StopLeavesThread):
    def stop(self, state: State) -> None:
        erl_drv_thread_join(self.tid, None)
        driver_free(state)

    def finish(self) -> None:
        pass


STOP_LEAVES_THREAD = Wrong(
    "stop-leaves-thread",
    "The thread goes on with the port's state after stop has freed it.",
    UseAfterFree,
    0,
    StopLeavesThread,
    StopWaitsForThread,
)


class JoinsBeforeTelling(Threaded):
    def run(self, state: State) -> None:
        erl_drv_mutex_lock(state.mtx)
        while not state.ending:
            erl_drv_cond_wait(state.cnd, state.mtx)
        erl_drv_mutex_unlock(state.mtx)

    def tell(self, state: State) -> None:
        erl_drv_mutex_lock(state.mtx)
        state.ending = True
        erl_drv_cond_broadcast(state.cnd)
        erl_drv_mutex_unlock(state.mtx)

    def stop(self, state: State) -> None:
        erl_drv_thread_join(state.tid, None)
        self.tell(state)
        self.free(state)


class TellsBeforeJoining(JoinsBeforeTelling):
    def stop(self, state: State) -> None:
        self.tell(state)
        erl_drv_thread_join(state.tid, None)
        self.free(state)


JOINS_BEFORE_TELLING = Wrong(
    "joins-before-telling",
    "stop waits for a thread that nobody has told to end: unloading hangs, and so does init:stop.",
    Deadlock,
    0,
    JoinsBeforeTelling,
    TellsBeforeJoining,
)


class JoinsWithLock(TellsBeforeJoining):
    def stop(self, state: State) -> None:
        erl_drv_mutex_lock(state.mtx)
        state.ending = True
        erl_drv_cond_broadcast(state.cnd)
        erl_drv_thread_join(state.tid, None)
        erl_drv_mutex_unlock(state.mtx)
        self.free(state)


class JoinsWithoutLock(JoinsWithLock):
    def stop(self, state: State) -> None:
        TellsBeforeJoining.stop(self, state)


JOINS_WITH_LOCK = Wrong(
    "joins-with-lock",
    "stop tells the thread to end and joins it with the mutex held, which the thread needs to hear it.",
    Deadlock,
    0,
    JoinsWithLock,
    JoinsWithoutLock,
)


class OutputFromOwnThread(Threaded):
    def run(self, state: State) -> None:
        driver_output(state.port, b"hello")


class TermFromOwnThread(OutputFromOwnThread):
    def run(self, state: State) -> None:
        erl_drv_output_term(state.port_id, Atom("hello"))


OUTPUT_FROM_OWN_THREAD = Wrong(
    "output-from-own-thread",
    "The driver's own thread uses the port's handle, which is for callbacks; the port may be closing or gone.",
    Misuse,
    0,
    OutputFromOwnThread,
    TermFromOwnThread,
)


class OwnQueueBare(Threaded):
    def output(self, state: State, buf: memoryview) -> None:
        state.head = new(Item, next=state.head)

    def run(self, state: State) -> None:
        item = state.head
        if item is not None:
            state.head = item.next
            driver_free(item)

    def free(self, state: State) -> None:
        driver_free(state.head)
        super().free(state)


class OwnQueueLocked(OwnQueueBare):
    def output(self, state: State, buf: memoryview) -> None:
        erl_drv_mutex_lock(state.mtx)
        super().output(state, buf)
        erl_drv_mutex_unlock(state.mtx)

    def run(self, state: State) -> None:
        erl_drv_mutex_lock(state.mtx)
        super().run(state)
        erl_drv_mutex_unlock(state.mtx)


OWN_QUEUE_BARE = Wrong(
    "own-queue-bare",
    "A queue between callbacks and a thread of the driver's own, without a lock: eleveldb 58 is about such a pool.",
    DataRace,
    0,
    OwnQueueBare,
    OwnQueueLocked,
    one_command,
)


class WritesAfterHandingOver(Runner):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.tid = ErlDrvTid()
        item = new(Item)
        erl_drv_thread_create("own", self.tid, self.run, item, None)
        item.tid = self.tid

    def run(self, item: Any) -> None:
        driver_free(item)

    def finish(self) -> None:
        erl_drv_thread_join(self.tid, None)


class WritesBeforeHandingOver(WritesAfterHandingOver):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.tid = ErlDrvTid()
        item = new(Item, tid=self.tid)
        erl_drv_thread_create("own", self.tid, self.run, item, None)


WRITES_AFTER_HANDING_OVER = Wrong(
    "writes-after-handing-over",
    "A thread that frees its item is started, and then the item is written to: bdberl's d833ca7, in its own pool.",
    UseAfterFree,
    0,
    WritesAfterHandingOver,
    WritesBeforeHandingOver,
    one_command,
)
