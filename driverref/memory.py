"""The driver's memory: what `driver_alloc` gives, and the ledger that knows where every block is.

A block is a `Memory` (so many bytes) or a `Struct` (fields).  It begins *unwritten* and ends *freed*;
to read it so is the driver's fault, told with the place where it was allocated and, if so, freed.

An access first makes itself known to the threads seam, as `(block, field)`, and only then looks at
the block, because another thread may free it in between.  A free makes one field after the other
known, and unusable: so every access is ordered against a step of the free that touches the same
thing, and a search of the schedules needs no rule for freed memory.  OS threads need none of that.

The ledger takes no lock.  A block is alive while it is a key of one dict, and the single `pop` that
removes it decides which of two threads has freed it: atomic under the GIL, and without a GIL each
dict guards itself.
"""

from __future__ import annotations

import inspect
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from driverref import errors
from driverref.errors import wrong_type, wrong_value
from driverref.threads import Threads, here
from driverref.threads.native import NativeThreads

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

# As many bytes as a 64-bit process can address are never to be had; fewer, if the machine has them.
ADDRESS_SPACE = 1 << 47
WORD = 8  # what a field of a `Struct` counts for in `sizeof`

# Callers that are no driver: this package, and the first frames of an OS thread.
_OURS = (f"{Path(__file__).parent}{os.sep}", str(Path(os.__file__).with_name("threading.py")))


Place = tuple["CodeType", int] | None


def _caller() -> Place:
    """The first caller outside this package: two words, which `_text` spells out if asked to."""
    frame = sys._getframe(2)
    while (code := frame.f_code).co_filename.startswith(_OURS):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return code, frame.f_lasti


def _text(place: Place) -> str:
    if place is None:
        return "the emulator's own doing"
    code, at = place
    line = next(line for start, end, line in code.co_lines() if start <= at < end)
    within = "" if code.co_name == "<module>" else f" in {code.co_name}"
    return f"{Path(code.co_filename).name}:{line}{within}"


class Entry:
    """A row of the ledger: something that has to be given back.

    `what` names it (`"Job"`, `"mutex 'm'"`), `born` says how it came (`"allocated"`, `"created"`) and
    `freed_by` is the call that gives it back.  A place is `"drv.py:12 in work"`.
    """

    __slots__ = ("_began", "_ended", "born", "freed_by", "ledger", "what")

    def __init__(self, ledger: Ledger, what: str, born: str, freed_by: str, began: Place) -> None:
        self.ledger = ledger
        self.what = what
        self.born = born
        self.freed_by = freed_by
        self._began = began
        self._ended: Place = None

    place = property(lambda self: _text(self._began), doc="Where it came from.")
    ended = property(lambda self: _text(self._ended), doc="Where it was given back.")

    @property
    def alive(self) -> bool:
        """Whether it has yet to be given back."""
        return self in self.ledger.rows

    def end(self, call: str) -> None:
        """Give it back, by `call`.  Whoever comes second gets a `DoubleFree`, and nothing changes."""
        now = _caller()
        if self.ledger.rows.pop(self, None) is None:
            twice = f"freed twice: first at {self.ended}, now at {_text(now)}"
            raise errors.DoubleFree(f"{call}: {self.what} {twice}; {self.born} at {self.place}")
        self._ended = now

    def fault(self, access: str, freed: bool) -> errors.DriverFault:
        """What is wrong with an access, such as `"count read"`, to what is freed, or unwritten."""
        kind = errors.UseAfterFree if freed else errors.Uninitialised
        when = f"after it was freed at {self.ended}" if freed else "before anybody wrote it"
        return kind(f"{self.what}: {access} {when}; {self.born} at {self.place}")

    def __str__(self) -> str:
        return f"{self.what} {self.born} at {self.place}"


