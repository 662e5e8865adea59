"""A plugin of pytest that shakes the tests on OS threads: naps at random lines of the package.

A test may not depend on which thread is faster.  Here each thread gets a slowness of its own, so
one that is mostly first comes last in some run.  `make shake` runs the tests marked `native` with
it; what fails there, and passes without, waits for too little.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import driverref
from driverref.threads import Thread
from driverref.threads.native import NativeThreads

PACKAGE = str(Path(driverref.__file__).parent)
SLOWNESS = [0, 0.002, 0.005, 0.03]
"""How likely a thread of each kind naps before a line."""
NAP = 0.002
"""Seconds of the longest nap."""

chance = random.Random()
mine = threading.local()


def enter(frame: FrameType, event: str, arg: Any) -> Any:
    """Follow the functions of the package."""
    return before_line if frame.f_code.co_filename.startswith(PACKAGE) else None


def before_line(frame: FrameType, event: str, arg: Any) -> Any:
    if not hasattr(mine, "slowness"):
        mine.slowness = chance.choice(SLOWNESS)
    if chance.random() < mine.slowness:
        time.sleep(chance.random() * NAP)
    return before_line


def adopt(self: NativeThreads, name: str) -> Thread:
    """Where an emulator begins."""
    mine.__dict__.clear()
    sys.settrace(enter)
    return adopt_calmly(self, name)


def close(self: NativeThreads) -> None:
    """Where it ends: what runs on simulated threads is not slowed."""
    sys.settrace(None)
    close_calmly(self)


threading.settrace(enter)
adopt_calmly, close_calmly = NativeThreads.adopt, NativeThreads.close
NativeThreads.adopt, NativeThreads.close = adopt, close  # type: ignore[method-assign]
