"""The driver's memory: every fault, and the right program that raises none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import memory_alone
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from memory_alone import enter

from driverref.errors import (
    DoubleFree,
    DriverFault,
    InvalidFree,
    Leak,
    Misuse,
    OutOfBounds,
    Uninitialised,
    UseAfterFree,
)
from driverref.memory import (
    Ledger,
    Memory,
    Struct,
    driver_alloc,
    driver_free,
    driver_realloc,
    memset,
    sizeof,
)
from driverref.memory.atomic import Atomic
from driverref.threads import READ, WRITE, Mode, Threads, running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads

HERE = Path(__file__).name

threads, ledger = memory_alone.threads, memory_alone.ledger
NO_MACHINE_HAS = 2**60

T = TypeVar("T")


class Job(Struct):
    number: int
    result: int


def given(block: T | None) -> T:
    """The block, which is not NULL."""
    assert block is not None
    return block


def together(threads: Threads, *bodies: Callable[[], object]) -> list[DriverFault]:
    """Run the bodies, each on a thread of its own, to their ends.  Returns the faults."""
    faults: list[DriverFault] = []

    def guarded(body: Callable[[], object], emulator: object) -> Callable[[], None]:
        def run() -> None:
            running_thread.get().runtime = emulator
            try:
                body()
            except DriverFault as fault:
                faults.append(fault)

        return run

    emulator = running_thread.get().runtime
    started = [
        threads.start(f"thread {i}", guarded(body, emulator), lambda error: error)
        for i, body in enumerate(bodies)
    ]
    for thread in started:
        threads.join(thread)
    return faults


# A struct's life.


@pytest.mark.rule("memory.alloc-free-pair")
def test_a_struct_that_is_written_read_and_freed_raises_nothing(ledger: Ledger) -> None:
    job = given(driver_alloc(Job))
    job.number = 7
    job.result = job.number * job.number
    assert job.result == 49
    driver_free(job)
    ledger.check()


@pytest.mark.rule("memory.not-cleared")
def test_a_field_that_nobody_wrote_cannot_be_read(ledger: Ledger) -> None:
    job = given(driver_alloc(Job))
    job.number = 1
    with pytest.raises(
        Uninitialised, match=r"Job: result read at .*, before it was written; allocated"
    ):
        _ = job.result
    assert job.number == 1


@pytest.mark.rule("memory.not-cleared")
def test_a_block_that_follows_a_freed_one_is_not_initialised_by_it(ledger: Ledger) -> None:
    first = given(driver_alloc(Job))
    first.number = 1
    driver_free(first)
    with pytest.raises(Uninitialised):
        _ = given(driver_alloc(Job)).number


@pytest.mark.rule("memory.not-cleared")
def test_memset_writes_what_zero_bytes_mean_to_each_field(ledger: Ledger) -> None:
    class Request(Struct):
        number: int
        share: float
        busy: bool
        cancelled: Atomic
        name: bytes | None
        next: Request | None

    request = given(driver_alloc(Request))
    assert memset(request, 0, sizeof(Request)) is request
    assert (request.number, request.share, request.busy) == (0, 0.0, False)
    assert request.cancelled.load() == 0
    assert request.name is None
    assert request.next is None
    other = memset(given(driver_alloc(Request)), 0, sizeof(Request))
    assert other.cancelled is not request.cancelled


def test_annotations_need_not_be_strings(ledger: Ledger) -> None:
    class Plain(Struct):
        __annotations__ = {"number": int, "cancelled": Atomic, "next": int | None}

    plain = memset(given(driver_alloc(Plain)), 0, sizeof(Plain))
    fields = [getattr(plain, name) for name in ("number", "cancelled", "next")]
    assert repr(fields) == "[0, Atomic(0), None]"


@pytest.mark.rule("memory.not-cleared")
def test_a_memset_that_is_too_short_leaves_the_rest_unwritten(ledger: Ledger) -> None:
    job = memset(given(driver_alloc(Job)), 0, 8)
    assert job.number == 0
    with pytest.raises(Uninitialised):
        _ = job.result


def test_touching_a_freed_struct_tells_all_places(ledger: Ledger) -> None:
    def output() -> Job:
        return given(driver_alloc(Job))

    def stop(job: Job) -> None:
        driver_free(job)

    job = output()
    job.number = 1
    stop(job)
    here = rf"at {HERE}:\d+ in test_touching_a_freed_struct_tells_all_places"
    freed = rf"after it was freed at {HERE}:\d+ in stop; allocated at {HERE}:\d+ in output"
    with pytest.raises(UseAfterFree, match=rf"^Job: number read {here}, {freed}$"):
        _ = job.number
    with pytest.raises(UseAfterFree, match=rf"^Job: result written {here}, {freed}$"):
        job.result = 1


@pytest.mark.rule("memory.alloc-free-pair")
def test_freeing_twice_tells_all_places(ledger: Ledger) -> None:
    job = given(driver_alloc(Job))

    def ready_async() -> None:
        driver_free(job)

    def async_free() -> None:
        driver_free(job)

    ready_async()
    with pytest.raises(DoubleFree) as caught:
        async_free()
    text = str(caught.value)
    assert text.startswith(f"driver_free: Job freed twice: first at {HERE}:")
    assert text.count(" in ") == 3
    assert text.index("in ready_async, now at") < text.index("in async_free; allocated at")


@pytest.mark.rule("memory.not-malloc")
@pytest.mark.parametrize("stranger", [b"abc", bytearray(3), [1], Job, 7])
def test_only_what_was_allocated_can_be_freed(ledger: Ledger, stranger: object) -> None:
    with pytest.raises(InvalidFree, match="driver_free takes a Block, not "):
        driver_free(stranger)


@pytest.mark.rule("memory.sizes")
def test_free_and_realloc_of_null(ledger: Ledger) -> None:
    driver_free(None)
    driver_free(given(driver_realloc(None, 4)))
    ledger.check()


@pytest.mark.rule("memory.alloc-free-pair")
def test_what_is_never_freed_is_a_row_of_the_leak(ledger: Ledger) -> None:
    def output() -> None:
        driver_alloc(Job)
        driver_alloc(64)

    output()
    with pytest.raises(Leak) as caught:
        ledger.check()
    one, other = caught.value.blocks
    assert one.startswith(f"Job allocated at {HERE}:")
    assert other.startswith(f"block of 64 bytes allocated at {HERE}:")
    assert one.endswith("in output")


# What a Struct may be.


def test_fields_are_inherited(ledger: Ledger) -> None:
    class Timed(Job):
        deadline: int

    timed = given(driver_alloc(Timed))
    timed.number, timed.deadline = 1, 2
    assert (timed.number, timed.deadline, sizeof(Timed)) == (1, 2, 24)
    assert sizeof(Job) == sizeof(given(driver_alloc(Job))) == 16


def test_assigning_what_is_no_field_names_the_fields(ledger: Ledger) -> None:
    job = given(driver_alloc(Job))
    with pytest.raises(
        AttributeError, match="Job has no field 'answer'; its fields: number, result"
    ):
        job.answer = 1


def test_a_struct_is_not_made_by_python(ledger: Ledger) -> None:
    with pytest.raises(TypeError, match=r"use driver_alloc\(Job\)"):
        Job()


@pytest.mark.rule("memory.not-cleared")
def test_a_field_has_no_default() -> None:
    with pytest.raises(
        TypeError, match=r"Wrong.number: .* no default: driver_alloc does not clear"
    ):
        type("Wrong", (Struct,), {"__annotations__": {"number": int}, "number": 0})
    with pytest.raises(TypeError, match=r"Wrong.number: "):
        type("Wrong", (Job,), {"number": 0})
    with pytest.raises(TypeError, match=r"Wrong._values: a field has a new name"):
        type("Wrong", (Struct,), {"__annotations__": {"_values": int}})


def test_a_struct_is_equal_to_itself_alone_and_prints_without_being_touched(
    ledger: Ledger,
) -> None:
    one, other = given(driver_alloc(Job)), given(driver_alloc(Job))
    one.number = other.number = one.result = other.result = 1
    assert one == one
    assert one != other
    driver_free(one)
    assert repr(one).startswith(f"<Job allocated at {HERE}:")
    assert repr(one).endswith(
        " in test_a_struct_is_equal_to_itself_alone_and_prints_without_being_touched>"
    )


# A block of bytes.


@pytest.mark.rule("memory.not-cleared")
def test_bytes_are_read_where_they_were_written(ledger: Ledger) -> None:
    block = given(driver_alloc(8))
    block[0] = 1
    block[2:5] = b"abc"
    assert (len(block), block[0], block[2:5], block[3:3]) == (8, 1, b"abc", b"")
    with pytest.raises(
        Uninitialised, match="block of 8 bytes: byte 1 read at .*, before it was wri"
    ):
        _ = block[1]
    with pytest.raises(Uninitialised, match="byte 5 read"):
        _ = block[2:]
    memset(block, 0x1FF, sizeof(block))
    assert bytes(block) == b"\xff" * 8


@pytest.mark.parametrize(
    ("index", "what"),
    [
        (8, "byte 8"),
        (-1, "byte -1"),
        (slice(0, 9), "bytes 0 to 9"),
        (slice(-1, 2), "bytes -1 to 2"),
        (slice(9, None), "bytes 9 to 8"),
        (slice(5, 4), "bytes 5 to 4"),
    ],
)
def test_nothing_reaches_beyond_the_block(ledger: Ledger, index: int | slice, what: str) -> None:
    block = memset(given(driver_alloc(8)), 0, 8)
    where = rf"at {HERE}:\d+ in .*, outside of the block; allocated at {HERE}:"
    with pytest.raises(OutOfBounds, match=rf"^block of 8 bytes: {what} read {where}"):
        _ = block[index]
    with pytest.raises(OutOfBounds, match=rf"^block of 8 bytes: {what} written {where}"):
        block[index] = 0
    assert bytes(block) == bytes(8)


@pytest.mark.parametrize("index", [slice(0, 4, 2), "0", 1.0, None, slice("a", None)], ids=repr)
def test_what_is_no_position_is_refused(ledger: Ledger, index: Any) -> None:
    block = memset(given(driver_alloc(8)), 0, 8)
    for use in (lambda: block[index], lambda: block.__setitem__(index, 0)):
        with pytest.raises(TypeError, match="Memory: index must be an int, or a slice of ints"):
            use()


def test_the_bytes_of_a_block_are_gone_through_one_by_one(ledger: Ledger) -> None:
    block = given(driver_alloc(3))
    block[0:2] = b"ab"
    assert next(iter(block)) == ord("a")
    assert ord("b") in block, "found before the byte that nobody wrote"
    with pytest.raises(Uninitialised, match="byte 2 read"):
        list(block)
    block[2] = ord("c")
    assert list(block) == list(b"abc")


@pytest.mark.parametrize("value", [b"ab", b"abcd", 7])
def test_a_slice_takes_as_many_bytes_as_it_has(ledger: Ledger, value: bytes | int) -> None:
    block = given(driver_alloc(8))
    with pytest.raises(ValueError, match="Memory: value must be 3 bytes, not "):
        block[0:3] = value


def test_touching_freed_bytes(ledger: Ledger) -> None:
    block = given(driver_alloc(2))
    block[:] = b"ab"
    driver_free(block)
    with pytest.raises(
        UseAfterFree, match=r"block of 2 bytes: contents read at .*, after it was freed at"
    ):
        _ = block[0]
    with pytest.raises(UseAfterFree, match=r"contents written at .*, after it was freed at"):
        block[0] = 1
    with pytest.raises(UseAfterFree):
        driver_realloc(block, 4)
    with pytest.raises(DoubleFree):
        driver_free(block)
    assert len(block) == 2


@pytest.mark.rule("memory.sizes")
def test_blocks_of_no_bytes_are_distinct_and_are_freed(ledger: Ledger) -> None:
    one, other = given(driver_alloc(0)), given(driver_alloc(0))
    assert one != other
    assert bytes(one) == b""
    driver_free(one)
    driver_free(other)
    ledger.check()


@pytest.mark.rule("memory.null-check")
@pytest.mark.parametrize("size", [NO_MACHINE_HAS, 2**64])
def test_memory_that_no_machine_has_is_null(ledger: Ledger, size: int) -> None:
    assert driver_alloc(size) is None
    ledger.check()


@pytest.mark.rule("memory.null-check")
def test_using_null_is_a_misuse(ledger: Ledger) -> None:
    with pytest.raises(Misuse, match="memset: 8 bytes do not fit in None"):
        memset(driver_alloc(NO_MACHINE_HAS), 0, 8)


@pytest.mark.rule("memory.realloc")
def test_realloc_keeps_what_fits_and_frees_the_old_handle(ledger: Ledger) -> None:
    old = given(driver_alloc(4))
    old[0:3] = b"abc"
    larger = given(driver_realloc(old, 6))
    assert larger[0:3] == b"abc"
    with pytest.raises(Uninitialised, match="byte 3 read"):
        _ = larger[3]
    with pytest.raises(UseAfterFree):
        _ = old[0]
    smaller = given(driver_realloc(larger, 2))
    assert bytes(smaller) == b"ab"
    empty = given(driver_realloc(smaller, 0))
    assert len(empty) == 0
    driver_free(empty)
    ledger.check()


@pytest.mark.rule("memory.realloc")
def test_realloc_that_fails_leaves_the_old_block_alone(ledger: Ledger) -> None:
    block = given(driver_alloc(2))
    block[:] = b"ab"
    assert driver_realloc(block, NO_MACHINE_HAS) is None
    assert bytes(block) == b"ab"
    driver_free(block)
    ledger.check()


def test_realloc_is_for_bytes(ledger: Ledger) -> None:
    job = given(driver_alloc(Job))
    for wrong in (job, b"abc"):
        with pytest.raises(InvalidFree, match="driver_realloc takes a Memory, not "):
            driver_realloc(wrong, 4)  # type: ignore[arg-type]


# Arguments.


@pytest.mark.parametrize("size", [True, 1.0, "8", None, dict])
def test_a_size_is_an_int(ledger: Ledger, size: int) -> None:
    with pytest.raises(TypeError, match=r"driver_alloc: size must be an int \(bytes\)"):
        driver_alloc(size)
    with pytest.raises(TypeError, match=r"driver_realloc: size must be an int \(bytes\)"):
        driver_realloc(None, size)
    with pytest.raises(TypeError, match="memset: c and size must be ints"):
        memset(given(driver_alloc(4)), 0, size)
    with pytest.raises(TypeError, match="memset: c and size must be ints"):
        memset(given(driver_alloc(4)), size, 0)


def test_a_size_is_not_negative(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="driver_alloc: size must be 0 or more bytes, not -1"):
        driver_alloc(-1)


def test_what_memset_and_sizeof_refuse(ledger: Ledger) -> None:
    job = given(driver_alloc(Job))
    with pytest.raises(OutOfBounds, match="memset: 17 bytes do not fit in <Job allocated at"):
        memset(job, 0, 17)
    with pytest.raises(OutOfBounds):
        memset(given(driver_alloc(4)), 0, -1)
    with pytest.raises(ValueError, match="memset: ptr and c must be a block, and 0 for a Str"):
        memset(job, 1, 16)
    with pytest.raises(ValueError, match="memset: ptr and c must be a block"):
        memset(Job, 0, 16)
    with pytest.raises(TypeError, match="sizeof: block must be a Struct or what driver_alloc"):
        memset(bytearray(4), 0, 4)
    driver_free(job)
    with pytest.raises(UseAfterFree):
        memset(job, 0, 16)


def test_memory_belongs_to_an_emulator() -> None:
    for size in (Job, 8):
        with pytest.raises(Misuse, match="driver_alloc: no emulator is running in this thread"):
            driver_alloc(size)


# The ledger, for others.


def test_the_ledger_takes_rows_of_any_kind(ledger: Ledger) -> None:
    def start() -> None:
        ledger.add("mutex 'm'", "created", "erl_drv_mutex_destroy")

    start()
    (row,) = ledger.rows.values()
    assert row.alive
    assert row.place.endswith("in start")
    assert ledger.leaks() == [f"mutex 'm' created at {row.place}"]
    row.end("erl_drv_mutex_destroy")
    assert not row.alive
    assert row.ended.startswith(f"{HERE}:")
    assert ledger.leaks() == []
    with pytest.raises(DoubleFree, match="erl_drv_mutex_destroy: mutex 'm' freed twice"):
        row.end("erl_drv_mutex_destroy")


def test_a_place_outside_every_function_is_a_line(ledger: Ledger) -> None:
    program = compile("block = driver_alloc(1)", "/home/me/square.py", "exec")
    exec(program, {"driver_alloc": driver_alloc})
    assert ledger.leaks() == ["block of 1 byte allocated at square.py:1"]


def test_what_no_driver_did_was_the_emulator(threads: Threads, ledger: Ledger) -> None:
    block = given(driver_alloc(1))
    threads.join(threads.start("own", partial(driver_free, block), lambda error: error))
    with pytest.raises(UseAfterFree, match="after it was freed at the emulator's own doing;"):
        bytes(block)


# More threads than one.


class Recorder(SimulatedThreads):
    """Simulated threads that remember what was made known."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: list[tuple[object, bool]] = []

    def step(self, resource: object = None, mode: Mode = READ, *how: Any) -> bool:
        self.touched.append((resource, mode is WRITE))
        return super().step(resource, mode, *how)


