"""The seam as coroutines: deterministic, with virtual time.

One function carries everything: `SimulatedThreads.step`.  A thread calls it just before it touches something that
others may see, and says what it is about to touch and how, when that is possible at all (`enabled`), and until when it
is ready to wait (`deadline`).  `step` returns when the thread has been chosen and may go on.  A mutex is then a flag
whose `acquire` is a step enabled while the flag is down; a queue is a deque whose `get` is a step enabled while it is
not empty; to sleep is a step that is never enabled and has a deadline.

What a thread uses between this step and its next one belongs to this step: its *footprint*.  A thread declares it with
`declare`.

Who is chosen is up to a `Schedule` (`schedule`).

Time is virtual.  To let it pass, to the earliest deadline, is a choice like any other, because a thread may be
arbitrarily slow and a timeout may win any race; first come does so only if nobody can go on.  If there is no deadline
either, every thread waits for ever: the adopted thread, the one that runs the reader's program, gets a `Deadlock` that
names who waits for what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from operator import attrgetter
from typing import Any, NoReturn

from driverref.errors import Deadlock, EmulatorHang, Nondeterministic
from driverref.threads import (
    AWAIT,
    NOBODY,
    READ,
    WRITE,
    Cell,
    Crashed,
    Mode,
    Mutex,
    Socket,
    Thread,
    here,
    running,
)
from driverref.threads.cells import PlainCell, T, TrackedCell, TrackedCounter, TrackedTable
from driverref.threads.clocks import Stamp, VectorClock
from driverref.threads.coroutine import Coroutine, Unwound
from driverref.threads.primitives import (
    Enabled,
    Guard,
    SimulatedCondition,
    SimulatedMutex,
    SimulatedQueue,
    SimulatedSocket,
    SimulatedWork,
    never,
)
from driverref.threads.schedule import TIME, FirstCome, Random, Schedule

CLOCK = "the clock"
"""The thing that is read by whoever has, gives up or computes a deadline, and written when time passes."""

Touch = tuple[object, Mode]

_UNDIVIDED = nullcontext()
"""Between two steps nobody else runs."""


class SimulatedThread(Thread):
    """A `Thread`, its coroutine, and the step it is about to make."""

    __slots__ = (
        "arrival", "clock", "coroutine", "deadline", "enabled", "ended", "expired", "loop", "made",
        "mode", "number", "thing", "what",
    )  # fmt: skip

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        self.number = number
        """How many threads were started before it."""
        self.made = number << 32
        """The last `id` that was given to something it made."""
        self.clock = VectorClock(number)
        self.coroutine: Coroutine
        self.thing: object = None
        self.mode = READ
        self.what: object = "its turn"
        self.enabled: Enabled | None = None
        self.deadline: int | None = None
        self.expired = False
        self.arrival = 0
        self.ended: Stamp | None = None
        self.loop = ""
        """The loop that it will never leave."""

    def able(self) -> bool:
        """Whether it can go on if it is chosen."""
        return self.expired or self.enabled is None or bool(self.enabled())


_arrival = attrgetter("arrival")


def _no_log(used: Touch) -> None:
    """Take no notice."""


class SimulatedThreads:
    """The seam on coroutines.  A `seed` or a `schedule` chooses who goes on; without it, first come."""

    simulated = True

    def __init__(self, seed: int | None = None, schedule: Schedule | None = None) -> None:
        self.eager = schedule is None and seed is None
        self.schedule = schedule or (FirstCome() if seed is None else Random(seed))
        self.script = self.schedule.script
        self._scripted_steps = len(self.script)
        self.time = 0
        self.threads: list[SimulatedThread] = []
        self.log: list[Touch] = []
        """What the steps have touched, in order, if the schedule wants to know."""
        self.main: SimulatedThread
        self.running: SimulatedThread
        self.started_ones: list[SimulatedThread] = []
        """Every thread there was, by its number."""
        self.failure: BaseException | None = None
        """What the adopted thread is to raise where it goes on."""
        self.declare: Callable[[Touch], None] = self.log.append if self.schedule.logs else _no_log
        """Add a resource, and how it is used, to the footprint of the step under way."""
        self._stamps: dict[object, Stamp] = {}
        self._arrivals = 0
        self._deadlines = False  # whether there ever was one
        self._starter: SimulatedThread | None = None  # waits for one that settles
        self._closed = False
        self._given_up: BaseException | None = None

    # The step, and who goes on.

    def step(
        self,
        thing: object = None,
        mode: Mode = READ,
        enabled: Enabled | None = None,
        deadline: int | None = None,
        what: object = None,
    ) -> bool:
        """Wait for the turn to touch `thing`.  `False` if the deadline passed and it is not possible.

        `enabled` tells whether the touch is possible now; `None` means always.  `what` is what a thread waits for
        that cannot go on, for messages.
        """
        if self.eager and (enabled is None or enabled()) and not self._closed:
            return True
        if self._closed:
            raise self._given_up or Unwound  # what is to be seen is not what came up on the way out
        me, script = self.running, self.script
        me.expired = False
        if script and script[-1] == me.number and deadline is None and self._starter is None:
            if enabled is None or enabled():  # the short way of what follows
                script.pop()
                self.declare((thing, mode))
                return True
        me.thing, me.mode, me.enabled, me.deadline, me.what = thing, mode, enabled, deadline, what
        self._arrivals += 1
        me.arrival = self._arrivals
        if deadline is not None:
            self._deadlines = True
            self.declare((CLOCK, READ))
        chosen = self._next()
        if chosen is not me:
            chosen.coroutine.switch()
            self.running = me
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.declare((thing, mode))
        if deadline is None:
            return True
        possible = enabled is None or bool(enabled())
        self.declare((CLOCK, READ if possible else AWAIT))
        return possible

    def _next(self) -> SimulatedThread:
        if self._starter is None:
            return self._choose()
        starter, self._starter = self._starter, None
        return starter

    def _choose(self) -> SimulatedThread:
        while self.failure is None:
            chosen = self._scripted() if self.script else self.schedule.choose(self)
            if chosen is not None:
                return chosen
            if self.failure is None and not self._let_time_pass():
                self.failure = self._stuck()
        self.schedule.end(self)
        return self.main

    def _stuck(self) -> EmulatorHang | Deadlock:
        """What to say now that nobody can go on any more."""
        for thread in self.threads:
            if thread.loop:
                return EmulatorHang(f"{thread.name} {thread.loop}")
        return Deadlock([f"{t.name} waits for {t.waits_for or t.what}" for t in self.threads])

    def _scripted(self) -> SimulatedThread | None:
        number = self.script.pop()
        if number == TIME and self.armed():
            return None
        if 0 <= number < len(self.started_ones) and self.started_ones[number].able():
            return self.started_ones[number]
        who = "time" if number == TIME else f"thread {number}"
        step = self._scripted_steps - len(self.script)
        self.give_up(Nondeterministic(f"at step {step} {who} could not go on"))
        return None

    def able(self) -> list[SimulatedThread]:
        """The threads that can go on."""
        return [t for t in self.threads if t.expired or t.enabled is None or t.enabled()]

    def in_turn(self) -> list[SimulatedThread]:
        """The threads that can go on, in the order in which first come would let them."""
        able = self.able()
        if len(able) > 1:
            able.sort(key=_arrival)
            if able[-1] is self.running and not self.running.expired:  # has come last, and goes on
                able.insert(0, able.pop())
        return able

    def armed(self) -> bool:
        """Whether time can pass: whether a thread has a deadline to come."""
        return self._deadlines and any(
            t.deadline is not None and not t.expired for t in self.threads
        )

    def _let_time_pass(self) -> bool:
        waiting = [t for t in self.threads if t.deadline is not None and not t.expired]
        if not waiting:
            return False
        self.time = max(self.time, min(t.deadline for t in waiting if t.deadline is not None))
        for thread in waiting:
            thread.expired = thread.deadline is not None and thread.deadline <= self.time
        self.declare((CLOCK, WRITE))
        return True

    def fresh(self) -> int:
        """An `id` for something that is made now."""
        self.running.made += 1
        return self.running.made

    def give_up(self, why: BaseException) -> None:
        """Raise `why` in the adopted thread next, and let nobody make another step."""
        self.failure = self._given_up = why
        self._closed = True

    # Threads.

    def _new(self, name: str) -> SimulatedThread:
        thread = SimulatedThread(name, len(self.started_ones))
        self.started_ones.append(thread)
        self.threads.append(thread)
        return thread

    def adopt(self, name: str) -> Thread:
        main = self._new(name)
        main.coroutine = Coroutine()
        self.main = self.running = main
        here.set(main)
        return main

    def adopted(self) -> Thread:
        if self.running is self.main and self.main.coroutine.is_running():
            here.set(self.main)
        return running()

    def start(
        self, name: str, target: Callable[[], None], crashed: Crashed, settle: bool = False
    ) -> Thread:
        def run() -> None:
            self.running = thread
            self.declare((("the start", thread.number), AWAIT))
            here.set(thread)
            try:
                target()
            except Unwound:
                here.set(NOBODY)
                return
            except BaseException as error:
                if not self._closed:  # else it is what unwinding led to, and nobody's business
                    seen = crashed(error)
                    self.failure = self.failure or seen
            if not self._closed:
                thread.ended = thread.clock.stamp()
                self.declare((("the end", thread.number), WRITE))
                self.threads.remove(thread)
                thread.coroutine.finish_into(self._next().coroutine)
            here.set(NOBODY)

        thread = self._new(name)
        thread.coroutine = Coroutine(run)
        thread.clock.join(self.running.clock.stamp())
        self._arrivals += 1
        thread.arrival = self._arrivals
        self.declare((("the start", thread.number), WRITE))
        if settle:
            me = self._starter = self.running
            thread.coroutine.switch()
            self.running = me
        return thread

    def join(self, thread: Thread) -> None:
        assert isinstance(thread, SimulatedThread)
        end = ("the end", thread.number)
        self.step(end, AWAIT, lambda: thread.ended, None, f"the end of {thread.name}")
        self.running.clock.join(thread.ended)

    def interrupt(self, error: BaseException) -> bool:
        self.failure = self.failure or error
        return True

    def close(self) -> None:
        try:
            if not self._closed:
                self._closed = True
                self.schedule.end(self)
        finally:
            for thread in self.threads:
                if thread is not self.main:
                    thread.coroutine.unwind()
            self.threads.clear()
            here.set(NOBODY)

    # The primitives, each a step or two.

    def now(self) -> int:
        return self.time

    def read_clock(self) -> int:
        self.step(CLOCK, READ)
        return self.time

    def sleep(self, ns: int) -> None:
        self.step(None, READ, never, self.time + ns, "time to pass")

    def touch(self, thing: object, write: bool) -> None:
        self.step(thing, WRITE if write else READ)

    def load(self, thing: object) -> None:
        self.step(thing, READ)
        self.running.clock.join(self._stamps.get(thing))

    def spin(self, loop: str) -> NoReturn:
        self.running.loop = loop
        self.step(None, READ, never)
        raise AssertionError("nobody ends the loop")  # pragma: no cover

    def atomically(self, thing: object, reads: bool = True) -> AbstractContextManager[object]:
        self.step(thing, WRITE)
        clock = self.running.clock
        if reads:
            clock.join(self._stamps.get(thing))
        self._stamps[thing] = clock.stamp()
        return _UNDIVIDED

    # Where no search listens, what threads share is as plain as on OS threads: only one of them runs at a time.

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
