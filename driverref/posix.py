"""The calls of the C library that block in the book's jobs: to sleep, and to wait for a peer.

On simulated threads they take virtual time.  On OS threads they are the real calls, on a real pair
of sockets.
"""

from __future__ import annotations

from driverref.errors import check_int
from driverref.threads import Socket, current

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


def socketpair() -> tuple[Socket, Socket]:
    """Return two connected sockets: one for the driver, one for the peer that the scenario plays.

    Each has `recv(size)`, `send(data)`, `settimeout(seconds)`, `shutdown(SHUT_RDWR)` and `close()`,
    with the values and errors of Python's `socket.socket`.  `recv` returns `b""` once the peer or a
    `shutdown` has ended the connection.  It raises `TimeoutError` when the timeout passes first.
    `settimeout` stands for `SO_RCVTIMEO` of C.  Any thread of an emulator.  Stands for
    `socketpair(2)`.
    """
    pair: tuple[Socket, Socket] = current("socketpair").runtime.threads.socketpair()
    return pair
