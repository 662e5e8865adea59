"""Atomics: what each operation does, that nothing divides it, and on which threads it may be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from dfs import every_schedule, on_threads, searched

from driverref.memory.atomic import Atomic
from driverref.threads import Threads, running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads


def enter(threads: Threads) -> None:
    """Let the running thread be one of an emulator that is nothing but threads."""
    running_thread.get().runtime = SimpleNamespace(threads=threads)


def together(threads: Threads, *bodies: Callable[[], object]) -> None:
    """Run the bodies, each on a thread of its own, to their ends."""

    def begin(body: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            enter(threads)
            body()

        return run

    for thread in [threads.start("one", begin(body), lambda error: error) for body in bodies]:
        threads.join(thread)


@pytest.fixture(params=[SimulatedThreads, pytest.param(NativeThreads, marks=pytest.mark.native)])
def threads(request: pytest.FixtureRequest) -> Iterator[Threads]:
    threads: Threads = request.param()
    threads.adopt("main")
    enter(threads)
    yield threads
    threads.close()


def do_everything() -> None:
    count = Atomic(5)
    assert count.fetch_add(2) == 5
    assert count.fetch_sub(3) == 7
    assert count.exchange(9) == 4
    count.store(10)
    assert not count.compare_exchange(9, 1)
    assert count.load() == 10
    assert count.compare_exchange(10, 1)
    assert (count.load(), repr(count), repr(Atomic())) == (1, "Atomic(1)", "Atomic(0)")


def test_what_an_atomic_does(threads: Threads) -> None:
    do_everything()


def test_an_atomic_needs_no_emulator() -> None:
    do_everything()


def test_an_atomic_that_was_made_before_the_emulator_is_one_in_it() -> None:
    flag = Atomic()
    threads = SimulatedThreads()
    threads.adopt("main")
    enter(threads)
    together(threads, lambda: flag.store(1))
    assert flag.load() == 1
    threads.close()
    assert flag.load() == 1


@pytest.mark.parametrize("wrong", ["1", None, 1.0])
def test_an_atomic_holds_an_int(wrong: int) -> None:
    count = Atomic()
    for call in (Atomic, count.store, count.exchange, count.fetch_add, count.fetch_sub):
        with pytest.raises(TypeError, match="Atomic: value must be an int or a bool, not "):
            call(wrong)
    assert count.load() == 0


def test_an_atomic_needs_no_lock(threads: Threads) -> None:
    count = Atomic()

    def work() -> None:
        for _ in range(500):
            count.fetch_add(1)

    together(threads, work, work, work)
    assert count.load() == 1500


def outcomes(*bodies: Callable[[Atomic], object]) -> set[object]:
    """What the atomic can hold when each body has run on a thread of its own."""

    def program(threads: SimulatedThreads) -> int:
        enter(threads)
        count = Atomic()
        together(threads, *[lambda body=body: body(count) for body in bodies])
        return count.load()

    found = searched(on_threads(program)).outcomes
    assert set(found) == set(every_schedule(on_threads(program), 2000).outcomes)
    return set(found)


def test_no_schedule_divides_an_operation() -> None:
    assert outcomes(lambda c: c.fetch_add(1), lambda c: c.fetch_add(2)) == {3}
    assert outcomes(lambda c: c.fetch_sub(1), lambda c: c.exchange(5)) == {4, 5}
    assert outcomes(*[lambda c: c.compare_exchange(0, 1) or c.store(7)] * 2) == {7}


def test_two_operations_can_be_divided() -> None:
    assert outcomes(*[lambda c: c.store(c.load() + 1)] * 2) == {1, 2}
