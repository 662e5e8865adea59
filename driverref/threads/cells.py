"""What threads share: a cell for one value, a table for many, a counter for numbers.

A search of the schedules has to know what each step reads and writes.  Steps that declare no common
resource count as independent, and of independent steps the search tries one order only.  So a use
that is not declared can cost an outcome, and nothing shows that it is missing.  Therefore what two
threads of the emulator may use at the same time is one of these three types.  They declare each use
by themselves, and no line above the seam has to.

On OS threads there is no search, and they are as cheap as what they stand for: an object with one
slot, a `dict`, an `itertools.count`.  None of them is a lock.  Where an update takes more than one
operation, the caller holds one.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from driverref.threads import READ, WRITE

if TYPE_CHECKING:
    from driverref.threads.steps import Steps

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class PlainCell(Generic[T]):
    """A cell where no search listens."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def change(self) -> T:
        return self.value

    def peek(self) -> T:
        return self.value


class TrackedCell(Generic[T]):
    """A cell that declares each use to the search, as part of the step under way."""

    __slots__ = ("_declare", "_read", "_value", "_write")

    def __init__(self, threads: Steps, value: T) -> None:
        number = threads.new_id()
        self._declare = threads.declare
        # Made once: a cell is used far more often than it is made.
        self._read, self._write = (number, READ), (number, WRITE)
        self._value = value

    @property
    def value(self) -> T:
        self._declare(self._read)
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        self._declare(self._write)
        self._value = value

    def change(self) -> T:
        self._declare(self._write)
        return self._value

    def peek(self) -> T:
        return self._value


class TrackedTable(MutableMapping[K, V]):
    """A table that declares each use to the search.

    To enter or remove a key *writes* that key, and only *reads* the table as a whole: two threads
    that enter different keys do not depend on each other.  To go through the keys, or to count
    them, *writes* the whole: that depends on every entry and every removal.  `MutableMapping` makes
    all other methods of a dict of these, so none is missed.

    A key has to be equal in every run of the same schedule, so that it names the same resource.
    """

    __slots__ = ("_declare", "_id", "_items")

    def __init__(self, threads: Steps) -> None:
        self._declare = threads.declare
        # The resource that stands for the whole.  With a key it stands for that key's entry.
        self._id = threads.new_id()
        self._items: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        self._declare(((self._id, key), READ))
        return self._items[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._declare((self._id, READ))
        self._declare(((self._id, key), WRITE))
        self._items[key] = value

    def __delitem__(self, key: K) -> None:
        self._declare((self._id, READ))
        self._declare(((self._id, key), WRITE))
        del self._items[key]

    # `get` and `in` would come from `MutableMapping` as well, but by way of an exception.

    def get(self, key: K, default: Any = None) -> Any:
        self._declare(((self._id, key), READ))
        return self._items.get(key, default)

    def __contains__(self, key: object) -> bool:
        self._declare(((self._id, key), READ))
        return key in self._items

    # To look at the whole changes nothing.  It is declared as a write all the same: then an entry
    # may declare a read of the whole, and depends on every look but on no other entry.

    def __iter__(self) -> Iterator[K]:
        self._declare((self._id, WRITE))
        return iter(self._items)

    def __len__(self) -> int:
        self._declare((self._id, WRITE))
        return len(self._items)

    def items(self) -> ItemsView[K, V]:
        return _Items(self)


class _Items(ItemsView[K, V]):
    """The items of a table, declared when they are gone through and not when the view is made."""

    __slots__ = ()
    _mapping: TrackedTable[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        table = self._mapping
        table._declare((table._id, WRITE))  # a use of the whole covers every key
        return iter(table._items.items())


class TrackedCounter(Iterator[int]):
    """A counter that declares each draw to the search: two threads may draw in either order."""

    __slots__ = ("_declare", "_id", "_last")

    def __init__(self, threads: Steps) -> None:
        self._declare = threads.declare
        self._id = threads.new_id()
        self._last = 0

    def __repr__(self) -> str:
        return f"count({self._last + 1})"

    def __next__(self) -> int:
        self._declare((self._id, WRITE))
        self._last += 1
        return self._last
