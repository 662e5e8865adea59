"""Simulated threads: how time passes, who goes on, what a deadlock and a crash become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driverref.errors import Deadlock
from driverref.threads import EXPIRED, WRITE, Thread
from driverref.threads.simulated import SimulatedThreads


@pytest.fixture
def simulated() -> Iterator[SimulatedThreads]:
    threads = SimulatedThreads()
    threads.adopt("main")
    yield threads
    threads.close()


def seen(error: BaseException) -> BaseException:
    return error


# Simulated: time.


def test_time_stands_still_while_anybody_can_go_on(simulated: SimulatedThreads) -> None:
    queue = simulated.queue("q")

    def produce() -> None:
        for number in range(3):
            queue.put(number)

    simulated.start("worker", produce, seen)
    assert [queue.get_until(10) for _ in range(3)] == [0, 1, 2]
    assert simulated.now() == 0
    assert queue.get_until(10) is EXPIRED
    assert simulated.now() == 10


def test_sleepers_wake_by_deadline_then_by_who_slept_first(simulated: SimulatedThreads) -> None:
    woken: list[tuple[int, str]] = []

    def sleeper(name: str, ns: int) -> Callable[[], None]:
        def sleep() -> None:
            simulated.sleep(ns)
            woken.append((simulated.now(), name))

        return sleep

    naps = [("a", 30), ("b", 10), ("c", 30), ("d", 20)]
    for thread in [simulated.start(name, sleeper(name, ns), seen) for name, ns in naps]:
        simulated.join(thread)
    assert woken == [(10, "b"), (20, "d"), (30, "a"), (30, "c")]


def test_sleeping_for_no_time_lets_the_others_go_first(simulated: SimulatedThreads) -> None:
    order: list[str] = []
    simulated.start("other", lambda: order.append("other"), seen)
    simulated.sleep(0)
    order.append("main")
    assert order == ["other", "main"]
    assert simulated.now() == 0


# Simulated: who goes on.


def test_first_come_first_served(simulated: SimulatedThreads) -> None:
    order: list[str] = []

    def visit(name: str) -> Callable[[], None]:
        def body() -> None:
            order.append(f"{name} comes")
            simulated.sleep(1)
            order.append(f"{name} goes")

        return body

    guests = [simulated.start(name, visit(name), seen) for name in "abc"]
    assert order == []  # who starts a thread goes on
    for guest in guests:
        simulated.join(guest)
    assert order == [f"{name} {verb}" for verb in ("comes", "goes") for name in "abc"]


def test_who_waits_longest_gets_the_mutex(simulated: SimulatedThreads) -> None:
    mutex = simulated.mutex("m")
    order: list[str] = []

    def enter(name: str) -> Callable[[], None]:
        def body() -> None:
            with mutex:
                order.append(name)

        return body

    with mutex:
        waiting = [simulated.start(name, enter(name), seen) for name in "abc"]
        simulated.sleep(1)
    for thread in waiting:
        simulated.join(thread)
    assert order == ["a", "b", "c"]


def order_under(seed: int) -> str:
    """Two threads that write down their names, ten times each."""
    threads = SimulatedThreads(seed)
    order: list[str] = []

    def write(name: str) -> Callable[[], None]:
        def body() -> None:
            for _ in range(10):
                threads.step(order, WRITE)
                order.append(name)

        return body

    threads.adopt("main")
    for thread in [threads.start(name, write(name), seen) for name in "ab"]:
        threads.join(thread)
    threads.close()
    return "".join(order)


def test_a_seed_gives_the_same_order_again() -> None:
    assert [order_under(seed) for seed in range(20)] == [order_under(seed) for seed in range(20)]


def test_other_seeds_give_other_orders() -> None:
    assert len({order_under(seed) for seed in range(20)}) > 15


def test_under_a_seed_a_timeout_may_win_any_race() -> None:
    results = set()
    for seed in range(20):
        threads = SimulatedThreads(seed)
        threads.adopt("main")
        queue = threads.queue("q")
        threads.start("producer", lambda queue=queue: queue.put("item"), seen)  # type: ignore[misc]
        results.add(str(queue.get_until(1_000_000_000)))
        threads.close()
    assert results == {"item", "EXPIRED"}


@given(
    seed=st.none() | st.integers(0, 10_000),
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    consumers=st.integers(1, 3),
)
def test_everything_arrives_once_and_each_producers_items_in_order(
    seed: int | None, counts: list[int], consumers: int
) -> None:
    threads = SimulatedThreads(seed)
    threads.adopt("main")
    queue, mutex = threads.queue("items"), threads.mutex("the log")
    log: list[tuple[int, int]] = []

    def produce(producer: int) -> None:
        for number in range(counts[producer]):
            queue.put((producer, number))

    def consume() -> None:
        while True:
            with mutex:
                if (item := queue.get()) is None:
                    return
                log.append(item)

    def run(function: Callable[..., None], *args: int) -> Thread:
        return threads.start(f"{function.__name__} {args}", lambda: function(*args), seen)

    eaters = [run(consume) for _ in range(consumers)]
    for thread in [run(produce, n) for n in range(len(counts))]:
        threads.join(thread)
    for _ in eaters:
        queue.put(None)
    for eater in eaters:
        threads.join(eater)
    threads.close()
    for producer in range(len(counts)):
        assert [n for p, n in log if p == producer] == list(range(counts[producer]))
    assert len(log) == sum(counts)


# Simulated: deadlock.


@pytest.mark.rule("fault.names-its-places")
def test_a_deadlock_names_every_thread_what_it_waits_for_and_where(
    simulated: SimulatedThreads,
) -> None:
    mutex = simulated.mutex("mutex 'm'")
    condition = simulated.condition(mutex, "condition 'c'")

    def wait() -> None:
        with mutex:
            condition.wait()

    near, _ = simulated.socketpair()
    sleeper = simulated.start("waiter", wait, seen)

    def read() -> None:
        near.recv(1)

    def lock() -> None:
        mutex.acquire()

    simulated.start("reader", read, seen)
    simulated.start("idler", lambda: simulated.queue("a job").get(), seen)
    simulated.sleep(1)
    mutex.acquire()
    simulated.start("locker", lock, seen)
    with pytest.raises(Deadlock) as caught:
        simulated.join(sleeper)
    story = "test_a_deadlock_names_every_thread_what_it_waits_for_and_where"
    expected = (
        ("main waits for the end of waiter", story),
        ("waiter waits for condition 'c'", "wait"),
        ("reader waits for data from a socket", "read"),
        ("idler waits for a job", "<lambda>"),
        ("locker waits for mutex 'm', held by main", "lock"),
    )
    for line, (waits, where) in zip(caught.value.waiting, expected, strict=True):
        assert re.fullmatch(rf"{waits}; it stands at test_simulated.py:\d+ in {where}", line)
    assert len(caught.value.places) == 5


def test_a_deadlock_is_raised_in_the_adopted_thread(simulated: SimulatedThreads) -> None:
    queue = simulated.queue("nothing")
    simulated.start("last to wait", queue.get, seen)
    with pytest.raises(
        Deadlock, match="main waits for nothing; .*\n  last to wait waits for nothing$"
    ):
        queue.get()
    queue.put("wake up")  # the others are still there
    simulated.sleep(1)
    assert queue.empty()


def test_a_thread_can_wait_for_itself_for_ever(simulated: SimulatedThreads) -> None:
    mutex = simulated.mutex("m")
    mutex.acquire()
    with pytest.raises(Deadlock, match="main waits for m, held by main"):
        mutex.acquire()
    mutex.release()
    assert str(mutex) == "m"


# Simulated: crashes.


def test_a_crash_is_raised_where_the_adopted_thread_goes_on(simulated: SimulatedThreads) -> None:
    def fail() -> None:
        raise ValueError("broken")

    simulated.start("worker", fail, lambda error: RuntimeError(f"explained: {error}"))
    queue = simulated.queue("nothing")
    with pytest.raises(RuntimeError, match="explained: broken"):
        queue.get()
    simulated.sleep(1)  # once


def test_the_first_crash_counts(simulated: SimulatedThreads) -> None:
    crashes: list[str] = []
    queue = simulated.queue("permission")

    def fail() -> None:
        raise ValueError(queue.get())

    def crashed(error: BaseException) -> BaseException:
        crashes.append(str(error))
        if len(crashes) == 1:
            queue.put("second")  # nobody runs yet: a crash is handed to the adopted thread first
        return error

    for name in "ab":
        simulated.start(name, fail, crashed)
    simulated.sleep(1)
    queue.put("first")
    with pytest.raises(ValueError, match="first"):
        simulated.sleep(1)
    with pytest.raises(ValueError, match="second"):
        simulated.sleep(1)
    assert crashes == ["first", "second"]


def test_nobody_has_to_attend_to_work_on_simulated_threads(simulated: SimulatedThreads) -> None:
    work = simulated.work("work")
    assert not work.attend(print)
    work.leave()
