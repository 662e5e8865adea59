"""The seam: what the runtime needs of threads, and nothing else.

There are two implementations, `simulated.SimulatedThreads` and `native.NativeThreads`.  The runtime
is written once, against the protocols below.  Nothing above this package imports `threading`,
`time`, `queue` or `greenlet`.

The seam is small on purpose.  A runtime thread blocks on a mutex, on a queue, on a condition, on
another thread's end, on a deadline, or on a socket; there is no other way to wait.  Times are
integer nanoseconds on the seam's own clock; a deadline is a point on that clock, not a duration.

The way through this file: `Mode`, how a step uses what threads share; what they share and block on,
from `Cell` to `Work`; last `Threads`, which makes all of these.  A `Thread`, and how to ask for the
running one, stand in `thread`; sockets, and how to wait for many of them, in `sockets`.

What holds for every method, so that no docstring repeats it:

* Any thread of the seam may call it, unless its docstring says otherwise.
* On simulated threads each call that may block is a step.  A step raises, in the adopted thread,
  `Deadlock` or `EmulatorHang` if no thread can go on any more, and what `interrupt` or a crashed
  thread left for it.  After `close` it unwinds the thread that makes it.
* On OS threads a thread that waits for ever waits for ever.
"""

from __future__ import annotations

import queue as _queue
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any, NoReturn, Protocol, TypeVar

from driverref.threads.sockets import Poll as Poll
from driverref.threads.sockets import Socket as Socket
from driverref.threads.thread import OUTSIDE as OUTSIDE
from driverref.threads.thread import Thread as Thread
from driverref.threads.thread import current as current
from driverref.threads.thread import running as running
from driverref.threads.thread import running_thread as running_thread

Empty = _queue.Empty
"""Raised where there is no item.  The standard library's own, so its queues need no wrapping."""


class Mode(IntEnum):
    """How a step uses a resource.

    Two steps *depend* on each other if both use one resource and one of them writes it.  A search
    of the schedules tries both orders of dependent steps and only one order of independent steps.
    """

    READ = 0
    WRITE = 1
    AWAIT = 2
    """Read what another step has to write first: the two cannot change places."""
    ACQUIRE = 3
    """Write a lock, which has to be free, or the head of a queue, which must not be empty.

    It can change places with another acquisition, not with the release or the item that it needs.
    """


READ, WRITE, AWAIT, ACQUIRE = Mode


SPURIOUS = "a wake-up without a signal"
LATE = "an exit signal that is noticed late"
ALLOCATION = "an allocation that fails"
"""The kinds of `Threads.chance`."""

T = TypeVar("T")


class Cell(Protocol[T]):
    """One value that threads share.  Each use but `peek` is declared to the search; see `cells`."""

    value: T
    """To read it is declared as a read, to assign to it as a write."""

    def change(self) -> T:
        """Return the value, to be changed in place; declared as a write."""
        ...

    def peek(self) -> T:
        """Return the value and declare nothing.

        Only for a question that no other thread can change the answer to, such as "does this thread
        hold the lock?".
        """
        ...


class Mutex(AbstractContextManager[bool], Protocol):
    """A lock that is not recursive.  `with mutex:` holds it in the block."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock and return `True`; `False` if it is held and `blocking` is false.

        A thread that holds the lock already waits for itself.
        """
        ...

    def release(self) -> None:
        """Give the lock up.  Only the thread that holds it calls this."""
        ...


class Condition(Protocol):
    """A condition variable.  Every caller holds the mutex that it was made with."""

    def wait(self) -> object:
        """Release the mutex, wait for a notification, and take the mutex again.

        It may return without one, so the caller looks again at what it waits for.
        """
        ...

    def notify(self) -> None:
        """Wake the thread that has waited longest, if one waits."""
        ...

    def notify_all(self) -> None:
        """Wake every thread that waits."""
        ...


class Queue(Protocol):
    """A FIFO without a bound.  Any number of threads may put and get."""

    def put(self, item: object) -> None:
        """Add an item.  Never blocks; on simulated threads another thread may run before."""
        ...

    def put_at_once(self, item: object) -> None:
        """Add an item, and let no other thread run before."""
        ...

    def get(self) -> Any:
        """Return the oldest item.  Waits until there is one."""
        ...

    def get_nowait(self) -> Any:
        """Return the oldest item; raise `Empty` if there is none."""
        ...

    def get_until(self, deadline: int | None) -> Any:
        """Return the oldest item, or `EXPIRED` if none came before `deadline`.

        `deadline` is in nanoseconds of the seam's clock; `None` is no deadline.
        """
        ...

    def empty(self) -> bool:
        """Whether there is no item.  A hint: another thread may have changed that already."""
        ...


class Work(Protocol):
    """A FIFO of work with a server: any thread adds, the server waits for work and takes it.

    On OS threads it costs more to wake the server than to do the work.  So a thread that is about
    to wait for something else may *attend*: until it *leaves*, it is woken for new work in the
    server's place, and takes it.
    """

    def add(self, item: object) -> None:
        """Add an item, and wake the server or the thread that attends.  Never blocks."""
        ...

    def add_at_once(self, item: object) -> None:
        """The same, and no other thread runs before."""
        ...

    def wait(self, deadline: int | None) -> None:
        """Return when there is work or when `deadline` has passed, in ns of the seam's clock.

        It may return for nothing.  `None` is no deadline.  Only the server calls this.
        """
        ...

    def take(self) -> Any:
        """Return the oldest item; raise `Empty` if there is none.

        One thread at a time: the callers have a lock for that.
        """
        ...

    def attend(self, wake: Callable[[None], object]) -> bool:
        """Have `wake(None)` called when there is work, on the thread that adds it.

        `False`, and nothing is changed, if the server is awake or another thread attends.
        """
        ...

    def leave(self) -> None:
        """End what `attend` began.  Work that is left is the server's."""
        ...

    def ring(self) -> None:
        """Make the server, and no other thread, return from `wait`: its deadline has changed."""
        ...


