"""Steps: the points at which one simulated thread may stop and another go on.

Everything is built on one function, `Steps.step`.  A thread calls it just before it uses something
that other threads may use, and says

* which `resource`, and in which `Mode`;
* when that is possible at all (`enabled`);
* until when the thread is ready to wait (`deadline`).

`step` returns when the thread has been chosen and may go on.  A mutex is then a flag whose
`acquire` is a step that is enabled while the flag is down.  A queue is a deque whose `get` is a
step that is enabled while it is not empty.  To sleep is a step that is never enabled and has a
deadline.

The way through this file:

    step: the thread says what it is about to do
        -> _choose: the `Schedule` chooses a thread, or lets time pass
        -> the coroutines switch
        -> the thread that was chosen returns from its own `step`, and its use is declared

What a thread uses between one step and its next belongs to the first of them: its *footprint*.  A
thread adds to it with `declare`.

Time is virtual.  To let it pass, to the earliest deadline, is a choice like any other, because a
thread may be arbitrarily slow and a timeout may win any race.  If no thread can go on and there is
no deadline, every thread waits for ever.  Then the adopted thread, the one that runs the reader's
program, gets a `Deadlock` that says what each thread waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Protocol

from driverref.diagnostics import standing, where
from driverref.errors import Deadlock, EmulatorHang, Nondeterministic
from driverref.threads import AWAIT, READ, WRITE, Mode, Thread
from driverref.threads.clocks import Stamp, VectorClock
from driverref.threads.coroutine import Coroutine, Unwound

CLOCK = "the clock"
"""The resource that a deadline reads, to be computed, kept or given up, and passing time writes."""

TIME = -1
"""In a script, in the place of a thread's number: let time pass."""

Access = tuple[object, Mode]
"""A resource, and how a step uses it."""

Enabled = Callable[[], object]
"""Whether a step is possible now."""


def never() -> bool:
    """The `enabled` of a step that only a deadline ends."""
    return False


class SimulatedThread(Thread):
    """A `Thread`, its coroutine, and the step it is about to make."""

    __slots__ = (
        "arrival",
        "clock",
        "coroutine",
        "deadline",
        "enabled",
        "ended",
        "expired",
        "last_id",
        "loop",
        "mode",
        "number",
        "resource",
        "what",
    )

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        # How many threads were started before it.
        self.number = number
        # The last id that was given to something it made.  Each thread counts its own.  So the ids
        # are the same whatever other threads do meanwhile, and a resource has one name in all
        # schedules.
        self.last_id = number << 32
        self.clock = VectorClock(number)
        self.coroutine: Coroutine
        self.resource: object = None
        self.mode = READ
        # What it waits for, in messages.
        self.what: object = "its turn"
        self.enabled: Enabled | None = None
        self.deadline: int | None = None
        # Whether its deadline has passed.
        self.expired = False
        # When it began to wait, counted in steps of all threads.
        self.arrival = 0
        # What it knew at its end; `None` while it runs.
        self.ended: Stamp | None = None
        # The loop that it will never leave, in words.
        self.loop = ""

    def able(self) -> bool:
        """Whether it can go on if it is chosen."""
        return self.expired or self.enabled is None or bool(self.enabled())


class Schedule(Protocol):
    """Which thread goes on, step by step."""

    logs: bool
    """Whether the footprints of the steps are kept for it, in `Steps.log`."""
    script: list[int]
    """The numbers of the threads that make the first steps, or `TIME`.

    The last entry comes first.  The list is used up.
    """

    def choose(self, steps: Steps, /) -> SimulatedThread | None:
        """One of `steps.threads` that is able, or `None`: let time pass.

        `None` is a deadlock if time cannot pass.
        """
        ...

    def end(self, steps: Steps, /) -> None:
        """The last step has been made: the seam has been closed, or something is wrong."""
        ...


_arrival = attrgetter("arrival")


def _no_log(access: Access) -> None:
    """Drop the access: the schedule wants no log."""


