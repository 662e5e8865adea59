"""Driver binaries: memory with a count of references, which Erlang can share without a copy.

A new binary has count 1, and that reference is the driver's.  Each `driver_free_binary` takes 1
from the count, and the call that reaches 0 frees the memory.  To send a binary adds references for
the receivers.  So the driver still gives back its own, and the memory is freed when the last
receiver has dropped the binary.

A binary that the emulator makes is the other way round: count 1 is the emulator's, and a driver
that keeps the binary takes a reference of its own.
"""

from __future__ import annotations

from driverref.errors import DoubleFree, Misuse, null_pointer, wrong_type
from driverref.memory.allocation import allocate, enter, freeable
from driverref.memory.atomic import Atomic
from driverref.memory.blocks import Memory
from driverref.memory.ledger import found
from driverref.since import since

__all__ = [
    "ErlDrvBinary",
    "driver_alloc_binary",
    "driver_binary_dec_refc",
    "driver_binary_get_refc",
    "driver_binary_inc_refc",
    "driver_free_binary",
    "driver_realloc_binary",
]


class ErlDrvBinary:
    """A driver binary: `orig_size`, and `orig_bytes`, a `Memory` that is not cleared.

    A process that receives the binary reads the same bytes, so write them before you send it.  Any
    thread.  Stands for `ErlDrvBinary`.
    """

    __slots__ = ("_lent", "_memory", "_refc", "_row")

    def __init__(self, memory: Memory) -> None:
        self._row = memory._row
        self._memory = memory
        self._refc = Atomic(1)
        # Whether one of the references is the emulator's, which lends the binary to a callback.
        self._lent = False

    @property
    def orig_size(self) -> int:
        """The number of bytes."""
        return len(self.orig_bytes)

    @property
    def orig_bytes(self) -> Memory:
        """The bytes."""
        # In C this only follows a pointer, so no byte is used and the span is empty.  It races with
        # what uses the whole block, such as a free, and it is a fault after the free.
        self._memory._use("contents", False, (0, 0))
        return self._memory

    def __repr__(self) -> str:
        return f"<{self._row}>"


def driver_alloc_binary(size: int) -> ErlDrvBinary | None:
    """Allocate a binary of `size` bytes, with count 1.  Its contents are indeterminate.

    Returns `None` (NULL) if the machine has too little memory.

    Any thread.  Stands for `driver_alloc_binary`.
    """
    memory = allocate("driver_alloc_binary", size, "binary", "driver_free_binary", None)
    return None if memory is None else ErlDrvBinary(memory)


def emulators_binary(data: bytes, born: str, advice: str) -> ErlDrvBinary:
    """Return a new binary with these bytes, which the driver must not change.

    Count 1 is the emulator's.  `born` is the word for its making in messages, such as `sent`, and
    `advice` what a driver should do that uses the binary when the emulator has freed it.
    """
    size = len(data)
    what = f"binary of {size} byte{'s' * (size != 1)}"
    row = enter("outputv", what, "driver_free_binary", size, born)
    row.advice = advice
    return ErlDrvBinary(Memory(row, data))


def driver_realloc_binary(bin: ErlDrvBinary | None, size: int) -> ErlDrvBinary | None:
    """Change a binary to `size` bytes, and return its new handle.  The old handle is freed.

    The contents are kept, up to the smaller of the two sizes.  `None` for `bin` allocates.  If the
    result is `None` (NULL), the old binary is unchanged and still has to be freed.  A count above 1
    is `Misuse`: the other references would keep the old address.

    Any thread.  Stands for `driver_realloc_binary`.
    """
    call = "driver_realloc_binary"
    if bin is None:
        return driver_alloc_binary(size)
    if (refc := change_refc(call, bin, 0)) != 1:
        raise found(Misuse(f"{call}: {bin!r} has {refc} references"))
    if bin._lent:
        why = "is lent for the call only, and its reference the emulator's"
        raise found(Misuse(f"{call}: {bin!r} {why}"))
    memory = allocate(call, size, "binary", "driver_free_binary", bin._memory)
    return None if memory is None else ErlDrvBinary(memory)


def driver_free_binary(bin: ErlDrvBinary | None) -> None:
    """Give back one reference; the last one frees the binary.  `None` (NULL) is accepted.

    `DoubleFree` if all references have been given back, `InvalidFree` for anything but a binary.

    Any thread.  Stands for `driver_free_binary`.
    """
    call = "driver_free_binary"
    if bin is None:
        return
    # The count stops at 0, so a free that comes too late finds 0 and not a negative number.
    before = freeable(call, bin, ErlDrvBinary, call)._refc._change(lambda now: max(now - 1, 0), 1)
    if before < 1 and bin._row.alive:
        why = f"driver_binary_dec_refc took the last reference to {bin!r}"
        raise found(DoubleFree(f"{call}: {why}"))
    if before == 1 and bin._lent:
        why = "its reference is the emulator's, which lends it for the call only"
        raise found(DoubleFree(f"{call}: {bin!r} is not the driver's: {why}"))
    # 1 was the last reference.  0 in a binary that is gone is a second free, and `_release` raises
    # the `DoubleFree` with both places.
    if before <= 1:
        bin._memory._release(call)


@since("R11B-0")
def driver_binary_get_refc(bin: ErlDrvBinary) -> int:
    """Return the count of references.  Another thread may change it right after the call.

    Any thread.  Stands for `driver_binary_get_refc`.
    """
    return change_refc("driver_binary_get_refc", bin, 0)


@since("R11B-0")
def driver_binary_inc_refc(bin: ErlDrvBinary) -> int:
    """Take one more reference, and return the new count.  `driver_free_binary` gives it back.

    The caller must have a reference already.

    Any thread.  Stands for `driver_binary_inc_refc`.
    """
    refc = change_refc("driver_binary_inc_refc", bin, +1)
    bin._row.mention("a reference taken")
    return refc


@since("R11B-0")
def driver_binary_dec_refc(bin: ErlDrvBinary) -> int:
    """Take 1 from the count, and return the new count.  Never frees, not even at 0.

    Call it only where the count cannot reach 0: a binary with count 0 can no longer be freed, so it
    leaks.  To give back a reference, call `driver_free_binary`.

    Any thread.  Stands for `driver_binary_dec_refc`.
    """
    refc = change_refc("driver_binary_dec_refc", bin, -1)
    if not refc:
        bin._row.mention("the last reference taken by driver_binary_dec_refc, which never frees,")
    return refc


def change_refc(call: str, bin: ErlDrvBinary, change: int) -> int:
    """Add `change` to the count of a binary that is not freed, and return the new count."""
    if bin is None:
        raise null_pointer(call, "bin")
    if not isinstance(bin, ErlDrvBinary):
        raise wrong_type(call, "bin", "an ErlDrvBinary", bin)
    refc = bin._refc
    # A count of 0 stays 0: no reference is left that could make another.
    before = refc._change(lambda now: now and now + change, change) if change else refc.load()
    # Looked at after the step on the count, because another thread may free the binary there.
    if not bin._row.alive:
        raise bin._row.after_free(f"refc {'written' if change else 'read'}")
    if change and before < 1:
        raise found(Misuse(f"{call}: no reference to {bin!r} is left"))
    return before + change