def test_every_access_is_made_known_before_it_happens() -> None:
    threads = Recorder()
    enter(threads)
    job, block = given(driver_alloc(Job)), given(driver_alloc(1))
    assert threads.touched == [(None, False)] * 2  # each allocation is a step, and uses nothing
    threads.touched.clear()
    job.number = 1
    _ = job.number
    block[0] = 1
    _ = bytes(block)
    with pytest.raises(AttributeError):
        job.answer = 1
    assert repr(job)
    one, other = job._row.id, block._row.id
    assert one != other
    assert threads.touched == [
        ((one, "number"), True),
        ((one, "number"), False),
        ((other, "contents"), True),
        ((other, "contents"), False),
    ]
    threads.touched.clear()
    driver_free(job)
    assert threads.touched == [((one, name), True) for name in (None, "number", "result")]
    threads.close()


@pytest.mark.parametrize("seed", range(20))
def test_a_struct_outlives_the_emulator_for_who_wants_to_look(seed: int) -> None:
    threads = SimulatedThreads(seed)
    ledger = enter(threads)
    job, flag = given(driver_alloc(Job)), Atomic(1)
    threads.close()
    job.number = 1
    assert (job.number, flag.load(), flag.fetch_add(1), flag.load()) == (1, 1, 1, 2)
    driver_free(job)
    ledger.check()


