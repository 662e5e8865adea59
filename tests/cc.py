"""What the tests of hosted drivers share: whether there is a compiler, and short drivers in C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from driverref import Emulator, explore
from driverref.explore import Fault
from driverref.hosting import CDriver, c_driver
from driverref.hosting.tools import CompileError, compiler, header_folder

try:
    compiler(None, False)
    header_folder()
    MISSING = ""
except CompileError as error:
    MISSING = str(error)

needs_compiler = pytest.mark.skipif(bool(MISSING), reason=MISSING)

HEAD = """
#define _GNU_SOURCE
#include <erl_driver.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static ErlDrvPort port;
#define HOLDS(c) do { if (!(c)) { static char t[99]; snprintf(t, sizeof t, "%d: %s", __LINE__, #c); say(t); return; } } while (0)
static void say(const char *text) { driver_output(port, (char *)text, strlen(text)); }
"""

TAIL = """
static ErlDrvData start(ErlDrvPort p, char *command) { (void)command; port = p; return (ErlDrvData)0; }
static void output(ErlDrvData d, char *buf, ErlDrvSizeT len) { (void)d, (void)buf, (void)len; test(); }
#ifdef READY
static void ready_async(ErlDrvData d, ErlDrvThreadData job) { (void)d; READY(job); }
#endif
#ifdef STOP
static void stop(ErlDrvData d) { (void)d; STOP(); }
#endif
static ErlDrvEntry entry = {
    .driver_name = "small", .start = start, .output = output,
#ifdef READY
    .ready_async = ready_async,
#endif
#ifdef STOP
    .stop = stop,
#endif
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION, .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING };
DRIVER_INIT(small) { return &entry; }
"""


def small(folder: Path, text: str, **options: Any) -> CDriver:
    """A driver whose `output` calls `test`, which the text has; also `READY(job)` and `STOP()`."""
    source = folder / "small_drv.c"
    source.write_text(HEAD + text + TAIL)
    return c_driver(source, flags=["-w"], **options)


def line_of(folder: Path, part: str, name: str = "small_drv.c") -> str:
    """The beginning of a place: that of the first line with this text."""
    lines = (folder / name).read_text().splitlines()
    return f"{name}:{next(n for n, line in enumerate(lines, 1) if part in line)} in"


def sent(erl: Emulator, driver: CDriver) -> bytes | None:
    """What the driver sends in reply to a command, if it sends something at once."""
    erl.process_flag("trap_exit", True)
    erl.erl_ddll.load_driver(driver())
    port = erl.open_port(("spawn_driver", "small"), ("binary",))
    erl.port_command(port, b"go")
    match erl.receive(timeout=0):
        case (_, ("data", bytes(data))):
            answer: bytes | None = data
        case _:
            answer = None
    erl.port_close(port)
    return answer


def run(driver: CDriver, async_threads: int = 1) -> bytes | None:
    """What the driver sends in one run."""
    with Emulator(async_threads=async_threads) as erl:
        return sent(erl, driver)


def faults(driver: CDriver, **options: Any) -> list[Fault]:
    """The faults of a driver that gets a command and is closed, in every schedule."""

    def scenario(erl: Emulator) -> None:
        sent(erl, driver)

    outcomes = explore(scenario, progress=False, **{"async_threads": 1, "limit": 4000, **options})
    assert outcomes.complete
    return outcomes.faults
