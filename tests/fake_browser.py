"""What `threads/stack_switching.py` has of Pyodide, on greenlets: JavaScript's loop and its stacks.

A stack that waits is entered again by the loop alone, and none is begun before all others are left.
"""

from __future__ import annotations

import importlib
import sys
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

import greenlet
import pytest

SWITCHING = "driverref.threads.stack_switching"


class Loop:
    """JavaScript's loop."""

    def __init__(self) -> None:
        self.outermost = greenlet.getcurrent()
        self.ready: deque[greenlet.greenlet] = deque()
        self.loop = greenlet.greenlet(self._turn, self.outermost)
        self.begun: list[greenlet.greenlet] = []

    def _turn(self) -> None:
        while self.ready:
            self.ready.popleft().switch()
        raise AssertionError("every stack waits")

    def run_sync(self, awaitable: Any) -> object:
        assert not awaitable._asyncio_future_blocking
        assert hasattr(awaitable, "__await__")
        stack = greenlet.getcurrent()
        awaitable.add_done_callback(lambda done: self.ready.append(stack))
        self.loop.switch()
        return awaitable.result()

    def run_js(self, source: str) -> Callable[[Callable[[], None]], None]:
        assert source == "(work) => { work.callPromising() }"
        return self.begin

    def begin(self, work: Callable[[], None]) -> None:
        stack = greenlet.greenlet(work, self.loop)
        self.begun.append(stack)
        self.ready.append(stack)


def enter(patch: pytest.MonkeyPatch) -> tuple[ModuleType, Loop]:
    """Return the module for browsers, freshly imported, and the loop below it."""
    loop = Loop()
    for name, function in ("code", loop.run_js), ("ffi", loop.run_sync):
        fake = ModuleType(name)
        setattr(fake, function.__name__, function)
        patch.setitem(sys.modules, f"pyodide.{name}", fake)
    patch.setitem(sys.modules, "pyodide", ModuleType("pyodide"))
    patch.delitem(sys.modules, SWITCHING, raising=False)
    module = importlib.import_module(SWITCHING)
    patch.delitem(sys.modules, SWITCHING)
    return module, loop
