"""The driver's memory: what `driver_alloc` gives, and the ledger that knows where every block is.

A block is a `Memory` (so many bytes) or a `Struct` (fields).  It begins *unwritten* and ends *freed*; to read it
so is the driver's fault, told with the place where it was allocated and, if so, freed.

An access first makes itself known to the threads seam, as `(block, field)`, and only then looks at the block,
because another thread may free it in between.  On simulated threads it is then checked for a data race.  A free
makes one field after the other known, and unusable: so every access is ordered against a step of the free, and a
search of the schedules needs no rule for freed memory.

The ledger takes no lock.  A block is alive while it is a key of one dict, and the one `pop` that removes it
decides who freed it: atomic under the GIL, and without a GIL each dict guards itself.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from driverref import errors
from driverref.atomic import Atomic
from driverref.errors import wrong_type, wrong_value
from driverref.races import Accesses, Span
from driverref.threads import NOBODY, READ, WRITE, Threads, current, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

# Callers that are no driver: this package, and the first frames of an OS thread.
_OURS = (f"{Path(__file__).parent}{os.sep}", str(Path(os.__file__).with_name("threading.py")))
_DOCTEST = re.compile(r"<doctest (.*)\[\d+\]>")
Place = tuple["CodeType", int] | None


def _caller() -> Place:
    """The first caller outside this package: two words, which `_text` spells out if asked to."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


def _text(place: Place) -> str:
    if place is None:
        return "the emulator's own doing"
    code, at = place
    line = next(line for start, end, line in code.co_lines() if start <= at < end)
    within = "" if code.co_name == "<module>" else f" in {code.co_name}"
    name = Path(_DOCTEST.sub(r"\1", code.co_filename)).name
    return f"{name}:{line}{within}"


class Entry:
    """A row of the ledger: something that has to be given back.

    `what` names it (`"mutex 'm'"`), `born` says how it came (`"created"`), `freed_by` is the call that gives it
    back, and a place is `"drv.py:12 in work"`: the first caller outside this package.
    """

    __slots__ = (
        "_accesses", "_began", "_ended", "born", "freed_by", "id", "label", "ledger", "size", "what",
    )  # fmt: skip

    def __init__(self, ledger: Ledger, what: str, born: str, freed_by: str, began: Place) -> None:
        self.ledger, self.what, self.born, self.freed_by = ledger, what, born, freed_by
        self.size = 0
        """Bytes, of a block."""
        self.label: int | None = None
        """What R7B's `sys_alloc_from` was given; see `instrument`."""
        self.id = ledger.fresh()
        self._began = began
        self._ended: Place = None
        self._accesses: dict[str, Accesses] = {}

    place = property(lambda self: _text(self._began), doc="Where it came from.")
    ended = property(lambda self: _text(self._ended), doc="Where it was given back.")

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        self.ledger.threads.also((self.id, None), READ)
        return self in self.ledger.rows

    def end(self, call: str) -> None:
        """Give it back, by `call`.  Whoever comes second gets a `DoubleFree`, and nothing changes."""
        now = _caller()
        self.ledger.threads.also((self.id, None), WRITE)
        if self.ledger.rows.pop(self, None) is None:
            twice = f"freed twice: first at {self.ended}, now at {_text(now)}"
            raise errors.DoubleFree(f"{call}: {self.what} {twice}; {self.born} at {self.place}")
        self._ended = now

    def touch(self, name: object, write: bool) -> None:
        """The running thread is about to use a field."""
        if running() is not NOBODY:  # before and after the emulator there is nobody to switch to
            self.ledger.threads.touch((self.id, name), write)

    def check(self, name: str, write: bool, span: Span | None, verb: str) -> None:
        """Raise `DataRace` if nothing orders this use of a field and another thread's."""
        if (thread := running()) is NOBODY:
            return
        if (accesses := self._accesses.get(name)) is None:
            accesses = self._accesses[name] = Accesses()
        if (race := accesses.add(thread, write, span, (_caller(), verb))) is None:
            return
        one, other = (f"{a.place[1]} by {a.thread.name} at {_text(a.place[0])}" for a in race)
        what = f"{self.what}: {name} {one}, and {other}"
        raise errors.DataRace(f"{what}, and nothing orders the two; {self.born} at {self.place}")

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
        self.fresh = threads.fresh
        self.simulated = threads.simulated
        """Whether an access has to be made known; on OS threads it is cheaper to make no call."""

    def add(self, what: str, born: str, freed_by: str) -> Entry:
        """Enter something made by the first caller outside `driverref`.  Keep the row."""
        entry = Entry(self, what, born, freed_by, _caller())
        return self.rows.setdefault(entry, entry)

    def leaks(self) -> list[str]:
        """What has not been given back, a line each, oldest first; on simulated threads thread by thread."""
        return [str(entry) for entry in sorted(self.rows, key=lambda entry: entry.id)]

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

    def _use(self, name: str, write: bool, span: Span | None = None) -> Any:
        """Make an access known, then check it and give what is there."""
        entry = self._entry
        simulated = entry.ledger.simulated
        if simulated:
            entry.touch(name, write)
        value = self._values[name]
        verb = "written" if write else "read"
        if value is _FREED:
            raise entry.fault(f"{name} {verb}", freed=True)
        if simulated:
            entry.check(name, write, span, verb)
        if value is _UNWRITTEN and not write:
            raise entry.fault(f"{name} {verb}", freed=False)
        return value

    def _release(self, call: str) -> None:
        """Free it, by `call`."""
        entry = self._entry
        simulated = entry.ledger.simulated
        if simulated:
            entry.touch(None, True)  # orders two frees of one block
        entry.end(call)
        for name in self._values:
            if simulated:
                entry.touch(name, True)
                entry.check(name, True, None, "freed")
            self._values[name] = _FREED

    def __repr__(self) -> str:
        return f"<{self._entry}>"


