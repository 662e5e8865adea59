"""The cheat sheet: what it says of each call of the header, made on each kind of thread and on a closed port."""

from __future__ import annotations

import errno
import inspect
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from _ext import sheet, sheet_calls
from book import DOCS
from sheet_support import Function, keeps_port, rows

import driverref.erl_driver as c
from driverref import Driver, Emulator, Pid
from driverref.errors import ErlangError, Misuse

sys.path.append(str(DOCS.parent / "tests/beam"))
from nulls import RIGHT, World

CALLS = sheet_calls.calls()
ONLY = re.compile("only a callback")
"""What the model says of a call that is not made in a callback."""


class Caller(Driver):
    """Calls a function in a callback and another in a job, with one of everything."""

    driver_name = "caller"
    driver_flags = c.ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, call: Callable[[World], object], close: bool = False) -> None:
        self.make, self.shut = call, close
        self.result: object = None

    def start(self, port: Any, command: str) -> Any:
        self.port = port
        return port

    def try_it(self, world: World) -> None:
        try:
            self.result = self.make(world)
        except (Misuse, ValueError, TypeError) as error:
            self.result = error

    def control(self, port: Any, command: int, buf: memoryview) -> bytes:
        world = World(port)
        if command == 1:
            c.driver_async(port, None, self.try_it, world)
        else:
            if self.shut:
                c.driver_failure_eof(port)
            self.try_it(world)
        return b""

    def ready_async(self, port: Any, job: Any) -> None:
        """The job has been made."""

    def timeout(self, port: Any) -> None:
        """For `driver_set_timer`."""

    def process_exit(self, port: Any, monitor: Any) -> None:
        """For `driver_monitor_process`."""

    def ready_input(self, port: Any, event: Any) -> None:
        """For `driver_select`."""

    def stop_select(self, event: Any, reserved: Any) -> None:
        """For `driver_select`."""


class Left(Exception):
    """The call has returned: what has been made is not given back."""


def result(call: Callable[[World], object], command: int, close: bool = False) -> object:
    """What a call returns or raises: in a callback for 0, in a job for 1."""
    driver = Caller(call, close)
    with suppress(Left), Emulator() as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(driver)
        erl.port_control(erl.open_port(("spawn_driver", "caller")), command, b"")
        erl.receive(timeout=10)
        raise Left
    return driver.result


def made(name: str) -> Callable[[World], object]:
    return lambda world: getattr(c, name)(*RIGHT[name](world))


def refused(found: object) -> bool:
    return isinstance(found, Misuse) and bool(ONLY.search(str(found)))


ALONE = {"erl_drv_thread_exit", "erl_drv_thread_join", "erl_drv_cond_wait"}
"""Calls that end the thread, or wait."""


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_docstring_ends_with_where_the_call_may_be_made_and_what_it_stands_for(name: str) -> None:
    *_, last = (inspect.getdoc(CALLS[name]) or "").split("\n\n")
    said = " ".join(last.split())
    (sentence,) = (one for one in sheet_calls.SENTENCES if one in sheet_calls.text(name))
    assert said.startswith(sentence)
    assert said.endswith(f"Stands for `{name}`.")


@pytest.mark.rule("sheet.threads")
@pytest.mark.parametrize("name", sorted(CALLS.keys() & RIGHT.keys() - ALONE))
def test_a_call_may_be_made_where_the_sheet_says(name: str) -> None:
    where = sheet_calls.thread(name)
    only_callbacks = where in (sheet_calls.PORT, sheet_calls.ANY_PORT, sheet_calls.QUEUE)
    assert refused(result(made(name), 1)) is only_callbacks
    if where == sheet_calls.QUEUE:

        def with_the_lock(world: World) -> object:
            c.driver_pdl_lock(world.pdl)
            found = made(name)(world)
            c.driver_pdl_unlock(world.pdl)
            return found

        assert not isinstance(result(with_the_lock, 1), Exception)


@pytest.mark.rule("sheet.threads")
@pytest.mark.parametrize(
    "name", sheet_calls.by_thread()[sheet_calls.SCHEDULER] + ["erl_drv_mutex_create"]
)
def test_the_clock_is_told_to_schedulers_only(name: str) -> None:
    unit = (lambda w: (c.ERL_DRV_MSEC,)) if "time" in name else RIGHT[name]
    call = lambda w: getattr(c, name)(*unit(w))  # noqa: E731
    assert (result(call, 1) == c.ERL_DRV_TIME_ERROR) is ("time" in name)
    assert result(call, 0) != c.ERL_DRV_TIME_ERROR


@pytest.mark.rule("sheet.threads")
@pytest.mark.parametrize("name", sheet_calls.by_thread()[sheet_calls.HOLDER])
def test_a_lock_is_given_back_by_its_holder_only(name: str) -> None:
    if name == "erl_drv_cond_wait":
        return
    found = result(made(name), 1)
    assert isinstance(found, Misuse)
    assert "does not hold" in str(found)


@pytest.mark.rule("sheet.results")
@pytest.mark.parametrize(
    ("name", "row"), [(name, row) for row in sheet_calls.RESULTS for name in row.calls.split()]
)
def test_a_call_returns_what_the_sheet_says(name: str, row: sheet_calls.Result) -> None:
    found = result(made(name), 0)
    if row.open == sheet_calls.NUMBER:
        assert isinstance(found, int)
        assert found > 0
    elif name != "driver_deq":
        assert found == row.open
    assert result(made(name), 0, close=True) == row.closed


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


OF_THE_PAGE = {
    "`driver_alloc`, `driver_realloc`, `driver_alloc_binary`",
    "`driver_monitor_process`",
    "`erl_drv_mutex_trylock`",
    "the driver's `start`",
    "the driver's `init`",
}
"""The rows of the page that are tested above."""


def test_each_row_that_the_page_itself_has_is_tested() -> None:
    assert set(rows("## What do calls return?")) == OF_THE_PAGE


def test_the_sheet_has_every_call_once() -> None:
    names = re.findall(r"`(\w+)`", sheet.threads().partition("|---|---|\n")[2])
    assert sorted(set(names) - {"init"}) == sorted(CALLS)
