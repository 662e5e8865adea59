"""The way back of a job: from the queue of its scheduler to `ready_async` or `async_free`.

Exactly one of the two gets the data.  It is `ready_async` if the port is not closed and the driver has one.

A completion is no signal.  It does not queue behind the commands that wait for the port: it waits for the port's lock
itself, so it overtakes them.

This is today's way.  What earlier emulators did otherwise is in `driverref.eras.completions`.
Source: `erl_async.c:call_async_ready`; `io.c:driver_async_ready`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driverref.runtime.async_pool import Job
from driverref.runtime.port_state import CLOSED, CONNECTED
from driverref.threads import Thread, running

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort


class Completions:
    """How finished jobs are completed.  One for each emulator; it has no state of its own."""

    def complete(self, job: Job, thread: Thread) -> None:
        """Complete a finished job, on a scheduler, without the port's lock.  `thread` is the running one."""
        port, pdl = job.port, job.pdl
        lock, state = port.lock, port.state
        mutex = lock.mutex
        # The state is looked at twice.  A port that is closed stays closed, so its lock need not be waited for; a port
        # that is not may be closed by another scheduler until the lock is ours.
        if state.value is not CLOSED:
            if mutex is not None:
                mutex.acquire()
            try:
                if state.value is not CLOSED:
                    lock.holder = thread
                    self.hand_over(port, job)
                    if pdl is not None:
                        pdl.release()
                    port.jobs -= 1
                    if state.value is not CONNECTED:
                        port.runtime.closing.epilogue(port)
                    return
            finally:
                lock.holder = None
                # Without a mutex there is one scheduler, and nothing can have closed the port meanwhile: the way out is
                # the `return` above.
                if mutex is not None:  # pragma: no branch
                    mutex.release()
                    # A signal that came while the lock was held was left at the lock.  It is passed on only now: its
                    # scheduler would find the lock taken.
                    lock.pass_on(thread)
        self.give_back(job)

    def hand_over(self, port: ErlDrvPort, job: Job) -> None:
        """Call `ready_async` of `port`; `async_free` if it has none.  With the port's lock held."""
        ready_async = port.driver.entry.ready_async
        if ready_async is None:
            self.free(port, job)
            return
        record, now = port.runtime.record, port.runtime.now
        if record is not None:
            record((now(), running().lane, "ready_async", port.number, job.id, None))
        ready_async(port.drv_data, job.async_data)

    def give_back(self, job: Job) -> None:
        """The port is gone: give the data to `async_free`, without any lock."""
        self.free(job.port, job)
        self.settle(job)

    def free(self, port: ErlDrvPort, job: Job) -> None:
        """Give the data to `async_free`, if there is one."""
        if job.async_free is not None:
            port.note("async_free", job.id)
            job.async_free(job.async_data)

    def settle(self, job: Job) -> None:
        """The data has been given away without the port's lock: take it to count the job off."""
        if job.pdl is not None:
            job.pdl.release()
        port = job.port
        port.lock.acquire()
        port.jobs -= 1
        closed = port.state.value is CLOSED
        port.lock.release()
        if closed:
            port.runtime.closing.epilogue(port)
