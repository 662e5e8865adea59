"""What simulated threads block on: each primitive is a step or two.

A mutex is an owner whose `acquire` is a step enabled while there is none; a queue is a deque whose `get` is a step
enabled while it is not empty.  What a step touches, and how, stands beside it, in the words of `Mode`; a search of the
schedules knows nothing else of the primitives.

A queue is not one resource but many.  Its *tail* is written by whoever puts, its *head* by whoever gets, and each item has
a *slot* of its own, which one writes and one reads.  So to put something in at one end and to take something else
out at the other do not depend on each other.

What happened before what is handed on with the item, the lock or the signal, as a stamp (see `clocks`).
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from driverref.threads import ACQUIRE, AWAIT, EXPIRED, READ, WRITE, Empty, Mode
from driverref.threads.clocks import Stamp

if TYPE_CHECKING:
    from driverref.threads.steps import Steps


class Named:
    """Something a thread can touch or wait for; prints as its name.

    `id` is the same whenever the same schedule is run again, and as long as schedules differ only in what comes
    after the resource was made.
    """

    def __init__(self, threads: Steps, name: str) -> None:
        self.threads = threads
        self.name = name
        self.id = threads.new_id()

    def __str__(self) -> str:
        return self.name


class Guard(Named):
    """Around a few statements without a step: nobody can come between, so there is nothing to do but to say so."""

    def __enter__(self) -> None:
        self.threads.declare((self.id, WRITE))

    def __exit__(self, *error: object) -> None:
        pass


class SimulatedMutex(Named):
    """A lock.  To acquire it is a step; to release it lets others go on but does not stop the owner."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(threads, name)
        self.owner: Any = None
        self.stamp: Stamp | None = None

    def __str__(self) -> str:
        return self.name if self.owner is None else f"{self.name}, held by {self.owner.name}"

    def free(self) -> bool:
        """Whether nobody holds it."""
        return self.owner is None

    def acquire(self, blocking: bool = True) -> bool:
        threads = self.threads
        if blocking:
            threads.step(self.id, ACQUIRE, self.free, None, self)
        else:
            threads.step(self.id, WRITE)
            if self.owner is not None:
                return False
            threads.declare((self.id, ACQUIRE))
        self.owner = me = threads.running
        if self.stamp is not None:
            me.clock.join(self.stamp)
        return True

    def release(self) -> None:
        self.threads.declare((self.id, WRITE))
        self.stamp = self.owner.clock.stamp()
        self.owner = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        if self.owner is not None:  # else the threads have been given up
            self.release()


class SimulatedCondition(Named):
    """A condition variable: waiters stand in line, `notify` lets the first one go.  The line is one resource."""

    def __init__(self, threads: Steps, mutex: SimulatedMutex, name: str) -> None:
        super().__init__(threads, name)
        self.mutex = mutex
        self.waiters: deque[_Ticket] = deque()

    def wait(self) -> None:
        threads = self.threads
        ticket = _Ticket(threads.new_id())
        threads.declare((self.id, WRITE))
        self.waiters.append(ticket)
        self.mutex.release()
        threads.step(ticket.id, AWAIT, ticket.called, None, self)
        threads.running.clock.join(ticket.stamp)
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
        self.stamp: Stamp | None = None

    def called(self) -> bool:
        return self.stamp is not None


