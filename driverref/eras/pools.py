"""The async pools of earlier releases, and the one without threads.

| pool | when | a finished job goes |
|---|---|---|
| `InlinePool` | `+A 0`, until OTP 22 | nowhere: `driver_async` runs it and hands it over |
| `StackPool` | R7B to R14B, one scheduler | on one stack, emptied from the top |
| `SmpPool` | R11B to R14B, several schedulers | to `ready_async`, on the async thread |
| `AsyncPool` | since R15B | to the scheduler that submitted it |

Source: `erl_async.c` of each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from driverref.diagnostics import called
from driverref.eras.cancelling import CANCEL, SearchableQueue
from driverref.eras.drivers import unload_if_jobless
from driverref.runtime.async_pool import AsyncFree, AsyncInvoke, AsyncPool, Job, Key
from driverref.runtime.core import Runtime
from driverref.runtime.overflow import nested_jobs
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED, CONNECTED
from driverref.threads import running


def pool_for(runtime: Runtime, size: int) -> AsyncPool:
    """The pool of the runtime's release, with `size` threads."""
    release = runtime.release
    if not size:
        return InlinePool(runtime, size)
    if release.completions == "queue":
        return AsyncPool(runtime, size)
    if release.async_thread_completes and len(runtime.schedulers) > 1:
        return SmpPool(runtime, size)
    return StackPool(runtime, size)


_DEEPEST = 100
"""How many jobs of a port may run nested in each other.

The emulator has no such bound.  There each job takes some of the C stack, until it overflows.
"""


class InlinePool(AsyncPool):
    """No threads: `driver_async` runs the job, nested in the caller's callback."""

    def __init__(self, runtime: Runtime, size: int) -> None:
        super().__init__(runtime, size)
        self._puts = [self._run]

    def submit(
        self,
        port: ErlDrvPort,
        key: Key | int | None,
        async_invoke: AsyncInvoke,
        async_data: Any,
        async_free: AsyncFree | None,
    ) -> int:
        """Run the job and hand its data over before returning.

        The caller holds the port's lock.
        """
        job_id = super().submit(port, key, async_invoke, async_data, async_free)
        return job_id if self.runtime.release.numbers_inline_jobs else 0

    def _run(self, job: Job) -> None:
        """Do the whole of a job's way.

        `ready_async` runs nested in the caller's callback.  If the port was only waiting for its
        driver queue to become empty, so does `stop`.
        """
        port = job.port
        # None of them waits, so they are all under way.
        if port.jobs > _DEEPEST:
            raise nested_jobs(_DEEPEST)
        port.note("async_invoke", job.id)
        try:
            job.async_invoke(job.async_data)
        except Exception as error:
            called(error, job.async_invoke)
            raise
        port.note("async_return", job.id)
        self.runtime.completions.hand_over(port, job)
        if job.pdl is not None:
            job.pdl.release()
        port.jobs -= 1
        if port.state.value is not CONNECTED:
            self.runtime.closing.epilogue(port)


class OldPool(AsyncPool):
    """What R7B to R14B have in common.

    Their queues can be searched, and a job may make its driver permanent.
    """

    queues: list[SearchableQueue]  # type: ignore[assignment]

    def __init__(self, runtime: Runtime, size: int) -> None:
        super().__init__(runtime, size)
        if runtime.release.driver_async_locks_driver:
            self._puts = [partial(_lock_driver_and, put) for put in self._puts]

    def _new_queue(self, name: str) -> SearchableQueue:  # type: ignore[override]
        return SearchableQueue(self.runtime.threads, name)

    def cancel(self, job_id: int) -> bool:
        """Take a job out of its queue and give its data to `async_free`.

        `async_free` is called here, under whatever lock this thread holds.
        """
        how = CANCEL.get(self.runtime.release.driver_async_cancel or "")
        job = None if how is None else how(self.queues, job_id)
        if job is None:
            return False
        port, completions = job.port, self.runtime.completions
        completions.free(port, job)
        if port.lock.holder is running():
            if job.pdl is not None:
                job.pdl.release()
            port.jobs -= 1
            if port.state.value is CLOSED:
                self.runtime.closing.epilogue(port)
        elif port.lock.mutex is None:
            completions.settle(job)
        else:
            # This thread holds another port's lock.  If it waited for this one, two such callbacks
            # could wait for each other.
            running().scheduler.work.add(partial(completions.settle, job))
        unload_if_jobless(port.driver)
        return True

    def give_up(self) -> None:
        """Empty the queues, which are not the seam's own."""
        for queue in self.queues:
            queue.give_up()


class SmpPool(OldPool):
    """The async thread calls `ready_async` itself, under the port's lock."""

    def done(self, job: Job) -> None:
        """Complete the job here.  To the driver this thread is a scheduler meanwhile."""
        thread = running()
        thread.scheduler = job.scheduler
        self.runtime.completions.complete(job, thread)
        thread.scheduler = None


class StackPool(OldPool):
    """Finished jobs wait on one stack, the last one on top.

    The emulator thread takes the whole stack and goes through it from the top, so the jobs that it
    finds together come out in reverse.  Source: R7B `erl_async.c:async_ready`, `check_async_ready`.
    """

    def __init__(self, runtime: Runtime, size: int) -> None:
        self._work = runtime.schedulers[0].work
        self._mutex = runtime.threads.mutex("the stack of finished jobs")
        self._stack: list[Job] = []
        super().__init__(runtime, size)  # its threads may be done with a job at once

    def done(self, job: Job) -> None:
        """Put the job on the stack and wake the emulator thread."""
        if job.pdl is not None and not self.runtime.release.pdl_held_for_completion:
            job.pdl.release()
            job = job._replace(pdl=None)
        with self._mutex:
            self._stack.append(job)
        self._work.add(self._drain)

    def _drain(self) -> None:
        """On the emulator thread: complete what is there."""
        with self._mutex:
            jobs, self._stack = self._stack, []
        for job in reversed(jobs):
            self.runtime.completions.complete(job, running())


def _lock_driver_and(put: Callable[[Job], object], job: Job) -> None:
    """From R11B-2 to R14B a driver that has called `driver_async` cannot be unloaded any more."""
    job.port.driver.make_permanent()
    put(job)
