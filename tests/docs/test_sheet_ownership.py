"""The table "What data does the driver own?" of the cheat sheet.

Each row has a driver that keeps it and a driver that breaks it. A driver is made of a few functions.
It is explored with one command and a close, so the job meets the close in every order. The right
driver has no fault in any order, and the wrong one has the fault of which the sheet warns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from sheet_support import Function, keeps_port, rows

import driverref.erl_driver as c
from driverref import Driver, Emulator, Struct, explore
from driverref.errors import (
    DataRace,
    DoubleFree,
    DriverFault,
    ErlangError,
    Leak,
    Uninitialised,
    UseAfterFree,
)
from driverref.explore import Fault


class Job(Struct):
    """The data of a job, and the state of a port."""

    number: int


def job() -> Any:
    """Return a block that is written."""
    block: Any = c.driver_alloc(Job)
    block.number = 1
    return block


def read(block: Any) -> None:
    """What a job does with a block."""
    assert block.number


def read_bytes(buf: Any) -> None:
    """What a job does with bytes."""
    assert bytes(buf)


def nothing(data: object) -> None:
    """A job, or a free callback, that does nothing."""


def faults(**functions: Function) -> set[str]:
    """Return the names of the faults that some order of a command, its job and a close has."""

    def scenario(erl: Emulator) -> None:
        driver = type("Owner", (Driver,), {"driver_name": "owner", "start": keeps_port} | functions)
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", "owner"))
        erl.port_command(port, b"command")
        with suppress(ErlangError):  # the driver has made it fail
            erl.port_close(port)

    outcomes = explore(scenario, async_threads=1)
    assert outcomes.complete
    return {outcome.name for outcome in outcomes if isinstance(outcome, Fault)}


class Row(NamedTuple):
    """Two drivers for a row of the sheet."""

    data: str
    """How the row's first cell begins."""
    right: dict[str, Function]
    wrong: dict[str, Function]
    fault: type[DriverFault]
    """What the wrong one earns."""


def submits(
    make: Function = job, work: Function = read, free: Function | None = c.driver_free
) -> Function:
    """Return an `output` or `outputv` that makes a job's data of what it is given, and submits it."""

    def output(self: Driver, port: Any, given: Any) -> None:
        data = make() if make is job else make(given)
        if c.driver_async(port, None, work, data, free) == -1 and free is not None:
            free(data)

    return output


def frees(self: Driver, port: Any, data: Any) -> None:
    c.driver_free(data)


def drops(self: Driver, port: Any, data: Any) -> None:
    """A `ready_async` that does not free."""


def frees_binary(self: Driver, port: Any, data: Any) -> None:
    c.driver_free_binary(data)


def copied(buf: Any) -> Any:
    block: Any = c.driver_alloc(len(buf))
    block[:] = buf
    return block


def counted(ev: Any) -> Any:
    c.driver_binary_inc_refc(ev.binv[1])
    return ev.binv[1]


def reads_binary(binary: Any) -> None:
    assert bytes(binary.orig_bytes)


def starts(self: Driver, port: Any, command: str) -> Any:
    state = job()
    self.port = port  # type: ignore[attr-defined]
    return state


def uses_state(self: Driver, state: Any, buf: Any) -> None:
    c.driver_async(self.port, None, read, state)  # type: ignore[attr-defined]


def copies_state(self: Driver, state: Any, buf: Any) -> None:
    submits()(self, self.port, buf)  # type: ignore[attr-defined]


def frees_state(self: Driver, state: Any) -> None:
    c.driver_free(state)


def fails_first(release: bool) -> Function:
    """Return an `output` whose port has failed when it submits."""

    def output(self: Driver, port: Any, buf: Any) -> None:
        c.driver_failure_eof(port)
        data = job()
        assert c.driver_async(port, None, read, data, c.driver_free) == -1
        if release:
            c.driver_free(data)

    return output


def touches_after(self: Driver, port: Any, buf: Any) -> None:
    data = job()
    c.driver_async(port, None, read, data, c.driver_free)
    data.number = 2


def in_output(function: Callable[[Any], object]) -> dict[str, Function]:
    """Return a driver whose `output` calls a function with the port."""
    return {"output": lambda self, port, buf: function(port)}


