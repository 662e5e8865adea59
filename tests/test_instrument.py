"""`sys_alloc_from(200, size)`: what the number was, who could see it, and until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Job, Kind, both, new_job, opened

from driverref import Emulator
from driverref.erl_driver import (
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_free,
    driver_free_binary,
    driver_realloc,
    driver_realloc_binary,
)
from driverref.errors import DoubleFree, InvalidFree, Leak, Misuse, Uninitialised
from driverref.instrument import LABELS, memory_data, sys_alloc_from, sys_free, type_string
from driverref.release import ERAS, R7B_3, Release


def table() -> list[Any]:
    """The rows of the table."""
    return list(memory_data())


def labels() -> list[tuple[int, int]]:
    """The label and the size of every block, oldest first."""
    return [(label, size) for label, _, size, _ in table()]


@pytest.mark.rule("era.sys-alloc")
def test_200_is_the_file_drivers_label_and_nothing_else() -> None:
    """A block with another label differs in nothing but the table."""
    with Emulator(release="R7B-3"):
        blocks = [sys_alloc_from(200, 10), sys_alloc_from(190, 10)]
        assert labels() == [(200, 10), (190, 10)]
        assert [type_string(label) for label, _ in labels()] == ["efile driver", "inet driver"]
        for block in blocks:
            sys_free(block)
        assert memory_data() == []


@pytest.mark.rule("era.sys-alloc")
def test_it_does_not_clear_what_it_allocates() -> None:
    with Emulator(release="R7B-3"):
        block = sys_alloc_from(200, 4)
        assert block is not None
        with pytest.raises(Uninitialised):
            block[0]
        block[:] = b"data"
        assert bytes(block[:]) == b"data"
        sys_free(block)


@pytest.mark.rule("era.sys-alloc")
def test_what_a_loaded_driver_allocates_has_the_labels_of_io_c() -> None:
    """`driver_alloc`'s number was given twice: its blocks are called what they are not."""
    with Emulator(release="R7B-3"):
        block, struct, binary = driver_alloc(10), driver_alloc(Job), driver_alloc_binary(20)
        assert labels() == [(220, 10), (220, 8), (71, 20)]
        assert [type_string(label) for label, _ in labels()] == [
            "breakpoint data",
            "breakpoint data",
            "binary (io.c)",
        ]
        driver_free(block)
        driver_free(struct)
        driver_free_binary(binary)


def test_a_block_that_is_reallocated_is_the_newest() -> None:
    with Emulator(release="R7B-3"):
        block, binary = driver_alloc(10), driver_alloc_binary(20)
        block = driver_realloc(block, 30)
        assert labels() == [(71, 20), (220, 30)]
        binary = driver_realloc_binary(binary, 40)
        assert labels() == [(220, 30), (71, 40)]
        driver_free(block)
        driver_free_binary(binary)


def test_a_row_is_a_term_and_blocks_do_not_overlap() -> None:
    with Emulator(release="R7B-3"):
        blocks = [sys_alloc_from(200, size) for size in (0, 5, 100)]
        rows = table()
        assert str(rows[1]) == "{200,1048604,5,undefined}"
        ends = [address + size for _, address, size, _ in rows]
        begins = [address for _, address, _, _ in rows]
        assert all(end < begin for end, begin in zip(ends, begins[1:], strict=False))
        for block in blocks:
            sys_free(block)


@both
def test_a_job_may_allocate_so_and_ready_async_free_it(threads: Kind) -> None:
    found: list[Any] = []

    def work(job: list[Any]) -> None:
        job.append(sys_alloc_from(200, 3))
        found.extend(labels())

    driver = made_of(
        output=lambda port, buf: driver_async(port, None, work, []),
        ready_async=lambda port, job: sys_free(job.pop()),
    )
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        erl.receive(timeout=0)
        while not (found and not memory_data()):
            erl.receive(lambda _: False, timeout=1)
    assert found == [(200, 3)]


@pytest.mark.parametrize("release", ERAS, ids=lambda release: str(release.name))
@pytest.mark.rule("era.sys-alloc")
def test_from_r9c_on_there_is_neither_the_call_nor_its_labels(release: Release) -> None:
    gone = f"{release.name} does not have it; it came with R6B-0 and went with R9C"
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: sys_free(sys_alloc_from(200, 1)), gone),
        (lambda: sys_free(None), gone),
        (memory_data, f"{release.name} has other labels, which are not modelled; take R7B-3"),
    ]
    for call, why in calls:
        with Emulator(release=release):
            if release is R7B_3:
                call()
            else:
                with pytest.raises(Misuse, match=why):
                    call()


@pytest.mark.rule("era.sys-alloc")
def test_each_kind_of_memory_has_its_own_way_back() -> None:
    with Emulator(release="R7B-3"):
        labelled, block = sys_alloc_from(200, 1), driver_alloc(1)
        with pytest.raises(InvalidFree, match="driver_free cannot free .*: use sys_free"):
            driver_free(labelled)
        with pytest.raises(InvalidFree, match="sys_free cannot free .*: use driver_free"):
            sys_free(block)
        sys_free(labelled)
        with pytest.raises(DoubleFree, match="freed twice"):
            sys_free(labelled)
        driver_free(block)


def test_a_block_that_is_not_freed_leaks() -> None:
    with (
        pytest.raises(Leak, match=r"block of 7 bytes allocated at .*test_instrument\.py"),
        Emulator(release="R7B-3"),
    ):
        sys_alloc_from(200, 7)


def test_null_is_what_there_is_no_memory_for() -> None:
    with Emulator(release="R7B-3"):
        assert sys_alloc_from(200, 2**62) is None


@pytest.mark.parametrize(
    ("where", "size", "error", "said"),
    [
        ("200", 1, TypeError, "where must be a number of instrument.LABELS"),
        (True, 1, TypeError, "where must be a number of instrument.LABELS"),
        (201, 1, ValueError, "where must be a number of instrument.LABELS, not 201"),
        (200, -1, ValueError, "size must be 0 or more bytes"),
        (200, "1", TypeError, r"size must be an int \(bytes\)"),
    ],
)
def test_a_wrong_argument_is_named(
    where: Any, size: Any, error: type[Exception], said: str
) -> None:
    with Emulator(release="R7B-3"), pytest.raises(error, match=f"sys_alloc_from: {said}"):
        sys_alloc_from(where, size)


def test_the_table_names_what_allocated() -> None:
    assert LABELS[200] == type_string(200) == "efile driver"
    assert type_string(-1) == "unknown"
    assert [type_string(800 + n) for n in (1, 5)] == ["heap (1)", "heap (5)"]
    assert len(set(LABELS.values())) == len(LABELS)


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), ("x", TypeError), ([], TypeError)])
def test_a_label_that_nobody_gave_has_no_name(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="type_string: label must be a number of instrument.LABELS"):
        type_string(wrong)


def test_without_an_emulator_there_is_no_table() -> None:
    with pytest.raises(Misuse, match="memory_data: no emulator is running in this thread"):
        memory_data()


def test_what_is_left_of_a_jobs_data_can_be_looked_up() -> None:
    """What the table was for: who forgot to free."""
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, lambda job: None, new_job(b"x")),
        ready_async=lambda port, job: None,
    )
    with Emulator(release="R7B-3", async_threads=1) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        erl.receive(timeout=1)
        assert labels() == [(220, 8)]
        assert erl.halt() == 0