def use_and_free(seed: int) -> str:
    """One thread uses a job while another frees it: how that ended."""
    threads = SimulatedThreads(seed)
    enter(threads)
    job = given(driver_alloc(Job))
    job.number = 1
    (fault,) = together(threads, lambda: job.number, lambda: driver_free(job))
    threads.close()
    return type(fault).__name__


def test_every_schedule_finds_that_one_uses_what_another_frees() -> None:
    """Too late is a use after free; early enough was luck, because nothing made it so: a race."""
    assert {use_and_free(seed) for seed in range(40)} == {"DataRace", "UseAfterFree"}


@pytest.mark.rule("memory.alloc-free-pair")
@pytest.mark.parametrize("seed", range(20))
def test_of_two_threads_that_free_one_gets_the_double_free(seed: int) -> None:
    threads = SimulatedThreads(seed)
    enter(threads)
    job = given(driver_alloc(Job))
    (fault,) = together(threads, lambda: driver_free(job), lambda: driver_free(job))
    assert isinstance(fault, DoubleFree)
    threads.close()


@pytest.mark.rule("memory.thread-safe")
def test_any_thread_allocates_and_another_frees(threads: Threads, ledger: Ledger) -> None:
    made: list[Job] = []

    def work() -> None:
        for number in range(200):
            job = given(driver_alloc(Job))
            job.number = number
            made.append(job)

    assert together(threads, work, work, work) == []
    assert len(ledger.leaks()) == 600
    assert sum(job.number for job in made) == 3 * sum(range(200))

    def free(jobs: list[Job]) -> None:
        for job in jobs:
            driver_free(job)

    assert together(threads, partial(free, made[:300]), partial(free, made[300:])) == []
    ledger.check()


