"""Sockets on simulated threads, and the poll that reports which of them are ready.

What has been sent to a socket is a queue of pieces, with a tail, a head and slots, as in
`primitives`.  Sending never waits: a socket takes whatever is sent to it.

A socket that is watched has a *watcher*: its poll, and what for.  The thread that makes the socket
ready puts the socket into the poll's queue, within the same step.  To take it out is a step of the
thread that waits there.  Other threads may do anything in between, such as read the data.  So it is
then that the report is made, of what the socket is ready for by now, and the watcher is gone.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from typing import TYPE_CHECKING

from driverref.threads import ACQUIRE, AWAIT, READ, WRITE, Socket
from driverref.threads.clocks import Stamp
from driverref.threads.primitives import SimulatedQueue
from driverref.threads.sockets import READABLE, WRITABLE, Report

if TYPE_CHECKING:
    from driverref.threads.steps import Steps


Watcher = tuple["SimulatedPoll", int, object]
"""The poll, what it waits for, and the name that it reports."""


class SimulatedSocket:
    """One end of a connected pair, with the words and errors of `socket.socket`.

    The end of the data has a slot too.  Whether this end is closed is a resource of its own, and so
    is its watcher.
    """

    def __init__(self, threads: Steps) -> None:
        self.threads = threads
        self.id = threads.new_id()
        self.peer: SimulatedSocket = self
        self.received: deque[tuple[bytearray, Stamp]] = deque()
        # How many pieces have arrived and were read to the end: the numbers of the next slots.
        self.arrived = self.read = 0
        # Whether no more data will come.
        self.ended = False
        self.closed = False
        self.timeout: float | None = None
        self.watcher: Watcher | None = None
        # Whether this is in the poll's queue: once at most.
        self.queued = False

    def __str__(self) -> str:
        return "data from a socket"

    def readable(self) -> bool:
        """Whether `recv` need not wait."""
        return bool(self.received) or self.ended

    def check_open(self) -> None:
        """Raise `OSError`, as a use of a closed socket does."""
        self.threads.declare(((self.id, "closed"), READ))
        if self.closed:
            raise _os_error(errno.EBADF)

    def wait(self, deadline: int | None) -> bool:
        """Wait until `recv` need not wait.  `False` if the deadline comes first."""
        self.check_open()
        threads = self.threads
        if not threads.step(-self.id, ACQUIRE, self.readable, deadline, self):
            # The piece that has not arrived: had it come sooner, this would have seen it.
            threads.declare(((self.id, self.read), READ))
            return False
        threads.declare(((self.id, self.read), READ if threads.running.expired else AWAIT))
        return True

    def recv(self, size: int, /) -> bytes:
        threads, timeout = self.threads, self.timeout
        deadline = None
        if timeout is not None:
            deadline = threads.time + round(timeout * 1e9)
        if not self.wait(deadline):
            raise TimeoutError("timed out") if timeout else _os_error(errno.EAGAIN)
        # It returns what is there now, up to `size`.  So it depends on whether the next piece has
        # arrived, as well as on the pieces that it reads.
        data = bytearray()
        while self.received and len(data) < size:
            piece, stamp = self.received[0]
            threads.running.clock.join(stamp)
            taken = piece[: size - len(data)]
            data += taken
            del piece[: len(taken)]
            if not piece:
                self.received.popleft()
                self.read += 1
                threads.declare(((self.id, self.read), READ))
        return bytes(data)

    def send(self, data: bytes, /) -> int:
        self.check_open()
        # The tail of the other end.  Its WRITE also covers `ended`: both ends may set that.
        self.threads.step(self.peer.id, WRITE)
        if self.peer.ended:
            raise _os_error(errno.EPIPE)
        if data:
            self.peer._arrive(bytearray(data))
        return len(data)

    def _arrive(self, piece: bytearray | None) -> None:
        """Add a piece of data, or with `None` the end."""
        self.threads.declare(((self.id, self.arrived), WRITE))
        self.arrived += 1
        if piece is None:
            self.ended = True
        else:
            self.received.append((piece, self.threads.running.clock.stamp()))
        self._queue()

    def watch(self, watcher: Watcher | None) -> None:
        """Give the socket a watcher, in place of the one it has; or none."""
        self.threads.declare(((self.id, "watcher"), WRITE))
        # Another thread may read what makes the socket ready, before this or after it.
        self.threads.declare((-self.id, ACQUIRE))
        self.watcher = watcher
        self._queue()

    def _ready(self) -> int:
        """What the socket is ready for, of what its watcher waits for."""
        self.threads.declare(((self.id, "watcher"), READ))
        if self.watcher is None:
            return 0
        # The first piece that is there, or the one that has not come: the answer depends on it.
        self.threads.declare(((self.id, self.read), READ))
        return self.watcher[1] & (WRITABLE | (READABLE if self.readable() else 0))

    def _queue(self) -> None:
        """Put the socket into the queue of the poll that waits for what it is ready for."""
        if self._ready() and not self.queued:
            assert self.watcher is not None
            self.threads.declare(((self.id, "watcher"), WRITE))
            self.queued = True
            self.watcher[0].queue.put_at_once(self)

    def report(self) -> Report | None:
        """End the watch and return the report; `None` if the socket is not ready any more.

        In the step in which the poll has taken the socket out of its queue.
        """
        self.threads.declare(((self.id, "watcher"), WRITE))
        self.threads.declare((-self.id, ACQUIRE))
        self.queued = False
        ready = self._ready()
        if not ready:
            return None
        assert self.watcher is not None
        name, self.watcher = self.watcher[2], None
        return name, ready

    def settimeout(self, seconds: float | None, /) -> None:
        self.check_open()
        if seconds is not None and seconds < 0:
            raise ValueError("Timeout value out of range")
        # The timeout shares the resource of `closed`: every `recv` reads both.
        self.threads.declare(((self.id, "closed"), WRITE))
        self.timeout = seconds

    def shutdown(self, how: int, /) -> None:
        self.check_open()
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
            self.watch(None)


class SimulatedPoll:
    """The sockets that it watches and that have become ready are a queue."""

    def __init__(self, threads: Steps, name: str) -> None:
        self.threads = threads
        self.queue = SimulatedQueue(threads, name)

    def watch(self, socket: Socket, what: int, name: object) -> None:
        assert isinstance(socket, SimulatedSocket)
        socket.watch((self, what, name) if what else None)

    def wait(self) -> Report | None:
        while (socket := self.queue.get()) is not None:
            report: Report | None = socket.report()
            if report is not None:
                # Other threads may do anything before the reader of the report acts on it.
                self.threads.step()
                return report
        return None

    def end(self) -> None:
        self.queue.put_at_once(None)


def wait_for_any(threads: Steps, sockets: list[SimulatedSocket], deadline: int | None) -> None:
    """Wait until `recv` of one of the sockets need not wait, or until the deadline."""

    def readable() -> bool:
        return any(one.readable() for one in sockets)

    for one in sockets:
        one.check_open()
    threads.step(None, READ, readable, deadline, "data from one of several sockets")
    for one in sockets:
        # Which of them are readable depends on what other threads have read, and on the first piece
        # that is there, or the one that has not come.
        threads.declare((-one.id, READ))
        threads.declare(((one.id, one.read), READ))


def _os_error(number: int) -> OSError:
    """The subclass of `OSError` that goes with `number`, such as `BrokenPipeError`."""
    return OSError(number, os.strerror(number))
