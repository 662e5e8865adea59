"""A driver in C whose descriptors the emulator waits for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken import BOOK, number
from cc import needs_compiler

from driverref import Emulator, explore
from driverref.errors import Misuse
from driverref.explore import Outcomes
from driverref.hosting import CDriver, c_driver

pytestmark = [needs_compiler, pytest.mark.slow]


def square_of_7(erl: Emulator, driver: CDriver, name: str = "wake_drv") -> Any:
    """Open a port, and send it a command: a tag, and the number to square."""
    erl.process_flag("trap_exit", True)
    erl.erl_ddll.load_driver(driver())
    port = erl.open_port(("spawn_driver", name), ("binary",))
    erl.port_command(port, number(1, 8) + number(7, 4))
    return port


def closed_any_time(driver: CDriver, name: str = "wake_drv") -> Outcomes:
    """What comes of the command if another process closes the port at any moment."""

    def scenario(erl: Emulator) -> object:
        port = square_of_7(erl, driver, name)
        erl.spawn(erl.port_close, port)
        message: Any = erl.receive()
        return message[1][1] if message[0] == port else None

    return explore(scenario, async_threads=1, progress=False)


def test_the_book_s_driver_is_right_in_every_order() -> None:
    outcomes = closed_any_time(c_driver(BOOK / "wake/wake_drv.c"))
    assert outcomes.complete
    assert not outcomes.faults
    assert set(outcomes) == {None, number(1, 8) + number(49, 8)}


def test_the_small_driver_of_the_page_is_right_in_every_order() -> None:
    outcomes = closed_any_time(c_driver(BOOK / "wake/waker_drv.c"), "waker_drv")
    assert outcomes.complete
    assert not outcomes.faults
    assert set(outcomes) == {None, b"done"}


def broken(folder: Path, old: str, new: str) -> CDriver:
    """The book's driver with other text in one place."""
    text = (BOOK / "wake/wake_drv.c").read_text("utf-8")
    assert text.count(old) == 1
    source = folder / "wake_drv.c"
    source.write_text(text.replace(old, new))
    return c_driver(source, flags=["-w"])


GIVEN_UP = "(void)driver_select(state->port, event(state->reads), ERL_DRV_USE, 0);"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (GIVEN_UP, "close(state->reads);", "close: <read end of a pipe> is selected by #Port<0.1>"),
        (GIVEN_UP, "", "#Port<0.1> is closed and still selects <read end of a pipe>"),
        (".stop_select = stop_select,", "", "calls stop_select, which the driver does not have"),
    ],
)
def test_a_descriptor_that_is_not_given_up_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    outcomes = closed_any_time(broken(tmp_path, old, new))
    assert outcomes.faults
    assert {fault.name for fault in outcomes.faults} == {"Misuse"}
    for fault in outcomes.faults:
        assert message in fault.text
        assert "wake_drv.c:" in fault.text


def selecting(folder: Path, code: str) -> Callable[[], int]:
    """A function that plays a driver whose `start` runs this code; returns its `seen`."""
    text = f"""
#include <unistd.h>
#include <string.h>
#include <erl_driver.h>
static int seen;
static int ends[2];
static ErlDrvEvent event(int fd) {{ return (ErlDrvEvent)(long)fd; }}
static ErlDrvData start(ErlDrvPort port, char *command) {{
    pipe(ends);
    {code}
    return (ErlDrvData)port; }}
static void ready_output(ErlDrvData data, ErlDrvEvent which) {{
    seen += which == event(ends[1]);
    driver_select((ErlDrvPort)data, which, ERL_DRV_USE, 0); }}
static void stop_select(ErlDrvEvent which, void *reserved) {{
    seen += 10 * (which == event(ends[1]) && reserved == NULL); }}
static ErlDrvSSizeT control(ErlDrvData data, unsigned command, char *buf, ErlDrvSizeT length,
                            char **result, ErlDrvSizeT room) {{
    memcpy(*result, &seen, sizeof seen);
    return sizeof seen; }}
static void stop(ErlDrvData data) {{ close(ends[0]); close(ends[1]); }}
static ErlDrvEntry entry = {{ .driver_name = "selecting", .start = start, .stop = stop,
    .ready_output = ready_output, .stop_select = stop_select, .control = control,
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION }};
DRIVER_INIT(selecting) {{ return &entry; }}
"""
    source = folder / "selecting.c"
    source.write_text(text)
    driver = c_driver(source, flags=["-w"])

    def play() -> int:
        with Emulator() as erl:
            erl.erl_ddll.load_driver(driver())
            port = erl.open_port(("spawn_driver", "selecting"))
            erl.receive(timeout=10)
            seen: Any = erl.port_control(port, 0, b"")
            return int.from_bytes(bytes(seen), "little")

    return play


def test_a_callback_gets_the_number_of_the_descriptor(tmp_path: Path) -> None:
    select = "driver_select(port, event(ends[1]), ERL_DRV_WRITE | ERL_DRV_USE, 1);"
    assert selecting(tmp_path, select)() == 11


def test_a_descriptor_that_is_none_gives_minus_1(tmp_path: Path) -> None:
    select = "seen = driver_select(port, event(-1), ERL_DRV_READ, 1) == -1;"
    assert selecting(tmp_path, select)() == 1


def test_a_descriptor_that_is_closed_is_a_fault(tmp_path: Path) -> None:
    play = selecting(
        tmp_path, "close(ends[0]); driver_select(port, event(ends[0]), ERL_DRV_READ, 1);"
    )
    with pytest.raises(Misuse, match=r"descriptor \d+ is closed; called at selecting.c:"):
        play()
