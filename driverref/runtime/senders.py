"""Who waits for a port: signals that found it locked, and senders that are suspended.

A port may be *busy*, because its driver said so, or its message queue may be full of commands that wait for its
lock.  In both cases a sender stands in line, without holding anything, until somebody wakes it, and then tries
again from the beginning.

Source: `io.c`, `erl_port_task.c`; the manual page `erl_driver(3)`, `set_busy_port` and `erl_drv_busy_msgq_limits`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from driverref.runtime.core import Runtime
from driverref.runtime.port_lock import PortLock
from driverref.runtime.process import Process
from driverref.terms import Port
from driverref.threads import READ, WRITE


class Senders:
    """The part of `ErlDrvPort` that is about those who wait for it."""

    __slots__ = ("busy", "lock", "msgq_limits", "msgq_size", "runtime", "signals", "suspended")

    id: Port
    number: int
    thing: tuple[str, int]
    """The port to those who look at it without its lock, for `touch`."""
    runtime: Runtime
    lock: PortLock
    busy: bool
    suspended: list[Process]
    signals: deque[tuple[Callable[[], None], int]]
    """Signals that found the port locked and wait until the lock is given back, oldest first."""
    msgq_size: int
    """Bytes of command data in `signals`."""
    msgq_limits: tuple[int, int] | None
    """Bytes below which senders go on and above which they wait; `None`: they never wait."""

    if TYPE_CHECKING:

        def note(self, name: str, job: int | None = None, detail: object = None) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, error: type[BaseException] | None, *_: object) -> None: ...

    # Signals that found the port locked.

    def post(self, signal: Callable[[], None], size: int) -> None:
        """Leave a signal, with `size` bytes of command data, for when the lock is given back."""
        with self._undivided():
            self.msgq_size += size
        self.runtime.also(self.thing, WRITE)
        self.signals.append((signal, size))
        self.lock.wait(self.serve)
        # The holder may have given the lock back, and looked, a moment ago.
        if self.lock.acquire(blocking=False):
            self.__exit__(None)

    def has_signals(self) -> bool:
        """Whether a signal waits; who leaves one does not have the lock."""
        self.runtime.also(self.thing, READ)
        return bool(self.signals)

    def msgq_full(self) -> bool:
        """Whether so much command data waits that senders are suspended."""
        return self.msgq_limits is not None and self.msgq_size > self.msgq_limits[1]

    def run_signals(self) -> None:
        """Carry out what waits, in order.  The lock is held."""
        while self.has_signals():
            self.runtime.also(self.thing, WRITE)
            signal, size = self.signals.popleft()
            signal()
            with self._undivided():
                self.msgq_size -= size
            self.runtime.also(self.thing, WRITE)
            room = self.msgq_limits is None or self.msgq_size < self.msgq_limits[0]
            if size and room and not self.busy:
                self.resume()

    def _undivided(self) -> AbstractContextManager[object]:
        """For what a sender changes without the port's lock."""
        if self.lock.mutex is None:
            return nullcontext()
        return self.runtime.threads.atomically(("senders", self.thing))

    def serve(self) -> None:
        """Work for a scheduler: carry out what waits."""
        # Whoever waits for the lock, with a completed job, goes first.
        self.runtime.threads.sleep(0)
        with self:
            self.run_signals()

    # Busy.

    def suspend(self, process: Process) -> None:
        """Put a sender in line; it then waits, without any lock, until `resume`."""
        with self._undivided():
            self.runtime.also(("line", self.number), WRITE)
            self.suspended.append(process)
        self.note("suspended", detail=process.pid)

    def wait_in_line(self, process: Process) -> None:
        """What a suspended sender does."""
        what, line = f"{self.id}, which is busy", ("line", self.number)
        process.wait_until(what, line, lambda: process not in self.suspended)
        self.note("resumed", detail=process.pid)

    def set_busy(self, on: bool) -> None:
        """Suspend, from now on, those who send commands; or let them go on."""
        self.runtime.also(self.thing, WRITE)
        self.busy = on
        if not on:
            self.resume()

    def resume(self) -> None:
        """Wake every suspended sender; who of them goes on first is up to the schedulers."""
        with self._undivided():
            self.runtime.also(("line", self.number), WRITE)
            waiting, self.suspended = self.suspended, []
        for process in waiting:
            process.wake()
