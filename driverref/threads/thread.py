"""One thread, of either kind, and how to ask for the one that is running."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
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


class RunningThread(threading.local):
    """Which `Thread` is running, or `OUTSIDE` outside every emulator.

    It belongs to the OS thread.  A context variable would be handed on to every OS thread that gets
    a copy of the context, such as that of `asyncio.to_thread`, and would be forgotten where a
    context ends, as that of a notebook's cell does.  Simulated threads share one OS thread, so each
    says that it runs when it goes on.
    """

    thread = OUTSIDE

    def get(self) -> Thread:
        """The thread that is running."""
        return self.thread

    def set(self, thread: Thread) -> None:
        """Have the caller be this thread."""
        self.thread = thread


running_thread = RunningThread()


running: Callable[[], Thread] = partial(getattr, running_thread, "thread")
"""`running()` is `running_thread.get()`; CPython calls it faster."""


def current(call: str) -> Thread:
    """The running thread, for `call`, which needs an emulator; outside every emulator `Misuse`."""
    thread = running()
    if thread is OUTSIDE:
        raise Misuse(
            f"{call}: no emulator is running in this thread; a driver's code runs in callbacks, in"
            " jobs, and on threads that erl_drv_thread_create has made"
        )
    return thread
