"""Vectors of bytes, and the driver queue made of them.

An `ErlIOVec` is what `outputv` is lent: the pieces of one command.  The *driver queue* is bytes attached to a
port.  A driver may keep there what it has not written yet, but the runtime has one use for it: a port whose
queue is not empty does not close at once, it becomes *closing*.  One byte is enough, which is the way to keep a
port until its jobs have come back.

Pieces stay what they were: copied bytes, or a slice of a driver binary, whose count is raised while it is queued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from driverref.errors import wrong_type
from driverref.memory import Memory, driver_free
from driverref.memory.binary import (
    ErlDrvBinary,
    change_refc,
    driver_alloc_binary,
    driver_free_binary,
)

Piece = tuple[memoryview, ErlDrvBinary | None]

HEAP_BINARY_LIMIT = 64
"""Bytes up to which Erlang keeps a binary on a process's heap; larger ones are counted (`global.h`)."""


class ErlIOVec:
    """Pieces of data: `size` bytes in all, `iov` the pieces, `binv` the driver binary behind each, or `None`.

    A binary of more than 64 bytes that Erlang sent is behind its piece, so the driver can keep it without a
    copy: `driver_binary_inc_refc(ev.binv[i])`.  All else is lent for the call.
    """

    __slots__ = ("binv", "iov", "size")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        pieces = list(pieces)
        for piece in pieces:
            match piece:
                case (memoryview(), ErlDrvBinary() | None):
                    pass
                case _:
                    expected = "pairs of a memoryview and an ErlDrvBinary or None"
                    raise wrong_type("ErlIOVec", "pieces", expected, piece)
        self.iov = [data for data, _ in pieces]
        self.binv = [binary for _, binary in pieces]
        self.size = sum(map(len, self.iov))

    @classmethod
    def lend(cls, parts: Sequence[bytes]) -> ErlIOVec:
        """What `outputv` gets for these parts of a command."""
        return cls((memoryview(part), _counted(part)) for part in parts)

    def take_back(self) -> None:
        """The call is over."""
        for data, binary in zip(self.iov, self.binv, strict=True):
            data.release()
            if binary is not None:
                driver_free_binary(binary)

    def pieces(self, skip: int = 0) -> list[Piece]:
        """The pieces with their binaries, without the first `skip` bytes."""
        result: list[Piece] = []
        for data, binary in zip(self.iov, self.binv, strict=True):
            if skip < len(data):
                result.append((data[skip:] if binary else memoryview(bytes(data[skip:])), binary))
            skip = max(0, skip - len(data))
        return result


def _counted(part: bytes) -> ErlDrvBinary | None:
    if len(part) <= HEAP_BINARY_LIMIT:
        return None
    binary = driver_alloc_binary(len(part))
    assert binary is not None
    binary.orig_bytes[:] = part
    return binary


def output_bytes(call: str, parameter: str, data: object) -> bytes:
    """A copy of what a driver hands out: bytes in any shape, or a block, or a binary."""
    if isinstance(data, ErlDrvBinary):
        data = data.orig_bytes
    if isinstance(data, Memory):
        return bytes(data[:])
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise wrong_type(call, parameter, "bytes, a memoryview, a block or a driver binary", data)


def taken_over(call: str, parameter: str, data: object) -> bytes:
    """As `output_bytes`, for memory that the driver gives away with it: the block or the reference is freed."""
    copy = output_bytes(call, parameter, data)
    if isinstance(data, ErlDrvBinary):
        driver_free_binary(data)
    elif isinstance(data, Memory):
        driver_free(data)
    return copy


class DriverQueue:
    """A queue of bytes.  `size` is the number of bytes in it.  The caller holds the port's lock or its PDL."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self.size = 0

    def enq(self, pieces: Iterable[Piece]) -> None:
        """Append, taking a reference to each binary."""
        self._pieces.extend(self._admit(pieces))

    def pushq(self, pieces: Iterable[Piece]) -> None:
        """Put in front, in the order given, taking a reference to each binary."""
        self._pieces.extendleft(reversed(self._admit(pieces)))

    def _admit(self, pieces: Iterable[Piece]) -> list[Piece]:
        admitted = [piece for piece in pieces if len(piece[0])]
        for _, binary in admitted:
            if binary is not None:  # R7B counts it too, and has no driver_binary_inc_refc
                change_refc("the driver queue", binary, +1)
        self.size += sum(len(data) for data, _ in admitted)
        return admitted

    def deq(self, size: int) -> None:
        """Drop `size` bytes, at most what there is, from the front."""
        self.size -= size
        while size:
            data, binary = self._pieces.popleft()
            if len(data) > size:
                self._pieces.appendleft((data[size:], binary))
                return
            size -= len(data)
            if binary is not None:
                driver_free_binary(binary)

    def pieces(self) -> list[Piece]:
        """The pieces in order, without taking them out."""
        return list(self._pieces)

    def clear(self) -> None:
        """Drop everything."""
        self.deq(self.size)
