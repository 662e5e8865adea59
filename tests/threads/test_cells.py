"""Cells, tables and counters: alike on both kinds of threads, and nothing passes undeclared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dfs import every_schedule, on_threads, searched
from hypothesis import given, settings
from hypothesis import strategies as st

from driverref.threads import READ, WRITE, Mode, Threads
from driverref.threads.cells import PlainCell, TrackedCell, TrackedCounter, TrackedTable
from driverref.threads.native import NativeThreads
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads


class Listening(FirstCome):
    """First come, first served, for a schedule that wants to know the footprint of each step."""

    logs = True


def listening() -> SimulatedThreads:
    return SimulatedThreads(schedule=Listening())


SEAMS: dict[str, Callable[[], Threads]] = {
    "simulated": SimulatedThreads,
    "seed 1": lambda: SimulatedThreads(seed=1),
    "a search listens": listening,
    "native": NativeThreads,
}
on_each_seam = pytest.mark.parametrize("seam", SEAMS)


@contextmanager
def adopted(threads: Threads) -> Iterator[None]:
    """The block in which the calling thread belongs to the seam."""
    threads.adopt("main")
    try:
        yield
    finally:
        threads.close()


# Alike on both kinds of threads.

KEYS = st.integers(0, 3)
VALUES = st.integers(0, 9)

Use = Callable[[Any, int, int], object]
"""What may be done with a mapping, a key and a value."""

USES: dict[str, list[Use]] = {
    "__getitem__": [lambda t, k, v: t[k]],
    "__setitem__": [lambda t, k, v: t.__setitem__(k, v)],
    "__delitem__": [lambda t, k, v: t.__delitem__(k)],
    "__contains__": [lambda t, k, v: k in t],
    "__iter__": [lambda t, k, v: list(t), lambda t, k, v: next(iter(t), None)],
    "__len__": [lambda t, k, v: len(t), lambda t, k, v: bool(t)],
    "__eq__": [lambda t, k, v: t == {k: v}, lambda t, k, v: t == dict(t)],
    "__reversed__": [lambda t, k, v: sorted(t, reverse=True)],  # a mapping is not reversible
    "get": [lambda t, k, v: t.get(k), lambda t, k, v: t.get(k, v)],
    "keys": [lambda t, k, v: list(t.keys()), lambda t, k, v: k in t.keys()],  # noqa: SIM118
    "values": [lambda t, k, v: list(t.values()), lambda t, k, v: v in t.values()],
    "items": [lambda t, k, v: list(t.items()), lambda t, k, v: (k, v) in t.items()],
    "pop": [lambda t, k, v: t.pop(k), lambda t, k, v: t.pop(k, v)],
    "popitem": [lambda t, k, v: isinstance(t.popitem(), tuple)],
    "setdefault": [lambda t, k, v: t.setdefault(k, v)],
    "update": [lambda t, k, v: t.update({k: v}), lambda t, k, v: t.update([(k, v), (v, k)])],
    "clear": [lambda t, k, v: t.clear()],
}
"""Every method of a table, and ways to call it."""

IN_ONE_ORDER = [(name, use) for name, uses in USES.items() for use in uses if name != "popitem"]
"""A dict gives up its newest item, a table its oldest; no caller in the package takes any item."""


def outcome(use: Use, mapping: Any, key: int, value: int) -> object:
    """What a use returns, or the kind of the exception that it raises."""
    try:
        return use(mapping, key, value)
    except (KeyError, TypeError) as error:
        return type(error).__name__


def test_the_list_of_uses_has_every_method_of_a_table() -> None:
    methods = {name for name in dir(TrackedTable) if callable(getattr(TrackedTable, name))}
    own = methods - set(dir(object)) | {"__eq__", "__reversed__"}
    assert own - {"__class_getitem__", "__orig_bases__"} == USES.keys()


@on_each_seam
@given(uses=st.lists(st.tuples(st.sampled_from(IN_ONE_ORDER), KEYS, VALUES), max_size=12))
def test_a_table_does_what_a_dict_does(
    seam: str, uses: list[tuple[tuple[str, Use], int, int]]
) -> None:
    threads, model = SEAMS[seam](), dict[int, int]()
    with adopted(threads):
        table = threads.table()
        for (_, use), key, value in uses:
            assert outcome(use, table, key, value) == outcome(use, model, key, value)
        assert dict(table) == model


@on_each_seam
def test_a_cell_keeps_what_it_was_given_last(seam: str) -> None:
    threads = SEAMS[seam]()
    with adopted(threads):
        cell = threads.cell([1])
        assert cell.value == cell.change() == cell.peek() == [1]
        cell.change().append(2)
        assert cell.value == [1, 2]
        cell.value = []
        assert cell.peek() == []


@on_each_seam
def test_a_counter_counts_from_one(seam: str) -> None:
    threads = SEAMS[seam]()
    with adopted(threads):
        counter = threads.counter()
        assert repr(counter) == "count(1)"
        assert [next(counter) for _ in range(3)] == [1, 2, 3]
        assert iter(counter) is counter
        assert repr(counter) == "count(4)"


def test_each_kind_of_cell_has_the_same_methods() -> None:
    public = [{name for name in dir(kind) if name[0] != "_"} for kind in (PlainCell, TrackedCell)]
    assert public[0] == public[1] == set(CELL)


# Nothing passes undeclared.

WHOLE = "the whole"


class Watched(dict[int, int]):
    """The dict in a table, which writes down what a method really uses: keys, or the whole."""

    def __init__(self, items: dict[int, int]) -> None:
        super().__init__(items)
        self.read = set[object]()
        self.changed = set[object]()

    def __getitem__(self, key: int) -> int:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: int, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.read.add(key)
        return super().__contains__(key)

    def __setitem__(self, key: int, value: int) -> None:
        self.changed.add(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: int) -> None:
        self.changed.add(key)
        super().__delitem__(key)

    def __iter__(self) -> Iterator[int]:
        self.read.add(WHOLE)
        return super().__iter__()

    def __len__(self) -> int:
        self.read.add(WHOLE)
        return super().__len__()

    def items(self) -> Any:
        self.read.add(WHOLE)
        return super().items()


def _unwatched(name: str) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise AssertionError(f"a table uses dict.{name}, which `Watched` does not watch")

    return fail


for _name in set(dir(dict)) - set(dir(object)) - set(vars(Watched)) - {"__class_getitem__"}:
    setattr(Watched, _name, _unwatched(_name))


def watched(threads: SimulatedThreads, items: dict[int, int]) -> tuple[Any, Watched]:
    """A table with these items, and the dict in it.  Nothing has been declared yet."""
    table: Any = threads.table()
    table._items = inside = Watched(items)
    threads.log.clear()
    return table, inside


def hold_covered(threads: SimulatedThreads, table: Any, inside: Watched) -> None:
    """What was used has been declared, in a mode that says enough."""
    whole, declared = table._id, set(threads.log)
    if WHOLE in inside.read:
        assert (whole, WRITE) in declared
    for key in inside.read - {WHOLE}:
        assert {((whole, key), READ), ((whole, key), WRITE), (whole, WRITE)} & declared
    for key in inside.changed:
        assert ((whole, key), WRITE) in declared
        assert {(whole, READ), (whole, WRITE)} & declared


@pytest.mark.parametrize(
    "use", [pytest.param(use, id=name) for name, uses in USES.items() for use in uses]
)
@given(items=st.dictionaries(KEYS, VALUES), key=KEYS, value=VALUES)
def test_what_a_method_of_a_table_uses_it_has_declared(
    use: Use, items: dict[int, int], key: int, value: int
) -> None:
    threads = listening()
    with adopted(threads):
        table, inside = watched(threads, items)
        outcome(use, table, key, value)
        hold_covered(threads, table, inside)
        assert inside.read | inside.changed, "the use has looked at nothing"


Look = Callable[[Any, object], object]
"""What may be done with a view and an item of it."""

LOOKS: dict[str, Look] = {
    "list": lambda view, item: list(view),
    "len": lambda view, item: len(view),
    "in": lambda view, item: item in view,
}
SET_LOOKS: dict[str, Look] = {
    "==": lambda view, item: view == {item},
    "&": lambda view, item: view & {item},
    "isdisjoint": lambda view, item: view.isdisjoint([item]),
}
VIEWS = {"keys": LOOKS | SET_LOOKS, "items": LOOKS | SET_LOOKS, "values": LOOKS}


@pytest.mark.parametrize(
    ("name", "look"), [(n, look) for n, looks in VIEWS.items() for look in looks]
)
@given(items=st.dictionaries(KEYS, VALUES), key=KEYS, value=VALUES)
def test_a_view_of_a_table_declares_what_it_reads_when_it_reads_it(
    name: str, look: str, items: dict[int, int], key: int, value: int
) -> None:
    """A view may be made in one step and read in a later one, which the search has to know of."""
    threads = listening()
    with adopted(threads):
        table, inside = watched(threads, items)
        view = getattr(table, name)()
        threads.step()
        inside.read.clear()
        threads.log.clear()
        VIEWS[name][look](view, (key, value) if name == "items" else key)
        hold_covered(threads, table, inside)


CELL: dict[str, list[tuple[Callable[[Any], object], list[Mode]]]] = {
    "value": [(lambda cell: cell.value, [READ]), (lambda cell: setattr(cell, "value", 2), [WRITE])],
    "change": [(lambda cell: cell.change(), [WRITE])],
    "peek": [(lambda cell: cell.peek(), [])],
}
"""Every public name of a cell, ways to use it, and what each declares."""


@pytest.mark.parametrize("name", CELL)
def test_a_cell_declares_each_use_but_a_peek(name: str) -> None:
    threads = listening()
    with adopted(threads):
        cell = threads.cell(1)
        for use, modes in CELL[name]:
            threads.log.clear()
            use(cell)
            assert [mode for _, mode in threads.log] == modes


def test_a_counter_declares_each_number_it_gives() -> None:
    threads = listening()
    with adopted(threads):
        counter = threads.counter()
        assert isinstance(counter, TrackedCounter)
        threads.log.clear()
        assert [next(counter), next(counter)] == [1, 2]
        assert [mode for _, mode in threads.log] == [WRITE, WRITE]


def test_no_two_of_them_are_one_resource() -> None:
    threads = listening()
    with adopted(threads):
        cell, other, counter = threads.cell(0), threads.cell(0), threads.counter()
        table = threads.table()
        threads.log.clear()
        cell.value = other.value = table[1] = next(counter)
        len(table)
        assert len({resource for resource, _ in threads.log}) == 5


def test_where_no_search_listens_they_are_as_plain_as_on_os_threads() -> None:
    threads = SimulatedThreads()
    with adopted(threads):
        assert isinstance(threads.cell(1), PlainCell)
        assert type(threads.table()) is dict
        assert threads.log == []


# What the search makes of it.


def orders(make: Callable[[SimulatedThreads], Any], *uses: Callable[[Any], object]) -> int:
    """In how many orders the search has threads use one shared thing, each once.

    Every schedule there is, run without a search, has to come to the same number of classes.
    """

    def program(threads: SimulatedThreads) -> Hashable:
        shared, results = make(threads), [""] * len(uses)

        def body(number: int) -> Callable[[], None]:
            def use() -> None:
                results[number] = str(uses[number](shared))

            return use

        started = [
            threads.start(f"thread {number}", body(number), lambda error: error)
            for number in range(len(uses))
        ]
        for thread in started:
            threads.join(thread)
        return tuple(results)

    seen, truth = searched(on_threads(program)), every_schedule(on_threads(program), 500, True)
    assert set(seen.outcomes) == set(truth.outcomes)
    assert set(seen.classes) == set(truth.classes)
    return len(seen.classes)


def cell(threads: SimulatedThreads) -> Any:
    return threads.cell(0)


def table(threads: SimulatedThreads) -> Any:
    made = threads.table()
    made[1] = made[2] = 0
    return made


def write(value: int) -> Callable[[Any], object]:
    return lambda cell: setattr(cell, "value", value)


def enter(key: int) -> Callable[[Any], object]:
    return lambda table: table.__setitem__(key, key)


def remove(key: int) -> Callable[[Any], object]:
    return lambda table: table.pop(key, None)


def look_up(key: int) -> Callable[[Any], object]:
    return lambda table: table.get(key)


def read(cell: Any) -> object:
    return cell.value


def glance(cell: Any) -> None:
    cell.peek()


DEPENDENT: dict[str, tuple[Any, list[Any], int]] = {
    "a cell is written and written": (cell, [write(1), write(2)], 2),
    "a cell is written and read": (cell, [write(1), read], 2),
    "a cell is changed and read": (cell, [lambda cell: cell.change(), read], 2),
    "a cell is written and read twice": (cell, [write(1), read, read], 4),
    "a counter is drawn from three times": (SimulatedThreads.counter, [next, next, next], 6),
    "one key is entered twice": (table, [enter(3), enter(3)], 2),
    "a key is entered and looked up": (table, [enter(3), look_up(3)], 2),
    "a key is removed and looked up": (table, [remove(1), lambda table: 1 in table], 2),
    "a key is entered and the keys are counted": (table, [enter(3), len], 2),
    "a key is removed and the keys are listed": (table, [remove(1), sorted], 2),
    "a value is replaced and the items are listed": (
        table,
        [enter(1), lambda table: sorted(table.items())],
        2,
    ),
}

INDEPENDENT: dict[str, tuple[Any, list[Any]]] = {
    "a cell is read and read": (cell, [read, read]),
    "a cell is written and peeked at": (
        cell,
        [write(1), glance],
    ),
    "different keys are entered": (table, [enter(3), enter(4), enter(5)]),
    "different keys are removed": (table, [remove(1), remove(2)]),
    "one key is entered and another removed": (table, [enter(3), remove(1)]),
    "one key is looked up and another entered": (table, [look_up(1), enter(3)]),
    "one key is looked up twice": (table, [look_up(1), look_up(1)]),
}


@pytest.mark.parametrize("story", DEPENDENT)
def test_threads_that_use_one_of_them_and_write_come_in_every_order(story: str) -> None:
    make, uses, expected = DEPENDENT[story]
    assert orders(make, *uses) == expected


@pytest.mark.parametrize("story", INDEPENDENT)
def test_threads_that_do_not_disturb_each_other_come_in_one_order(story: str) -> None:
    make, uses = INDEPENDENT[story]
    assert orders(make, *uses) == 1


@settings(deadline=None, max_examples=40)
@given(
    lists=st.lists(
        st.lists(st.tuples(st.sampled_from(IN_ONE_ORDER), KEYS, VALUES), max_size=2),
        min_size=2,
        max_size=3,
    )
)
def test_of_any_uses_of_a_table_the_search_finds_what_the_oracle_finds(
    lists: list[list[tuple[tuple[str, Use], int, int]]],
) -> None:
    def life(uses: list[tuple[tuple[str, Use], int, int]]) -> Callable[[Any], object]:
        return lambda table: [outcome(use, table, key, value) for (_, use), key, value in uses]

    orders(table, *map(life, lists))
