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

Time is virtual.  It may pass at any step, to the earliest deadline, because a thread may be
arbitrarily slow and a timeout may win any race.  At a step that is a `chance`, something may happen
that mostly does not, such as a wake-up without a signal.  So a choice is a thread, or time, or the
other way of a thread: a number (`choice`).

If no thread can go on and there is no deadline, every thread waits for ever.  Then the adopted
thread, the one that runs the reader's program, gets a `Deadlock` that says what each thread waits
for.  If the threads go on and on instead, because one of them polls something that never comes, the
schedule's `step_limit` ends the run with a `Livelock`.

A thread that has made `TURN` steps in a row lets the others go first, as a process does whose
reductions are used up.  So a thread that polls does not keep from running what it polls for.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Protocol

from driverref.diagnostics import where
from driverref.errors import Deadlock, EmulatorHang, Livelock, Nondeterministic
from driverref.threads import AWAIT, READ, WRITE, Mode, Thread
from driverref.threads.choice import TIME, named, other_way, thread_of
from driverref.threads.clocks import Stamp, VectorClock
from driverref.threads.coroutine import Coroutine, Unwound

CLOCK = "the clock"
"""The resource that a deadline reads, to be computed, kept or given up, and passing time writes."""

EXPIRY = "the deadline of a thread"
"""With a thread's number the resource that passing time writes when it ends the thread's wait."""

