"""The lock under which a driver's callbacks run: one for each port, or one for all ports of a driver.

A thread that holds it runs the driver's code, not Erlang's.  So a process's thread that holds it is no process
meanwhile: it may call `erl_driver` and no BIF.

The thread that gives the lock back looks at `waiting`.  So a signal that finds the lock taken can be left there, and
its sender goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from driverref.threads import Cell, Mutex, Thread, Threads, running

if TYPE_CHECKING:
    from driverref.runtime.process import Process

Work = Callable[[], None]


class PortLock:
    """The lock, and the thread that holds it."""

    __slots__ = ("_process", "_waiting", "holder", "mutex")

    def __init__(self, threads: Threads, whose: str, contended: bool) -> None:
        self.mutex: Mutex | None = threads.mutex(f"the lock of {whose}") if contended else None
        """`None` with one scheduler.  What is on that scheduler has the lock, since nothing else can ask for it."""
        self.holder: Thread | None = None
        """Plain, although threads share it: each only asks whether it is itself the holder, and only it can change that."""
        self._process: Process | None = None
        self._waiting: Cell[deque[Work]] = threads.cell(deque())

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock and begin to run the driver's code.  `False` if it is taken and the caller would not wait."""
        if self.mutex is not None and not self.mutex.acquire(blocking=blocking):
            return False
        self.holder = thread = running()
        self._process, thread.process = thread.process, None
        return True

    def release(self) -> None:
        """Give the lock back: the driver's code has run."""
        assert self.holder is not None
        thread, self.holder = self.holder, None
        thread.process = self._process
        if self.mutex is not None:
            self.mutex.release()
            self.pass_on(thread)

    def wait(self, work: Work) -> None:
        """Have `work` done by a scheduler when the lock is given back."""
        self._waiting.change().append(work)

    def pass_on(self, thread: Thread) -> None:
        """Have the scheduler of `thread` do the first thing that waits; when that gives the lock back, the next."""
        if self._waiting.value:
            with suppress(IndexError):  # another thread has taken it since
                thread.scheduler.work.add(self._waiting.change().popleft())


class PortDataLock(Protocol):
    """What the runtime needs of a driver's `ErlDrvPDL`: a lock, and a count of its users."""

    @property
    def mutex(self) -> Mutex: ...
    def held(self) -> bool:
        """Whether the running thread holds it."""
        ...

    def retain(self) -> None: ...
    def release(self) -> None: ...
