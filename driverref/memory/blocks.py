"""Blocks of the driver's memory: `Memory`, which is bytes, and `Struct`, which is fields.

A field begins *unwritten* and ends *freed*.  To read it in either state, or to write it when it is
freed, is the driver's fault.  The error names the place where the block was allocated and, where
that is the fault, the place where it was freed.

The order within an access is the point of this file (`Block._use`):

    step -> look at the field -> check for a data race

The step tells the threads seam that `(block, field)` is about to be read or written, and other
threads may run there.  One of them may free the block, so the field is looked at only after the
step.  A free makes the same steps, one for each field (`Block._release`).  So each access and the
free have a step on the same resource.  A search of the schedules tries both orders of such steps,
as it does for any two writes, and needs no rule for freed memory.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

from driverref.diagnostics import shown
from driverref.errors import Misuse, wrong_type, wrong_value
from driverref.memory.atomic import Atomic
from driverref.memory.ledger import Row, found
from driverref.memory.races import Span
from driverref.threads import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_UNWRITTEN, _FREED = object(), object()  # stand in a field that holds no value


class Block:
    """What a `Memory` and a `Struct` have in common.  `==` compares identity, as for pointers."""

    __slots__ = ("_row", "_values")
    _row: Row
    _values: dict[str, Any]

    def _use(self, name: str, write: bool, span: Span | None = None) -> Any:
        """Step, check an access to the field `name`, and return the value that it has before.

        `span` says which bytes of the contents are used; `None` is all.
        """
        row = self._row
        simulated = row.ledger.simulated
        # The step comes first: other threads run in it, and what they leave behind is what this
        # access finds.  A value fetched before it could be one of a block that is freed by now.
        if simulated:
            row.step(name, WRITE if write else READ)
        value = self._values[name]
        verb = "written" if write else "read"
        # Before the race: a use after the free that nothing orders is both, and this error names
        # the place of the free.
        if value is _FREED:
            raise row.after_free(f"{name} {verb}")
        # After the step, without another in between: the access is noted at the moment it is made.
        if simulated:
            row.check(name, write, span, verb)
        if value is _UNWRITTEN and not write:
            raise row.before_write(f"{name} {verb}")
        return value

    def _release(self, call: str) -> None:
        """Free the block, by `call`.  `DoubleFree` if it is freed already."""
        row = self._row
        simulated = row.ledger.simulated
        # `None` is a resource that only frees use.  It makes two frees of one block meet, also when
        # the block has no field, so the search tries either of them as the first.
        if simulated:
            row.step(None, WRITE)
        # The row goes before the fields: the second free has to fail before it marks anything.
        row.end(call)
        # Field by field, because an access steps on its one field.  One step for the whole block
        # would meet no access, and the search would not know that their order matters.
        for name in self._values:
            if simulated:
                row.step(name, WRITE)
                # A thread that used the field before this step found a value in it.  For the race
                # detector the free is a write, which finds that use if nothing orders the two.
                row.check(name, True, None, "freed")
            self._values[name] = _FREED

    def __repr__(self) -> str:
        return f"<{self._row}>"


class Memory(Block):
    """A block of bytes, from `driver_alloc(n)`.  Not cleared.

    `m[i]` is an `int` and `m[i:j]` a `bytes`.  Both may be assigned, and `bytes(m)` copies.
    Positions count from the start, and one outside the block is `OutOfBounds`.  To read a byte that
    was not written is `Uninitialised`.  Any thread, but threads that share a block need a lock, as
    in C.
    """

    __slots__ = ("_first", "_size", "_written")

    def __init__(
        self, row: Row, contents: bytearray | bytes, written: bytearray | None = None
    ) -> None:
        # One field for all bytes: one step an access, however long.  The span of each access tells
        # the race detector which bytes it used.
        self._row, self._values = row, {"contents": contents}
        row.fields = self._values
        # For each byte of the contents, 1 once it has been written.  `None` where the emulator has
        # written all of them, and the driver must not change them.
        self._written = written
        self._first, self._size = 0, len(contents)

    def _part(self, first: int, size: int) -> Memory:
        """`size` bytes from `first` on, not copied: what a pointer into the block points to."""
        part = Memory.__new__(Memory)
        part._row, part._values, part._written = self._row, self._values, self._written
        part._first, part._size = self._first + first, size
        return part

    def _span(self, index: int | slice, verb: str) -> tuple[int, int]:
        match index:
            case slice(start=int() | None, stop=int() | None, step=None):
                start, stop = index.start or 0, len(self) if index.stop is None else index.stop
            case int():
                start, stop = index, index + 1
            case _:
                expected = "an int, or a slice of ints without a step"
                raise wrong_type("Memory", "index", expected, index)
        # Python would count a negative position from the end and cut a slice that is too long.  In
        # C both are outside the block.
        if not 0 <= start <= stop <= self._size:
            what = f"bytes {start} to {stop}" if isinstance(index, slice) else f"byte {start}"
            raise self._row.out_of_bounds(f"{what} {verb}")
        return self._first + start, self._first + stop

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        start, stop = self._span(index, "read")
        contents: bytes | bytearray = self._use("contents", False, (start, stop))
        if self._written is not None and (unwritten := self._written.find(0, start, stop)) >= 0:
            raise self._row.before_write(f"byte {unwritten} read")
        return bytes(contents[start:stop]) if isinstance(index, slice) else contents[start]

    def __setitem__(self, index: int | slice, value: int | bytes | bytearray | memoryview) -> None:
        start, stop = self._span(index, "written")
        # All that can fail comes before the step: an assignment that raises was no access.
        data = bytes((value,)) if isinstance(value, int) else bytes(value)
        if len(data) != stop - start:
            raise wrong_value("Memory", "value", f"{stop - start} bytes", value)
        if self._written is None:
            why = "a driver must not change a binary that the emulator gave it: copy it"
            raise found(Misuse(f"{self._row}: contents written", f"; {why}"))
        self._use("contents", True, (start, stop))[start:stop] = data
        self._written[start:stop] = b"\1" * len(data)

    def __iter__(self) -> Iterator[int]:
        # Python would ask for one position after the other until there is an `IndexError`.
        return (self[position] for position in range(len(self)))

    def __bytes__(self) -> bytes:
        return self[:]


_ZEROS = {"int": int, "float": float, "bool": bool, "Atomic": Atomic}


class Struct(Block):
    """A C struct: subclass it, annotate the fields, and allocate it with `driver_alloc`.

    A field holds any value.  Another `Struct` in it is a pointer.  To `memset` the annotation says
    which value zero bytes are: `int` 0, `float` 0.0, `bool` `False`, `Atomic` one that is 0, and
    any other `None` (NULL).  To read a field that was not written is `Uninitialised`.  Any thread,
    but a field that threads share needs a lock or an `Atomic`, as in C.
    """

    _zeros: ClassVar[dict[str, Callable[[], object]]] = {}

    def __init_subclass__(cls) -> None:
        # From the most distant base to the nearest: the nearest annotation of a name counts.
        bases = [base._zeros for base in reversed(cls.__mro__[1:]) if issubclass(base, Struct)]
        cls._zeros = {name: zero for zeros in bases for name, zero in zeros.items()}
        for name, annotation in inspect.get_annotations(cls).items():
            # Only the last word: an annotation may be a string, such as "driverref.Atomic".
            text = str(getattr(annotation, "__name__", annotation))
            cls._zeros[name] = _ZEROS.get(text.rpartition(".")[2], type(None))
        for name in cls._zeros:
            if name in vars(cls) or hasattr(Struct, name):
                why = "a field has a new name and no default: driver_alloc does not clear memory"
                raise TypeError(f"{cls.__name__}.{name}: {why}")
            setattr(cls, name, property(partial(Block._use, name=name, write=False)))

    def __new__(cls, *_: object, **__: object) -> Self:
        raise TypeError(f"{cls.__name__} is a driver's memory: use driver_alloc({cls.__name__})")

    @classmethod
    def _unwritten(cls, row: Row) -> Self:
        """Return a new struct, for `driver_alloc` and nothing else."""
        # Around `__new__` and `__setattr__`, which are for the driver's code: the first refuses,
        # and the second accepts only fields.
        struct = object.__new__(cls)
        _set_row(struct, row)
        # Every field exists from the start and is unwritten, because `driver_alloc` clears nothing.
        row.fields = dict.fromkeys(cls._zeros, _UNWRITTEN)
        _set_values(struct, row.fields)
        return struct

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._values:
            fields = ", ".join(self._values)
            raise AttributeError(f"{self._row.what} has no field {name!r}; its fields: {fields}")
        self._use(name, write=True)
        self._values[name] = value


def told(row: Row) -> dict[str, str]:
    """Return what the fields of a thing contain, in words: `{"steps": "2", "cancelled": "False"}`.

    It is no step, so a search does not know that the caller has looked.  Pointers and freed fields
    are left out, and so are the bytes of a `Memory`.
    """
    return {
        name: _told(value)
        for name, value in (row.fields or {}).items()
        if not (value is _FREED or isinstance(value, bytearray | Block) or _is_handle(value))
    }


def _told(value: object) -> str:
    if value is _UNWRITTEN:
        return "?"
    return shown(value._value if isinstance(value, Atomic) else value, 24)


def _is_handle(value: object) -> bool:
    """Whether a value is one of the emulator's own objects, such as a port."""
    module = type(value).__module__
    return module.startswith("driverref.") and module not in (Atomic.__module__, "driverref.terms")


# The two slots themselves: to set one costs less than `object.__setattr__`, which looks it up.
_set_row = vars(Block)["_row"].__set__
_set_values = vars(Block)["_values"].__set__
