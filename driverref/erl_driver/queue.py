"""The driver queue: bytes that keep a port from closing.

A driver puts what it cannot write at once into the queue.  A port that is closed with bytes in the
queue stays until the driver has taken them out.  The queue itself is in `runtime.ioq`.

The calls are for callbacks of the port.  If the port has a port data lock, any thread that holds it
may call them too.

Sources: `io.c`, `driver_enqv`, `driver_pushqv`, `driver_deq` and `driver_peekqv`.
"""

from __future__ import annotations

from driverref.erl_driver.checks import check_type, in_callback
from driverref.erl_driver.output import part
from driverref.errors import OutOfBounds, check_int
from driverref.memory import Memory
from driverref.memory.binary import ErlDrvBinary
from driverref.runtime.ioq import output_bytes
from driverref.runtime.iovec import Element, ErlIOVec, SysIOVec, elements, read, skipped
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED
from driverref.since import since

__all__ = [
    "driver_deq",
    "driver_enq",
    "driver_enq_bin",
    "driver_enqv",
    "driver_peekq",
    "driver_peekqv",
    "driver_pushq",
    "driver_pushq_bin",
    "driver_pushqv",
    "driver_sizeq",
    "driver_vec_to_buf",
]


def _may(call: str, port: ErlDrvPort) -> bool:
    """Whether the port is there.

    Raises `Misuse` unless the caller runs a callback of the port or holds its port data lock.
    """
    # The port data lock is enough: it lets a job use the queue while a callback holds the port's
    # lock.
    if isinstance(port, ErlDrvPort) and port.pdl is not None and port.pdl.held():
        port.runtime.threads.step()
        return port.state.value is not CLOSED
    return in_callback(call, port)


def _copied(call: str, buf: object) -> list[Element]:
    # Without a binary: the queue makes one of its own, so no reference is to be given back.
    data = b"" if buf is None else output_bytes(call, "buf", buf)
    return [(SysIOVec(data, len(data)), None)]


def _enq(call: str, port: ErlDrvPort, added: list[Element], *, front: bool = False) -> int:
    if not _may(call, port):
        return -1
    # The trace keeps the number of bytes and not the bytes, which may be many.
    port.note(call, detail=sum(element.iov_len for element, _ in added))
    queue = port.queue.change()
    (queue.pushq if front else queue.enq)(added)
    return 0


def _enq_one(call: str, port: ErlDrvPort, added: list[Element], *, front: bool = False) -> int:
    # Without a byte C returns 0 before it looks at the port, also if the port is closed.
    if not added[0][0].iov_len and isinstance(port, ErlDrvPort):
        return 0
    return _enq(call, port, added, front=front)


def driver_enq(port: ErlDrvPort, buf: object) -> int:
    """Append a copy of `buf` to the driver queue.

    Returns 0, or -1 if the port is closed.  An empty `buf`, or `None` (NULL), adds no entry, so it
    does not keep the port.  Then the result is 0 also if the port is closed.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_enq`.
    """
    return _enq_one("driver_enq", port, _copied("driver_enq", buf))


def driver_pushq(port: ErlDrvPort, buf: object) -> int:
    """Put a copy of `buf` at the front of the driver queue.

    Returns as `driver_enq`.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_pushq`.
    """
    return _enq_one("driver_pushq", port, _copied("driver_pushq", buf), front=True)


def driver_enq_bin(port: ErlDrvPort, bin: ErlDrvBinary | None, offset: int, len: int) -> int:
    """Append `len` bytes of a driver binary from `offset` on to the driver queue, without a copy.

    The queue holds a reference to the binary while the bytes are in it.  `bin` may be `None` (NULL)
    if `len` is 0.  Returns as `driver_enq`.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_enq_bin`.
    """
    return _enq_one("driver_enq_bin", port, [part(bin, "driver_enq_bin", offset, len)])


def driver_pushq_bin(port: ErlDrvPort, bin: ErlDrvBinary | None, offset: int, len: int) -> int:
    """Put `len` bytes of a driver binary at the front of the driver queue, without a copy.

    The rest is as for `driver_enq_bin`.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_pushq_bin`.
    """
    added = [part(bin, "driver_pushq_bin", offset, len)]
    return _enq_one("driver_pushq_bin", port, added, front=True)


