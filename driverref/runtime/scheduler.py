"""A scheduler: a lock, a FIFO of work, a heap of timers, and a thread that serves them.

A real scheduler runs one thing at a time: a process, a port's callback, the completion of a job.  Here
a process has a thread of its own, so the scheduler is a *mutex*: whoever does something on scheduler 1,
a process inside a BIF or the scheduler's own thread, holds the mutex of scheduler 1 while it does.  That
includes waiting for a port's lock, because a real scheduler that waits for one does nothing else.

The scheduler's thread does the *work* that others add: completed jobs, at most `release.ready_async_batch` of
them at a time, and callables, such as a port's postponed signals.  In between it fires the timers that are
due.  On OS threads a process that waits for a message lends its thread, so that a job's way there and back
wakes two threads and not three.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from driverref.runtime.core import Runtime
from driverref.threads import READ, WRITE, Empty, Mode, Thread, running


class Timer:
    """A running timer: `action()` is due at `deadline`, on the clock of the seam, unless it is cancelled."""

    __slots__ = ("action", "deadline", "due_for", "look")

    def __init__(
        self, deadline: int, action: Callable[[Timer], None], look: Callable[[Mode], None]
    ) -> None:
        self.look = look
        """Makes known that `action` is looked at or taken away, which may be on two schedulers."""
        self.deadline = deadline
        self.action: Callable[[Timer], None] | None = action
        self.due_for: Thread | None = None
        """The thread that has set it to 0 ms, to which it was due at once."""

    def cancel(self) -> None:
        """Never fire.  Nothing happens if it has fired."""
        self.look(WRITE)
        self.action = None

    def pending(self) -> Callable[[Timer], None] | None:
        """The action, which another scheduler may cancel at once; `None` if it is cancelled."""
        self.look(READ)
        return self.action


class Scheduler:
    """One scheduler, number 1 or more."""

    def __init__(self, runtime: Runtime, number: int) -> None:
        self.runtime = runtime
        self.index = number - 1
        self.name = f"scheduler {number}"
        self.mutex = runtime.threads.mutex(self.name)
        self.work = runtime.threads.work(f"work for {self.name}")
        self.batch = runtime.release.ready_async_batch or 1
        self.stopped = False
        self.timers: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()
        self.thread = runtime.threads.start(self.name, self._run, runtime.crash, settle=True)

    def start_timer(self, ns: int, action: Callable[[Timer], None]) -> Timer:
        """Call `action(timer)` on this scheduler `ns` nanoseconds from now.  The caller is on this scheduler."""
        threads = self.runtime.threads
        look = partial(self.runtime.also, ("timer", threads.fresh()))
        timer = Timer(threads.read_clock() + ns, action, look)
        if self.runtime.release.zero_timeout_in_line and not ns:
            timer.due_for = running()
        self.runtime.also(("timers", self.index), WRITE)
        entry = (timer.deadline, next(self._order), timer)
        first = self.timers[0] if self.timers else None
        # A cancelled timer gives up its place, or one that is always reset would fill the heap.
        if first is not None and first[2].pending() is None:
            heapq.heapreplace(self.timers, entry)
        else:
            heapq.heappush(self.timers, entry)
        if (first is None or entry < first) and running() is not self.thread:
            self.work.ring()  # the scheduler's thread sleeps until a later deadline
        return timer

    def stop(self) -> None:
        """End the scheduler's thread once it has done everything that is in its queue now."""
        self.work.add_at_once(None)
        self.runtime.threads.join(self.thread)

    def _run(self) -> None:
        thread = running()
        thread.emulator, thread.scheduler = self.runtime, self
        while not self.stopped:
            self.runtime.also(("timers", self.index), READ)
            self.work.wait(self.timers[0][0] if self.timers else None)
            self.runtime.threads.acquire_patiently(self.mutex)
            try:
                self._go(thread)
                self.runtime.also(("timers", self.index), READ)
                if self.timers:
                    self._fire()
            finally:
                self.mutex.release()

    def lend(self, thread: Thread) -> None:
        """Do the scheduler's work on the thread of a process that waits."""
        process, thread.process = thread.process, None
        try:
            with self.mutex:
                self._go(thread)
        except Exception as error:
            raise self.runtime.fault(error) from None
        finally:
            thread.process = process

    def _go(self, thread: Thread) -> None:
        """Do what there is to do, but not more than one batch.  With the mutex held."""
        take = self.work.take
        for _ in range(self.batch):
            try:
                item = take()
            except Empty:
                return
            if type(item) is tuple:
                item[1].complete(item, thread)
            elif item is None:  # as every queue gives when the seam is closed
                self.stopped = True
            else:
                item()

    def _fire(self) -> None:
        now, due = self.runtime.threads.read_clock(), []
        self.runtime.also(("timers", self.index), WRITE)
        while self.timers and self.timers[0][0] <= now:
            due.append(heapq.heappop(self.timers)[2])
        for timer in due:  # one that is set meanwhile, to 0 ms say, has its turn after other work
            if (action := timer.pending()) is not None:
                action(timer)
