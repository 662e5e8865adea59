"""The calls of the C library that block in the book's jobs: to sleep, and to wait for a peer.

On simulated threads they take virtual time.  On OS threads they are the real calls, on a real pair
of sockets.  A socket is also what `driver_select` waits for.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from driverref.errors import Misuse, check_int
from driverref.threads import Socket as End
from driverref.threads import Threads, current
from driverref.threads.sockets import READABLE, WRITABLE

SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2


def usleep(useconds: int) -> int:
    """Suspend the calling thread for `useconds` microseconds.  Returns 0.

    In a job it occupies an async thread.  In a callback it blocks the scheduler and the port.
    Raises `TypeError` or `ValueError` unless `useconds` is an `int` of 0 or more.  Any thread of an
    emulator.  Stands for `usleep(3)`.
    """
    check_int("usleep", "useconds", useconds, 0, None, "microseconds")
    current("usleep").runtime.threads.sleep(useconds * 1000)  # the seam counts nanoseconds
    return 0


class Socket:
    """A socket or an end of a pipe: what C has a file descriptor for.

    The methods have the values and errors of Python's `socket.socket`.  Any thread of an emulator
    may call them.
    """

    def __init__(self, threads: Threads, end: End, name: str, ways: int) -> None:
        self.end = end
        self._name = name
        self._ways = ways
        # What follows is kept by `driver_select` (`runtime.check_io`).  The guard is held around
        # each use: several ports may select one socket, and the emulator's poll looks at it too.
        self.guard = threads.guard("a socket")
        self.selected: dict[int, Any] = {}
        """Which port waits for it, to read (1) or to write (2)."""

    def __repr__(self) -> str:
        return f"<{self._name}>"

    def recv(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, or `b""` once the peer or a `shutdown` has ended the data.

        Waits for data.  `TimeoutError` if the timeout passes first, `BlockingIOError` if it is 0.
        Stands for `recv(2)`, and on a pipe for `read(2)`.
        """
        self._check(READABLE)
        return self.end.recv(size)

    def send(self, data: bytes, /) -> int:
        """Send all of `data` and return its length.  `BrokenPipeError` if the peer is shut.

        Never waits on simulated threads.  Stands for `send(2)`, and on a pipe for `write(2)`.
        """
        self._check(WRITABLE)
        return self.end.send(data)

    def settimeout(self, seconds: float | None, /) -> None:
        """Set how long `recv` waits; `None` is for ever, and 0 does not wait.

        Stands for `SO_RCVTIMEO`; 0 stands for `O_NONBLOCK`.
        """
        self.end.settimeout(seconds)

    def shutdown(self, how: int, /) -> None:
        """End one direction or both: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.

        Stands for `shutdown(2)`.
        """
        self.end.shutdown(how)

    def close(self) -> None:
        """Close it.  From then on every other method raises `OSError`.

        `Misuse` if a port still selects it: the descriptor may be another's before the emulator
        knows.  Stands for `close(2)`.
        """
        with self.guard:
            for selected in self.selected.values():
                raise Misuse(
                    f"close: {self} is selected by {selected.port.id} at {selected.place}; call "
                    "driver_select with ERL_DRV_USE and 0 first, and close it in stop_select"
                )
        self.end.close()

    def _check(self, way: int) -> None:
        if not self._ways & way:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def socketpair() -> tuple[Socket, Socket]:
    """Return two connected sockets: one for the driver, one for the peer that the scenario plays.

    Any thread of an emulator.  Stands for `socketpair(2)`.
    """
    return _pair("socketpair", "socket", "socket", READABLE | WRITABLE, READABLE | WRITABLE)


def pipe() -> tuple[Socket, Socket]:
    """Return the two ends of a pipe: the first to `recv` from, the second to `send` to.

    Any thread of an emulator.  Stands for `pipe(2)`.
    """
    return _pair("pipe", "read end of a pipe", "write end of a pipe", READABLE, WRITABLE)


def _pair(call: str, one: str, other: str, ways: int, other_ways: int) -> tuple[Socket, Socket]:
    threads = current(call).runtime.threads
    first, second = threads.socketpair()
    return Socket(threads, first, one, ways), Socket(threads, second, other, other_ways)