def free_once(port: Any) -> None:
    c.driver_free(job())


def free_twice(port: Any) -> None:
    block = job()
    c.driver_free(block)
    c.driver_free(block)


def read_unwritten(port: Any) -> None:
    block = c.driver_alloc(Job)
    try:
        read(block)
    finally:
        c.driver_free(block)


def send_binary(times: int) -> Callable[[Any], object]:
    """Return a function that sends a binary, and frees it so many times."""

    def send(port: Any) -> None:
        binary: Any = c.driver_alloc_binary(4)
        binary.orig_bytes[:] = b"sent"
        c.driver_output_binary(port, None, binary, 0, 4)
        for _ in range(times):
            c.driver_free_binary(binary)

    return send


JOB: dict[str, Function] = {"output": submits(), "ready_async": frees}
ROWS = [
    Row(
        "the state that `start` returns",
        {"start": starts, "output": copies_state, "ready_async": frees, "stop": frees_state},
        {"start": starts, "output": uses_state, "ready_async": drops, "stop": frees_state},
        UseAfterFree,
    ),
    Row(
        "`buf` of `output`",
        {"output": submits(copied, read_bytes), "ready_async": frees},
        {"output": submits(lambda buf: buf, read_bytes, nothing), "ready_async": drops},
        UseAfterFree,
    ),
    Row(
        "`ev` of `outputv`",
        {
            "outputv": submits(counted, reads_binary, c.driver_free_binary),
            "ready_async": frees_binary,
        },
        {
            "outputv": submits(lambda ev: ev.binv[1], reads_binary, nothing),
            "ready_async": drops,
        },
        UseAfterFree,
    ),
    Row(
        "a job's data, before `driver_async`",
        {"output": fails_first(release=True)},
        {"output": fails_first(release=False)},
        Leak,
    ),
    Row(
        "a job's data, after `driver_async`",
        JOB,
        {"output": touches_after, "ready_async": frees},
        DataRace,
    ),
    Row("a job's data, in `ready_async`", JOB, JOB | {"ready_async": drops}, Leak),
    Row(
        "a job's data, in `async_free`",
        {"output": submits()},  # no ready_async: each job comes to the free callback
        {"output": submits(free=None)},
        Leak,
    ),
    Row(
        "a block of `driver_alloc`", in_output(free_once), in_output(free_twice), DoubleFree
    ),
    Row(
        "a block of `driver_alloc`", in_output(free_once), in_output(read_unwritten), Uninitialised
    ),
    Row("a binary of `driver_alloc_binary`", in_output(send_binary(1)), in_output(send_binary(0)), Leak),
]  # fmt: skip


@pytest.mark.rule("sheet.ownership")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.data}: {row.fault.__name__}")
def test_a_driver_that_keeps_a_row_has_no_fault_and_one_that_breaks_it_has(row: Row) -> None:
    assert faults(**row.right) == set()
    assert row.fault.__name__ in faults(**row.wrong)


@pytest.mark.rule("sheet.ownership")
@pytest.mark.parametrize("empties", [True, False])
def test_a_byte_in_the_driver_queue_keeps_the_port_closing(empties: bool) -> None:
    class Queues(Driver):
        driver_name = "owner"

        def start(self, port: Any, command: str) -> Any:
            return port

        def output(self, port: Any, buf: Any) -> None:
            c.driver_enq(port, buf)

        def flush(self, port: Any) -> None:
            if empties:
                c.driver_deq(port, c.driver_sizeq(port))

        def stop(self, port: Any) -> None:
            """Is in the trace."""

    with Emulator() as erl:
        erl.erl_ddll.load_driver(Queues())
        port = erl.open_port(("spawn_driver", "owner"))
        erl.port_command(port, b"kept")
        erl.port_close(port)
        if not empties:
            erl.halt(flush=False)
    assert erl.trace.order("port_close", "flush", "stop") == [
        "port_close",
        "flush",
        *["stop"] * empties,
    ]


def test_each_row_of_the_table_is_tested() -> None:
    owned = rows("## What data does the driver own?")
    tried = {row.data for row in ROWS} | {"bytes in the driver queue"}
    assert [cell for cell in owned if not cell.startswith(tuple(tried))] == []
    assert len(owned) == len(tried)
