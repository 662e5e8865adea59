"""The seam: what the runtime needs of threads, and nothing else.

There are two implementations, `simulated.SimulatedThreads` and `native.NativeThreads`.  The runtime is
written once, against the protocols below.  Nothing above this package imports `threading`, `time`,
`queue` or `greenlet`.

The seam is small on purpose.  A runtime thread blocks on a mutex, on a queue, on a condition, on
another thread's end, on a deadline, or on a socket; there is no other way to wait.  Times are integer
nanoseconds on the seam's own clock; a deadline is a point on that clock, not a duration.
"""

from __future__ import annotations

import queue as _queue
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from enum import IntEnum
from typing import Any, NoReturn, Protocol, TypeVar

from driverref.errors import Misuse


class Thread:
    """One thread, of either kind, and what the layers above hang on it.

    Each layer sets only its own attribute: `runtime` and `scheduler` the runtime, `process` the
    Erlang side, `tsd` and `errno` the driver's side.
    """

    __slots__ = ("errno", "lane", "name", "process", "runtime", "scheduler", "tsd", "waits_for")

    def __init__(self, name: str) -> None:
        self.name = name
        """Who it is, for messages: `"async 2"`, `"process <0.1.0>"`."""
        self.lane = name
        """Where its events are drawn: a process's thread draws on its scheduler's lane."""
        self.runtime: Any = None
        self.scheduler: Any = None
        self.process: Any = None
        self.tsd: dict[int, object] = {}
        self.errno = 0
        self.waits_for = ""
        """What it waits for, in the words of a layer above that knows better than the seam."""

    def as_driver(self) -> AsDriver:
        """`with thread.as_driver():` the thread runs the driver's code or the emulator's, and is no process meanwhile."""
        return AsDriver(self)


class AsDriver:
    """The block in which a thread is no process."""

    __slots__ = ("_process", "_thread")

    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    def __enter__(self) -> None:
        self._process, self._thread.process = self._thread.process, None

    def __exit__(self, *error: object) -> None:
        self._thread.process = self._process


NOBODY = Thread("a thread without an emulator")


running_thread: ContextVar[Thread] = ContextVar("the running thread", default=NOBODY)
"""`running_thread.get()` is the `Thread` that is running, or `NOBODY` where no emulator has adopted the thread.

A context variable, because an OS thread and a coroutine each have a context of their own, and because none of
the alternatives is as fast."""


running: Callable[[], Thread] = running_thread.get
"""`running()` is `running_thread.get()`; CPython 3.11 calls it faster than a method of an imported name."""


def current(call: str) -> Thread:
    """The running thread, for a call that needs an emulator: else `Misuse`."""
    if running() is NOBODY:
        raise Misuse(f"{call}: no emulator is running in this thread")
    return running()


Empty = _queue.Empty
"""Raised where there is no item.  The standard library's own, so that its queues need no wrapping."""


class Mode(IntEnum):
    """How a step touches a resource.  Two steps depend on each other if they touch one resource and one writes."""

    READ = 0
    WRITE = 1
    AWAIT = 2
    """Read what somebody has to write first: the two cannot change places."""
    ACQUIRE = 3
    """Write a lock, which has to be free, or the head of a queue, which must not be empty: it can change places with
    another acquisition, not with the release or the item that it needs."""


READ, WRITE, AWAIT, ACQUIRE = Mode


T = TypeVar("T")


class Cell(Protocol[T]):
    """One value that threads share.  To use it tells the search; see `cells`."""

    value: T
    """Reading it is a read, assigning to it a write."""

    def change(self) -> T:
        """The value, to be changed in place: a write."""
        ...

    def peek(self) -> T:
        """The value, without telling the search.

        Only for a question whose answer no other thread can change, such as "is it this thread that holds the lock?".
        """
        ...


class Mutex(AbstractContextManager[bool], Protocol):
    """A lock that is not recursive."""

    def acquire(self, blocking: bool = True) -> bool: ...
    def release(self) -> None: ...


class Condition(Protocol):
    """A condition variable.  The caller holds the mutex it was made with.  May wake for nothing."""

    def wait(self) -> Any: ...
    def notify(self) -> None: ...
    def notify_all(self) -> None: ...


class Queue(Protocol):
    """A FIFO without a bound.  Any thread puts, one thread gets."""

    def put(self, item: Any) -> None: ...
    def put_at_once(self, item: Any) -> None:
        """As `put`, but nobody else runs before."""
        ...

    def get(self) -> Any: ...
    def get_nowait(self) -> Any:
        """The next item; raises `Empty` if there is none."""
        ...

    def get_until(self, deadline: int | None) -> Any:
        """The next item, or `EXPIRED` if none came before `deadline`.  `None` is no deadline."""
        ...

    def empty(self) -> bool:
        """A hint: it may have changed already."""
        ...


