"""As much of an emulator as the thread API of `erl_driver.h` needs, and its threads in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from driverref.erl_driver import (
    ErlDrvTid,
    Pointer,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.memory import Ledger
from driverref.release import OTP_25
from driverref.threads import Threads
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads

ON_EACH = [
    pytest.param(SimulatedThreads, id="simulated"),
    pytest.param(lambda: SimulatedThreads(seed=1), id="seed 1"),
    pytest.param(lambda: SimulatedThreads(seed=2), id="seed 2"),
    pytest.param(NativeThreads, id="native", marks=pytest.mark.native),
]
"""For a fixture: the story is told on each of these threads."""


class Desk:
    """As much of an emulator as the thread API needs."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.release = OTP_25
        self.ledger = Ledger(threads)
        self.crashes: list[BaseException] = []

    def note(self, lane: str, name: str, detail: object) -> None:
        """There is no trace."""

    def crash(self, error: BaseException) -> BaseException:
        self.crashes.append(error)
        return error


def opened(threads: Threads) -> Desk:
    thread = threads.adopt("main")
    desk = thread.runtime = Desk(threads)
    return desk


def given_back(threads: Threads) -> Iterator[Desk]:
    """For a fixture: a desk.  Whatever the test creates, it has to give back."""
    desk = opened(threads)
    yield desk
    desk.threads.close()
    assert desk.crashes == []
    desk.ledger.check()


def begin(func: Callable[[Any], Any], arg: object = None, name: str = "worker") -> ErlDrvTid:
    tid = ErlDrvTid()
    assert erl_drv_thread_create(name, tid, func, arg, None) == 0
    return tid


def end(*tids: ErlDrvTid) -> list[Any]:
    """Join them all; what they returned."""
    values = []
    for tid in tids:
        value = Pointer()
        assert erl_drv_thread_join(tid, value) == 0
        values.append(value.value)
    return values


def elsewhere(func: Callable[[], Any]) -> Any:
    """What `func` returns on another thread."""
    return end(begin(lambda _: func()))[0]
