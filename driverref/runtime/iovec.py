"""Vectors of bytes: what `outputv` is lent, what a driver makes, and what the driver queue shows.

An `ErlIOVec` has the fields of C's struct.  Element `i` is `iov[i].iov_len` bytes that begin at
`iov[i].iov_base`, and `binv[i]` is the driver binary that holds them, or `None` (NULL).

`Vectors.lend` makes the vector of a command:

* Element 0 is empty.  A driver may put a header there, so its own data begins at 1.
* A binary of more than 64 bytes that stands in the iodata is an element of its own.  The driver and
  Erlang share it: no byte is copied.
* All other bytes are copied, side by side, into one *common binary*: the bytes of lists, and the
  binaries that Erlang keeps on the heap of a process.  Those that no shared binary parts are one
  element.
* A vector of 16 elements or more is *packed*: binaries of less than 256 bytes are copied as well.

So there is a driver binary behind every element that has bytes.  All of this is lent for the call.
A driver that takes a reference to `binv[i]` keeps the bytes, which it may then read by way of
`iov[i].iov_base` from any thread.

Sources: `io.c:erts_port_output`, `erl_io_queue.c:erts_ioq_iodata_vec_len`,
`erts_ioq_iolist_to_vec` and `skip`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NoReturn

from driverref.errors import Misuse, UseAfterFree, check_int, null_pointer, wrong_type
from driverref.memory import Memory
from driverref.memory.binary import ErlDrvBinary, driver_free_binary, emulators_binary
from driverref.memory.ledger import found
from driverref.terms import Part, SubBinary

Base = bytes | bytearray | memoryview | Memory | None

# Bytes up to which Erlang keeps a binary on the heap of a process, where a driver cannot share it
# (`erl_binary.h:ERL_ONHEAP_BIN_LIMIT`).
ERL_ONHEAP_BIN_LIMIT = 64
# From this many elements on a vector is packed, and what is smaller than this is copied then.
SMALL_WRITE_VEC = 16
ERL_SMALL_IO_BIN_LIMIT = 4 * ERL_ONHEAP_BIN_LIMIT


TO_KEEP = (
    "outputv lends it for the call only: to keep it, take a reference in the callback,"
    " driver_binary_inc_refc(ev.binv[i])"
)


class SysIOVec:
    """Some bytes: `iov_len` of them, from `iov_base` on.

    `iov_base` is `bytes` in any shape or a block, or `None` (NULL) where `iov_len` is 0.  In the
    vector of `outputv`, and in what `driver_peekq` returns, it is a block of `iov_len` bytes within
    the driver binary.  Stands for `SysIOVec`, C's `struct iovec`.
    """

    __slots__ = ("iov_base", "iov_len")

    def __init__(self, iov_base: Base, iov_len: int) -> None:
        self.iov_base = iov_base
        self.iov_len = iov_len

    def __repr__(self) -> str:
        return f"<SysIOVec of {self.iov_len} bytes>"


Element = tuple[SysIOVec, ErlDrvBinary | None]


class ErlIOVec:
    """A vector of bytes: the struct of C, with its fields in C's order.

    `vsize` is the number of elements, and `size` that of the bytes in all of them.  `iov` is a list
    of `SysIOVec`, and `binv` has for each the `ErlDrvBinary` that holds its bytes, or `None`.

    What `outputv` is lent has an empty element 0, and `vsize` counts it.  A driver may make a
    vector of its own, and may change one; the call that it is given to checks it.  Any thread, but
    what `outputv` is lent only until the callback returns.  Stands for `ErlIOVec`.
    """

    __slots__ = ("_binaries", "binv", "iov", "size", "vsize")

    def __init__(
        self,
        vsize: int,
        size: int,
        iov: Sequence[SysIOVec],
        binv: Sequence[ErlDrvBinary | None],
    ) -> None:
        self.vsize, self.size, self.iov, self.binv = vsize, size, iov, binv
        # The binaries that are lent with it.
        self._binaries: Sequence[ErlDrvBinary] = ()

    def __repr__(self) -> str:
        return "<ErlIOVec>"

    def take_back(self) -> None:
        """End the loan: the callback has returned."""
        # The struct is the emulator's memory, so it is gone.  The driver may have kept a reference
        # to it: `__getattr__` is called for a field that is not there.
        del self.vsize, self.size, self.iov, self.binv
        # This gives back the emulator's reference.  A driver that wants the binary has taken one of
        # its own.
        for binary in self._binaries:
            binary._lent = False
            driver_free_binary(binary)

    def __getattr__(self, field: str) -> NoReturn:
        if field not in ErlIOVec.__slots__:
            raise AttributeError(f"ErlIOVec has no field {field!r}")
        what = f"{field} of outputv's vector was used"
        advice = "it is lent for the call only: keep iov[i], with a reference to binv[i]"
        raise found(UseAfterFree(what, f", after the callback had returned; {advice}"))


def elements(call: str, ev: ErlIOVec) -> list[Element]:
    """The elements of a vector that a driver gives to `call`, after a check of each."""
    if ev is None:
        raise null_pointer(call, "ev")
    if not isinstance(ev, ErlIOVec):
        raise wrong_type(call, "ev", "an ErlIOVec", ev)
    check_int(call, "ev.vsize", ev.vsize, 0, min(len(ev.iov), len(ev.binv)), "elements")
    pairs = list(zip(ev.iov[: ev.vsize], ev.binv, strict=False))
    for i, (element, binary) in enumerate(pairs):
        if not isinstance(element, SysIOVec):
            raise wrong_type(call, f"ev.iov[{i}]", "a SysIOVec", element)
        base, size = element.iov_base, element.iov_len
        if not isinstance(base, Base):
            raise wrong_type(call, f"ev.iov[{i}].iov_base", "bytes, a memoryview or a block", base)
        if not isinstance(binary, ErlDrvBinary | None):
            raise wrong_type(call, f"ev.binv[{i}]", "an ErlDrvBinary or None", binary)
        there = 0 if base is None else len(base)
        # Asked before, because a vector has many elements, and the text costs more than the answer.
        if type(size) is not int or not 0 <= size <= there:
            check_int(call, f"ev.iov[{i}].iov_len", size, 0, there, "bytes")
    return pairs


def skipped(call: str, ev: ErlIOVec, skip: int) -> list[Element]:
    """The elements of a vector without its first `skip` bytes.  Changes the vector, as C does.

    In C a call that is told to skip shortens the element in which it stops, and leaves the `size`
    of the vector as it is.  So a vector is good for one such call: in the next one its `size` would
    be wrong, and that is `Misuse`.  Source: `erl_io_queue.c:skip`.
    """
    kept = elements(call, ev)
    check_int(call, "skip", skip, 0, ev.size, "bytes")
    there = sum(element.iov_len for element, _ in kept)
    if there != ev.size:
        why = "an earlier call with skip, or the driver, has changed it"
        raise Misuse(f"{call}: ev.size is {ev.size}, but ev.iov has {there} bytes: {why}")
    if ev.size <= skip:
        return []
    # C's loop is run once at least, and so drops one empty element also where nothing is skipped:
    # the first one of the vector of `outputv`.
    first = 0
    while True:
        element = kept[first][0]
        if element.iov_len <= skip:
            skip -= element.iov_len
            first += 1
        else:
            element.iov_base = after(element.iov_base, skip)
            element.iov_len -= skip
            skip = 0
        if not skip:
            return kept[first:]


def read(element: SysIOVec) -> bytes:
    """A copy of the bytes of an element."""
    base = element.iov_base
    return b"" if base is None else bytes(base[: element.iov_len])


def after(base: Base, skip: int) -> Base:
    """The bytes of `base` without the first `skip`, not copied: `base + skip` of C."""
    if not skip or base is None:
        return base
    return base._part(skip, len(base) - skip) if isinstance(base, Memory) else base[skip:]


class Vectors:
    """How the data of a command becomes the vector that `outputv` is lent."""

    # Whether data that is one empty binary, and not a list with one in it, has an element.
    empty_binary_is_element = True

    def is_copied(self, part: Part) -> bool:
        """Whether a part of iodata stands on the heap of a process, so that it has to be copied."""
        # A `bytearray` is bytes of a list.
        return len(part) <= ERL_ONHEAP_BIN_LIMIT or type(part) is bytearray

    def is_packed(self, parts: Sequence[Part]) -> bool:
        """Whether the vector of these parts would be so long that it is packed."""
        if len(parts) < SMALL_WRITE_VEC:
            return False
        # What is copied is one element up to the next shared binary.  Empty binaries count: C
        # looks at their place and not at their size.
        runs = groupby(parts, self.is_copied)
        return sum(1 if copied else len(list(run)) for copied, run in runs) >= SMALL_WRITE_VEC

    def lend(self, parts: Sequence[Part]) -> ErlIOVec:
        """The vector of a command with these parts, which `iodata_parts` has found."""
        limit = ERL_SMALL_IO_BIN_LIMIT if self.is_packed(parts) else 0
        common, begun = bytearray(), 0
        # Each element: the bytes that its binary will hold, and the element's place in them.
        places: list[tuple[Part, int, int]] = []
        for part in parts:
            if self.is_copied(part) or len(part) < limit:
                common += part
                continue
            if len(common) > begun:
                places.append((common, begun, len(common) - begun))
                begun = len(common)
            whole, start = (part.whole, part.start) if isinstance(part, SubBinary) else (part, 0)
            places.append((whole, start, len(part)))
        if len(common) > begun:
            places.append((common, begun, len(common) - begun))
        iov = [SysIOVec(None, 0)]
        binv: list[ErlDrvBinary | None] = [None]
        # By identity: an object that stands in the iodata twice is one binary, as a term is one.
        binaries: dict[int, ErlDrvBinary] = {}
        for whole, start, size in places:
            binary = binaries.get(id(whole))
            if binary is None:
                binary = binaries[id(whole)] = emulators_binary(bytes(whole), "sent", TO_KEEP)
                binary._lent = True
            iov.append(SysIOVec(binary._memory._part(start, size), size))
            binv.append(binary)
        # The one binary part without a place is an empty binary by itself: see `iodata_parts`.
        empty_binary = not places and any(type(part) is not bytearray for part in parts)
        if empty_binary and self.empty_binary_is_element:
            iov.append(SysIOVec(None, 0))
            binv.append(None)
        vector = ErlIOVec(len(iov), sum(size for _, _, size in places), iov, binv)
        vector._binaries = tuple(binaries.values())
        return vector
