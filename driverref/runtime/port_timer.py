"""The one timer of a port: `driver_set_timer`, and `timeout` when it is due.

A timeout of 0 ms is due at once.  Since OTP 21.2 it stands in line at its port as a signal does: a
command that the same thread sends after it finds it done (OTP-15472).  So `due_now` is asked
wherever a thread carries out what waits for a port.

Source: `io.c:driver_set_timer`, `erts_port_task_handle_timeout`.
"""

from __future__ import annotations

from driverref.runtime.scheduler import Action, Timer
from driverref.threads import Thread, Threads, running


class PortTimer:
    """The timer of one port.  All calls are made with the port's lock held."""

    __slots__ = ("_threads", "_timer", "set_to_0_by")

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._timer: Timer | None = None
        # The thread that has set the timer to 0 ms, while it runs.  Only for that thread does the
        # timeout stand in line: signals of two threads have no order among them.
        self.set_to_0_by: Thread | None = None

    def set(self, milliseconds: int, due: Action) -> None:
        """Start the timer, in place of one that runs.

        When it is due, the scheduler of the running thread calls `due(timer)`, without any lock.
        """
        # On the scheduler of the caller, which need not be that of the port's owner.
        self.cancel()
        self._timer = running().scheduler.start_timer(milliseconds * 1_000_000, due)
        if not milliseconds:
            self.set_to_0_by = running()

    def cancel(self) -> None:
        """Stop the timer, if it runs."""
        if self._timer is not None:
            # A scheduler may have found it due and wait for the port's lock.  It asks `take`, which
            # knows that this is no longer the port's timer.
            self._timer.cancel()
            self._timer = self.set_to_0_by = None

    def runs(self) -> bool:
        """Whether it has been set, and neither cancelled nor fired since."""
        return self._timer is not None

    def left(self) -> int:
        """Nanoseconds until the timer is due; 0 if it is overdue, or if none runs."""
        # No timer is no error.  What is read then is 0, as of one that is overdue.
        if self._timer is None:
            return 0
        return max(0, self._timer.deadline - self._threads.read_clock())

    def take(self, timer: Timer | None) -> bool:
        """Take a timer that is due.  `False` if it is not, or no longer, the port's.

        It has fired then, and a new one may be set.
        """
        if timer is None or self._timer is not timer:
            return False
        # Before `timeout` runs, which may set the timer again.
        self.cancel()
        return True

    def due_now(self) -> Timer | None:
        """The timer, if the running thread has set it to 0 ms."""
        return self._timer if self.set_to_0_by is running() else None