class SimulatedQueue(Named):
    """A FIFO.  Any thread puts, one or more get."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(threads, name)
        self.items: deque[tuple[Any, Stamp]] = deque()
        self.came = self.gone = 0
        """How many items have been put in and taken out: the numbers of the next slots."""

    def put(self, item: Any) -> None:
        self.threads.step(self.id, WRITE)
        self.put_at_once(item)

    def put_at_once(self, item: Any) -> None:
        threads = self.threads
        threads.declare((self.id, WRITE))
        threads.declare(((self.id, self.came), WRITE))
        self.came += 1
        self.items.append((item, threads.running.clock.stamp()))

    def get(self) -> Any:
        self.threads.step(-self.id, ACQUIRE, self.items.__len__, None, self)
        return self._taken(AWAIT)

    def get_nowait(self) -> Any:
        self.threads.step(-self.id, ACQUIRE)
        return self._taken(READ)

    def get_until(self, deadline: int | None) -> Any:
        self.threads.step(-self.id, ACQUIRE, self.items.__len__, deadline, self)
        try:
            return self._taken(READ if self.threads.running.expired else AWAIT)
        except Empty:
            return EXPIRED

    def empty(self) -> bool:
        return not self.items

    def _taken(self, mode: Mode) -> Any:
        """The oldest item; whether it is there makes the difference, unless it was awaited."""
        threads = self.threads
        threads.declare(((self.id, self.gone), mode))
        if not self.items:
            raise Empty
        self.gone += 1
        item, stamp = self.items.popleft()
        threads.running.clock.join(stamp)
        return item


class SimulatedWork(SimulatedQueue):
    """A FIFO with a server.  To wake the server costs nothing, so nobody is needed in its place.

    Only the server takes.  So what is there stays there for it, and to take it is no step of its own.
    """

    add, add_at_once = SimulatedQueue.put, SimulatedQueue.put_at_once

    def wait(self, deadline: int | None) -> None:
        threads = self.threads
        threads.step(-self.id, WRITE, self.items.__len__, deadline, self)
        threads.declare(((self.id, self.gone), READ if threads.running.expired else AWAIT))

    def take(self) -> Any:
        return self._taken(READ)

    def attend(self, tell: Callable[[None], object]) -> bool:
        return False

    def leave(self) -> None:
        pass

    def ring(self) -> None:
        self.add(_nothing)


def _nothing() -> None:
    """Work that only wakes the server."""


class SimulatedSocket:
    """One end of a connected pair, with the words and errors of `socket.socket`.

    What has been sent to it is a queue of pieces; the last one, which is empty, is its end.
    """

    def __init__(self, threads: Steps) -> None:
        self.threads = threads
        self.id = threads.new_id()
        self.peer: SimulatedSocket = self
        self.received: deque[tuple[bytearray, Stamp]] = deque()
        self.came = self.gone = 0
        self.ended = False  # nothing more will come
        self.closed = False
        self.timeout: float | None = None

    def __str__(self) -> str:
        return "data from a socket"

    def _readable(self) -> bool:
        return bool(self.received) or self.ended

    def _open(self) -> None:
        self.threads.declare(((self.id, "closed"), READ))
        if self.closed:
            raise _os_error(errno.EBADF)

    def recv(self, size: int, /) -> bytes:
        self._open()
        threads, timeout = self.threads, self.timeout
        deadline = None
        if timeout is not None:
            deadline = threads.time + round(timeout * 1e9)
        if not threads.step(-self.id, ACQUIRE, self._readable, deadline, self):
            threads.declare(((self.id, self.gone), READ))
            raise TimeoutError("timed out") if timeout else _os_error(errno.EAGAIN)
        threads.declare(((self.id, self.gone), READ if threads.running.expired else AWAIT))
        data = bytearray()
        while self.received and len(data) < size:
            piece, stamp = self.received[0]
            threads.running.clock.join(stamp)
            taken = piece[: size - len(data)]
            data += taken
            del piece[: len(taken)]
            if not piece:
                self.received.popleft()
                self.gone += 1
                threads.declare(((self.id, self.gone), READ))
        return bytes(data)

    def send(self, data: bytes, /) -> int:
        self._open()
        self.threads.step(self.peer.id, WRITE)
        if self.peer.ended:
            raise _os_error(errno.EPIPE)
        if data:
            self.peer._arrive(bytearray(data))
        return len(data)

    def _arrive(self, piece: bytearray | None) -> None:
        """A piece of data, or the end, has come."""
        self.threads.declare(((self.id, self.came), WRITE))
        self.came += 1
        if piece is None:
            self.ended = True
        else:
            self.received.append((piece, self.threads.running.clock.stamp()))

    def settimeout(self, seconds: float | None, /) -> None:
        self._open()
        if seconds is not None and seconds < 0:
            raise ValueError("Timeout value out of range")
        self.threads.declare(((self.id, "closed"), WRITE))
        self.timeout = seconds

    def shutdown(self, how: int, /) -> None:
        self._open()
        if how != socket.SHUT_WR:
            self._end()
        if how != socket.SHUT_RD:
            self.peer._end()

    def _end(self) -> None:
        self.threads.step(self.id, WRITE)
        self._arrive(None)

    def close(self) -> None:
        self.threads.declare(((self.id, "closed"), READ))
        if not self.closed:
            self.shutdown(socket.SHUT_RDWR)
            self.threads.declare(((self.id, "closed"), WRITE))
            self.closed = True


def _os_error(number: int) -> OSError:
    """The subclass of `OSError` that goes with `number`, such as `BrokenPipeError`."""
    return OSError(number, os.strerror(number))
