"""One thread, of either kind, and how to ask for the one that is running."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from driverref.errors import Misuse


class Thread:
    """One thread, of either kind, and what the layers above hang on it.

    Each layer sets only its own attribute: `runtime` and `scheduler` the runtime, `process` the
    Erlang side, `tsd` and `errno` the driver's side.
    """

    __slots__ = ("errno", "lane", "name", "process", "runtime", "scheduler", "tsd", "waits_for")

    def __init__(self, name: str) -> None:
        self.name = name
        """The name that messages use: `"async 2"`, `"process <0.1.0>"`."""
        self.lane = name
        """Where its events are drawn: a process's thread draws on its scheduler's lane."""
        # The seam does not import the layers above it, so these three have no type here.
        self.runtime: Any = None
        self.scheduler: Any = None
        self.process: Any = None
        self.tsd: dict[object, object] = {}
        self.errno = 0
        self.waits_for: object = ""
        """What it waits for, in the words of a layer above that knows more than the seam.

        It may be an object that finds its words when it is printed.
        """

    def as_driver(self) -> AsDriver:
        """`with thread.as_driver():` it runs the driver's code and is no process meanwhile."""
        return AsDriver(self)


class AsDriver:
    """The block in which a thread is no process."""

    __slots__ = ("_process", "_thread")

    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    def __enter__(self) -> None:
        self._process, self._thread.process = self._thread.process, None

    def __exit__(self, *error: object) -> None:
        self._thread.process = self._process


OUTSIDE = Thread("a thread without an emulator")
"""Stands for every thread that no emulator has started or adopted."""


running_thread: ContextVar[Thread] = ContextVar("the running thread", default=OUTSIDE)
"""`running_thread.get()` is the `Thread` that is running, or `OUTSIDE` outside every emulator.

It is a context variable because an OS thread and a greenlet each have a context of their own, so
one line serves both kinds of threads.  None of the alternatives is as fast.
"""


running: Callable[[], Thread] = running_thread.get
"""`running()` is `running_thread.get()`; CPython 3.11 calls it faster than an imported method."""


def current(call: str) -> Thread:
    """The running thread, for `call`, which needs an emulator; outside every emulator `Misuse`."""
    if running() is OUTSIDE:
        raise Misuse(f"{call}: no emulator is running in this thread")
    return running()
