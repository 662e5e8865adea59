"""Data races: which pairs of accesses are one, and what keeps two accesses apart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_alone import enter
from scripted import made_of
from support import Job, Worker, new_job, opened

import driverref.erl_driver as c
from driverref import Atomic, Emulator, Struct
from driverref.erl_driver import ErlDrvPort, driver_alloc, driver_async, driver_free, driver_output
from driverref.errors import DataRace, Deadlock, UseAfterFree
from driverref.explore import Fault, explore
from driverref.memory import Memory
from driverref.memory.races import Accesses
from driverref.threads import READ, WRITE, running_thread
from driverref.threads.clocks import VectorClock
from driverref.threads.simulated import SimulatedThreads

T = TypeVar("T")


class Flag(Struct):
    """What threads share."""

    up: int
    seen: int


def given_block(block: T | None) -> T:
    assert block is not None
    return block


def race_of(share: Callable[[], T], *bodies: Callable[[T], object], seed: int | None = None) -> str:
    """The race that is found when each body runs on a thread of its own, or nothing."""
    threads = SimulatedThreads(seed)
    enter(threads)
    emulator = running_thread.get().runtime
    found: list[str] = []

    def run(body: Callable[[T], object], shared: T) -> None:
        running_thread.get().runtime = emulator
        try:
            body(shared)
        except DataRace as race:
            found.append(str(race))
        except UseAfterFree:
            pass

    shared = share()
    started = [
        threads.start(f"thread {n}", lambda body=body: run(body, shared), lambda error: error)  # type: ignore[misc]
        for n, body in enumerate(bodies, 1)
    ]
    for thread in started:
        threads.join(thread)
    threads.close()
    return found[0] if found else ""


def flag() -> Flag:
    shared = given_block(driver_alloc(Flag))
    shared.up = shared.seen = 0
    return shared


def memory() -> Memory:
    shared = given_block(driver_alloc(8))
    shared[:] = bytes(8)
    return shared


def read(shared: Flag) -> object:
    return shared.up


def write(shared: Flag) -> None:
    shared.up = 1


def see(shared: Flag) -> None:
    shared.seen = 1


# Which pairs of accesses are a race.


@pytest.mark.parametrize("seed", [None, *range(10)])
def test_two_accesses_of_which_one_writes_are_a_race(seed: int | None) -> None:
    said = race_of(flag, read, write, seed=seed)
    assert "read by thread 1" in said
    assert "written by thread 2" in said
    assert "written by" in race_of(flag, write, write, seed=seed)


def test_the_race_names_both_places_and_where_the_memory_is_from() -> None:
    said = race_of(flag, read, write)
    assert "Flag: up read by thread 1 at test_races.py:" in said
    assert " in read, and written by thread 2 at test_races.py:" in said
    assert " in write, and nothing orders the two; allocated at test_races.py:" in said


@pytest.mark.parametrize("seed", range(10))
def test_to_free_is_to_write_every_field(seed: int) -> None:
    """Whoever uses it afterwards has used what was freed; that is said, and not that it was a race too."""
    said = {
        race_of(flag, read, driver_free, seed=seed),
        race_of(flag, write, driver_free, seed=seed),
    }
    assert all(one == "" or "freed by thread 2" in one for one in said)
    assert "freed by thread 2" in race_of(flag, read, driver_free)


@pytest.mark.parametrize("seed", range(10))
def test_two_who_read_and_two_fields_are_no_race(seed: int) -> None:
    assert race_of(flag, read, read, seed=seed) == ""
    assert race_of(flag, write, see, seed=seed) == ""


@pytest.mark.parametrize("seed", range(10))
def test_bytes_race_with_the_same_bytes_and_with_no_others(seed: int) -> None:
    def low(block: Memory) -> None:
        block[0:4] = b"abcd"

    def middle(block: Memory) -> bytes:
        return block[3:5]

    def high(block: Memory) -> None:
        block[4:8] = b"efgh"

    def nothing(block: Memory) -> bytes:
        return block[4:4]

    assert race_of(memory, low, high, seed=seed) == ""
    assert race_of(memory, low, nothing, high, seed=seed) == ""
    assert "contents" in race_of(memory, low, middle, seed=seed)
    assert "contents" in race_of(memory, middle, high, seed=seed)
    assert "contents" in race_of(memory, low, bytes, seed=seed)


# What keeps two accesses apart.


def in_a_run(
    *bodies: Callable[[Flag, SimulatedThreads, Any], object],
    made: Callable[[SimulatedThreads], Any],
) -> set[str]:
    """The races of many runs of bodies that have something made by the seam between them."""

    def share() -> tuple[Flag, SimulatedThreads, Any]:
        threads = running_thread.get().runtime.threads
        return flag(), threads, made(threads)

    return {
        race_of(share, *[lambda shared, body=body: body(*shared) for body in bodies], seed=seed)
        for seed in range(20)
    }


def test_a_queue_orders_what_came_before_put_and_what_comes_after_get() -> None:
    def first(shared: Flag, threads: SimulatedThreads, queue: Any) -> None:
        write(shared)
        queue.put(1)

    def second(shared: Flag, threads: SimulatedThreads, queue: Any) -> None:
        queue.get()
        write(shared)

    assert in_a_run(first, second, made=lambda threads: threads.queue("q")) == {""}


def test_a_queue_does_not_order_what_comes_after_put() -> None:
    def first(shared: Flag, threads: SimulatedThreads, queue: Any) -> None:
        queue.put(1)
        write(shared)

    def second(shared: Flag, threads: SimulatedThreads, queue: Any) -> None:
        queue.get()
        write(shared)

    assert "" not in in_a_run(first, second, made=lambda threads: threads.queue("q"))


def test_a_mutex_orders_those_who_hold_it() -> None:
    def one(shared: Flag, threads: SimulatedThreads, mutex: Any) -> None:
        with mutex:
            write(shared)

    def without(shared: Flag, threads: SimulatedThreads, mutex: Any) -> None:
        write(shared)

    def make(threads: SimulatedThreads) -> Any:
        return threads.mutex("m")

    assert in_a_run(one, one, one, made=make) == {""}
    assert in_a_run(one, without, made=make) != {""}


def test_a_condition_orders_who_notifies_and_who_waited() -> None:
    def make(threads: SimulatedThreads) -> Any:
        mutex = threads.mutex("m")
        return mutex, threads.condition(mutex, "c"), []

    def waits(shared: Flag, threads: SimulatedThreads, made: Any) -> None:
        mutex, condition, done = made
        with mutex:
            while not done:
                condition.wait()
        write(shared)

    def notifies(shared: Flag, threads: SimulatedThreads, made: Any) -> None:
        mutex, condition, done = made
        write(shared)
        with mutex:
            done.append(True)
            condition.notify()

    assert in_a_run(waits, notifies, made=make) == {""}


def test_a_socket_orders_who_sends_and_who_receives() -> None:
    def sends(shared: Flag, threads: SimulatedThreads, ends: Any) -> None:
        write(shared)
        ends[0].send(b"x")

    def receives(shared: Flag, threads: SimulatedThreads, ends: Any) -> None:
        ends[1].recv(1)
        write(shared)

    assert in_a_run(sends, receives, made=lambda threads: threads.socketpair()) == {""}


def test_work_orders_who_adds_and_who_does_it() -> None:
    def adds(shared: Flag, threads: SimulatedThreads, work: Any) -> None:
        write(shared)
        work.add(1)

    def serves(shared: Flag, threads: SimulatedThreads, work: Any) -> None:
        work.wait(None)
        work.take()
        write(shared)

    assert in_a_run(adds, serves, made=lambda threads: threads.work("w")) == {""}


def test_the_start_and_the_end_of_a_thread_order() -> None:
    def parent(shared: Flag, threads: SimulatedThreads, made: Any) -> None:
        emulator = running_thread.get().runtime

        def child() -> None:
            running_thread.get().runtime = emulator
            write(shared)

        write(shared)
        thread = threads.start("child", child, lambda error: error)
        threads.join(thread)
        write(shared)

    assert in_a_run(parent, made=lambda threads: None) == {""}


def test_an_atomic_orders_who_wrote_it_and_who_reads_that() -> None:
    def publishes(shared: Flag, threads: SimulatedThreads, ready: Atomic) -> None:
        write(shared)
        ready.store(1)

    def looks(shared: Flag, threads: SimulatedThreads, ready: Atomic) -> None:
        if ready.load():
            read(shared)

    def looks_at_once(shared: Flag, threads: SimulatedThreads, ready: Atomic) -> None:
        read(shared)

    assert in_a_run(publishes, looks, made=lambda threads: Atomic()) == {""}
    assert in_a_run(publishes, looks_at_once, made=lambda threads: Atomic()) != {""}


def test_to_store_an_atomic_teaches_the_one_who_stores_nothing() -> None:
    def publishes(shared: Flag, threads: SimulatedThreads, ready: Atomic) -> None:
        write(shared)
        ready.store(1)

    def stores(shared: Flag, threads: SimulatedThreads, ready: Atomic) -> None:
        ready.store(2)
        write(shared)

    assert "" not in in_a_run(publishes, stores, made=lambda threads: Atomic())


# In an emulator.


class Notes(Worker):
    """A job's data is written by all in turn."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        job = new_job(bytes(buf))
        driver_async(port, None, self.work, job, self.async_free)

    def work(self, job: Job) -> None:
        job.text += b"!"

    def async_free(self, job: Job) -> None:
        job.text += b"?"
        driver_free(job)


