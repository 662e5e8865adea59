"""What blocks a thread in real life: sleeping, and a peer that answers late or never.

These few calls of the C library are all that the book's jobs need.  On simulated threads they take
virtual time; on OS threads they are the real thing, a real socket pair included.
"""

from __future__ import annotations

from driverref.errors import check_int
from driverref.threads import Socket, current

SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2


def usleep(useconds: int) -> int:
    """Suspend the calling thread for `useconds` microseconds.  Returns 0.

    In a job this occupies an async thread; in a callback it also blocks the scheduler and the port.
    Any thread of an emulator.  Stands for `usleep(3)`.
    """
    check_int("usleep", "useconds", useconds, 0, None, "microseconds")
    current("usleep").runtime.threads.sleep(useconds * 1000)
    return 0


def socketpair() -> tuple[Socket, Socket]:
    """Two connected sockets: one for the driver, one for the peer that the scenario plays.

    Each has `recv(size)`, `send(data)`, `settimeout(seconds)`, `shutdown(SHUT_RDWR)` and `close()`,
    with the values and errors of Python's `socket.socket`: `recv` gives `b""` once the peer or a
    `shutdown` has ended the connection, and raises `TimeoutError` when the timeout passes first.
    `settimeout` is what `SO_RCVTIMEO` is in C.  Any thread of an emulator.  Stands for
    `socketpair(2)`.
    """
    pair: tuple[Socket, Socket] = current("socketpair").runtime.threads.socketpair()
    return pair
