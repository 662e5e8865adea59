"""A scheduler: a lock, a FIFO of work, a heap of timers, and a thread that serves them.

A real scheduler runs one thing at a time: a process, a port's callback, the completion of a job.  Here a process has a
thread of its own, so the scheduler is a *mutex*.  A thread holds the mutex of scheduler 1 while it does something on
scheduler 1: a process inside a BIF, or the scheduler's own thread.  It holds it while it waits for a port's lock, too,
because a real scheduler that waits for one does nothing else.

The scheduler's own thread goes round:

    _run: wait for work or for the first deadline -> _go: at most one batch of work -> _fire: the timers that are due

*Work* is a finished job, which is completed, or a callable, such as a port's postponed signals.  On OS threads a process
that waits for a message lends its thread (`lend`), so that a job's way there and back wakes two threads and not three.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from driverref.runtime.async_pool import Job
from driverref.runtime.core import Runtime
from driverref.threads import Cell, Empty, Thread, running

BATCH = 20
"""Work that is done before the timers are looked at again.  Source: `ERTS_MAX_ASYNC_READY_CALLS_IN_SEQ`."""

Action = Callable[["Timer"], None]


class Timer:
    """A running timer: `action(timer)` is due at `deadline`, nanoseconds on the seam's clock, unless it is cancelled."""

    __slots__ = ("_action", "deadline")

    def __init__(self, deadline: int, action: Cell[Action | None]) -> None:
        self.deadline = deadline
        self._action = action  # shared: one scheduler may cancel the timer while another fires it

    def cancel(self) -> None:
        """Never fire.  Nothing happens if it has fired."""
        self._action.value = None

    def pending(self) -> Action | None:
        """The action; `None` if the timer is cancelled."""
        return self._action.value


class Scheduler:
    """One scheduler, number 1 or more."""

    def __init__(self, runtime: Runtime, number: int, batch: int = BATCH) -> None:
        self.runtime = runtime
        self.index = number - 1
        self.name = f"scheduler {number}"
        self.mutex = runtime.threads.mutex(self.name)
        self.work = runtime.threads.work(f"work for {self.name}")
        self.batch = batch
        self.stopped = False
        self.timers: Cell[list[tuple[int, int, Timer]]] = runtime.threads.cell([])
        """A heap of `(deadline, order of setting, timer)`."""
        self._order = itertools.count()
        self.thread = runtime.threads.start(self.name, self._run, runtime.crash, settle=True)

    def start_timer(self, ns: int, action: Action) -> Timer:
        """Call `action(timer)` on this scheduler `ns` nanoseconds from now.  The caller is on this scheduler."""
        threads = self.runtime.threads
        timer = Timer(threads.read_clock() + ns, threads.cell(action))
        timers = self.timers.change()
        entry = (timer.deadline, next(self._order), timer)
        first = timers[0] if timers else None
        # A cancelled timer stays in the heap until its deadline.  A port that sets its timer again for each command
        # would fill the heap, so a new timer takes the place of a cancelled one at the top.
        if first is not None and first[2].pending() is None:
            heapq.heapreplace(timers, entry)
        else:
            heapq.heappush(timers, entry)
        if (first is None or entry < first) and running() is not self.thread:
            self.work.ring()  # the scheduler's thread sleeps until a later deadline
        return timer

    def stop(self) -> None:
        """End the scheduler's thread once it has done everything that is in its queue now."""
        self.work.add_at_once(None)
        self.runtime.threads.join(self.thread)

    def lend(self, thread: Thread) -> None:
        """Do the scheduler's work on the thread of a process that waits."""
        with thread.as_driver():
            try:
                with self.mutex:
                    self._go(thread)
            except Exception as error:
                raise self.runtime.fault(error) from None

    def _run(self) -> None:
        thread = running()
        thread.runtime, thread.scheduler = self.runtime, self
        while not self.stopped:
            timers = self.timers.value
            self.work.wait(timers[0][0] if timers else None)
            self.runtime.threads.acquire_patiently(self.mutex)
            try:
                self._go(thread)
                if self.timers.value:
                    self._fire()
            finally:
                self.mutex.release()

    def _go(self, thread: Thread) -> None:
        """Do what there is to do, but not more than one batch.  With the mutex held."""
        take, complete = self.work.take, self.runtime.completions.complete
        for _ in range(self.batch):
            try:
                item = take()
            except Empty:
                return
            if type(item) is Job:
                complete(item, thread)
            elif item is None:  # every queue gives None when the seam is closed
                self.stopped = True
            else:
                item()

    def _fire(self) -> None:
        """Run the timers that are due.  With the mutex held."""
        now, timers = self.runtime.threads.read_clock(), self.timers.change()
        # What is due is taken out first: a timer that an action sets to 0 ms has its turn after other work, and cannot
        # keep the scheduler here.
        due = []
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers)[2])
        for timer in due:
            if (action := timer.pending()) is not None:  # an action before it may have cancelled it
                action(timer)