def send_and_close(erl: Emulator) -> None:
    port = opened(erl, Notes())
    erl.port_command(port, b"a")
    erl.port_close(port)


@pytest.mark.parametrize("schedulers", [1, 2])
def test_the_way_of_a_job_orders_submitting_doing_and_giving_back(schedulers: int) -> None:
    assert explore(send_and_close, schedulers=schedulers).faults == []


def test_what_stop_frees_races_with_a_job_that_reads_it() -> None:
    def start(port: ErlDrvPort, command: str) -> Flag:
        return flag()

    def output(shared: Flag, buf: memoryview) -> None:
        driver_async(drivers_port(), None, read, shared, None)

    def drivers_port() -> ErlDrvPort:
        port: ErlDrvPort = next(iter(running_thread.get().runtime.ports))
        return port

    def scenario(erl: Emulator) -> None:
        port = opened(erl, made_of(start=start, output=output, stop=driver_free))
        erl.port_command(port, b"")
        erl.port_close(port)

    names = {outcome.name for outcome in explore(scenario).faults}
    assert names == {"DataRace", "UseAfterFree"}


def test_a_mutex_of_the_driver_orders_jobs() -> None:
    def scenario(erl: Emulator, lock: bool = True) -> object:
        def start(port: ErlDrvPort, command: str) -> Any:
            return SimpleNamespace(port=port, flag=flag(), mutex=c.erl_drv_mutex_create("m"))

        def output(state: Any, buf: memoryview) -> None:
            for key in (0, 1):
                driver_async(state.port, key, work, state)

        def work(state: Any) -> None:
            if lock:
                c.erl_drv_mutex_lock(state.mutex)
            state.flag.up += 1
            if lock:
                c.erl_drv_mutex_unlock(state.mutex)

        def ready_async(state: Any, data: object) -> None:
            driver_output(state.port, b"done")

        def stop(state: Any) -> None:
            driver_free(state.flag)
            c.erl_drv_mutex_destroy(state.mutex)

        driver = made_of(start=start, output=output, ready_async=ready_async, stop=stop)
        port = opened(erl, driver)
        erl.port_command(port, b"")
        return erl.receive()[1][1], erl.receive()[1][1]

    assert set(explore(scenario, async_threads=2)) == {(b"done", b"done")}
    (fault,) = explore(lambda erl: scenario(erl, lock=False), async_threads=2, limit=1)
    assert isinstance(fault, Fault)
    assert fault.name == "DataRace"


