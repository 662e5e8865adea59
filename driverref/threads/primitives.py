"""What simulated threads block on: each primitive is a step or two.

A mutex is an owner whose `acquire` is a step enabled while there is none; a queue is a deque whose `get` is a
step enabled while it is not empty.  What a step touches, and whether it writes, stands beside it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from driverref.threads import EXPIRED, Empty, Thread

Enabled = Callable[[], object]


class Steps(Protocol):
    """What the primitives need of `SimulatedThreads`."""

    time: int
    running: Any

    def step(
        self,
        thing: object,
        write: bool,
        enabled: Enabled | None = None,
        deadline: int | None = None,
    ) -> bool: ...


def never() -> bool:
    return False


class Named:
    """Something a thread can touch or wait for; prints as its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class SimulatedMutex(Named):
    """A lock.  Acquiring it is a write; releasing it lets others go on but does not stop the owner."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(name)
        self.threads = threads
        self.owner: Thread | None = None

    def __str__(self) -> str:
        return self.name if self.owner is None else f"{self.name}, held by {self.owner.name}"

    def free(self) -> bool:
        """Whether nobody holds it."""
        return self.owner is None

    def acquire(self, blocking: bool = True) -> bool:
        self.threads.step(self, True, self.free if blocking else None)
        if self.owner is not None:
            return False
        self.owner = self.threads.running
        return True

    def release(self) -> None:
        self.owner = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.owner = None


class SimulatedCondition(Named):
    """A condition variable: waiters stand in line, `notify` lets the first one go."""

    def __init__(self, threads: Steps, mutex: SimulatedMutex, name: str) -> None:
        super().__init__(name)
        self.threads = threads
        self.mutex = mutex
        self.waiters: deque[object] = deque()

    def wait(self) -> None:
        ticket = object()
        self.waiters.append(ticket)
        self.mutex.release()
        self.threads.step(self, True, lambda: ticket not in self.waiters)
        self.mutex.acquire()

    def notify(self) -> None:
        self.threads.step(self, True)
        if self.waiters:
            self.waiters.popleft()

    def notify_all(self) -> None:
        self.threads.step(self, True)
        self.waiters.clear()


class SimulatedQueue(Named):
    """A FIFO.  `put` and `get` are writes."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(name)
        self.threads = threads
        self.items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self.threads.step(self, True)
        self.items.append(item)

    def get(self) -> Any:
        self.threads.step(self, True, self.items.__len__)
        return self.items.popleft()

    def get_nowait(self) -> Any:
        self.threads.step(self, True)
        if not self.items:
            raise Empty
        return self.items.popleft()

    def get_until(self, deadline: int | None) -> Any:
        if self.threads.step(self, True, self.items.__len__, deadline):
            return self.items.popleft()
        return EXPIRED

    def empty(self) -> bool:
        return not self.items


class SimulatedWork(Named):
    """A FIFO with a server.  To wake the server costs nothing, so nobody is needed in its place."""

    def __init__(self, threads: Steps, name: str) -> None:
        super().__init__(name)
        self.threads = threads
        self.items: deque[Any] = deque()

    def add(self, item: Any) -> None:
        self.threads.step(self, True)
        self.items.append(item)

    def wait(self, deadline: int | None) -> None:
        self.threads.step(self, False, self.items.__len__, deadline)

    def take(self) -> Any:
        self.threads.step(self, True)
        if not self.items:
            raise Empty
        return self.items.popleft()

    def attend(self, tell: Callable[[None], object]) -> bool:
        return False

    def leave(self) -> None:
        pass


class SimulatedSocket:
    """One end of a connected pair, with the words and errors of `socket.socket`."""

    def __init__(self, threads: Steps) -> None:
        self.threads = threads
        self.peer: SimulatedSocket = self
        self.received = bytearray()
        self.ended = False  # nothing more will come
        self.closed = False
        self.timeout: float | None = None

    def __str__(self) -> str:
        return "data from a socket"

    def _readable(self) -> bool:
        return bool(self.received) or self.ended

    def _open(self) -> None:
        if self.closed:
            raise _os_error(errno.EBADF)

    def recv(self, size: int, /) -> bytes:
        self._open()
        deadline = None
        if self.timeout is not None:
            deadline = self.threads.time + round(self.timeout * 1e9)
        if not self.threads.step(self, True, self._readable, deadline):
            raise TimeoutError("timed out") if self.timeout else _os_error(errno.EAGAIN)
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def send(self, data: bytes, /) -> int:
        self._open()
        self.threads.step(self.peer, True)
        if self.peer.ended:
            raise _os_error(errno.EPIPE)
        self.peer.received += data
        return len(data)

    def settimeout(self, seconds: float | None, /) -> None:
        self._open()
        if seconds is not None and seconds < 0:
            raise ValueError("Timeout value out of range")
        self.timeout = seconds

    def shutdown(self, how: int, /) -> None:
        self._open()
        self.threads.step(self, True)
        if how != socket.SHUT_WR:
            self.ended = True
        if how != socket.SHUT_RD:
            self.peer.ended = True

    def close(self) -> None:
        if not self.closed:
            self.shutdown(socket.SHUT_RDWR)
            self.closed = True


def _os_error(number: int) -> OSError:
    """The subclass of `OSError` that goes with `number`, such as `BrokenPipeError`."""
    return OSError(number, os.strerror(number))
