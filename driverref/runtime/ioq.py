"""The driver queue, and how the bytes that a driver hands out are read.

The *driver queue* is bytes attached to a port.  A driver may keep there what it has not written
yet, but the runtime has one use for it: a port whose queue is not empty does not close at once, it
becomes *closing*.  One byte is enough, which is the way to keep a port until its jobs have come
back.

The queue is made of slices of driver binaries, and holds a reference to each.  Bytes that are
queued without a binary are copied into a new one.

Sources: `erl_io_queue.c:erts_ioq_enqv`, `erts_ioq_pushqv`, `erts_ioq_deq`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from driverref.errors import wrong_type
from driverref.memory import Memory, driver_free
from driverref.memory.binary import (
    ErlDrvBinary,
    change_refc,
    driver_free_binary,
    emulators_binary,
)
from driverref.runtime.iovec import Element, SysIOVec, after, read


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
        self._elements: deque[Element] = deque()
        # Kept beside the elements, because it is asked after every callback of a closing port.
        self.size = 0

    def enq(self, elements: Sequence[Element]) -> None:
        """Append, taking a reference to each binary."""
        # The count of each binary is raised first: a binary that is freed already is found out, and
        # the queue stays as it was.
        self._elements.extend(self._admit(elements))

    def pushq(self, elements: Sequence[Element]) -> None:
        """Put in front, in the order given, taking a reference to each binary."""
        # `extendleft` puts each in front of the one before, which would turn the order round.
        self._elements.extendleft(reversed(self._admit(elements)))

    def _admit(self, elements: Sequence[Element]) -> list[Element]:
        # An empty element would be an entry without bytes, and a port whose queue has entries and
        # no bytes would never close.
        full = [(element, binary) for element, binary in elements if element.iov_len]
        for _, binary in full:
            # Not by `driver_binary_inc_refc`, a call that R7B does not have; it counts all the
            # same.
            if binary is not None:
                change_refc("the driver queue", binary, +1)
        self.size += sum(element.iov_len for element, _ in full)
        # Structs of the queue's own, because the driver may change its struct afterwards.  What has
        # no binary is the driver's memory, which is copied.
        return [
            (SysIOVec(element.iov_base if binary else read(element), element.iov_len), binary)
            for element, binary in full
        ]

    def deq(self, size: int) -> None:
        """Drop `size` bytes, at most what there is, from the front."""
        # The caller has checked that there is so much.
        self.size -= size
        while size:
            element, binary = self._elements.popleft()
            # An element that is cut keeps its reference to the binary; the whole of it stays
            # allocated.  It is a new one, so that what a driver has peeked at does not change.
            if element.iov_len > size:
                rest = SysIOVec(after(element.iov_base, size), element.iov_len - size)
                self._elements.appendleft((rest, binary))
                return
            size -= element.iov_len
            driver_free_binary(binary)

    def elements(self) -> list[Element]:
        """The elements in order, without taking them out.  There is a binary behind each."""
        # In C what is copied goes into a binary at once.  No driver can see that before it looks
        # here, and a binary costs more than the few bytes that keep a port.
        self._elements = deque(_with_binary(*element) for element in self._elements)
        # A list of its own.  `driver_deq` in the middle of a loop over the elements is allowed in
        # C.
        return list(self._elements)

    def clear(self) -> None:
        """Drop everything."""
        # By `deq`, so that every binary gets its reference back.
        self.deq(self.size)


def _with_binary(element: SysIOVec, binary: ErlDrvBinary | None) -> Element:
    if binary is None:
        advice = "it was the queue's: to keep what driver_deq takes out, take a reference before"
        binary = emulators_binary(read(element), "queued", advice)
        element = SysIOVec(binary._memory, element.iov_len)
    return element, binary
