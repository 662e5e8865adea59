"""Driver binaries and their counts."""

from __future__ import annotations

import re

import memory_alone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_alone import enter

from driverref.errors import DoubleFree, InvalidFree, Leak, Misuse, Uninitialised, UseAfterFree
from driverref.memory import Ledger, driver_alloc, driver_free, driver_realloc
from driverref.memory.binary import (
    ErlDrvBinary,
    driver_alloc_binary,
    driver_binary_dec_refc,
    driver_binary_get_refc,
    driver_binary_inc_refc,
    driver_free_binary,
    driver_realloc_binary,
)
from driverref.threads import Threads, running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads

NO_MACHINE_HAS = 2**60

threads, ledger = memory_alone.threads, memory_alone.ledger


def new(data: bytes) -> ErlDrvBinary:
    """A binary that holds `data`."""
    binary = driver_alloc_binary(len(data))
    assert binary is not None
    binary.orig_bytes[:] = data
    return binary


@pytest.mark.rule("memory.binary-count")
def test_a_binary_lives_until_the_last_reference_is_given_back(ledger: Ledger) -> None:
    binary = new(b"abc")
    assert driver_binary_get_refc(binary) == 1
    assert driver_binary_inc_refc(binary) == 2
    driver_free_binary(binary)
    assert (driver_binary_get_refc(binary), binary.orig_size) == (1, 3)
    assert bytes(binary.orig_bytes) == b"abc"
    driver_free_binary(binary)
    ledger.check()


@pytest.mark.rule("memory.binary-count")
def test_a_reference_too_many_given_back(ledger: Ledger) -> None:
    binary = new(b"abc")
    driver_free_binary(binary)
    freed = r"driver_free_binary: binary of 3 bytes freed twice: first at test_binary.py:\d+"
    with pytest.raises(DoubleFree, match=freed):
        driver_free_binary(binary)
    with pytest.raises(DoubleFree, match=freed):
        driver_free_binary(binary)


@pytest.mark.rule("memory.binary-count")
def test_dec_refc_never_frees(ledger: Ledger) -> None:
    binary = new(b"abc")
    driver_binary_inc_refc(binary)
    assert driver_binary_dec_refc(binary) == 1
    assert driver_binary_dec_refc(binary) == 0
    assert bytes(binary.orig_bytes) == b"abc"
    for call in (driver_binary_inc_refc, driver_binary_dec_refc):
        with pytest.raises(Misuse, match=r"no reference to <binary of 3 bytes .*> is left"):
            call(binary)
    assert driver_binary_get_refc(binary) == 0
    with pytest.raises(DoubleFree, match="driver_binary_dec_refc took the last reference to <bin"):
        driver_free_binary(binary)
    with pytest.raises(Leak, match="binary of 3 bytes allocated at test_binary.py") as caught:
        ledger.check()
    never = r"; the last reference taken by driver_binary_dec_refc, which never frees, at test_bin"
    assert re.search(never, str(caught.value))


@pytest.mark.rule("fault.names-its-places")
def test_a_leaked_reference_names_the_lines_that_took_it(ledger: Ledger) -> None:
    def output(binary: ErlDrvBinary) -> None:
        for _ in range(3):
            driver_binary_inc_refc(binary)

    def outputv(binary: ErlDrvBinary) -> None:
        driver_binary_inc_refc(binary)

    kept, plain = new(b"abc"), new(b"abcd")
    output(kept)
    outputv(kept)
    driver_free_binary(kept)
    with pytest.raises(Leak) as caught:
        ledger.check()
    line, other = caught.value.blocks
    took = r"; a reference taken at test_binary\.py:\d+ in "
    assert re.fullmatch(rf"binary of 3 bytes allocated at .* in new{took}output{took}outputv", line)
    assert re.fullmatch(r"binary of 4 bytes allocated at test_binary\.py:\d+ in new", other)
    assert [place.split(" in ")[1] for place in caught.value.places] == ["new", "output", "outputv"]
    for _ in range(4):
        driver_free_binary(kept)
    driver_free_binary(plain)
    ledger.check()


def test_a_freed_binary_cannot_be_touched(ledger: Ledger) -> None:
    binary = new(b"abc")
    contents = binary.orig_bytes
    driver_free_binary(binary)
    for touch in (
        lambda: binary.orig_size,
        lambda: binary.orig_bytes,
        lambda: contents[0],
        lambda: driver_binary_get_refc(binary),
        lambda: driver_binary_inc_refc(binary),
        lambda: driver_binary_dec_refc(binary),
        lambda: driver_realloc_binary(binary, 3),
    ):
        with pytest.raises(UseAfterFree, match=r"after it was freed at test_binary.py:\d+ in "):
            touch()
    with pytest.raises(DoubleFree):
        driver_free_binary(binary)
    assert repr(binary).startswith("<binary of 3 bytes allocated at test_binary.py:")


@pytest.mark.rule("memory.not-cleared")
def test_a_binary_is_not_cleared(ledger: Ledger) -> None:
    binary = driver_alloc_binary(3)
    assert binary is not None
    with pytest.raises(Uninitialised, match=r"3 bytes: byte 0 read at .*, before it was written"):
        bytes(binary.orig_bytes)