class Ledger:
    """Everything the drivers of one emulator hold.  Any thread, at any time; no call waits."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.rows: dict[Entry, Entry] = {}
        # Makes an access known; `None` where that has no effect: the cheapest call is none.
        self.touch: Callable[[object, bool], None] | None = self._touch
        if isinstance(threads, NativeThreads):
            self.touch = None

    def _touch(self, thing: object, write: bool) -> None:
        if here.thread is not None:  # before and after the emulator there is nobody to switch to
            self.threads.touch(thing, write)

    def add(self, what: str, born: str = "allocated", freed_by: str = "driver_free") -> Entry:
        """Enter something made by the first caller outside `driverref`.  Keep the row."""
        entry = Entry(self, what, born, freed_by, _caller())
        self.rows[entry] = entry
        return entry

    def leaks(self) -> list[str]:
        """What has not been given back, a line each, oldest first."""
        return [str(entry) for entry in list(self.rows)]

    def check(self) -> None:
        """Raise `Leak` if anything has not been given back."""
        if rows := self.leaks():
            raise errors.Leak(rows)


_UNWRITTEN, _FREED = object(), object()  # what is in a field that holds no value


class Block:
    """What a `Memory` and a `Struct` have in common.  `==` is identity, as of pointers."""

    __slots__ = ("_entry", "_values")
    _entry: Entry
    _values: dict[str, Any]

    def _use(self, name: str, write: bool) -> Any:
        """Make an access known, then check it and give what is there."""
        if (touch := self._entry.ledger.touch) is not None:
            touch((self, name), write)
        value = self._values[name]
        if value is _FREED or (value is _UNWRITTEN and not write):
            raise self._entry.fault(f"{name} {'written' if write else 'read'}", value is _FREED)
        return value

    def _release(self, call: str) -> None:
        """Free it, by `call`."""
        if (touch := self._entry.ledger.touch) is not None:
            touch(self, True)  # orders two frees of one block
        self._entry.end(call)
        for name in self._values:
            if touch is not None:
                touch((self, name), True)
            self._values[name] = _FREED

    def __repr__(self) -> str:
        return f"<{self._entry}>"


class Memory(Block):
    """A block of bytes, from `driver_alloc(n)`.  Not cleared.

    `m[i]` is an int and `m[i:j]` a `bytes`; both may be assigned, and `bytes(m)` copies.  Positions
    count from the start, and what is not inside the block is an `IndexError`.  A byte that nobody
    wrote cannot be read.  Threads that share a block need a lock, as in C.
    """

    __slots__ = ("_size", "_written")

    def __init__(self, entry: Entry, contents: bytearray, written: bytearray) -> None:
        self._entry, self._values = entry, {"contents": contents}
        self._size = len(contents)
        self._written = written  # a byte for each: 1 once it has been written

    def _span(self, index: int | slice) -> tuple[int, int]:
        span = index if isinstance(index, slice) else slice(index, index + 1)
        start, stop = span.start or 0, self._size if span.stop is None else span.stop
        if not 0 <= start <= stop <= self._size or span.step is not None:
            raise IndexError(f"{self!r} has no {index}")
        return start, stop

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        start, stop = self._span(index)
        contents = self._use("contents", write=False)
        if (unwritten := self._written.find(0, start, stop)) >= 0:
            raise self._entry.fault(f"byte {unwritten} read", freed=False)
        result: int | bytes = contents[start] if index == start else bytes(contents[start:stop])
        return result

    def __setitem__(self, index: int | slice, value: int | bytes | bytearray | memoryview) -> None:
        start, stop = self._span(index)
        data = bytes((value,)) if isinstance(value, int) else bytes(value)
        if len(data) != stop - start:
            raise wrong_value("Memory", "value", f"{stop - start} bytes", value)
        self._use("contents", write=True)[start:stop] = data
        self._written[start:stop] = b"\1" * len(data)

    def __bytes__(self) -> bytes:
        return self[:]


class Atomic:
    """An `atomic_int` or `atomic_bool` of C11: the right type for a flag that cancels a job.

    Alone or in a field of a `Struct`; any thread, and outside an emulator too.  Each operation is one
    step, sequentially consistent, and stands for the one of `stdatomic.h`.

    >>> cancelled = Atomic(False)
    >>> cancelled.exchange(True), cancelled.load()
    (False, True)
    """

    __slots__ = ("_value",)

    def __init__(self, value: int = 0) -> None:
        self._value = 0
        self._change(lambda _: value, value)

    def load(self) -> int:
        """The value."""
        if (thread := here.thread) is not None:
            thread.emulator.threads.touch(self, write=False)
        return self._value

    def store(self, value: int) -> None:
        """Set the value."""
        self._change(lambda _: value, value)

    def exchange(self, value: int) -> int:
        """Set the value and return the one before."""
        return self._change(lambda _: value, value)

    def compare_exchange(self, expected: int, desired: int) -> bool:
        """Set the value to `desired` if it was `expected`, and return whether it was."""
        new = lambda value: desired if value == expected else value  # noqa: E731
        return self._change(new, expected, desired) == expected

    def fetch_add(self, n: int) -> int:
        """Add `n` and return the value before."""
        return self._change(lambda value: value + n, n)

    def fetch_sub(self, n: int) -> int:
        """Subtract `n` and return the value before."""
        return self._change(lambda value: value - n, n)

    def _change(self, new: Callable[[int], int], *operands: int) -> int:
        if not all(isinstance(operand, int) for operand in operands):
            raise wrong_type("Atomic", "a value", "an int or a bool", operands)
        thread = here.thread
        with nullcontext() if thread is None else thread.emulator.threads.atomically(self):
            before = self._value
            self._value = new(before)
        return before

    def __repr__(self) -> str:
        return f"Atomic({self._value})"


_ZEROS = {"int": int, "float": float, "bool": bool, "Atomic": Atomic}


class Struct(Block):
    """A C struct: subclass it, annotate the fields, and allocate it with `driver_alloc`.

    A field holds any value; another `Struct` in it is a pointer.  Only `memset` asks for annotations:
    zero bytes are 0, `0.0`, `False` or an `Atomic` that is 0, and `None` (NULL) for anything else.
    A field that threads share needs a lock or an `Atomic`, as in C.
    """

    __slots__ = ()
    _zeros: ClassVar[dict[str, Callable[[], object]]] = {}

    def __init_subclass__(cls) -> None:
        bases = [base._zeros for base in reversed(cls.__mro__[1:]) if issubclass(base, Struct)]
        cls._zeros = {name: zero for zeros in bases for name, zero in zeros.items()}
        for name, annotation in inspect.get_annotations(cls).items():
            text = (
                annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
            )
            cls._zeros[name] = _ZEROS.get(text.rpartition(".")[2], type(None))
        for name in cls._zeros:
            if hasattr(Struct, name):
                raise TypeError(f"{cls.__name__}.{name}: the name is taken by Struct itself")
            if name in vars(cls):
                no = "a field has no default, because driver_alloc does not clear memory"
                raise TypeError(f"{cls.__name__}.{name}: {no}; assign it after driver_alloc")
            setattr(cls, name, property(lambda self, name=name: self._use(name, False)))

    def __new__(cls, *_: object, **__: object) -> Any:
        raise TypeError(f"{cls.__name__} is a driver's memory: use driver_alloc({cls.__name__})")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._values:
            fields = ", ".join(self._values) or "none"
            raise AttributeError(f"{self._entry.what} has no field {name!r}; its fields: {fields}")
        self._use(name, write=True)
        self._values[name] = value


# Around `Struct.__setattr__`, which knows only fields.
_set_entry, _set_values = vars(Block)["_entry"].__set__, vars(Block)["_values"].__set__
S = TypeVar("S", bound=Struct)
T = TypeVar("T")


def current_ledger(call: str) -> Ledger:
    """The ledger of the emulator that is running in this thread."""
    if here.thread is None:
        raise errors.Misuse(f"{call}: no emulator is running in this thread")
    ledger: Ledger = here.thread.emulator.ledger
    return ledger


def freeable(call: str, block: object, kind: type[T], freed_by: str) -> T:
    """`block`, if it is of the `kind` that `call` frees."""
    entry = getattr(block, "_entry", None)
    if isinstance(entry, Entry) and entry.freed_by != freed_by:
        raise errors.InvalidFree(f"{call} cannot free {block!r}: use {entry.freed_by}")
    if not isinstance(block, kind):
        raise errors.InvalidFree(f"{call}: never allocated: {repr(block)[:60]}")
    return block


def check_int(call: str, parameter: str, value: object, expected: str = "an int") -> int:
    """`value`, if it is an int and no bool."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(call, parameter, expected, value)
    return value


