"""What waits for a port: signals that found it locked, and senders that are suspended.

A port may be *busy*, because its driver said so, or its message queue may be full of commands that wait for its lock.
In both cases a sender stands in line, without holding anything, until it is woken, and then tries again from the
beginning.

Most of this is done without the port's lock, because the lock is what is waited for.  So what is shared is a cell each.

Source: `io.c`, `erl_port_task.c`; the manual page `erl_driver(3)`, `set_busy_port` and `erl_drv_busy_msgq_limits`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from driverref.runtime import callbacks
from driverref.runtime.process import Process
from driverref.threads import Cell

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort

Signal = Callable[[], None]


class Senders:
    """The signals and the suspended senders of one port."""

    __slots__ = ("_port", "_resource", "_size", "_suspended", "busy", "limits", "signals")

    def __init__(self, port: ErlDrvPort, limits: tuple[int, int] | None) -> None:
        threads = port.runtime.threads
        self._port = port
        self.busy = threads.cell(False)
        self.limits = threads.cell(limits)
        """Bytes below which senders go on and above which they are suspended; `None`: they never are."""
        self.signals: Cell[deque[tuple[Signal, int]]] = threads.cell(deque())
        """Signals that wait until the lock is given back, oldest first, each with its bytes of command data."""
        self._size = threads.cell(0)
        """Bytes of command data in the signals."""
        self._suspended: Cell[list[Process]] = threads.cell([])
        self._resource = threads.fresh()

    def _undivided(self) -> AbstractContextManager[object]:
        """For a change that takes more than one operation, by a sender that does not hold the port's lock."""
        if self._port.lock.mutex is None:
            return nullcontext()
        return self._port.runtime.threads.atomically(self._resource)

    # Signals that found the port locked.

    def waiting(self) -> bool:
        """Whether a signal waits.  With or without the port's lock."""
        return bool(self.signals.value)

    def post(self, signal: Signal, size: int) -> None:
        """Leave a signal, with `size` bytes of command data, for when the lock is given back."""
        lock = self._port.lock
        with self._undivided():
            self._size.value += size
        self.signals.change().append((signal, size))
        lock.wait(self.serve)
        # The holder looks for what waits when it gives the lock back.  It may have looked a moment before the signal
        # was there; then the lock is free now, and this thread looks in its place.
        if lock.acquire(blocking=False):
            self._port.leave()

    def run(self) -> None:
        """Carry out the signals that wait, in order, and a timeout of 0 ms.  With the lock held."""
        while self.waiting():
            signal, size = self.signals.change().popleft()
            signal()
            with self._undivided():
                self._size.value -= size
            limits = self.limits.value
            room = limits is None or self._size.value < limits[0]
            if size and room and not self.busy.value:
                self.resume()
        callbacks.time_out(self._port, self._port.timer.due_now())

    def serve(self) -> None:
        """Work for a scheduler: take the lock and carry out what waits."""
        # A thread that waits for the lock with a finished job goes first.  On OS threads a lock that has just been
        # given back would mostly be taken again here before that thread is awake.
        self._port.runtime.threads.sleep(0)
        with self._port:
            self.run()

    # Suspended senders.

    def held_up(self) -> bool:
        """Whether a command has to wait: the port is busy, or too much command data waits already."""
        limits = self.limits.value
        return self.busy.value or (limits is not None and self._size.value > limits[1])

    def suspend(self, process: Process) -> None:
        """Put a sender in line.  It then calls `wait_in_line`, without any lock."""
        with self._undivided():
            self._suspended.change().append(process)
        self._port.note("suspended", detail=process.pid)

    def wait_in_line(self, process: Process) -> None:
        """Wait until `resume` has taken the sender out of the line."""
        what = f"{self._port.id}, which is busy"
        process.wait_until(what, lambda: process not in self._suspended.value)
        self._port.note("resumed", detail=process.pid)

    def set_busy(self, on: bool) -> None:
        """Suspend, from now on, those who send commands; or let them go on."""
        self.busy.value = on
        if not on:
            self.resume()

    def resume(self) -> None:
        """Wake every suspended sender.  Which of them goes on first is up to the schedulers."""
        with self._undivided():
            waiting, self._suspended.value = self._suspended.value, []
        for process in waiting:
            process.wake()
