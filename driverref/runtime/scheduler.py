"""A scheduler: a lock, a FIFO of work, a heap of timers, and a thread that serves them.

A real scheduler runs one thing at a time: a process, a port's callback, the completion of a job.
Here a process has a thread of its own, so the scheduler is a *mutex*.  A thread holds the mutex of
scheduler 1 while it does something on scheduler 1: a process inside a BIF, or the scheduler's own
thread.  It holds it while it waits for a port's lock, too, because a real scheduler that waits for
one does nothing else.

The scheduler's own thread goes round:

    _run: wait for work or for the first deadline
        -> _go: at most one batch of work -> _fire: the timers that are due -> _run

*Work* is a finished job, which is completed, or a callable, such as a port's postponed signals.  On
OS threads a process that waits for a message lends its thread (`lend`), so that a job's way there
and back wakes two threads and not three.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from driverref.runtime.async_pool import Job
from driverref.runtime.core import Runtime
from driverref.threads import Cell, Empty, Thread, running

BATCH = 20
"""Jobs that are completed before other work has a turn: `ERTS_MAX_ASYNC_READY_CALLS_IN_SEQ`."""

Action = Callable[["Timer"], None]


class Timer:
    """A running timer: `action(timer)` is due at `deadline`, unless it is cancelled.

    The deadline is in nanoseconds on the seam's clock.
    """

    __slots__ = ("_action", "deadline")

    def __init__(self, deadline: int, action: Cell[Action | None]) -> None:
        self.deadline = deadline
        # Shared: the port's lock protects the port's timer, not this one.  One scheduler may cancel
        # the timer while another finds it due.
        self._action = action

    def cancel(self) -> None:
        """Never fire.  Nothing happens if it has fired."""
        # The timer stays in the heap, because to find it there would take a search.
        self._action.value = None

    def pending(self) -> Action | None:
        """The action; `None` if the timer is cancelled."""
        return self._action.value


class Scheduler:
    """One scheduler, number 1 or more."""

    def __init__(self, runtime: Runtime, number: int, batch: int = BATCH) -> None:
        self.runtime = runtime
        self.name = f"scheduler {number}"
        self.mutex = runtime.threads.mutex(self.name)
        # Any thread adds to it: an async thread a finished job, the holder of a port's lock what
        # waited for the lock.
        self.work = runtime.threads.work(f"work for {self.name}")
        self.batch = batch
        # Set by the thread that takes the end out of the queue, which may be a process's.
        self.stopped = False
        # A heap of `(deadline, order of setting, timer)`: timers with one deadline fire in the
        # order in which they were set, and a timer is never compared.
        self.timers: Cell[list[tuple[int, int, Timer]]] = runtime.threads.cell([])
        self._order = itertools.count()
        # `settle`: it comes to its first wait before anything else happens.
        self.thread = runtime.threads.start(self.name, self._run, runtime.crash, settle=True)

    def start_timer(self, ns: int, action: Action) -> Timer:
        """Call `action(timer)` on this scheduler, `ns` nanoseconds from now.

        The caller is on this scheduler.
        """
        threads = self.runtime.threads
        # The clock is read, and not only looked at for the record: on simulated threads time may
        # pass between any two steps, and a deadline depends on when it was computed.
        timer = Timer(threads.read_clock() + ns, threads.cell(action))
        timers = self.timers.change()
        entry = (timer.deadline, next(self._order), timer)
        first = timers[0] if timers else None
        # A cancelled timer stays in the heap until its deadline.  A port that sets its timer again
        # for each command would fill the heap, so a new timer takes the place of a cancelled one at
        # the top.
        if first is not None and first[2].pending() is None:
            heapq.heapreplace(timers, entry)
        else:
            heapq.heappush(timers, entry)
        # The scheduler's thread sleeps until the deadline that was the first when it went to sleep.
        if (first is None or entry < first) and running() is not self.thread:
            self.work.ring()
        return timer

    def stop(self) -> None:
        """End the scheduler's thread once it has done everything that is in its queue now."""
        # The end stands in line like any work, so no finished job is lost.
        self.work.add_at_once(None)
        self.runtime.threads.join(self.thread)

    def lend(self, thread: Thread) -> None:
        """Do the scheduler's work on the thread of a process that waits."""
        # The work may be a callback.  The driver must not find a process below it that could call
        # BIFs.
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
            # Processes take and leave this mutex for every BIF.  If this thread stood in line for
            # it, each of those would pay for a system call.
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
        # The bound keeps a flood of finished jobs from holding up processes: between two batches
        # the mutex is free for a moment, and timers are looked at.
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
        # What is due is taken out first.  An action may set a timer, to 0 ms perhaps, and would
        # change the heap under this loop; and a timer that is set again and again could keep the
        # scheduler here for ever.
        due = []
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers)[2])
        for timer in due:
            # An action before it may have cancelled it, or another scheduler.
            if (action := timer.pending()) is not None:
                action(timer)