def allocate(
    call: str, size: int, what: str, freed_by: str, old: Memory | None = None
) -> Memory | None:
    """A new block in the ledger, with the contents of `old`, which is freed.  `None` for NULL."""
    if check_int(call, "size", size, "an int (bytes)") < 0:
        raise wrong_value(call, "size", "0 or more bytes", size)
    ledger = current_ledger(call)
    kept = b"" if old is None else old._use("contents", write=True)[:size]
    if size >= ADDRESS_SPACE:
        return None
    try:
        contents, written = bytearray(size), bytearray(size)
    except MemoryError:
        return None
    if old is not None:
        contents[: len(kept)] = kept
        written[: len(kept)] = old._written[:size]
        old._release(call)
    return Memory(ledger.add(f"{what} of {size} bytes", freed_by=freed_by), contents, written)


@overload
def driver_alloc(size: type[S]) -> S | None: ...
@overload
def driver_alloc(size: int) -> Memory | None: ...
def driver_alloc(size: type[S] | int) -> S | Memory | None:
    """Allocate a block.  Its contents are indeterminate: write before you read.

    `size` is a number of bytes, or a subclass of `Struct` where C has `sizeof(T)`.  `None` (NULL) if
    there is no such memory.  Size 0 gives a block of its own, to be freed like any other.  Any thread
    of an emulator.  Stands for `driver_alloc`.
    """
    if not isinstance(size, type):
        return allocate("driver_alloc", size, "block", "driver_free")
    if not issubclass(size, Struct):
        raise wrong_type("driver_alloc", "size", "an int (bytes) or a subclass of Struct", size)
    ledger = current_ledger("driver_alloc")
    struct: S = object.__new__(size)
    _set_entry(struct, ledger.add(size.__name__))
    _set_values(struct, dict.fromkeys(size._zeros, _UNWRITTEN))
    return struct


