"""`ErlIOVec` and `SysIOVec`: the structs of C, from and to the vector of `driverref.erl_driver`.

typedef struct { int vsize; ErlDrvSizeT size; SysIOVec *iov; ErlDrvBinary **binv; } ErlIOVec;
typedef struct { char *iov_base; size_t iov_len; } SysIOVec;
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from driverref.erl_driver import ErlIOVec, SysIOVec
from driverref.errors import Misuse
from driverref.hosting import library
from driverref.hosting.run import BYTES
from driverref.memory import Memory

if TYPE_CHECKING:
    from driverref.hosting.run import Run
    from driverref.memory.binary import ErlDrvBinary

_VECTOR, _ELEMENT = struct.Struct("<iiQQQ"), struct.Struct("<QQ")


@contextmanager
def vector(run: Run, call: str, address: int) -> Iterator[ErlIOVec]:
    """`with vector(...) as ev:` the vector that a struct of the driver's tells of.

    A call that skips bytes shortens an element.  After the block, C's struct is changed as well.
    """
    vsize, _, size, iov, binv = _VECTOR.unpack(run.read(address, _VECTOR.size))
    if vsize < 0:
        raise Misuse(f"{call}: a vector of {vsize} pieces")
    given, found, binaries = [], [], []
    for number in range(vsize):
        base, length = _ELEMENT.unpack(run.read(iov + _ELEMENT.size * number, _ELEMENT.size))
        behind = run.read_word(binv + 8 * number) if binv else 0
        binary = run.binary(call, behind) if behind else None
        given.append((base, length))
        found.append(_element(run, call, base, length, binary))
        binaries.append(binary)
    yield ErlIOVec(vsize, size, found, binaries)
    for number, (element, (base, length)) in enumerate(zip(found, given, strict=True)):
        if element.iov_len != length:
            left = element.iov_len
            at = iov + _ELEMENT.size * number
            run.write(at, _ELEMENT.pack(base + length - left, left))


def _element(run: Run, call: str, base: int, length: int, binary: ErlDrvBinary | None) -> SysIOVec:
    """An element: a part of its binary, which is not copied, or a copy of other memory."""
    if binary is None or not length:
        return SysIOVec(run.read(base, length, library.WHOLE), length)
    first = base - run.binary_word(binary) - BYTES
    if not 0 <= first <= first + length <= len(binary._memory):
        # In C the queue would keep a pointer to memory that the binary does not keep.
        raise Misuse(f"{call}: an element of ev.iov is not in the binary behind it, in ev.binv")
    return SysIOVec(binary._memory._part(first, length), length)


def entries(
    run: Run, iov: Sequence[SysIOVec], binv: Sequence[ErlDrvBinary | None]
) -> tuple[int, list[int]]:
    """Lay elements out in C's memory: the address of `iov`, and the words of `binv`."""
    packed, words = [], [run.binary_word(binary) for binary in binv]
    for element, word in zip(iov, words, strict=True):
        base = element.iov_base
        # There is a binary behind each element of the emulator's that has bytes.
        at = word + BYTES + base._first if isinstance(base, Memory) else 0
        packed.append(_ELEMENT.pack(at, element.iov_len))
    return run.host.lend(run, b"".join(packed)), words


def lay_out(run: Run, ev: ErlIOVec) -> tuple[bytes, list[int]]:
    """Lay a vector out in C's memory: the struct's bytes, and all that was lent for it."""
    at, words = entries(run, ev.iov, ev.binv)
    at_binaries = run.host.lend(run, struct.pack(f"<{len(words)}Q", *words))
    return _VECTOR.pack(ev.vsize, 0, ev.size, at, at_binaries), [at, at_binaries]
