"""What simulated threads block on: each primitive is a step or two.

A mutex is an owner whose `acquire` is a step enabled while there is none.  A queue is a deque whose
`get` is a step enabled while it is not empty.  Which resource a step uses, and in which `Mode`,
stands beside it.  A search of the schedules knows nothing else of the primitives.

Why a queue is many resources.  Its *tail* is written by each put and its *head* by each get.  Each
item has a *slot* of its own, which one put writes and one get reads.  So the order of two puts
matters, and the order of two gets, and each get comes after its own put.  But to put a new item in
at one end does not depend on taking an old one out at the other.  With one resource for the whole
queue a search would try both orders of every put and every get, for the same outcomes.

The tail of the queue with id n is the resource n, its head -n, its slots (n, 0), (n, 1) and so on.

What happened before is handed on with the item, the lock or the signal, as a stamp (see `clocks`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from driverref.threads import ACQUIRE, AWAIT, EXPIRED, READ, WRITE, Empty, Mode
from driverref.threads.clocks import Stamp

if TYPE_CHECKING:
    from driverref.threads.steps import SimulatedThread, Steps


class Named:
    """Something a thread can use or wait for; prints as its name, for a `Deadlock`."""

    def __init__(self, threads: Steps, name: str) -> None:
        self.threads = threads
        self.name = name
        # The same in all schedules that agree up to the step in which this was made.
        self.id = threads.new_id()

    def __str__(self) -> str:
        return self.name


class Guard(Named):
    """Around a few statements without a step.

    No other thread can run between them, so it locks nothing.
    """

    def __enter__(self) -> None:
        # The statements use what the guard guards, so two such blocks depend on each other.
        self.threads.declare((self.id, ACQUIRE))

    def __exit__(self, *error: object) -> None:
        pass


class SimulatedMutex(Named):
    """A lock.  To acquire it is a step, to release it is not."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(threads, name)
        self.owner: SimulatedThread | None = None
        # What the last owner knew when it released the lock.
        self.stamp: Stamp | None = None

    def __str__(self) -> str:
        return self.name if self.owner is None else f"{self.name}, held by {self.owner.name}"

    def free(self) -> bool:
        """Whether no thread holds it."""
        return self.owner is None

    def acquire(self, blocking: bool = True) -> bool:
        threads = self.threads
        if blocking:
            # The step is enabled only while the lock is free.  So a thread that is chosen gets it,
            # and no schedule is spent on one that looks and has to wait again.
            threads.step(self.id, ACQUIRE, self.free, None, self)
        else:
            # To try is possible while the lock is held, and what it finds depends on a release as
            # well as on another acquisition.  So it is a WRITE, which changes places with both.
            # If it succeeds it is an acquisition like any other, and a later one depends on it.
            threads.step(self.id, WRITE)
            if self.owner is not None:
                return False
            threads.declare((self.id, ACQUIRE))
        self.owner = me = threads.running
        if self.stamp is not None:
            me.clock.join(self.stamp)
        return True

    def release(self) -> None:
        # No step: that another thread goes on here or at the owner's next step makes no difference.
        # The WRITE is what the next acquisition waits for and depends on.
        owner = self.owner
        assert owner is not None
        self.threads.declare((self.id, WRITE))
        self.stamp = owner.clock.stamp()
        self.owner = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        # A thread that is unwound while it waits in a condition has no lock to release.
        if self.owner is not None:
            self.release()


class SimulatedCondition(Named):
    """A condition variable: waiting threads stand in line, `notify` lets the first one go.

    The line is one resource, unlike a queue.  Every caller holds the mutex, and that orders them
    already; nothing is gained by telling one end of the line from the other.
    """

    def __init__(self, threads: Steps, mutex: SimulatedMutex, name: str) -> None:
        super().__init__(threads, name)
        self.mutex = mutex
        self.waiters: deque[_Ticket] = deque()

    def wait(self) -> None:
        # To stand in line and to release the mutex are one step, so no `notify` comes between.
        threads = self.threads
        ticket = _Ticket(threads.new_id())
        threads.declare((self.id, WRITE))
        self.waiters.append(ticket)
        self.mutex.release()
        # The ticket is a resource of its own, so that a thread depends on the call that woke it and
        # on no other.
        threads.step(ticket.id, AWAIT, ticket.called, None, self)
        threads.running.clock.join(ticket.stamp)
        # Another thread may take the mutex first and change what this one waits for.  So the caller
        # looks again, here as on OS threads.
        self.mutex.acquire()

    def notify(self) -> None:
        self.threads.step(self.id, WRITE)
        if self.waiters:
            self._call(self.waiters.popleft())

    def notify_all(self) -> None:
        self.threads.step(self.id, WRITE)
        while self.waiters:
            self._call(self.waiters.popleft())

    def _call(self, ticket: _Ticket) -> None:
        self.threads.declare((ticket.id, WRITE))
        ticket.stamp = self.threads.running.clock.stamp()


