"""Sockets on simulated threads, and the poll that reports which of them are ready.

What has been sent to a socket is a queue of pieces, with a tail, a head and slots, as in
`primitives`.  Sending never waits: a socket takes whatever is sent to it.

A socket that is watched has a *watcher*: its poll, and what for.  The thread that makes the socket
ready puts the report into the poll's queue, within the same step, and the watcher is gone.  To take
the report out of the queue is a step of the thread that waits there.  So other threads may do
anything in between, such as read the data.
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

    def __str__(self) -> str:
        return "data from a socket"

    def _readable(self) -> bool:
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
        if not threads.step(-self.id, ACQUIRE, self._readable, deadline, self):
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
        self._report()

    def watch(self, watcher: Watcher | None) -> None:
        """Give the socket a watcher, in place of the one it has; or none."""
        self.threads.declare(((self.id, "watcher"), WRITE))
        # Another thread may read what makes the socket ready, before this or after it.
        self.threads.declare((-self.id, ACQUIRE))
        self.watcher = watcher
        self._report()

    def _report(self) -> None:
        """Tell the watcher, if there is one and the socket is ready for what it waits for."""
        self.threads.declare(((self.id, "watcher"), READ))
        if self.watcher is None:
            return
        poll, what, name = self.watcher
        # The first piece that is there, or the one that has not come: the answer depends on it.
        self.threads.declare(((self.id, self.read), READ))
        if ready := what & (WRITABLE | (READABLE if self._readable() else 0)):
            self.threads.declare(((self.id, "watcher"), WRITE))
            self.watcher = None
            poll.reports.put_at_once((name, ready))

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
    """The reports of the sockets that it watches are a queue."""

    def __init__(self, threads: Steps, name: str) -> None:
        self.reports = SimulatedQueue(threads, name)

    def watch(self, socket: Socket, what: int, name: object) -> None:
        assert isinstance(socket, SimulatedSocket)
        socket.watch((self, what, name) if what else None)

    def wait(self) -> Report | None:
        report: Report | None = self.reports.get()
        return report

    def end(self) -> None:
        self.reports.put_at_once(None)


def _os_error(number: int) -> OSError:
    """The subclass of `OSError` that goes with `number`, such as `BrokenPipeError`."""
    return OSError(number, os.strerror(number))
