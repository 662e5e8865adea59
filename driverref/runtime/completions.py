"""The way back of a job: from the queue of its scheduler to `ready_async` or `async_free`.

Exactly one of the two gets the data.  It is `ready_async` if the port is not closed and the driver
has one:

    complete: the port is not closed -> lock it, hand_over: ready_async
              the port is closed     -> give_back: async_free, then settle the account

A completion is no signal.  It does not queue behind the commands that wait for the port: it waits
for the port's lock itself, so it overtakes them.

This is today's way.  What earlier emulators did otherwise is in `driverref.eras.slots`.
Source: `erl_async.c:call_async_ready`; `io.c:driver_async_ready`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driverref.diagnostics import called
from driverref.runtime.async_pool import Job
from driverref.runtime.port_state import CLOSED, CONNECTED
from driverref.threads import Thread, running

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort


class Completions:
    """How finished jobs are completed.  One for each emulator; it has no state of its own."""

    def complete(self, job: Job, thread: Thread) -> None:
        """Complete a finished job, on a scheduler, without the port's lock.

        `thread` is the running one.
        """
        port, pdl = job.port, job.pdl
        lock, state = port.lock, port.state
        # With one scheduler there is no mutex.  What runs on it has the lock of every port.
        mutex = lock.mutex
        # The state is looked at twice.  Here without the lock: a port that is closed stays closed,
        # so its lock need not be waited for, and the data can be freed at once.
        if state.value is not CLOSED:
            if mutex is not None:
                mutex.acquire()
            try:
                # And here with it: another scheduler may have closed the port while this one
                # waited.  From now on it cannot.
                if state.value is not CLOSED:
                    # `PortLock.acquire` would also note which process waits below the callback.  On
                    # this way there is none: the scheduler's own thread completes jobs, or a thread
                    # that a process has lent.
                    lock.holder = thread
                    self.hand_over(port, job)
                    # The reference to the port data lock outlives `ready_async`, which may use it.
                    if pdl is not None:
                        pdl.release()
                    port.jobs -= 1
                    # A closing port waits for its driver queue to become empty, and `ready_async`
                    # may have emptied it.  A port that was failed by `ready_async` is closed by
                    # now.
                    if state.value is not CONNECTED:
                        port.runtime.closing.epilogue(port)
                    if port.created:
                        port.leave_created()
                    return
            finally:
                for made in port.created:  # only if `ready_async` has raised
                    made.unlock()
                lock.holder = None
                # Without a mutex nothing can have closed the port between the two looks, so the way
                # out was the `return`.
                if mutex is not None:  # pragma: no branch
                    mutex.release()
                    # A signal that came meanwhile was left at the lock.  It is passed on only now:
                    # a scheduler that took it up earlier would have found the lock taken.
                    lock.pass_on(thread)
        self.give_back(job)

    def hand_over(self, port: ErlDrvPort, job: Job) -> None:
        """Call `ready_async` of `port`; `async_free` if it has none.  With the port's lock held."""
        ready_async = port.driver.entry.ready_async
        if ready_async is None:
            self.free(port, job)
            return
        # Written out, not `port.note`: this is the hot path.
        record, now = port.runtime.record, port.runtime.now
        if record is not None:
            record((now(), running().lane, "ready_async", port.number, job.id, None))
        ready_async(port.drv_data, job.async_data)

    def give_back(self, job: Job) -> None:
        """The port is gone: give the data to `async_free`, without any lock.

        So `async_free` of two jobs may run on two schedulers at once, even in a driver that has one
        lock for all its ports.
        """
        self.free(job.port, job)
        self.settle(job)

    def free(self, port: ErlDrvPort, job: Job) -> None:
        """Give the data to `async_free`, if there is one."""
        if job.async_free is not None:
            port.note("async_free", job.id)
            try:
                port.runtime.trace.watched(job.async_free)(job.async_data)
            except Exception as error:
                called(error, job.async_free)
                raise

    def settle(self, job: Job) -> None:
        """Count a job off whose data was given away without the port's lock."""
        if job.pdl is not None:
            job.pdl.release()
        port = job.port
        # The count is the port's, and the port may still be open: a cancelled job comes this way.
        port.lock.acquire()
        port.jobs -= 1
        closed = port.state.value is CLOSED
        port.lock.release()
        # The last job of a closed port may let its driver go, which runs `finish`.  That must not
        # happen under the port's lock, because the lock may be the whole driver's.
        if closed:
            port.runtime.closing.epilogue(port)
