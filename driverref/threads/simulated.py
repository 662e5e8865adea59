"""The seam as coroutines: deterministic, with virtual time.

`Steps` decides which thread goes on, at the points that are called steps.  This file builds on them
what the seam promises: threads, which are coroutines, and what they block on, each a step or two
(`primitives`).

Which thread is chosen is up to a `Schedule` (`schedule`).  What threads share is a cell, a table or
a counter (`cells`), so that a search that is the schedule knows the footprint of each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any, NoReturn

from driverref.threads import (
    AWAIT,
    OUTSIDE,
    READ,
    WRITE,
    Cell,
    Crashed,
    Mutex,
    Socket,
    Thread,
    running_thread,
)
from driverref.threads.cells import PlainCell, T, TrackedCell, TrackedCounter, TrackedTable
from driverref.threads.clocks import Stamp
from driverref.threads.coroutine import Coroutine, Unwound
from driverref.threads.primitives import (
    Guard,
    SimulatedCondition,
    SimulatedMutex,
    SimulatedQueue,
    SimulatedWork,
)
from driverref.threads.schedule import FirstCome, Random
from driverref.threads.simulated_sockets import SimulatedPoll, SimulatedSocket
from driverref.threads.steps import CLOCK, Schedule, SimulatedThread, Steps, never

_UNDIVIDED = nullcontext()
"""The block of `atomically`.  Between two steps no other thread runs, so it does nothing."""


class SimulatedThreads(Steps):
    """The seam on coroutines.

    A `seed`, or a `schedule`, chooses the thread that goes on.  Without either it is first come,
    first served.
    """

    simulated = True

    def __init__(self, seed: int | None = None, schedule: Schedule | None = None) -> None:
        eager = schedule is None and seed is None
        super().__init__(schedule or (FirstCome() if seed is None else Random(seed)), eager)
        self._numbers = count()
        # By atomic, what the thread that wrote it last knew.
        self._stamps: dict[object, Stamp] = {}

    # Threads.

    def _new(self, name: str) -> SimulatedThread:
        number = next(self._numbers)
        thread = self.threads[number] = SimulatedThread(name, number)
        return thread

    def _remove(self, thread: SimulatedThread) -> None:
        """Take out a thread that has ended, with what it leads to: it may be joined much later."""
        del self.threads[thread.number]
        thread.runtime = thread.scheduler = thread.process = None

    def adopt(self, name: str) -> Thread:
        main = self._new(name)
        main.coroutine = Coroutine()
        self.main = self.running = main
        running_thread.set(main)
        return main

    def start(
        self, name: str, target: Callable[[], None], crashed: Crashed, settle: bool = False
    ) -> Thread:
        def run() -> None:
            # The first step of a thread: it was chosen, so its coroutine begins.
            self.running = thread
            self.declare((("the start", thread.number), AWAIT))
            running_thread.set(thread)
            try:
                target()
            except Unwound:
                running_thread.set(OUTSIDE)
                return
            except BaseException as error:
                # What is raised while the thread is being unwound is no crash of the program.
                if not self._closed:
                    seen = crashed(error)
                    # The adopted thread raises one error, the first: later ones may follow from it.
                    self.failure = self.failure or seen
            if not self._closed:
                # The end is part of the thread's last step.  It is taken out before the next thread
                # is chosen, so that it is not chosen itself.
                thread.ended = thread.clock.stamp()
                self.declare((("the end", thread.number), WRITE))
                self._remove(thread)
                thread.coroutine.finish_into(self._next().coroutine)

        thread = self._new(name)
        thread.coroutine = Coroutine(run)
        thread.clock.join(self.running.clock.stamp())
        # The new thread stands in line behind all others, and the one that starts it goes on.
        self._arrivals += 1
        thread.arrival = self._arrivals
        self.declare((("the start", thread.number), WRITE))
        if settle:
            # The new thread runs as part of this step until it waits.  `_next` then comes back here
            # and asks no schedule: when it begins is no choice that a search has to try.
            me = self._starter = self.running
            thread.coroutine.switch()
            self.running = me
        return thread

    def join(self, thread: Thread) -> None:
        assert isinstance(thread, SimulatedThread)
        # Enabled once the thread has ended, so its end comes before this in every schedule.
        end = ("the end", thread.number)
        self.step(end, AWAIT, lambda: thread.ended, None, f"the end of {thread.name}")
        self.running.clock.join(thread.ended)

    def interrupt(self, error: BaseException) -> bool:
        self.failure = self.failure or error
        return True

    def close(self) -> None:
        # First: from here on each step raises, so a thread that is unwound runs its `finally`
        # blocks and switches to no other thread.
        try:
            if not self._closed:
                self._closed = True
                # Before the threads are gone: a search looks at the steps that they would have
                # made.  It may raise, and the threads are unwound all the same.
                self.schedule.end(self)
        finally:
            for thread in list(self.threads.values()):
                if thread is not self.main:
                    thread.coroutine.unwind()
                self._remove(thread)
            running_thread.set(OUTSIDE)

    # The primitives, each a step or two.

    time_offset = 10**18  # a billion seconds, so that no driver takes one clock for the other

    def now(self) -> int:
        return self.time  # no step and no use of `CLOCK`: nothing may depend on it

    def read_clock(self) -> int:
        self.step(CLOCK, READ)
        return self.time

    def sleep(self, ns: int) -> None:
        # No resource but the clock, which a step with a deadline uses anyway.
        self.step(None, READ, never, self.time + ns, "time to pass")

    def load(self, resource: object) -> None:
        # An atomic orders: what its last writer did before the store happened before this.
        self.step(resource, READ)
        self.running.clock.join(self._stamps.get(resource))

    def spin(self, loop: str) -> NoReturn:
        # Never chosen again.  When no other thread can go on either, `_stuck` finds the loop.
        self.running.loop = loop
        self.step(None, READ, never)
        raise AssertionError("a step that is never enabled has returned")  # pragma: no cover

    def chance(self, kind: str) -> bool:
        if kind not in self.schedule.chances:
            return False
        self.step(what=kind, chance=True)
        return self.running.other_way

    def atomically(self, resource: object, reads: bool = True) -> AbstractContextManager[object]:
        self.step(resource, WRITE)
        # A store that reads nothing learns nothing from the last writer.  What it hands on is its
        # own knowledge alone.
        clock = self.running.clock
        if reads:
            clock.join(self._stamps.get(resource))
        self._stamps[resource] = clock.stamp()
        return _UNDIVIDED

    # Where no search listens, what threads share is as plain as on OS threads.

    def cell(self, value: T) -> Cell[T]:
        return TrackedCell(self, value) if self.schedule.logs else PlainCell(value)

    def table(self) -> MutableMapping[Any, Any]:
        return TrackedTable(self) if self.schedule.logs else {}

    def counter(self) -> Iterator[int]:
        return TrackedCounter(self) if self.schedule.logs else count(1)

    def mutex(self, name: str) -> Mutex:
        return SimulatedMutex(self, name)

    def guard(self, name: str) -> AbstractContextManager[object]:
        return Guard(self, name)

    def acquire_patiently(self, mutex: Mutex) -> None:
        mutex.acquire()

    def condition(self, mutex: Mutex, name: str) -> SimulatedCondition:
        assert isinstance(mutex, SimulatedMutex)
        return SimulatedCondition(self, mutex, name)

    def queue(self, name: str) -> SimulatedQueue:
        return SimulatedQueue(self, name)

    def work(self, name: str) -> SimulatedWork:
        return SimulatedWork(self, name)

    def socketpair(self) -> tuple[Socket, Socket]:
        one, other = SimulatedSocket(self), SimulatedSocket(self)
        one.peer, other.peer = other, one
        return one, other

    def poll(self, name: str) -> SimulatedPoll:
        return SimulatedPoll(self, name)