def driver_realloc(ptr: Memory | None, size: int) -> Memory | None:
    """Change a block to `size` bytes.  The old handle is freed: use the one that is returned.

    What fits of the contents is kept, what is new is indeterminate.  `None` for `ptr` allocates.  A
    result of `None` (NULL) leaves the old block as it was, and yours.  A `Struct` cannot change its
    size.  Any thread of an emulator.  Stands for `driver_realloc`.
    """
    if isinstance(ptr, Struct):
        raise wrong_type("driver_realloc", "ptr", "a block of bytes (allocate a new Struct)", ptr)
    if ptr is not None:
        freeable("driver_realloc", ptr, Memory, "driver_free")
    return allocate("driver_realloc", size, "block", "driver_free", ptr)


def driver_free(ptr: object) -> None:
    """Free what `driver_alloc` or `driver_realloc` returned.  `None` (NULL) is accepted.

    `DoubleFree` for a block that is freed already, `InvalidFree` for anything else.  Any thread, not
    only the one that allocated.  Stands for `driver_free`.
    """
    if ptr is not None:
        freeable("driver_free", ptr, Block, "driver_free")._release("driver_free")


def memset(ptr: T, c: int, size: int) -> T:
    """Set the first `size` bytes of a block to `c`, and return `ptr`.

    In a `Struct` only 0 has a meaning: its fields become what zero bytes are for their annotations.
    To write beyond the block, or to NULL, is `Misuse`.  Any thread.  Stands for `memset` of C.
    """
    byte = check_int("memset", "c", c) & 0xFF
    if ptr is None:
        raise errors.Misuse("memset: ptr is NULL: driver_alloc had no memory, and nobody looked")
    if not 0 <= check_int("memset", "size", size, "an int (bytes)") <= sizeof(ptr):
        raise errors.Misuse(f"memset: {size} bytes are not inside {ptr!r}, which has {sizeof(ptr)}")
    if isinstance(ptr, Memory):
        ptr[:size] = bytes((byte,)) * size
    elif byte:
        raise wrong_value("memset", "c", "0 for a Struct", c)
    elif isinstance(ptr, Struct):
        for name in list(ptr._zeros)[: size // WORD]:
            setattr(ptr, name, ptr._zeros[name]())
    return ptr


def sizeof(block: object) -> int:
    """The bytes of a block, a `Struct`'s class included: a field counts for 8.  Stands for `sizeof`.

    It looks at the type alone, so a freed block still has its size.  Any thread.
    """
    if isinstance(block, Memory):
        return len(block)
    struct = block if isinstance(block, type) else type(block)
    if not issubclass(struct, Struct):
        raise wrong_type("sizeof", "block", "a Struct or what driver_alloc returned", block)
    return WORD * len(struct._zeros)
