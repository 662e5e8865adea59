"""Sockets and pipes of a driver in C: its descriptors, on the sockets of the simulation.

`socketpair` and `pipe` make two sockets that are connected.  There is no network: the other calls
of it are refused (`c/refused.c`), and a stand-in for `socket` or `connect` gives the driver one end
of a pair with `descriptor`, while the scenario plays the far end with the other.  `driver_select`
takes such a descriptor too.

A descriptor is never given twice, so a use of one that is closed always fails.
"""

from __future__ import annotations

import errno
import struct
from functools import wraps
from typing import TYPE_CHECKING, Any

from driverref import erl_driver, posix
from driverref.diagnostics import caller, where
from driverref.errors import Misuse
from driverref.hosting.calls import signed
from driverref.hosting.faults import Unmodelled
from driverref.hosting.host import Handler, handles
from driverref.hosting.library import WHOLE
from driverref.threads import running
from driverref.threads.simulated_sockets import wait_for_any

if TYPE_CHECKING:
    from driverref.hosting.run import Run

FIRST = 1 << 20
"""The first number of a descriptor: as in `c/posix.c`."""

_OF_A_THREAD = 1 << 10
_NONBLOCK, _DONTWAIT = 0o4000, 0x40
_GETFD, _SETFD, _GETFL, _SETFL = 1, 2, 3, 4
_IN, _OUT, _HUP, _INVALID = 1, 4, 16, 32
_POLL = struct.Struct("<ihh")  # struct pollfd: fd, events, revents


def descriptor(run: Run, socket: posix.Socket) -> int:
    """Return a descriptor by which the driver uses a socket of `driverref.posix`.

    The driver has to close it, or it is a leak.
    """
    # By thread, so that the number tells nothing of what other threads have opened.
    number = FIRST + _OF_A_THREAD * getattr(running(), "number", 0)
    while number in run.sockets:
        number += 1
    run.sockets[number] = socket, where(caller())
    run.descriptors[socket] = number
    return number


def take_over(run: Run, number: int) -> None:
    """Keep a descriptor in the driver's place, as a library may: it is no leak of the driver's.

    For a stand-in.
    """
    run.sockets[number] = _socket(run, number), None


def _socket(run: Run, number: int) -> posix.Socket:
    if number not in run.sockets:
        raise OSError(errno.EBADF, "no socket has this descriptor")
    return run.sockets[number][0]


def _end(run: Run, number: int) -> Any:
    """The socket of the seam behind a descriptor: it also knows whether it is closed."""
    return _socket(run, number).end


def _errors_are_numbers(handler: Handler) -> Handler:
    """Have the handler return an error as its number, below 0: C sets `errno`."""

    @wraps(handler)
    def caught(run: Run, a: memoryview) -> int:
        try:
            return handler(run, a) or 0
        except OSError as error:
            return -(error.errno or errno.EAGAIN)  # a `TimeoutError` has none

    return caught


@handles("socketpair")
@_errors_are_numbers
def socketpair(run: Run, a: memoryview) -> None:
    _give_two(run, a, posix.socketpair())


@handles("pipe")
@_errors_are_numbers
def pipe(run: Run, a: memoryview) -> None:
    _give_two(run, a, posix.pipe())


def _give_two(run: Run, a: memoryview, pair: tuple[posix.Socket, posix.Socket]) -> None:
    """Write two descriptors where the driver wants them."""
    for at, socket in zip((a[3], a[3] + 4), pair, strict=True):
        run.write_word(at, descriptor(run, socket), 4)
        if a[1] & _NONBLOCK:
            socket.settimeout(0)


@handles("recv")
@_errors_are_numbers
def recv(run: Run, a: memoryview) -> int:
    socket, to, size, flags = _socket(run, a[0]), *a[1:4]
    kept = _end(run, a[0]).timeout
    if flags & _DONTWAIT:
        socket.settimeout(0)
    try:
        data = socket.recv(size)
    finally:
        if flags & _DONTWAIT:
            socket.settimeout(kept)
    if data:
        run.write(to, data)
    return len(data)


@handles("send")
@_errors_are_numbers
def send(run: Run, a: memoryview) -> int:
    socket, data = _socket(run, a[0]), run.read(a[1], a[2], WHOLE)
    return socket.send(data)


@handles("shutdown")
@_errors_are_numbers
def shutdown(run: Run, a: memoryview) -> None:
    _socket(run, a[0]).shutdown(a[1])


@handles("close")
@_errors_are_numbers
def close(run: Run, a: memoryview) -> None:
    _end(run, a[0]).check_open()
    _socket(run, a[0]).close()


@handles("fcntl")
@_errors_are_numbers
def fcntl(run: Run, a: memoryview) -> int:
    """Read or set `O_NONBLOCK`.  The flags of the descriptor itself are of no use here."""
    socket, command, flags = _end(run, a[0]), *a[1:3]
    if command not in (_GETFD, _SETFD, _GETFL, _SETFL):
        raise Unmodelled(f"fcntl: this model does not have its command {command}")
    if command == _SETFL:
        socket.settimeout(0 if flags & _NONBLOCK else None)
    return _NONBLOCK if command == _GETFL and socket.timeout == 0 else 0


@handles("poll")
@_errors_are_numbers
def poll(run: Run, a: memoryview) -> int:
    """Wait for sockets.  One that could be written to is ready at once: `send` never waits."""
    at, count, ms = a[:3]
    asked = [_POLL.unpack(run.read(at + _POLL.size * n, _POLL.size)) for n in range(count)]
    found, reads = [0] * count, []
    for n, (number, events, _) in enumerate(asked):
        if 0 <= number < FIRST:
            found[n] = events & (_IN | _OUT)  # a file is always ready
        elif number in run.sockets and not _end(run, number).closed:
            found[n] = events & _OUT
            reads += [n] if events & _IN else []
        elif number >= 0:
            found[n] = _INVALID
    now = run.threads.read_clock()
    deadline = now if any(found) else None if ms < 0 else now + ms * 1_000_000
    sockets = {n: _end(run, asked[n][0]) for n in reads}
    wait_for_any(run.threads, [*sockets.values()], deadline)
    for n, socket in sockets.items():
        if socket.readable():
            found[n] |= _IN | (_HUP if socket.ended else 0)
    for n, (number, events, _) in enumerate(asked):
        run.write(at + _POLL.size * n, _POLL.pack(number, events, found[n]))
    return sum(map(bool, found))


@handles("driver_select")
def driver_select(run: Run, a: memoryview) -> int:
    port, number = run.port("driver_select", a[0]), signed(a[1])
    if number < 0:
        return -1
    if number not in run.sockets:
        raise Unmodelled(f"driver_select: descriptor {number} is no socket and no pipe of this run")
    if _end(run, number).closed:
        raise Misuse(f"driver_select: descriptor {number} is closed")
    return erl_driver.driver_select(port, run.sockets[number][0], a[2] & 0xFFFFFFFF, int(a[3] != 0))