class Work(Protocol):
    """A FIFO of work with a server: any thread adds, the server waits for work and takes it.

    On OS threads it costs more to wake the server than to do the work.  So a thread that is about to wait
    for something else may *attend*: until it *leaves*, it is told of new work in the server's place.
    """

    def add(self, item: Any) -> None: ...
    def add_at_once(self, item: Any) -> None:
        """As `add`, but nobody else runs before."""
        ...

    def wait(self, deadline: int | None) -> None:
        """Called by the server: return when there is work, when the deadline has passed, or for nothing."""
        ...

    def take(self) -> Any:
        """The oldest item; raises `Empty` if there is none.  One thread at a time."""
        ...

    def attend(self, tell: Callable[[None], object]) -> bool:
        """From now on `tell(None)` is called when there is work.  `False` if nobody is needed for that."""
        ...

    def leave(self) -> None:
        """The thread that attended has other resources to do; work that is left is the server's."""
        ...

    def ring(self) -> None:
        """Have the server, and nobody in its place, return from `wait` with a new deadline."""
        ...


class _Expired:
    def __repr__(self) -> str:
        return "EXPIRED"


EXPIRED = _Expired()


class Socket(Protocol):
    """One end of a connected pair.  Words, values and errors are those of Python's `socket.socket`."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


Crashed = Callable[[BaseException], BaseException | None]
"""Takes what left a thread, returns what the reader's program should see, if anything."""


class Threads(Protocol):
    """One implementation of the seam.  An emulator makes one and never shares it."""

    simulated: bool
    """Whether `touch` means anything: whether another thread may run there."""

    def now(self) -> int:
        """Nanoseconds on this seam's clock, for the record: nothing may depend on it."""
        ...

    def read_clock(self) -> int:
        """Nanoseconds on this seam's clock, for whoever acts on it."""
        ...

    def sleep(self, ns: int) -> None: ...
    def mutex(self, name: str) -> Mutex: ...
    def guard(self, name: str) -> AbstractContextManager[object]:
        """A lock for a few statements in which the holder does not touch anything else.

        On simulated threads it need not lock anything, since nobody is divided there; it orders nothing either.
        """
        ...

    def acquire_patiently(self, mutex: Mutex) -> None:
        """Acquire a mutex that others take and leave all the time, without making them pay for it.

        On OS threads a lock that somebody waits for makes each release a system call.
        """
        ...

    def condition(self, mutex: Mutex, name: str) -> Condition: ...
    def queue(self, name: str) -> Queue: ...
    def work(self, name: str) -> Work: ...
    def socketpair(self) -> tuple[Socket, Socket]: ...

    def cell(self, value: T) -> Cell[T]:
        """One value that threads share."""
        ...

    def table(self) -> MutableMapping[Any, Any]:
        """A table that threads share.  Its keys are equal in every run of the same schedule."""
        ...

    def counter(self) -> Iterator[int]:
        """1, 2, 3 and so on, for numbers that threads draw."""
        ...

    def step(self, resource: object = None, mode: Mode = READ) -> bool:
        """A point at which another thread may run, before this one uses what it shares."""
        ...

    def touch(self, resource: object, write: bool) -> None:
        """The running thread is about to touch `resource`, which other threads may see.

        On simulated threads another may run first.  On OS threads this does nothing.  A resource is anything that
        can be a key of a dict and is the same in every run, such as what `fresh` gave.
        """
        ...

    def load(self, resource: object) -> None:
        """The running thread is about to read an atomic."""
        ...

    def spin(self, loop: str) -> NoReturn:
        """Go round for ever in a loop that nobody else can end, such as `"loops in driver_async_cancel"`.

        On simulated threads, when nobody else can go on, the adopted thread gets an `EmulatorHang`.  On OS threads,
        where nobody could tell the loop from a long one, the running thread gets it, at once.
        """
        ...

    def atomically(self, resource: object, reads: bool = True) -> AbstractContextManager[object]:
        """`with atomically(resource):` a read and a write of an atomic that no other thread divides."""
        ...

    def new_id(self) -> int:
        """What to call something that is made now, in `touch`."""
        ...

    def adopt(self, name: str) -> Thread:
        """Make the calling thread, which the seam did not start, the first thread of this seam."""
        ...

    def adopted(self) -> Thread:
        """The adopted thread, if that is the one that asks, in whatever context; else `NOBODY`.

        A notebook may run each cell in a context of its own; from here on this context is known too.
        """
        ...

    def start(
        self, name: str, target: Callable[[], None], crashed: Crashed, settle: bool = False
    ) -> Thread:
        """Start a thread.  An exception that leaves `target` is handed to `crashed`, on that thread.

        What `crashed` returns is raised in the adopted thread: on simulated threads where that one
        goes on next, on OS threads not at all, because nobody can stop it there.  With `settle`, a
        simulated thread comes to its first wait before this returns; it must get there alone.
        """
        ...

    def join(self, thread: Thread) -> None:
        """Wait until `thread` has ended."""
        ...

    def interrupt(self, error: BaseException) -> bool:
        """Raise `error` in the adopted thread where it goes on next, before anybody else does anything.

        `False` on OS threads, where that cannot be done.
        """
        ...

    def close(self) -> None:
        """Give up the seam and its adopted thread.

        Threads that have not ended are left behind.  On simulated threads they are
        unwound without running on.  On OS threads every queue is emptied and gives `None`, so that
        whoever serves one can end; a thread that is elsewhere goes on as a daemon.
        """
        ...