@pytest.mark.rule("memory.thread-safe")
def test_each_block_is_freed_once_however_many_try(threads: Threads, ledger: Ledger) -> None:
    jobs = [given(driver_alloc(Job)) for _ in range(200)]

    def free_all() -> None:
        for job in jobs:
            try:
                driver_free(job)
            except DoubleFree:
                lost.append(job)

    lost: list[Job] = []
    together(threads, free_all, free_all, free_all)
    assert len(lost) == 400
    ledger.check()


# Any sequence of calls against a model.


class Allocator(RuleBasedStateMachine):
    """Blocks against dicts of what was written."""

    blocks: Bundle[tuple[Memory, dict[int, int]]] = Bundle("blocks")
    freed: Bundle[Memory] = Bundle("freed")

    def __init__(self) -> None:
        super().__init__()
        self.threads = NativeThreads()
        self.ledger = enter(self.threads)
        self.alive = 0

    @rule(target=blocks, size=st.integers(0, 16))
    def alloc(self, size: int) -> tuple[Memory, dict[int, int]]:
        self.alive += 1
        return given(driver_alloc(size)), {}

    @rule(block=blocks, start=st.integers(0, 16), data=st.binary(max_size=16))
    def write(self, block: tuple[Memory, dict[int, int]], start: int, data: bytes) -> None:
        memory, model = block
        if start + len(data) <= len(memory):
            memory[start : start + len(data)] = data
            model.update(enumerate(data, start))
        else:
            with pytest.raises(OutOfBounds):
                memory[start : start + len(data)] = data

    @rule(block=blocks)
    def read(self, block: tuple[Memory, dict[int, int]]) -> None:
        memory, model = block
        for index in range(len(memory)):
            if index in model:
                assert memory[index] == model[index]
            else:
                with pytest.raises(Uninitialised):
                    _ = memory[index]

    @rule(target=blocks, block=consumes(blocks), size=st.integers(0, 16))
    def realloc(
        self, block: tuple[Memory, dict[int, int]], size: int
    ) -> tuple[Memory, dict[int, int]]:
        memory, model = block
        kept = {index: byte for index, byte in model.items() if index < size}
        return given(driver_realloc(memory, size)), kept

    @rule(target=freed, block=consumes(blocks))
    def free(self, block: tuple[Memory, dict[int, int]]) -> Memory:
        driver_free(block[0])
        self.alive -= 1
        return block[0]

    @rule(memory=freed)
    def touch_freed(self, memory: Memory) -> None:
        with pytest.raises(DoubleFree):
            driver_free(memory)
        with pytest.raises(UseAfterFree):
            bytes(memory)

    @invariant()
    def the_ledger_knows(self) -> None:
        assert len(self.ledger.leaks()) == self.alive

    def teardown(self) -> None:
        self.threads.close()


Allocator.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestAllocator = Allocator.TestCase
