"""The two tables of the cheat sheet that are written by hand.

"What data does the driver own?": each row has a driver that keeps it and a driver that breaks it. A
driver is made of a few functions. It is explored with one command and a close, so the job meets the
close in every order. The right driver has no fault in any order, and the wrong one has the fault of
which the sheet warns.

"What do calls return?": each row below the list that is made of the docstrings has a test.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from book import DOCS

import driverref.erl_driver as c
from driverref import Driver, Emulator, Pid, Struct, explore
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

Function = Callable[..., Any]


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


def keeps_port(self: Driver, port: Any, command: str) -> Any:
    return port


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


HUGE = 2**62
"""Bytes that no machine has."""


def told(asks: Callable[[Any], object], **functions: Function) -> object:
    """Return what a function returned that a callback called with the port."""
    found: list[object] = []

    def output(self: Driver, port: Any, buf: Any) -> None:
        found.append(asks(port))

    entry = {"driver_name": "asks", "start": keeps_port, "output": output} | functions
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(type("Asks", (Driver,), entry)())
        erl.port_command(erl.open_port(("spawn_driver", "asks")), b"")
    return found[0]


@pytest.mark.rule("sheet.results")
def test_an_allocation_returns_null_if_there_is_no_memory() -> None:
    assert told(lambda port: c.driver_alloc(HUGE)) is None
    assert told(lambda port: c.driver_alloc_binary(HUGE)) is None
    block: list[Any] = []

    def grow(port: Any) -> object:
        block.append(c.driver_alloc(1))
        found = c.driver_realloc(block[0], HUGE)
        c.driver_free(block[0])
        return found

    assert told(grow) is None


def exits(self: Driver, drv_data: Any, monitor: Any) -> None:
    """A `process_exit`, without which nothing can be monitored."""


def monitor(port: Any) -> object:
    return c.driver_monitor_process(port, c.driver_caller(port))


@pytest.mark.rule("sheet.results")
def test_a_monitor_says_whether_there_is_one() -> None:
    def after_the_port(port: Any) -> object:
        caller = c.driver_caller(port)
        c.driver_failure_eof(port)
        return c.driver_monitor_process(port, caller)

    def of_a_process_that_has_ended(port: Any) -> object:
        return c.driver_monitor_process(port, Pid(9999))

    # In C it is 0, and the monitor is an argument.
    assert isinstance(told(monitor, process_exit=exits), c.ErlDrvMonitor)
    assert told(monitor) == -1
    assert told(after_the_port, process_exit=exits) == -1
    ended = told(of_a_process_that_has_ended, process_exit=exits)
    assert isinstance(ended, int)
    assert ended >= 1


@pytest.mark.rule("sheet.results")
def test_trylock_says_that_a_lock_is_held() -> None:
    def twice(port: Any) -> tuple[int, int]:
        mutex = c.erl_drv_mutex_create("m")
        found = c.erl_drv_mutex_trylock(mutex), c.erl_drv_mutex_trylock(mutex)
        c.erl_drv_mutex_unlock(mutex)
        c.erl_drv_mutex_destroy(mutex)
        return found

    assert told(twice) == (0, errno.EBUSY)


def opened(**functions: Function) -> object:
    """Load a driver, open a port and close it; return `ok`, or the reason why that fails."""
    with Emulator() as erl:
        try:
            erl.erl_ddll.load_driver(
                type("Opens", (Driver,), {"driver_name": "opens"} | functions)()
            )
            erl.port_close(erl.open_port(("spawn_driver", "opens")))
        except ErlangError as error:
            return str(error.reason)
    return "ok"


@pytest.mark.rule("sheet.results")
@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("a state", "ok"),
        (c.ERL_DRV_ERROR_GENERAL, "einval"),
        (c.ERL_DRV_ERROR_ERRNO, "eacces"),
        (c.ERL_DRV_ERROR_BADARG, "badarg"),
    ],
)
def test_what_start_returns_is_the_state_or_why_the_open_fails(result: object, reason: str) -> None:
    def start(self: Driver, port: Any, command: str) -> object:
        c.set_errno(errno.EACCES)
        return result

    assert opened(start=start) == reason


@pytest.mark.rule("sheet.results")
@pytest.mark.parametrize(("result", "loads"), [(0, True), (1, False), (-1, False)])
def test_init_decides_whether_the_driver_is_loaded(result: int, loads: bool) -> None:
    found = opened(init=lambda self: result, start=keeps_port)
    assert (found == "ok") is loads


RESULTS = {
    "`driver_alloc`, `driver_realloc`, `driver_alloc_binary`",
    "`driver_monitor_process`",
    "`erl_drv_mutex_trylock`",
    "the driver's `start`",
    "the driver's `init`",
}
"""The rows that are tested above."""


def rows(section: str) -> list[str]:
    """Return the first cells of a table of the sheet that the page itself has."""
    text = (DOCS / "cheat-sheet.md").read_text().partition(section)[2].partition("\n## ")[0]
    return re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)[1:]


def test_each_row_of_the_tables_is_tested() -> None:
    owned = rows("## What data does the driver own?")
    tried = {row.data for row in ROWS} | {"bytes in the driver queue"}
    assert [cell for cell in owned if not cell.startswith(tuple(tried))] == []
    assert len(owned) == len(tried)
    assert set(rows("## What do calls return?")) == RESULTS
