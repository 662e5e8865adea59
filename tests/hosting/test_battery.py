"""The rows of the battery, here and not in a process apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from book import DOCS
from broken import ASK, BOOK, number
from cc import needs_compiler

from driverref import explore
from driverref.explore.witness import RunOptions
from driverref.hosting import c_driver
from driverref.hosting.battery import ROWS, Data, Row, callbacks, times

pytestmark = [pytest.mark.slow, needs_compiler]


@pytest.mark.parametrize("name", ROWS)
def test_each_row_does_what_it_says(name: str) -> None:
    """The driver refuses an empty command, and so the port is gone before the row is over."""
    driver = c_driver(BOOK / "flow/flow_drv.c")
    for command in (ASK, b""):
        row = Row(name, driver, Data(command=command, time=1))
        outcomes = explore(row, async_threads=1, limit=60, progress=False)
        assert not outcomes.faults, outcomes
    assert "output" in driver.called or "command" not in name


def test_the_times_of_a_driver_s_timer_are_known() -> None:
    command = number(1, 8) + number(5, 2) + number(9, 4)
    timeout = c_driver(BOOK / "timeout/timeout_drv.c")
    assert times(timeout, Data(command=command), {"async_threads": 1}) == [9]
    flow = c_driver(BOOK / "flow/flow_drv.c")
    assert times(flow, Data(command=ASK), {"async_threads": 1}) == []


def test_the_callbacks_of_a_driver_are_known() -> None:
    options: RunOptions = {"async_threads": 1}
    of_flow = callbacks(c_driver(BOOK / "flow/flow_drv.c"), Data(), options)
    of_steps = callbacks(c_driver(BOOK / "cancel/steps_drv.c"), Data(), options)
    assert of_steps - of_flow == {"control"}


def test_a_driver_that_is_not_loaded_is_a_mistake() -> None:
    driver = c_driver(DOCS / "symptoms/loads.c", flags=["-DWRONG"])
    (fault,) = explore(Row("open and close", driver, Data()), progress=False).faults
    assert fault.name == "LoadError"
    assert "load: driver_incorrect_version: Driver compiled with incorrect" in fault.text


def test_an_init_that_refuses_is_a_mistake_only_where_there_is_memory(tmp_path: Path) -> None:
    source = tmp_path / "small_drv.c"
    source.write_text("""
        #include <erl_driver.h>
        static void *block;
        static int init(void)
        {
            if (REFUSES || (block = driver_alloc(1)) == NULL)
                return -1;
            return 0;
        }
        static void finish(void) { driver_free(block); }
        static ErlDrvData start(ErlDrvPort p, char *c) { (void)c; return (ErlDrvData)p; }
        static ErlDrvEntry entry = {
            .driver_name = "small", .init = init, .finish = finish, .start = start,
            .extended_marker = ERL_DRV_EXTENDED_MARKER,
            .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
            .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
        };
        DRIVER_INIT(small) { return &entry; }
    """)
    row = Row("no memory", c_driver(source, flags=["-DREFUSES=0"]), Data())
    assert explore(row, failing_allocations=True, progress=False).faults == []
    row = Row("open and close", c_driver(source, flags=["-DREFUSES=1"]), Data())
    faults = explore(row, progress=False).faults
    assert "small: driver_init_failed: Driver init failed" in [fault.text for fault in faults]


def test_what_another_process_has_learnt_is_taken_over(tmp_path: Path) -> None:
    one, other = (c_driver(BOOK / "flow/flow_drv.c") for _ in range(2))
    explore(Row("open and close", one, Data()), async_threads=1, progress=False)
    assert one.never_called == ["output", "ready_async"]
    assert other.never_called == []
    other.learn(one)
    assert other.never_called == one.never_called
