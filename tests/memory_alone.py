"""An emulator that is nothing but memory: what a test of allocation, of binaries or of races needs.

A test module takes the fixtures over by name: `threads = memory_alone.threads`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from driverref.memory import Ledger
from driverref.release import OTP_25
from driverref.threads import Threads, running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads


def enter(threads: Threads) -> Ledger:
    """Make the running thread the first of such an emulator, and return the emulator's ledger."""
    threads.adopt("main")
    ledger = Ledger(threads)
    running_thread.get().runtime = SimpleNamespace(threads=threads, ledger=ledger, release=OTP_25)
    return ledger


@pytest.fixture(params=[SimulatedThreads, NativeThreads])
def threads(request: pytest.FixtureRequest) -> Iterator[Threads]:
    """The threads of such an emulator, of each kind.  The test's thread is its first."""
    threads: Threads = request.param()
    enter(threads)
    yield threads
    threads.close()


@pytest.fixture
def ledger(threads: Threads) -> Ledger:
    """The ledger of that emulator."""
    ledger: Ledger = running_thread.get().runtime.ledger
    return ledger