TURN = 1_000
"""How many steps a thread may make in a row while another could go on."""


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
        "chance",
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
        "other_way",
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
        # Whether its step has another way, and whether that was chosen.
        self.chance = self.other_way = False
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
    chances: frozenset[str]
    """The kinds of chance that it tries."""
    step_limit: int | None
    """How many steps a run may have."""
    took_turns: bool
    """Set when a thread has to let the others go first."""
    script: list[int]
    """The choices of the first steps.  The last entry comes first.  The list is used up."""

    def choose(self, steps: Steps, /) -> int | None:
        """One of the choices there are, such as those of `steps.in_turn()`; `None` if none is."""
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
        # The threads that have not ended, by their numbers.
        self.threads: dict[int, SimulatedThread] = {}
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
        # Steps made, and how many of them when the running thread took its turn.
        self.made = self._turn_began = 0
        # Whether a thread has ever had a deadline.  In most runs none has: `armed` is quick.
        self._deadlines = False
        # The thread that waits until the one it has started comes to its first wait.
        self._starter: SimulatedThread | None = None
        # Whether no thread may make another step.
        self._closed = False
        # Whether the stack of a thread was full in the middle of a choice.  It is the thread's own
        # error, but the schedule may have done only a part of what it does at a step.
        self.torn = False
        # Why, if a step found something wrong.
        self._given_up: BaseException | None = None

    def step(
        self,
        resource: object = None,
        mode: Mode = READ,
        enabled: Enabled | None = None,
        deadline: int | None = None,
        what: object = None,
        chance: bool = False,
    ) -> bool:
        """Wait for the turn to use `resource`.  `False` if it is not possible by the deadline.

        `enabled` tells whether the use is possible now; `None` means always.  `deadline` is in
        nanoseconds of virtual time; `None` is no deadline.  `what` names what the thread waits for,
        in messages.  Without a resource other threads may run here, and what this one uses next is
        declared by itself.  With `chance`, the step has another way, and afterwards `other_way` of
        the thread says whether that was chosen.

        Called by the running thread only.  Raises in the adopted thread what another thread has
        left for it, and a `Deadlock`; in every thread, once the seam is closed, `Unwound`.
        """
        self.made += 1
        # Nothing is declared: where a schedule is eager, no search listens.
        if self.eager and (enabled is None or enabled()) and not self._closed:
            if self.made - self._turn_began < TURN:
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
            if (enabled is None or enabled()) and not chance:
                script.pop()
                self.declare((resource, mode))
                return True
        me.coroutine.check_running()
        # What the thread is about to do stands in the thread, where the schedule can look at it.
        me.resource, me.mode, me.enabled, me.deadline, me.what, me.chance = (
            resource, mode, enabled, deadline, what, chance,
        )  # fmt: skip
        self._arrivals += 1
        me.arrival = self._arrivals
        if deadline is not None:
            # From here on time can pass, if it could not before.  So this is declared before the
            # thread waits: it belongs to the step that ends here.
            self._deadlines = True
            self.declare((CLOCK, READ))
        try:
            chosen = self._next()
        except RecursionError:
            self.torn = True
            raise
        if chosen is not me or self.made - self._turn_began >= TURN:
            self._turn_began = self.made
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
        # But how often time has passed since then makes no difference.
        self.declare((CLOCK, READ) if possible else ((EXPIRY, me.number), AWAIT))
        return possible

    def _next(self) -> SimulatedThread:
        """The thread that goes on: the one that waits for another to settle, or the one chosen."""
        if self._starter is None:
            return self._choose()
        starter, self._starter = self._starter, None
        return starter

    def _choose(self) -> SimulatedThread:
        limit = self.schedule.step_limit
        if limit is not None and self.made > limit and self.failure is None:
            self.failure = Livelock(limit, *self._told(self.able()))
            self.stuck = self.stuck or self.failure
        # A failure is raised by the adopted thread before any other thread makes a step.
        while self.failure is None:
            choice = self._scripted() if self.script else self.schedule.choose(self)
            if self.failure is not None:
                break
            if choice is None:
                self.failure = self._no_way_on()
                self.stuck = self.stuck or self.failure
            elif choice == TIME:
                self._let_time_pass()
            else:
                chosen = self.threads[thread_of(choice)]
                chosen.other_way = choice < 0
                return chosen
        # What the program does after a failure is clearing up, and no longer what was explored.
        self.schedule.end(self)
        return self.main

    def _scripted(self) -> int:
        """The script's next choice."""
        choice = self.script.pop()
        if not self.possible(choice):
            step = self._scripted_steps - len(self.script)
            self.give_up(Nondeterministic(f"at step {step} {named(choice)} could not go on"))
        return choice

    def _no_way_on(self) -> EmulatorHang | Deadlock:
        """What to raise when no thread can go on any more.

        A thread that loops for ever holds what the others wait for, so the loop is the cause.
        """
        for thread in self.threads.values():
            if thread.loop:
                place = thread.coroutine.standing()
                return EmulatorHang(f"{thread.name} {thread.loop}", place)
        return Deadlock(*self._told([]))

    def _told(self, going: list[SimulatedThread]) -> tuple[list[str], list[str]]:
        """What each thread does, those that are `going` on first, and the places of all."""
        lines, places, made = [], [], len(self.log)
        for thread in [*going, *(t for t in self.threads.values() if t not in going)]:
            waits = f"waits for {thread.waits_for or thread.what}"
            line = f"{thread.name} {'goes on' if thread in going else waits}"
            # A thread of the emulator's own that waits for work stands at no line of the program.
            if (place := thread.coroutine.standing()) is not None:
                line += f"; it stands at {where(place)}"
                places.append(where(place))
            lines.append(line)
        # What a thread waits for may be said by looking at what threads share.  No step has done
        # that, so the search must not hear of it.
        del self.log[made:]
        return lines, places

    # What a schedule asks.

    def able(self) -> list[SimulatedThread]:
        """The threads that can go on."""
        # `t.able()`, written out: every schedule asks this at every step.
        return [t for t in self.threads.values() if t.expired or t.enabled is None or t.enabled()]

    def in_turn(self) -> list[int]:
        """All choices there are, in the order in which first come would make them.

        The threads come first, then `TIME`, and last the other ways.
        """
        able = self.able()
        if len(able) > 1:
            able.sort(key=_arrival)
            # The running thread has arrived last.  First come keeps it running all the same.
            if able[-1] is self.running and not self.running.expired:
                if self.made - self._turn_began >= TURN:
                    self.schedule.took_turns = True
                    return [able[0].number]
                able.insert(0, able.pop())
        choices = [t.number for t in able]
        if self.armed():
            choices.append(TIME)
        choices += [other_way(t.number) for t in able if t.chance]
        return choices

    def possible(self, choice: int) -> bool:
        """Whether a choice can be made now."""
        if choice == TIME:
            return self.armed()
        thread = self.threads.get(thread_of(choice))
        return thread is not None and thread.able() and (choice >= 0 or thread.chance)

    def armed(self) -> bool:
        """Whether time can pass: whether a thread has a deadline to come."""
        return self._deadlines and any(
            t.deadline is not None and not t.expired for t in self.threads.values()
        )

    def _let_time_pass(self) -> None:
        """Let time pass to the earliest deadline."""
        waiting = [t for t in self.threads.values() if t.deadline is not None and not t.expired]
        # A deadline may lie in the past, and time does not go back for it.
        self.time = max(self.time, min(t.deadline for t in waiting if t.deadline is not None))
        self.declare((CLOCK, WRITE))
        for thread in waiting:
            if thread.deadline is not None and thread.deadline <= self.time:
                thread.expired = True
                self.declare(((EXPIRY, thread.number), WRITE))

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