def driver_enqv(port: ErlDrvPort, ev: ErlIOVec, skip: int = 0) -> int:
    """Append a vector to the driver queue, without its first `skip` bytes.

    The binaries of the vector are shared, and elements without one are copied.  Returns 0, or -1 if
    the port is closed.

    `skip` changes the vector: the element in which the skipped bytes end is shortened, and
    `ev.size` stays as it is.  So a vector is good for one call with `skip`; the next call with it
    is `Misuse`.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_enqv`.
    """
    return _enq("driver_enqv", port, skipped("driver_enqv", ev, skip))


def driver_pushqv(port: ErlDrvPort, ev: ErlIOVec, skip: int = 0) -> int:
    """Put a vector at the front of the driver queue, without its first `skip` bytes.

    The rest is as for `driver_enqv`.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_pushqv`.
    """
    return _enq("driver_pushqv", port, skipped("driver_pushqv", ev, skip), front=True)


def driver_deq(port: ErlDrvPort, size: int) -> int:
    """Remove `size` bytes from the front of the driver queue.  Returns the number of bytes left.

    Returns -1 and removes nothing if the queue has fewer bytes, or if the port is closed.  A
    closing port is stopped if its queue is empty after the callback.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_deq`.
    """
    check_int("driver_deq", "size", size, 0, 2**64 - 1, "bytes")
    # Too much is refused as a whole, as in C: a driver that counts wrongly must not lose bytes.
    if not _may("driver_deq", port) or size > port.queue.value.size:
        return -1
    port.note("driver_deq", detail=size)
    queue = port.queue.change()
    queue.deq(size)
    return queue.size


def driver_sizeq(port: ErlDrvPort) -> int:
    """Return the number of bytes in the driver queue, or -1 if the port is closed.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_sizeq`.
    """
    return port.queue.value.size if _may("driver_sizeq", port) else -1


def driver_peekq(port: ErlDrvPort) -> list[SysIOVec] | None:
    """Return the bytes in the driver queue, in pieces.  They stay in the queue.

    They may be read until `driver_deq` removes them.  Returns `None` (NULL) if the port is closed.
    C writes the number of pieces to a second parameter.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_peekq`.
    """
    if not _may("driver_peekq", port):
        return None
    return [element for element, _ in port.queue.value.elements()]


@since("R8B-0")
def driver_peekqv(port: ErlDrvPort) -> ErlIOVec | None:
    """Return the bytes in the driver queue as a vector with its binaries.  They stay in the queue.

    There is a binary behind each element, and no empty element 0.  Returns `None` if the port is
    closed.  C fills a struct of the caller's, and returns its size or -1.

    Only in a callback of the port, or with the port data lock held.  Stands for `driver_peekqv`.
    """
    if not _may("driver_peekqv", port):
        return None
    queue = port.queue.value
    found = queue.elements()
    return ErlIOVec(len(found), queue.size, [e for e, _ in found], [b for _, b in found])


def driver_vec_to_buf(ev: ErlIOVec, buf: bytearray | Memory | None, len: int) -> int:
    """Copy at most `len` bytes of a vector to the beginning of `buf`.  Returns the bytes copied.

    `buf` is a block or a `bytearray`, or `None` (NULL) if `len` is 0.  The manual says that the
    result is the space left in `buf`; the code returns the bytes copied.

    Any thread.  Stands for `driver_vec_to_buf`.
    """
    call = "driver_vec_to_buf"
    # Without a byte to copy, C does not look at `buf`.
    target = bytearray() if buf is None and len == 0 else buf
    check_type(call, "buf", target, bytearray | Memory, "a block or a bytearray")
    assert target is not None
    check_int(call, "len", len, 0, None, "bytes")
    # `__len__`, here and below, because the parameter of C's name hides `len`.
    if len > (room := target.__len__()):
        raise OutOfBounds(f"{call}: {len} bytes do not fit in a buf of {room}")
    copied = b"".join(read(element) for element, _ in elements(call, ev))[:len]
    target[: copied.__len__()] = copied
    return copied.__len__()