class _Ticket:
    """A place in a condition's line."""

    __slots__ = ("id", "stamp")

    def __init__(self, number: int) -> None:
        self.id = number
        # What the notifying thread knew; `None` until it calls.
        self.stamp: Stamp | None = None

    def called(self) -> bool:
        """Whether the thread that has this place was notified."""
        return self.stamp is not None


class SimulatedQueue(Named):
    """A FIFO.  The id is its tail; see the head of this file."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(threads, name)
        self.items: deque[tuple[Any, Stamp]] = deque()
        # How many items were put in and taken out: the numbers of the next slots.
        self.puts = self.gets = 0

    def put(self, item: object) -> None:
        # Another thread may put first: that is the whole choice, so the tail is all it uses.
        self.threads.step(self.id, WRITE, what=self)
        self.put_at_once(item)

    def put_at_once(self, item: object) -> None:
        threads = self.threads
        threads.declare((self.id, WRITE))
        # The slot ties this put to the get that takes the item, and to no other get.
        threads.declare(((self.id, self.puts), WRITE))
        self.puts += 1
        self.items.append((item, threads.running.clock.stamp()))

    def get(self) -> Any:
        # Enabled only while there is an item.  So the put comes first in every schedule, and a
        # search need not try the other order: `AWAIT`.
        self.threads.step(-self.id, ACQUIRE, self.items.__len__, None, self)
        return self._taken(AWAIT)

    def get_nowait(self) -> Any:
        # Always enabled: a schedule in which it comes before the put finds no item.
        self.threads.step(-self.id, ACQUIRE, what=self)
        return self._taken(READ)

    def get_until(self, deadline: int | None) -> Any:
        self.threads.step(-self.id, ACQUIRE, self.items.__len__, deadline, self)
        # If the item has let this thread go on, the get could not come before its put.  If the
        # deadline has, the item may be there or not, and both orders are possible.
        try:
            return self._taken(READ if self.threads.running.expired else AWAIT)
        except Empty:
            return EXPIRED

    def empty(self) -> bool:
        # Not declared: on simulated threads nothing that the runtime does depends on the hint.
        return not self.items

    def _taken(self, mode: Mode) -> Any:
        """Take the oldest item, or raise `Empty`.

        `mode` is `AWAIT` if this get could not come before its put, `READ` if it could have and
        would have found no item.
        """
        threads = self.threads
        # Also where there is no item: then this depends on the put that has not come yet.
        threads.declare(((self.id, self.gets), mode))
        if not self.items:
            raise Empty
        self.gets += 1
        item, stamp = self.items.popleft()
        threads.running.clock.join(stamp)
        return item


class SimulatedWork(SimulatedQueue):
    """A FIFO with a server.  To wake the server costs nothing, so no thread has to attend.

    Only the server takes.  What is there stays there for it, so to take it is no step of its own.
    """

    add, add_at_once = SimulatedQueue.put, SimulatedQueue.put_at_once

    def wait(self, deadline: int | None) -> None:
        # Only the server uses the head.  What other threads do matters to it by way of the slot.
        threads = self.threads
        threads.step(-self.id, WRITE, self.items.__len__, deadline, self)
        threads.declare(((self.id, self.gets), READ if threads.running.expired else AWAIT))

    def take(self) -> Any:
        return self._taken(READ)

    def attend(self, wake: Callable[[None], object]) -> bool:
        return False

    def leave(self) -> None:
        pass

    def ring(self) -> None:
        self.add(_wake_only)


def _wake_only() -> None:
    """Do nothing: work that is added to wake the server."""
