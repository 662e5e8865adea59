"""The lock under which a driver's callbacks run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from driverref.threads import Mutex, Thread, running


class PortLock:
    """The lock under which callbacks run, and who holds it.  One per driver, or one per port.

    A process's thread that holds it runs the driver's code, not Erlang's: meanwhile it is no process.

    Whoever gives it back looks at `waiting`.  So who only wants something to be done under it, some time, does
    not have to stand and wait.
    """

    __slots__ = ("_process", "holder", "look", "mutex", "waiting")

    def __init__(self, mutex: Mutex | None, look: Callable[[], None]) -> None:
        self.look = look
        """Makes known that `waiting` is looked at or changed."""
        self.mutex = mutex
        """`None` where there is one scheduler: whoever is on it has the lock, as nobody else can ask for it."""
        self.holder: Thread | None = None
        self._process: Any = None
        self.waiting: deque[Callable[[], None]] = deque()
        """What found the lock taken: work for a scheduler when it is given back."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock and begin to run the driver's code."""
        if self.mutex is not None and not self.mutex.acquire(blocking=blocking):
            return False
        self.holder = thread = running()
        self._process, thread.process = thread.process, None
        return True

    def wait(self, work: Callable[[], None]) -> None:
        """Have `work` done by a scheduler when the lock is given back."""
        self.look()
        self.waiting.append(work)

    def release(self) -> None:
        """The driver's code has run: give the lock back."""
        assert self.holder is not None
        thread, self.holder = self.holder, None
        thread.process = self._process
        if self.mutex is not None:
            self.mutex.release()
            self.pass_on(thread)

    def pass_on(self, thread: Thread) -> None:
        """Have the scheduler of `thread` do the first thing that waits; at its end it looks at the next."""
        self.look()
        if self.waiting:
            with suppress(IndexError):  # somebody else was faster
                thread.scheduler.work.add(self.waiting.popleft())


class PortDataLock(Protocol):
    """What the runtime needs of a driver's `ErlDrvPDL`: a lock, and a count of those that need it."""

    mutex: Mutex
    holder: Thread | None

    def retain(self) -> None: ...
    def release(self) -> None: ...