class Memory(Block):
    """A block of bytes, from `driver_alloc(n)`.  Not cleared.

    `m[i]` is an int and `m[i:j]` a `bytes`; both may be assigned, and `bytes(m)` copies.  Positions count from the
    start; what is not inside is an `IndexError`.  A byte that nobody wrote cannot be read.  Any thread, but
    threads that share a block need a lock, as in C.
    """

    __slots__ = ("_written",)

    def __init__(self, entry: Entry, contents: bytearray, written: bytearray) -> None:
        self._entry, self._values = entry, {"contents": contents}
        self._written = written  # a byte for each: 1 once it has been written

    def _span(self, index: int | slice) -> tuple[int, int]:
        span = index if isinstance(index, slice) else slice(index, index + 1)
        start, stop = span.start or 0, len(self) if span.stop is None else span.stop
        if not 0 <= start <= stop <= len(self) or span.step is not None:
            raise IndexError(f"{self!r} has no {index}")
        return start, stop

    def __len__(self) -> int:
        return len(self._written)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        start, stop = self._span(index)
        contents: bytearray = self._use("contents", False, (start, stop))
        if (unwritten := self._written.find(0, start, stop)) >= 0:
            raise self._entry.fault(f"byte {unwritten} read", freed=False)
        return contents[start] if index == start else bytes(contents[start:stop])

    def __setitem__(self, index: int | slice, value: int | bytes | bytearray | memoryview) -> None:
        start, stop = self._span(index)
        data = bytes((value,)) if isinstance(value, int) else bytes(value)
        if len(data) != stop - start:
            raise wrong_value("Memory", "value", f"{stop - start} bytes", value)
        self._use("contents", True, (start, stop))[start:stop] = data
        self._written[start:stop] = b"\1" * len(data)

    def __bytes__(self) -> bytes:
        return self[:]


_ZEROS = {"int": int, "float": float, "bool": bool, "Atomic": Atomic}


class Struct(Block):
    """A C struct: subclass it, annotate the fields, and allocate it with `driver_alloc`.

    A field holds any value; another `Struct` in it is a pointer.  For `memset` the annotation says what zero bytes
    are: 0, `0.0`, `False`, an `Atomic` that is 0, or, for all else, `None` (NULL).  Any thread, but a field that
    threads share needs a lock or an `Atomic`, as in C.
    """

    _zeros: ClassVar[dict[str, Callable[[], object]]] = {}

    def __init_subclass__(cls) -> None:
        bases = [base._zeros for base in reversed(cls.__mro__[1:]) if issubclass(base, Struct)]
        cls._zeros = {name: zero for zeros in bases for name, zero in zeros.items()}
        for name, annotation in inspect.get_annotations(cls).items():
            text = str(getattr(annotation, "__name__", annotation))
            cls._zeros[name] = _ZEROS.get(text.rpartition(".")[2], type(None))
        for name in cls._zeros:
            if name in vars(cls) or hasattr(Struct, name):
                why = "a field has a new name and no default: driver_alloc does not clear memory"
                raise TypeError(f"{cls.__name__}.{name}: {why}")
            setattr(cls, name, property(partial(Block._use, name=name, write=False)))

    def __new__(cls, *_: object, **__: object) -> Any:
        raise TypeError(f"{cls.__name__} is a driver's memory: use driver_alloc({cls.__name__})")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._values:
            fields = ", ".join(self._values)
            raise AttributeError(f"{self._entry.what} has no field {name!r}; its fields: {fields}")
        self._use(name, write=True)
        self._values[name] = value


_set_entry = vars(Block)["_entry"].__set__  # around `Struct.__setattr__`, which knows only fields
_set_values = vars(Block)["_values"].__set__
S = TypeVar("S", bound=Struct)
T = TypeVar("T")