class _Expired:
    def __repr__(self) -> str:
        return "EXPIRED"


EXPIRED = _Expired()
"""What `Queue.get_until` returns when the deadline has passed."""


Crashed = Callable[[BaseException], BaseException | None]
"""Takes the exception that left a thread; returns what the adopted thread should raise, if any."""


class Threads(Protocol):
    """One implementation of the seam.  An emulator makes one and never shares it."""

    simulated: bool
    """Whether other threads run only at steps, and never between two of them."""
    stuck: Exception | None
    """Why no thread could go on the first time, as the adopted thread got it."""

    # Time, in nanoseconds on this seam's clock.

    def now(self) -> int:
        """Return the time, for the record only: no decision may depend on it.

        It is no step, so a search does not know that the caller has read the clock.
        """
        ...

    def read_clock(self) -> int:
        """Return the time, for a caller that acts on it or computes a deadline from it."""
        ...

    time_offset: int
    """Nanoseconds to add to the clock for the time of day, which counts from 1970."""

    def sleep(self, ns: int) -> None:
        """Wait until `ns` nanoseconds have passed.  0 only lets other threads go first."""
        ...

    # What threads block on.  A name is what a `Deadlock` says that a thread waits for.

    def mutex(self, name: str) -> Mutex:
        """Make a mutex."""
        ...

    def guard(self, name: str) -> AbstractContextManager[object]:
        """Make a lock for a few statements in which its holder makes no step.

        On simulated threads no other thread runs between steps, so it locks nothing there.
        """
        ...

    def acquire_patiently(self, mutex: Mutex) -> None:
        """Acquire a mutex that other threads take and release all the time.

        On OS threads a lock with a waiting thread makes each release a system call.  So this tries
        a while before it waits.
        """
        ...

    def condition(self, mutex: Mutex, name: str) -> Condition:
        """Make a condition variable that belongs to `mutex`, which this seam has made."""
        ...

    def queue(self, name: str) -> Queue:
        """Make a queue."""
        ...

    def work(self, name: str) -> Work:
        """Make a queue of work for one server."""
        ...

    def socketpair(self) -> tuple[Socket, Socket]:
        """Make two sockets that are connected with each other."""
        ...

    def poll(self, name: str) -> Poll:
        """Make what one thread can wait for many sockets with."""
        ...

    # What threads share.

    def cell(self, value: T) -> Cell[T]:
        """Make a cell that has this value."""
        ...

    def table(self) -> MutableMapping[Any, Any]:
        """Make an empty table.  A key has to be equal in every run of the same schedule."""
        ...

    def counter(self) -> Iterator[int]:
        """Make a counter: 1, 2, 3 and so on, for numbers that threads draw."""
        ...

    def new_id(self) -> int:
        """Return an unused resource, for something that is made now.

        A resource is anything that can be a key of a dict and is equal in every run of the same
        schedule.
        """
        ...

    def step(self, resource: object = None, mode: Mode = READ) -> bool:
        """Let another thread run before this one uses `resource`.  Returns `True`.

        On OS threads this does nothing.  Without a resource, what is used next, such as a cell,
        declares itself.
        """
        ...

    def chance(self, kind: str) -> bool:
        """Whether something of this `kind` happens here that mostly does not.

        A step in a search that tries this kind of chance, which tries both; `False` elsewhere.
        """
        ...

    def load(self, resource: object) -> None:
        """Make a step that reads an atomic, and with it learns what its last writer knew."""
        ...

    def atomically(self, resource: object, reads: bool = True) -> AbstractContextManager[object]:
        """`with atomically(resource):` write an atomic, and let no other thread come between.

        With `reads`, the block reads it as well and learns what its last writer knew.  The block
        makes no step.
        """
        ...

    # Threads.

    def adopt(self, name: str) -> Thread:
        """Make the calling thread, which the seam did not start, its first thread.  Called once."""
        ...

    def start(
        self, name: str, target: Callable[[], None], crashed: Crashed, settle: bool = False
    ) -> Thread:
        """Start a thread.  An exception that leaves `target` goes to `crashed`, on that thread.

        On simulated threads the adopted thread raises what `crashed` returns, at its next step; on
        OS threads nothing can make it.  With `settle`, a simulated thread reaches its first wait
        before this returns; no other thread runs meanwhile.
        """
        ...

    def join(self, thread: Thread) -> None:
        """Wait until `thread`, which this seam has started, has ended."""
        ...

    def interrupt(self, error: BaseException) -> bool:
        """Make the adopted thread raise `error` at its next step, before any other thread runs.

        `False` on OS threads, where that cannot be done.
        """
        ...

    def spin(self, loop: str) -> NoReturn:
        """Loop for ever, as `loop` says in words, such as `"loops in driver_async_cancel"`.

        On simulated threads, when no other thread can go on, the adopted thread raises an
        `EmulatorHang`.  On OS threads such a loop cannot be told from a long one, so the running
        thread raises it at once.
        """
        ...

    def close(self) -> None:
        """End the use of the seam.  The adopted thread calls this once, and belongs to none then.

        Simulated threads that have not ended are unwound and run no further.  On OS threads every
        queue is emptied and gives one `None`, so that the thread that serves it can end; a thread
        that waits for something else stays behind, as a daemon.
        """
        ...
