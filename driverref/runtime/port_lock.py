"""The lock under which a driver's callbacks run: one for each port, or one for all of a driver.

A thread that holds it runs the driver's code, not Erlang's.  So a process's thread that holds it is
no process meanwhile: it may call `erl_driver`, and no BIF.

The thread that gives the lock back looks at what waits.  So a signal that finds the lock taken can
be left there, and its sender goes on.
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

    __slots__ = ("_process", "_waiting", "holder", "mutex", "timeslice")

    def __init__(self, threads: Threads, whose: str, contended: bool) -> None:
        # None with one scheduler: what is on that scheduler has the lock, because nothing else can
        # ask for it.  It spares every command two operations.
        self.mutex: Mutex | None = threads.mutex(f"the lock of {whose}") if contended else None
        # Threads share it, and still it is no cell.  Each only asks whether it is itself the
        # holder, and no other thread can change the answer to that.
        self.holder: Thread | None = None
        # The process that the holder's thread carries below the driver's code.
        self._process: Process | None = None
        # Percent of a time slice that the holder has used, as far as the driver has said.
        self.timeslice = 0
        self._waiting: Cell[deque[Work]] = threads.cell(deque())

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock and begin to run the driver's code.

        `False` if it is taken and the caller would not wait.
        """
        if self.mutex is not None and not self.mutex.acquire(blocking=blocking):
            return False
        self.holder = thread = running()
        self._process, thread.process = thread.process, None
        self.timeslice = 0
        return True

    def release(self) -> None:
        """Give the lock back: the driver's code has run."""
        # Taken down before the release.  After it the next holder may have set both already.
        assert self.holder is not None
        thread, self.holder = self.holder, None
        thread.process = self._process
        if self.mutex is not None:
            self.mutex.release()
            # After the release.  What is left here from now on finds the lock free, or its holder
            # will look in turn; before it, it could be left after this look and be forgotten.
            self.pass_on(thread)

    def wait(self, work: Work) -> None:
        """Have `work` done by a scheduler when the lock is given back."""
        # By a thread that does not hold the lock; an append is one operation, also on OS threads.
        self._waiting.change().append(work)

    def pass_on(self, thread: Thread) -> None:
        """Have the scheduler of `thread` do the first thing that waits.

        It takes the lock for that, and passes on the next when it gives it back.
        """
        if self._waiting.value:
            # Without a lock, so another thread may have taken it since.
            with suppress(IndexError):
                thread.scheduler.work.add(self._waiting.change().popleft())


# The lock itself belongs to the driver's side (`erl_driver.handles`), which this folder does not
# know.  A port and a job hold references to it, and need no more of it than this.
class PortDataLock(Protocol):
    """What the runtime needs of a driver's `ErlDrvPDL`: a lock, and a count of its users."""

    @property
    def mutex(self) -> Mutex: ...
    def held(self) -> bool:
        """Whether the running thread holds it."""
        ...

    def retain(self) -> None: ...
    def release(self) -> None: ...