# Against the definition.


class Done(NamedTuple):
    """What a thread has done, in the order in which it came about."""

    thread: int
    before: frozenset[int]
    """The numbers of what happened before it."""
    write: bool = False
    span: tuple[int, int] = (0, 0)
    """Which bytes it accessed, if any."""


class Witnessed:
    """One run of made-up threads.  Who knows what is noted as sets, beside the clocks."""

    def __init__(self, seed: int, lists: list[list[tuple[Any, ...]]]) -> None:
        self.threads, self.lists = SimulatedThreads(seed), lists
        self.done: list[Done] = []
        self.knows: list[frozenset[int]] = [frozenset() for _ in lists]
        self.left: dict[object, frozenset[int]] = {}
        """What was known to who put an item, gave back a lock, wrote an atomic."""
        self.accesses, self.found = Accesses[int](), list[tuple[int, int]]()

    def run(self) -> None:
        """Run the threads, until one has raced or no thread can go on."""
        threads = self.threads
        threads.adopt("main")
        self.queues = [threads.queue("q") for _ in range(2)]
        self.mutexes = [threads.mutex("m") for _ in range(2)]
        self.atomics, self.bytes = [threads.new_id() for _ in range(2)], threads.new_id()
        started = [
            threads.start(f"{who}", partial(self.live, who), lambda error: error)
            for who in range(len(self.lists))
        ]
        with suppress(Deadlock):
            for thread in started:
                threads.join(thread)
        threads.close()

    def live(self, who: int) -> None:
        for name, *arguments in self.lists[who]:
            getattr(self, name)(who, *arguments)

    def note(self, who: int, write: bool = False, span: tuple[int, int] = (0, 0)) -> int:
        self.knows[who] |= {len(self.done)}
        self.done.append(Done(who, self.knows[who], write, span))
        return len(self.done) - 1

    def take(self, who: int, what: object) -> None:
        self.knows[who] |= self.left.get(what, frozenset())

    def put(self, who: int, number: int) -> None:
        self.left["item", len(self.done)] = self.knows[who]
        self.queues[number].put(self.note(who))

    def get(self, who: int, number: int) -> None:
        self.take(who, ("item", self.queues[number].get()))

    def critical(self, who: int, number: int, first: int, length: int) -> None:
        with self.mutexes[number]:
            self.take(who, ("mutex", number))
            self.access(who, first, length, True)
            self.left["mutex", number] = self.knows[who]

    def load(self, who: int, number: int) -> None:
        self.threads.load(self.atomics[number])
        self.take(who, ("atomic", number))

    def change(self, who: int, number: int, reads: bool) -> None:
        with self.threads.atomically(self.atomics[number], reads):
            if reads:
                self.take(who, ("atomic", number))
            self.left["atomic", number] = self.knows[who]

    def access(self, who: int, first: int, length: int, write: bool) -> None:
        self.threads.step(self.bytes, WRITE if write else READ)
        if self.found:
            return
        span = (first, first + length)
        number = self.note(who, write, span)
        race = self.accesses.add(self.threads.running, write, span, number)
        if race is not None:
            self.found.append((race[0].place, race[1].place))

    def races(self) -> set[tuple[int, int]]:
        """By definition: neither happened before the other, one writes, and they share a byte."""
        return {
            (n, m)
            for m, later in enumerate(self.done)
            for n, earlier in enumerate(self.done[:m])
            if n not in later.before
            and (earlier.write or later.write)
            and max(earlier.span[0], later.span[0]) < min(earlier.span[1], later.span[1])
        }