def enter(call: str, what: str, freed_by: str, size: int) -> Entry:
    """A new row in the ledger of the emulator that is running in this thread."""
    entry: Entry = current(call).emulator.ledger.add(what, "allocated", freed_by)
    entry.size = size
    return entry


def freeable(call: str, block: object, kind: type[T], freed_by: str) -> T:
    """`block`, if it is of the `kind` that `call` frees."""
    entry = getattr(block, "_entry", None)
    if isinstance(entry, Entry) and entry.freed_by != freed_by:
        raise errors.InvalidFree(f"{call} cannot free {block!r}: use {entry.freed_by}")
    if not isinstance(block, kind):
        raise errors.InvalidFree(f"{call} takes a {kind.__name__}, not {repr(block)[:60]}")
    return block


def allocate(
    call: str, size: object, what: str, freed_by: str, old: Memory | None
) -> Memory | None:
    """A new block in the ledger, with the contents of `old`, which is freed.  `None` for NULL."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise wrong_type(call, "size", "an int (bytes)", size)
    if size < 0:
        raise wrong_value(call, "size", "0 or more bytes", size)
    kept = b"" if old is None else old._use("contents", write=True)[:size]
    try:
        contents, written = bytearray(size), bytearray(size)
    except (MemoryError, OverflowError):
        return None
    entry = enter(call, f"{what} of {size} byte{'s' * (size != 1)}", freed_by, size)
    if old is not None:
        contents[: len(kept)], written[: len(kept)] = kept, old._written[:size]
        old._release(call)
    return Memory(entry, contents, written)


@overload
def driver_alloc(size: type[S]) -> S | None: ...
@overload
def driver_alloc(size: int) -> Memory | None: ...
def driver_alloc(size: type[S] | int) -> S | Memory | None:
    """Allocate a block.  Its contents are indeterminate: write before you read.

    `size` is a number of bytes or a subclass of `Struct` (C's `sizeof(T)`).  `None` (NULL) if the machine has no
    such memory; none has `2**60` bytes.  Size 0 gives a block of its own.  Any thread of an emulator.  Stands for
    `driver_alloc`.
    """
    if not isinstance(size, type) or not issubclass(size, Struct):
        return allocate("driver_alloc", size, "block", "driver_free", None)
    struct: S = object.__new__(size)
    entry = enter("driver_alloc", size.__name__, "driver_free", 8 * len(size._zeros))
    _set_entry(struct, entry)
    _set_values(struct, dict.fromkeys(size._zeros, _UNWRITTEN))
    return struct


def driver_realloc(ptr: Memory | None, size: int) -> Memory | None:
    """Change a block to `size` bytes.  The old handle is freed: use the one that is returned.

    What fits of the contents is kept.  `None` for `ptr` allocates.  After a result of `None` (NULL) the old block
    is as it was, and yours.  Not for a `Struct`.  Any thread of an emulator.  Stands for `driver_realloc`.
    """
    old = None if ptr is None else freeable("driver_realloc", ptr, Memory, "driver_free")
    return allocate("driver_realloc", size, "block", "driver_free", old)


def driver_free(ptr: object) -> None:
    """Free what `driver_alloc` or `driver_realloc` returned.  `None` (NULL) is accepted.

    `DoubleFree` for what is freed already, `InvalidFree` for anything else.  Any thread.  Stands for `driver_free`.
    """
    if ptr is not None:
        freeable("driver_free", ptr, Block, "driver_free")._release("driver_free")


def memset(ptr: T, c: int, size: int) -> T:
    """Set the first `size` bytes of a block to `c`, and return `ptr`.

    In a `Struct` only 0 has a meaning: its fields become what zero bytes are for their annotations.  To write
    beyond the block, or to NULL, is `Misuse`.  Any thread.  Stands for `memset` of C.
    """
    if type(c) is not int or type(size) is not int:
        raise wrong_type("memset", "c and size", "ints", (c, size))
    if ptr is None or not 0 <= size <= sizeof(ptr):
        raise errors.Misuse(f"memset: {size} bytes do not fit in {ptr!r}")
    if isinstance(ptr, Memory):
        ptr[:size] = bytes((c & 0xFF,)) * size
    elif c & 0xFF or not isinstance(ptr, Struct):
        raise wrong_value("memset", "ptr and c", "a block, and 0 for a Struct", (ptr, c))
    else:
        for name in list(ptr._zeros)[: size // 8]:
            setattr(ptr, name, ptr._zeros[name]())
    return ptr


def sizeof(block: object) -> int:
    """The bytes of a block, or of a `Struct`, 8 a field.  Any thread.  Stands for `sizeof` of C."""
    if isinstance(block, Memory):
        return len(block)
    if (zeros := getattr(block, "_zeros", None)) is None:
        raise wrong_type("sizeof", "block", "a Struct or what driver_alloc returned", block)
    return 8 * len(zeros)
