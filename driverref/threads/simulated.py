"""The seam as coroutines: deterministic, with virtual time.

One function carries everything: `SimulatedThreads.step`.  A thread calls it just before it touches
something that others may see, and says what it is about to touch, whether it writes, when that is
possible at all (`enabled`), and until when it is ready to wait (`deadline`).  `step` returns when the
thread has been chosen and may go on.  A mutex is then a flag whose `acquire` is a step enabled while
the flag is down; a queue is a deque whose `get` is a step enabled while it is not empty; to sleep is a
step that is never enabled and has a deadline.

Who is chosen:

* by default **first come**: the running thread keeps the processor until it has to wait; then the one
  that has waited longest among those that can go on;
* with a `seed`, anybody who can go on, at random, at every step; letting time pass is one of the
  choices, because a thread may be arbitrarily slow and a timeout may win any race.

Time is virtual.  It stands still while anybody can go on, then jumps to the earliest deadline.  If
there is none, every thread waits for ever: the adopted thread, the one that runs the reader's program,
gets a `Deadlock` that names who waits for what.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from driverref.errors import Deadlock
from driverref.threads import NOBODY, Crashed, Mutex, Socket, Thread, here, running
from driverref.threads.coroutine import Coroutine, Unwound
from driverref.threads.primitives import (
    Enabled,
    Named,
    SimulatedCondition,
    SimulatedMutex,
    SimulatedQueue,
    SimulatedSocket,
    SimulatedWork,
    never,
)


class SimulatedThread(Thread):
    """A `Thread`, its coroutine, and the step it is about to make."""

    __slots__ = (
        "arrival",
        "coroutine",
        "deadline",
        "enabled",
        "ended",
        "expired",
        "thing",
        "write",
    )

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.coroutine: Coroutine
        self.thing: object = None
        self.write = False
        self.enabled: Enabled | None = None
        self.deadline: int | None = None
        self.expired = False
        self.arrival = 0
        self.ended = False


class SimulatedThreads:
    """The seam on coroutines.  `seed` chooses among those who can go on; without it, first come."""

    simulated = True

    def __init__(self, seed: int | None = None) -> None:
        self.time = 0
        self.threads: list[SimulatedThread] = []
        self.main: SimulatedThread
        self.running: SimulatedThread
        self.random = None if seed is None else random.Random(seed)
        self._arrivals = itertools.count()
        self._failure: BaseException | None = None
        self._closed = False
        self._atomic: AbstractContextManager[object] = nullcontext()

    # The step, and who goes on.

    def step(
        self,
        thing: object,
        write: bool,
        enabled: Enabled | None = None,
        deadline: int | None = None,
    ) -> bool:
        """Wait for the turn to touch `thing`.  `False` if the deadline passed first.

        `enabled` tells whether the touch is possible now; `None` means always.
        """
        if self.random is None and (enabled is None or enabled()) and not self._closed:
            return True
        if self._closed:
            raise Unwound
        me = self.running
        me.thing, me.write, me.enabled, me.deadline = thing, write, enabled, deadline
        me.expired = False
        me.arrival = next(self._arrivals)
        chosen = self._choose()
        if chosen is not me:
            chosen.coroutine.switch()
            self.running = me
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return not me.expired

    def _choose(self) -> SimulatedThread:
        if self._failure is not None:
            return self.main
        able = [t for t in self.threads if t.enabled is None or t.enabled()]
        sleepers = [t for t in self.threads if t.deadline is not None and t not in able]
        sleeper = min(sleepers, key=lambda t: (t.deadline, t.arrival), default=None)
        if self.random is not None and able:
            chosen = self.random.choice(able if sleeper is None else [*able, sleeper])
        elif able:
            chosen = min(able, key=lambda t: t.arrival)
        elif sleeper is not None:
            chosen = sleeper
        else:
            self._failure = Deadlock(
                [f"{t.name} waits for {t.waits_for or t.thing}" for t in self.threads]
            )
            return self.main
        if chosen is sleeper:
            assert chosen.deadline is not None
            self.time = max(self.time, chosen.deadline)
            chosen.expired = True
        return chosen

    # Threads.

    def adopt(self, name: str) -> Thread:
        main = SimulatedThread(name)
        main.coroutine = Coroutine()
        self.threads.append(main)
        self.main = self.running = main
        here.set(main)
        return main

    def adopted(self) -> Thread:
        if self.running is self.main and self.main.coroutine.is_running():
            here.set(self.main)
        return running()

    def start(self, name: str, target: Callable[[], None], crashed: Crashed) -> Thread:
        def run() -> None:
            self.running = thread
            here.set(thread)
            try:
                target()
            except Unwound:
                return
            except BaseException as error:
                if not self._closed:  # else it is what unwinding led to, and nobody's business
                    seen = crashed(error)
                    self._failure = self._failure or seen
            thread.ended = True
            if not self._closed:
                self.threads.remove(thread)
                thread.coroutine.finish_into(self._choose().coroutine)

        thread = SimulatedThread(name)
        thread.coroutine = Coroutine(run)
        thread.thing, thread.arrival = "its turn", next(self._arrivals)
        self.threads.append(thread)
        return thread

    def join(self, thread: Thread) -> None:
        assert isinstance(thread, SimulatedThread)
        self.step(Named(f"the end of {thread.name}"), False, lambda: thread.ended)

    def close(self) -> None:
        self._closed = True
        for thread in self.threads:
            if thread is not self.main:
                thread.coroutine.unwind()
        self.threads.clear()
        here.set(NOBODY)

    # The primitives, each a step or two.

    def now(self) -> int:
        return self.time

    def sleep(self, ns: int) -> None:
        self.step(Named("time to pass"), False, never, self.time + ns)

    def mutex(self, name: str) -> Mutex:
        return SimulatedMutex(self, name)

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

    def touch(self, thing: object, write: bool) -> None:
        self.step(thing, write)

    def atomically(self, thing: object) -> AbstractContextManager[object]:
        self.step(thing, True)
        return self._atomic