_two, _bytes = st.integers(0, 1), (st.integers(0, 3), st.integers(0, 3))
_operations = st.one_of(
    st.tuples(st.sampled_from(["put", "get", "load"]), _two),
    st.tuples(st.just("critical"), _two, *_bytes),
    st.tuples(st.just("change"), _two, st.booleans()),
    st.tuples(st.just("access"), *_bytes, st.booleans()),
)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 1000),
    lists=st.lists(st.lists(_operations, max_size=6), min_size=2, max_size=3),
)
def test_the_first_race_of_a_run_is_found_and_nothing_else_is(
    seed: int, lists: list[list[tuple[Any, ...]]]
) -> None:
    witnessed = Witnessed(seed, lists)
    witnessed.run()
    races = witnessed.races()
    assert set(witnessed.found) <= races
    assert {later for _, later in witnessed.found} == {later for _, later in races}


# What a long block costs.


def forwards(size: int) -> Iterable[int]:
    return range(size)


def backwards(size: int) -> Iterable[int]:
    return reversed(range(size))


def from_both_ends(size: int) -> Iterable[int]:
    return (at for pair in zip(range(size // 2), backwards(size), strict=False) for at in pair)


def shuffled(size: int) -> Iterable[int]:
    return random.Random(1).sample(range(size), size)


ORDERS = [forwards, backwards, from_both_ends, shuffled]


@pytest.mark.parametrize("order", ORDERS)
def test_a_byte_of_a_long_block_is_compared_with_no_more_accesses_than_one_of_a_short_block(
    order: Callable[[int], Iterable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Counter[int]()
    knows = VectorClock.knows

    def counted(clock: VectorClock, thread: int, tick: int) -> bool:
        compared[size] += 1
        return knows(clock, thread, tick)

    monkeypatch.setattr(VectorClock, "knows", counted)
    with Emulator() as erl:
        erl.self()
        for size in (500, 4_000):
            block = given_block(driver_alloc(size))
            for at in order(size):
                block[at] = at & 0xFF
            for at in order(size):
                assert block[at] == at & 0xFF
            for at in range(1, size):  # two places, which take turns
                block[at] = block[at - 1]
            driver_free(block)
    assert compared[4_000] <= 8.1 * compared[500]


def test_equal_neighbours_are_one_stretch() -> None:
    with Emulator():
        block = given_block(driver_alloc(1_000))
        for at in shuffled(1_000):
            block[at] = 0
        accesses = block._row._accesses["contents"]
        assert accesses._first == [-1, 0, 1_000]
        assert [len(kept) for kept in accesses._kept] == [0, 1, 0]
        driver_free(block)


def test_what_uses_no_byte_races_with_the_free_alone() -> None:
    def empty(block: Memory) -> None:
        block[0:0] = b""

    assert race_of(lambda: given_block(driver_alloc(4)), empty, empty) == ""
    found = {
        race_of(lambda: given_block(driver_alloc(4)), empty, driver_free, seed=seed)
        for seed in range(8)
    }
    assert any("contents freed by" in race or "and freed by" in race for race in found)