@pytest.mark.rule("memory.null-check")
def test_a_binary_that_no_machine_can_hold_is_null(ledger: Ledger) -> None:
    binary = new(b"abc")
    assert driver_alloc_binary(NO_MACHINE_HAS) is None
    assert driver_realloc_binary(binary, NO_MACHINE_HAS) is None
    assert bytes(binary.orig_bytes) == b"abc"
    driver_free_binary(binary)
    ledger.check()


@pytest.mark.rule("memory.not-malloc")
def test_each_kind_of_memory_has_its_own_free(ledger: Ledger) -> None:
    binary, block = new(b"abc"), driver_alloc(3)
    assert block is not None
    for wrong in (binary, binary.orig_bytes):
        with pytest.raises(InvalidFree, match=r"cannot free <binary .*>: use driver_free_binary"):
            driver_free(wrong)
    with pytest.raises(InvalidFree, match=r"driver_realloc cannot free <binary "):
        driver_realloc(binary.orig_bytes, 3)
    with pytest.raises(InvalidFree, match=r"cannot free <block of 3 bytes .*>: use driver_free"):
        driver_free_binary(block)  # type: ignore[arg-type]
    for stranger in (b"abc", binary.orig_bytes):
        with pytest.raises(InvalidFree, match="driver_free_binary takes a ErlDrvBinary, not "):
            driver_free_binary(stranger)  # type: ignore[arg-type]
    driver_free(block)
    driver_free_binary(binary)
    driver_free_binary(None)
    ledger.check()


@pytest.mark.rule("memory.realloc")
def test_realloc_keeps_what_fits_and_the_count(ledger: Ledger) -> None:
    old = new(b"abc")
    binary = driver_realloc_binary(old, 2)
    assert binary is not None
    assert (bytes(binary.orig_bytes), binary.orig_size) == (b"ab", 2)
    assert driver_binary_get_refc(binary) == 1
    with pytest.raises(UseAfterFree):
        _ = old.orig_bytes
    driver_free_binary(binary)
    empty = driver_realloc_binary(None, 0)
    assert empty is not None
    assert empty.orig_size == 0
    driver_free_binary(empty)
    ledger.check()


@pytest.mark.rule("memory.realloc")
def test_realloc_of_what_others_hold(ledger: Ledger) -> None:
    binary = new(b"abc")
    driver_binary_inc_refc(binary)
    with pytest.raises(Misuse, match=r"driver_realloc_binary: <binary of 3 .*> has 2 references"):
        driver_realloc_binary(binary, 4)
    assert bytes(binary.orig_bytes) == b"abc"


def test_arguments(ledger: Ledger) -> None:
    with pytest.raises(TypeError, match="driver_binary_get_refc: bin must be an ErlDrvBinary"):
        driver_binary_get_refc(b"abc")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="driver_binary_inc_refc: bin must be .*, not 5"):
        driver_binary_inc_refc(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"driver_alloc_binary: size must be an int \(bytes\)"):
        driver_alloc_binary("3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="driver_realloc_binary: size must be 0 or more bytes"):
        driver_realloc_binary(new(b"abc"), -1)


@pytest.mark.rule("memory.binary-count", "memory.thread-safe")
def test_counts_from_many_threads(threads: Threads, ledger: Ledger) -> None:
    emulator = running_thread.get().runtime
    binary = new(b"abc")

    def work() -> None:
        running_thread.get().runtime = emulator
        for _ in range(300):
            driver_binary_inc_refc(binary)
        for _ in range(300):
            driver_free_binary(binary)

    started = [threads.start(f"thread {i}", work, lambda error: error) for i in range(4)]
    for thread in started:
        threads.join(thread)
    assert driver_binary_get_refc(binary) == 1
    driver_free_binary(binary)
    ledger.check()


@pytest.mark.parametrize("seed", range(20))
def test_one_of_two_threads_frees(seed: int) -> None:
    threads = SimulatedThreads(seed)
    ledger = enter(threads)
    emulator = running_thread.get().runtime
    binary = new(b"abc")
    driver_binary_inc_refc(binary)

    def work() -> None:
        running_thread.get().runtime = emulator
        assert bytes(binary.orig_bytes) == b"abc"
        driver_free_binary(binary)

    for thread in [threads.start(name, work, lambda error: error) for name in ("one", "other")]:
        threads.join(thread)
    ledger.check()
    threads.close()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["inc", "dec", "free"]), max_size=12))
def test_any_sequence_of_counts_agrees_with_a_number(calls: list[str]) -> None:
    threads = NativeThreads()
    ledger = enter(threads)
    binary, count, freed = new(b"abc"), 1, False
    for call in calls:
        if call == "free":
            if count:
                driver_free_binary(binary)
                count -= 1
                freed = count == 0
            else:
                with pytest.raises(DoubleFree):
                    driver_free_binary(binary)
        else:
            change = driver_binary_inc_refc if call == "inc" else driver_binary_dec_refc
            if count:
                count += 1 if call == "inc" else -1
                assert change(binary) == count
            else:
                with pytest.raises(UseAfterFree if freed else Misuse):
                    change(binary)
        assert len(ledger.leaks()) == (not freed)
    threads.close()
