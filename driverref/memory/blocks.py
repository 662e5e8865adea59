"""Blocks of the driver's memory: `Memory`, so many bytes, and `Struct`, fields.

A block begins *unwritten* and ends *freed*.  To read it in either state is the driver's fault, told
with the place where it was allocated and, if so, freed.

The order within an access is the point of this file:

    tell the search -> look at the block -> check for a data race

An access first makes itself known to the threads seam, as `(block, field)`, and only then looks at
the block, because another thread may free it in between.  A free does the same for one field after
the other.  So every access is ordered against a step of the free, and a search of the schedules
needs no rule of its own for freed memory.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, overload

from driverref.errors import wrong_value
from driverref.memory.atomic import Atomic
from driverref.memory.ledger import Row
from driverref.memory.races import Span
from driverref.threads import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable


_UNWRITTEN, _FREED = object(), object()  # what is in a field that holds no value


class Block:
    """What a `Memory` and a `Struct` have in common.  `==` is identity, as of pointers."""

    __slots__ = ("_row", "_values")
    _row: Row
    _values: dict[str, Any]

    def _use(self, name: str, write: bool, span: Span | None = None) -> Any:
        """Make an access known, then check it and give what is there."""
        row = self._row
        simulated = row.ledger.simulated
        if simulated:
            row.step(name, WRITE if write else READ)
        value = self._values[name]
        verb = "written" if write else "read"
        if value is _FREED:
            raise row.fault(f"{name} {verb}", freed=True)
        if simulated:
            row.check(name, write, span, verb)
        if value is _UNWRITTEN and not write:
            raise row.fault(f"{name} {verb}", freed=False)
        return value

    def _release(self, call: str) -> None:
        """Free it, by `call`."""
        row = self._row
        simulated = row.ledger.simulated
        if simulated:
            row.step(None, WRITE)  # orders two frees of one block
        row.end(call)
        for name in self._values:
            if simulated:
                row.step(name, WRITE)
                row.check(name, True, None, "freed")
            self._values[name] = _FREED

    def __repr__(self) -> str:
        return f"<{self._row}>"


class Memory(Block):
    """A block of bytes, from `driver_alloc(n)`.  Not cleared.

    `m[i]` is an int and `m[i:j]` a `bytes`; both may be assigned, and `bytes(m)` copies.  Positions
    count from the start; what is not inside is an `IndexError`.  A byte that was not written cannot
    be read.  Any thread, but threads that share a block need a lock, as in C.
    """

    __slots__ = ("_written",)

    def __init__(self, row: Row, contents: bytearray, written: bytearray) -> None:
        self._row, self._values = row, {"contents": contents}
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
            raise self._row.fault(f"byte {unwritten} read", freed=False)
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

    A field holds any value; another `Struct` in it is a pointer.  For `memset` the annotation says
    what zero bytes are: 0, `0.0`, `False`, an `Atomic` that is 0, or, for all else, `None` (NULL).
    Any thread, but a field that threads share needs a lock or an `Atomic`, as in C.
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
            raise AttributeError(f"{self._row.what} has no field {name!r}; its fields: {fields}")
        self._use(name, write=True)
        self._values[name] = value


_set_row = vars(Block)["_row"].__set__  # around `Struct.__setattr__`, which knows only fields


_set_values = vars(Block)["_values"].__set__