class Steps:
    """The threads of one seam, the steps they make, and the time."""

    def __init__(self, schedule: Schedule, eager: bool) -> None:
        # Whether a thread goes on as long as it can; only when it waits is the schedule asked.
        # `FirstCome` would choose the same thread.  So this saves time and changes no order.
        self.eager = eager
        self.schedule = schedule
        self.script = schedule.script
        self._scripted_steps = len(self.script)
        # Nanoseconds of virtual time.
        self.time = 0
        # The threads that have not ended.
        self.threads: list[SimulatedThread] = []
        # Every thread there was, by its number.
        self.started_ones: list[SimulatedThread] = []
        # The footprints of all steps, one after the other, if the schedule wants them.
        self.log: list[Access] = []
        # Add an access to the footprint of the step under way.
        self.declare: Callable[[Access], None] = self.log.append if schedule.logs else _no_log
        self.main: SimulatedThread
        self.running: SimulatedThread
        # What the adopted thread is to raise at its next step.
        self.failure: BaseException | None = None
        # The first time that no thread could go on.  A program may catch what it raises then, and
        # go on all the same.
        self.stuck: Exception | None = None
        self._arrivals = 0
        # Whether a thread has ever had a deadline.  In most runs none has: `armed` is quick.
        self._deadlines = False
        # The thread that waits until the one it has started comes to its first wait.
        self._starter: SimulatedThread | None = None
        # Whether no thread may make another step.
        self._closed = False
        # Why, if a step found something wrong.
        self._given_up: BaseException | None = None

    def step(
        self,
        resource: object = None,
        mode: Mode = READ,
        enabled: Enabled | None = None,
        deadline: int | None = None,
        what: object = None,
    ) -> bool:
        """Wait for the turn to use `resource`.  `False` if it is not possible by the deadline.

        `enabled` tells whether the use is possible now; `None` means always.  `deadline` is in
        nanoseconds of virtual time; `None` is no deadline.  `what` names what the thread waits for,
        in messages.  Without a resource other threads may run here, and what this one uses next is
        declared by itself.

        Called by the running thread only.  Raises in the adopted thread what another thread has
        left for it, and a `Deadlock`; in every thread, once the seam is closed, `Unwound`.
        """
        # Nothing is declared: where a schedule is eager, no search listens.
        if self.eager and (enabled is None or enabled()) and not self._closed:
            return True
        if self._closed:
            # A thread that is being unwound may make steps in its `finally` blocks.  They do
            # nothing and raise again.  The error that counts is why the run was given up.
            raise self._given_up or Unwound
        me, script = self.running, self.script
        me.expired = False
        # A search repeats the first steps of a run thousands of times.  So where the script chooses
        # the running thread again, this is a short way through what follows, to the same effect.
        if script and script[-1] == me.number and deadline is None and self._starter is None:
            if enabled is None or enabled():
                script.pop()
                self.declare((resource, mode))
                return True
        # What the thread is about to do stands in the thread, where the schedule can look at it.
        me.resource, me.mode, me.enabled, me.deadline, me.what = (
            resource, mode, enabled, deadline, what,
        )  # fmt: skip
        self._arrivals += 1
        me.arrival = self._arrivals
        if deadline is not None:
            # From here on time can pass, if it could not before.  So this is declared before the
            # thread waits: it belongs to the step that ends here.
            self._deadlines = True
            self.declare((CLOCK, READ))
        chosen = self._next()
        if chosen is not me:
            chosen.coroutine.switch()  # returns when this thread is chosen again
            self.running = me
        # With a failure `_choose` chooses the adopted thread.  So this is that thread.
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        # After the switch: what is declared from here on belongs to the step that begins now.
        self.declare((resource, mode))
        if deadline is None:
            return True
        # What is possible could have been done before the deadline passed as well as after.  If it
        # is not possible, only the passing of time has let the thread go on.
        possible = enabled is None or bool(enabled())
        self.declare((CLOCK, READ if possible else AWAIT))
        return possible

    def _next(self) -> SimulatedThread:
        """The thread that goes on: the one that waits for another to settle, or the one chosen."""
        if self._starter is None:
            return self._choose()
        starter, self._starter = self._starter, None
        return starter

    def _choose(self) -> SimulatedThread:
        # A failure is raised by the adopted thread before any other thread makes a step.
        while self.failure is None:
            chosen = self._scripted() if self.script else self.schedule.choose(self)
            if chosen is not None:
                return chosen
            if self.failure is None and not self._let_time_pass():
                self.failure = self._no_way_on()
                self.stuck = self.stuck or self.failure
        # What the program does after a failure is clearing up, and no longer what was explored.
        self.schedule.end(self)
        return self.main

    def _scripted(self) -> SimulatedThread | None:
        """The thread that the script names next, or `None`: let time pass."""
        number = self.script.pop()
        if number == TIME and self.armed():
            return None
        if 0 <= number < len(self.started_ones) and self.started_ones[number].able():
            return self.started_ones[number]
        name = "time" if number == TIME else f"thread {number}"
        step = self._scripted_steps - len(self.script)
        self.give_up(Nondeterministic(f"at step {step} {name} could not go on"))
        return None

    def _no_way_on(self) -> EmulatorHang | Deadlock:
        """What to raise when no thread can go on any more.

        A thread that loops for ever holds what the others wait for, so the loop is the cause.
        """
        for thread in self.threads:
            if thread.loop:
                place = standing(thread.coroutine.frame())
                return EmulatorHang(f"{thread.name} {thread.loop}", place)
        waiting, places = [], []
        made = len(self.log)
        for thread in self.threads:
            place = standing(thread.coroutine.frame())
            line = f"{thread.name} waits for {thread.waits_for or thread.what}"
            # A thread of the emulator's own that waits for work stands at no line of the program.
            if place is not None:
                line += f"; it stands at {where(place)}"
                places.append(where(place))
            waiting.append(line)
        # What a thread waits for may be said by looking at what threads share.  No step has done
        # that, so the search must not hear of it.
        del self.log[made:]
        return Deadlock(waiting, places)

    # What a schedule asks.

    def able(self) -> list[SimulatedThread]:
        """The threads that can go on."""
        # `t.able()`, written out: every schedule asks this at every step.
        return [t for t in self.threads if t.expired or t.enabled is None or t.enabled()]

    def in_turn(self) -> list[SimulatedThread]:
        """The threads that can go on, in the order in which first come would let them."""
        able = self.able()
        if len(able) > 1:
            able.sort(key=_arrival)
            # The running thread has arrived last.  First come keeps it running all the same.
            if able[-1] is self.running and not self.running.expired:
                able.insert(0, able.pop())
        return able

    def armed(self) -> bool:
        """Whether time can pass: whether a thread has a deadline to come."""
        return self._deadlines and any(
            t.deadline is not None and not t.expired for t in self.threads
        )

    def _let_time_pass(self) -> bool:
        """Let time pass to the earliest deadline.  `False` if there is none."""
        waiting = [t for t in self.threads if t.deadline is not None and not t.expired]
        if not waiting:
            return False
        # A deadline may lie in the past, and time does not go back for it.
        self.time = max(self.time, min(t.deadline for t in waiting if t.deadline is not None))
        for thread in waiting:
            thread.expired = thread.deadline is not None and thread.deadline <= self.time
        self.declare((CLOCK, WRITE))
        return True

    def new_id(self) -> int:
        """A resource of its own, for something that is made now."""
        self.running.last_id += 1
        return self.running.last_id

    def give_up(self, why: BaseException) -> None:
        """Raise `why` in the adopted thread next, and let no thread make another step.

        For what is wrong with the run itself, such as a script that names a thread that cannot go
        on.  Each later step raises it again, so no `except` in the program can hide it.
        """
        self.failure = self._given_up = why
        self._closed = True
