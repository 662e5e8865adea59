"""`driver_alloc` and its relatives: the calls that allocate and free blocks.

Each allocation enters a row in the ledger of the emulator that runs in the calling thread.  Each
free takes the row out.  `enter`, `freeable`, `fails` and `allocate` are the steps that these calls
share with the binaries and with `instrument`.
"""

from __future__ import annotations

from typing import TypeVar, overload

from driverref import errors
from driverref.diagnostics import shown
from driverref.errors import check_int, is_int, wrong_type, wrong_value
from driverref.memory.blocks import Block, Memory, Struct
from driverref.memory.ledger import Ledger, Row, found
from driverref.threads import ALLOCATION, current

__all__ = ["driver_alloc", "driver_free", "driver_realloc", "memset", "sizeof"]

S = TypeVar("S", bound=Struct)
T = TypeVar("T")


def enter(call: str, what: str, freed_by: str, size: int, born: str = "allocated") -> Row:
    """Enter a block in the ledger of the emulator that runs in this thread; return its row."""
    row: Row = current(call).runtime.ledger.add(what, born, freed_by)
    row.size = size
    return row


def freeable(call: str, block: object, kind: type[T], freed_by: str) -> T:
    """Return `block` if `call` may free it: it is of this `kind`, and `freed_by` frees it.

    Else raise `InvalidFree`.
    """
    # The row comes first: it knows the right call, and a message that names it helps more than one
    # about types.  A binary and a lock have rows too.
    row = getattr(block, "_row", None)
    if isinstance(row, Row) and row.freed_by != freed_by:
        raise found(errors.InvalidFree(f"{call} cannot free {block!r}: use {row.freed_by}"))
    if not isinstance(block, kind):
        what = f"{call} takes a {kind.__name__}, not {shown(block, 60)}"
        raise found(errors.InvalidFree(what))
    return block


def fails(call: str) -> bool:
    """Whether this allocation of the driver fails.

    `explore` can try that, for each allocation of a run in turn.  Elsewhere none fails.
    """
    ledger: Ledger = current(call).runtime.ledger
    ledger.threads.step()
    # One failure a run: what has to be tried is each way out of the driver's code, and a driver
    # that has seen one mostly gives up.
    if not ledger.failed and ledger.threads.chance(ALLOCATION):
        ledger.failed = True
        return True
    return False


def allocate(call: str, size: int, what: str, freed_by: str, old: Memory | None) -> Memory | None:
    """Return a new block with the contents of `old`, which is freed; `None` (NULL) if it fails."""
    check_int(call, "size", size, 0, None, "bytes")
    if fails(call):
        return None
    # A write, although the bytes are only copied: `realloc` may move the block, so no other thread
    # may even read it.  A write also accepts unwritten bytes, which the copy leaves unwritten.
    kept = b"" if old is None else old._use("contents", write=True)[:size]
    # The bytes come before the ledger: where the machine has none, `old` has to stay as it was.
    try:
        contents, written = bytearray(size), bytearray(size)
    # `OverflowError`: more bytes than Python can count with an index.
    except (MemoryError, OverflowError):
        return None
    row = enter(call, f"{what} of {size} byte{'s' * (size != 1)}", freed_by, size)
    if old is not None:
        # The free comes last.  Other threads run in its steps, and a use of the old block there
        # races with the write above.
        contents[: len(kept)] = kept
        # Where no byte is marked, the emulator has written all of them.
        written[: len(kept)] = (old._written or b"\1" * len(kept))[:size]
        old._release(call)
    return Memory(row, contents, written)


@overload
def driver_alloc(size: type[S]) -> S | None: ...
@overload
def driver_alloc(size: int) -> Memory | None: ...
def driver_alloc(size: type[S] | int) -> S | Memory | None:
    """Allocate a block.  Its contents are indeterminate: write before you read.

    `size` is a number of bytes or a subclass of `Struct` (C's `sizeof(T)`).  Returns `None` (NULL)
    if the machine has too little memory; to see that, ask for `2**60` bytes.  Size 0 gives a block
    of its own.  `TypeError` or `ValueError` unless a number of bytes is an `int` of 0 or more.

    Any thread.  Stands for `driver_alloc`.
    """
    if not isinstance(size, type) or not issubclass(size, Struct):
        return allocate("driver_alloc", size, "block", "driver_free", None)
    if fails("driver_alloc"):
        return None
    row = enter("driver_alloc", size.__name__, "driver_free", sizeof(size))
    return size._unwritten(row)


def driver_realloc(ptr: Memory | None, size: int) -> Memory | None:
    """Change a block to `size` bytes, and return its new handle.  The old handle is freed.

    The contents are kept, up to the smaller of the two sizes.  `None` for `ptr` allocates.  If the
    result is `None` (NULL), the old block is unchanged and still has to be freed.  `InvalidFree`
    for a `Struct` and for what `driver_alloc` did not return, `UseAfterFree` for what is freed
    already.

    Any thread.  Stands for `driver_realloc`.
    """
    old = None if ptr is None else freeable("driver_realloc", ptr, Memory, "driver_free")
    return allocate("driver_realloc", size, "block", "driver_free", old)


def driver_free(ptr: object) -> None:
    """Free what `driver_alloc` or `driver_realloc` returned.  `None` (NULL) is accepted.

    `DoubleFree` for what is freed already, `InvalidFree` for anything else.

    Any thread.  Stands for `driver_free`.
    """
    if ptr is not None:
        freeable("driver_free", ptr, Block, "driver_free")._release("driver_free")


def memset(ptr: T, c: int, size: int) -> T:
    """Set the first `size` bytes of a block to `c`, and return `ptr`.

    In a `Struct` only 0 has a meaning: each field gets the value that its annotation has for zero
    bytes.  Another `c` is a `ValueError`.  To write beyond the block is `OutOfBounds`, and to NULL
    `Misuse`.  `TypeError` unless `c` and `size` are `int`s, and for what has no size.  Any thread.
    Stands for `memset` of C.
    """
    if not (is_int(c) and is_int(size)):
        raise wrong_type("memset", "c and size", "ints", (c, size))
    if ptr is None or not 0 <= size <= sizeof(ptr):
        fault = errors.Misuse if ptr is None else errors.OutOfBounds
        raise found(fault(f"memset: {size} bytes do not fit in {ptr!r}"))
    # An assignment and no shortcut, so that the write steps and is checked as any other.
    if isinstance(ptr, Memory):
        ptr[:size] = bytes((c & 0xFF,)) * size  # C converts `c` to an `unsigned char`
    elif c & 0xFF or not isinstance(ptr, Struct):
        raise wrong_value("memset", "ptr and c", "a block, and 0 for a Struct", (ptr, c))
    else:
        # A field has 8 bytes.  One that `size` ends within keeps its value: half a value is none.
        for name in list(ptr._zeros)[: size // 8]:
            setattr(ptr, name, ptr._zeros[name]())
    return ptr


def sizeof(block: object) -> int:
    """Return the bytes of a block, or of a `Struct` or its type: 8 for each field.

    `TypeError` for anything else.  Any thread.  Stands for `sizeof` of C.
    """
    if isinstance(block, Memory):
        return len(block)
    # By attribute and not by type, because C takes both here: a struct and the name of its type.
    if (zeros := getattr(block, "_zeros", None)) is None:
        raise wrong_type("sizeof", "block", "a Struct or what driver_alloc returned", block)
    return 8 * len(zeros)
