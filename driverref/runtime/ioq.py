"""Vectors of bytes, and the driver queue made of them.

An `ErlIOVec` is what `outputv` is lent: the pieces of one command.  The *driver queue* is bytes
attached to a port.  A driver may keep there what it has not written yet, but the runtime has one
use for it: a port whose queue is not empty does not close at once, it becomes *closing*.  One byte
is enough, which is the way to keep a port until its jobs have come back.

Pieces stay what they were: copied bytes, or a slice of a driver binary, whose count is raised while
it is queued.
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

# Some bytes, and the driver binary they are a part of.
Piece = tuple[memoryview, ErlDrvBinary | None]

# Bytes up to which Erlang keeps a binary on a process's heap, where the driver cannot share it.
# Larger ones are counted (`global.h:ERL_ONHEAP_BIN_LIMIT`).
HEAP_BINARY_LIMIT = 64


class ErlIOVec:
    """Pieces of data: `iov`, and `size`, the bytes in all of them.

    `binv` has the driver binary behind each piece, or `None`.

    A binary of more than 64 bytes that Erlang sent is behind its piece, so the driver can keep it
    without a copy: `driver_binary_inc_refc(ev.binv[i])`.  All else is lent for the call.
    """

    __slots__ = ("binv", "iov", "size")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        pieces = list(pieces)
        # A driver may make one of its own, for `driver_outputv` or `driver_enqv`, so it is checked.
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
        """End the loan: the callback has returned."""
        for data, binary in zip(self.iov, self.binv, strict=True):
            # A driver that looks at the piece later gets an error, in place of other memory.
            data.release()
            # This gives back the emulator's reference.  A driver that wants the binary has taken
            # one of its own.
            if binary is not None:
                driver_free_binary(binary)

    def pieces(self, skip: int = 0) -> list[Piece]:
        """The pieces with their binaries, without the first `skip` bytes."""
        result: list[Piece] = []
        # A piece without a binary behind it is the caller's memory, which is copied.  One with a
        # binary is shared: the binary's count keeps the memory.
        for data, binary in zip(self.iov, self.binv, strict=True):
            if skip < len(data):
                result.append((data[skip:] if binary else memoryview(bytes(data[skip:])), binary))
            skip = max(0, skip - len(data))
        return result


def _counted(part: bytes) -> ErlDrvBinary | None:
    """The driver binary behind a binary that Erlang has sent, if it is large enough for one."""
    if len(part) <= HEAP_BINARY_LIMIT:
        return None
    # A row of the ledger, as a driver's own: one that a driver keeps and forgets is a leak.
    binary = driver_alloc_binary(len(part))
    assert binary is not None
    binary.orig_bytes[:] = part
    return binary


def output_bytes(call: str, parameter: str, data: object) -> bytes:
    """A copy of what a driver hands out: bytes in any shape, or a block, or a binary."""
    # Each way to read the bytes is checked: unwritten or freed memory is the driver's fault.
    if isinstance(data, ErlDrvBinary):
        data = data.orig_bytes
    if isinstance(data, Memory):
        return bytes(data[:])
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise wrong_type(call, parameter, "bytes, a memoryview, a block or a driver binary", data)


def taken_over(call: str, parameter: str, data: object) -> bytes:
    """As `output_bytes`, for memory that the driver gives away with it.

    A block is freed, and of a binary one reference.
    """
    # Copied before it is freed: what the driver gives away may be freed already, and then this is
    # where it is told.
    copy = output_bytes(call, parameter, data)
    if isinstance(data, ErlDrvBinary):
        driver_free_binary(data)
    elif isinstance(data, Memory):
        driver_free(data)
    return copy


class DriverQueue:
    """A queue of bytes.

    `size` is the number of bytes in it.  The caller holds the port's lock or its PDL.
    """

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        # Kept beside the pieces, because it is asked after every callback of a closing port.
        self.size = 0

    def enq(self, pieces: Iterable[Piece]) -> None:
        """Append, taking a reference to each binary."""
        # The count of each binary is raised first: a binary that is freed already is found out, and
        # the queue stays as it was.
        self._pieces.extend(self._admit(pieces))

    def pushq(self, pieces: Iterable[Piece]) -> None:
        """Put in front, in the order given, taking a reference to each binary."""
        # `extendleft` puts each in front of the one before, which would turn the order round.
        self._pieces.extendleft(reversed(self._admit(pieces)))

    def _admit(self, pieces: Iterable[Piece]) -> list[Piece]:
        # An empty piece would be an entry without bytes, and a port whose queue has entries and no
        # bytes would never close.
        admitted = [piece for piece in pieces if len(piece[0])]
        for _, binary in admitted:
            # Not by `driver_binary_inc_refc`, a call that R7B does not have; it counts all the
            # same.
            if binary is not None:
                change_refc("the driver queue", binary, +1)
        self.size += sum(len(data) for data, _ in admitted)
        return admitted

    def deq(self, size: int) -> None:
        """Drop `size` bytes, at most what there is, from the front."""
        # The caller has checked that there is so much.
        self.size -= size
        while size:
            data, binary = self._pieces.popleft()
            # A piece that is cut keeps its reference to the binary; the whole of it stays
            # allocated.
            if len(data) > size:
                self._pieces.appendleft((data[size:], binary))
                return
            size -= len(data)
            if binary is not None:
                driver_free_binary(binary)

    def pieces(self) -> list[Piece]:
        """The pieces in order, without taking them out."""
        # A list of its own.  `driver_deq` in the middle of a loop over the pieces is allowed in C.
        return list(self._pieces)

    def clear(self) -> None:
        """Drop everything."""
        # By `deq`, so that every binary gets its reference back.
        self.deq(self.size)
