"""What the cheat sheet says of the calls of `erl_driver.h`, read from the docstrings of the model.

A docstring says in a fixed sentence on which threads its call may be made (`SENTENCES`). What a
call returns stands in `RESULTS`.
`tests/docs/test_sheet.py` makes each call, on each kind of thread and on a closed port.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

import driverref.erl_driver as header

NOT_TODAY = {"driver_async_cancel", "memset", "set_errno", "sizeof"}
"""What today's header does not declare: it was there once, or stands for C itself."""

PORT = "A callback of the port"
ANY_PORT = "A callback of any port, and `init`"
QUEUE = "A callback of the port, or any thread that holds the port data lock"
SCHEDULER = "A scheduler's thread, as in any callback"
HOLDER = "The thread that holds the lock"
OWN = "A thread that the driver has started"
ANY = "Any thread"

SENTENCES = {
    "Only in a callback of the port.": PORT,
    "Only in a callback of any port, or in `init`.": ANY_PORT,
    "Only in a callback of the port, or with the port data lock held.": QUEUE,
    "Only on a scheduler's thread.": SCHEDULER,
    "Only on the thread that holds the lock.": HOLDER,
    "Only on a thread that a driver has started.": OWN,
    "Any thread.": ANY,
}
"""What a docstring says, and where the call may then be made."""


class Result(NamedTuple):
    """What some calls return."""

    calls: str
    """Their names, with blanks between them."""
    open: int
    """What each returns on an open port; `NUMBER` for a number that is 1 or more."""
    closed: int
    """What each returns on a closed port."""
    text: str


NUMBER = 7
RESULTS = (
    Result(
        "driver_async",
        NUMBER,
        -1,
        "the job's number; -1: the port is closed, there is no job, and the data is still yours",
    ),
    Result(
        "driver_output driver_output2 driver_output_binary driver_outputv",
        0,
        -1,
        "0: sent, or dropped because the port is closing; -1: the port is closed",
    ),
    Result(
        "erl_drv_output_term erl_drv_send_term",
        1,
        -1,
        "1: sent; 0: the port is closing, or the receiver is gone; -1: the port is closed, or the"
        " term is wrong",
    ),
    Result(
        "driver_set_timer driver_cancel_timer",
        0,
        -1,
        "0; -1: the port is closed",
    ),
    Result(
        "driver_select",
        0,
        -1,
        "0; -1: the port is closed, or the emulator cannot wait for the descriptor",
    ),
    Result(
        "driver_enq_bin driver_enqv driver_pushq_bin driver_pushqv driver_enq driver_pushq",
        0,
        -1,
        "0; -1: the port is closed",
    ),
    Result("driver_deq", 0, -1, "the bytes that are left; -1: fewer were there, none is removed"),
    Result(
        "driver_failure_eof driver_failure_atom driver_failure_posix driver_exit",
        0,
        -1,
        "0: `stop` has run, but after `driver_failure_eof` the port stays open if it has the option"
        " `eof`; -1: the port was closed already",
    ),
)
"""What the tests hold against the model. The page has the rest."""


def calls() -> dict[str, Callable[..., object]]:
    """Return the calls of today's header, by name."""
    found = inspect.getmembers(header, inspect.isfunction)
    return {name: call for name, call in found if name not in NOT_TODAY}


def text(name: str) -> str:
    """Return the docstring of a call, as one line."""
    return " ".join((inspect.getdoc(calls()[name]) or "").split())


def thread(name: str) -> str:
    """Return where a call may be made. `ValueError` unless its docstring says it, and once."""
    said = text(name)
    (where,) = (where for sentence, where in SENTENCES.items() if sentence in said)
    return where


def by_thread() -> dict[str, list[str]]:
    """Return the names of the calls by where they may be made."""
    found: dict[str, list[str]] = {
        where: [] for where in (PORT, ANY_PORT, QUEUE, SCHEDULER, HOLDER, OWN, ANY)
    }
    for name in calls():
        found[thread(name)].append(name)
    return found
