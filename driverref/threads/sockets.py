"""Sockets of the seam, and a poll, with which one thread waits for many of them.

A poll reports a socket *once* for each `watch`, as `epoll(7)` does with `EPOLLONESHOT`.  The thread
that has dealt with the socket watches it again.  If there is still something to read then, the poll
reports it again at once.
"""

from __future__ import annotations

from typing import Any, Protocol

READABLE, WRITABLE = 1, 2
"""What a socket may be watched for, to be or'ed."""


class Socket(Protocol):
    """One end of a connected pair.  Words, units and errors are those of `socket.socket`."""

    def recv(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, or `b""` at the end of the data.  Waits for data."""
        ...

    def send(self, data: bytes, /) -> int:
        """Send all of `data` and return its length.  `BrokenPipeError` if the other end is shut."""
        ...

    def settimeout(self, seconds: float | None, /) -> None:
        """How long `recv` waits before `TimeoutError`.  0 does not wait (`BlockingIOError`)."""
        ...

    def shutdown(self, how: int, /) -> None:
        """End one direction or both: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`."""
        ...

    def close(self) -> None:
        """End both directions.  From then on every other method raises `OSError`."""
        ...


Report = tuple[Any, int]
"""The name of a socket, and what it is ready for: `READABLE`, `WRITABLE`, or both."""


class Poll(Protocol):
    """The sockets that one thread waits for."""

    def watch(self, socket: Socket, what: int, name: object) -> None:
        """Report the socket once, under this name, when it is ready for something of `what`.

        This takes the place of an earlier `watch` of the socket.  With 0 it is watched no longer.
        Any thread may call this, and it is no step.  A socket belongs to one poll at most.
        """
        ...

    def wait(self) -> Report | None:
        """Wait for a report; `None` when `end` was called or the seam is closed.

        The report says what the socket is ready for when it is made, not when it became ready.
        It may be outdated when this returns.  One thread calls this.
        """
        ...

    def end(self) -> None:
        """Have `wait` return `None` once it has returned the reports that are there now."""
        ...
