"""`ErlIOVec` and `SysIOVec`: the structs of C, from and to the vector of `driverref.erl_driver`.

typedef struct { int vsize; ErlDrvSizeT size; SysIOVec *iov; ErlDrvBinary **binv; } ErlIOVec;
typedef struct { char *iov_base; size_t iov_len; } SysIOVec;
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from driverref.erl_driver import ErlIOVec
from driverref.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driverref.hosting.run import Run
    from driverref.memory.binary import ErlDrvBinary

_VECTOR = struct.Struct("<iiQQQ")
SIZE = _VECTOR.size


def vector(run: Run, call: str, address: int) -> ErlIOVec:
    """The vector that a struct of the driver's tells of."""
    vsize, _, _, iov, binv = _VECTOR.unpack(run.read(address, SIZE))
    if vsize < 0:
        raise Misuse(f"{call}: a vector of {vsize} pieces")
    pieces = []
    for number in range(vsize):
        base, size = struct.unpack("<QQ", run.read(iov + 16 * number, 16))
        behind = run.read_word(binv + 8 * number) if binv else 0
        binary = run.binary(call, behind) if behind else None
        pieces.append((memoryview(run.read(base, size)), binary))
    return ErlIOVec(pieces)


def lay_out(
    run: Run, iov: Sequence[memoryview], binv: Sequence[ErlDrvBinary | None]
) -> tuple[bytes, list[int]]:
    """Lay a vector out in C's memory: the struct's bytes, and all that was lent for it."""
    lent, entries, behind = [], [], []
    for data, binary in zip(iov, binv, strict=True):
        word = run.binary_word(binary)
        if binary is not None and len(data) == binary.orig_size:
            base = word + 8
        else:
            base = run.host.lend(run, bytes(data)) if len(data) else 0
            lent.extend([base] if base else [])
        entries.append(struct.pack("<QQ", base, len(data)))
        behind.append(struct.pack("<Q", word))
    at, at_binaries = (run.host.lend(run, b"".join(part)) for part in (entries, behind))
    size = sum(map(len, iov))
    return _VECTOR.pack(len(entries), 0, size, at, at_binaries), [*lent, at, at_binaries]
