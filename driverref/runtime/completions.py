"""The part of a port that is about finished jobs: who gets the data, on which thread, under which lock.

Exactly one of `ready_async` and `async_free` gets it.  When and where differs from era to era, and each way has a
method:

* `complete`: on a scheduler, or on an async thread, which takes the port's lock.  What every release since R11B does.
* `complete_in_slot`: in R7B a job knows only a slot of the port table.  Whoever has the slot by then gets the data.
* `complete_inside`: without a pool everything happens inside `driver_async`, nested in the caller's callback.

Sources: `erl_async.c:call_async_ready`; R7B `erl_async.c:check_async_ready`, `driver_async`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from driverref.runtime.async_pool import Job
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port_state import CLOSED, CONNECTED, State
from driverref.runtime.senders import Senders
from driverref.threads import READ, Thread, running


class Completions(Senders):
    """The part of `ErlDrvPort` that is about finished jobs."""

    __slots__ = ("driver", "drv_data", "jobs", "ready_async", "slot", "state")

    driver: LoadedDriver
    drv_data: Any
    ready_async: Any
    """The callback; `None` if the driver has none."""
    state: State
    jobs: int
    """Jobs accepted and not yet given back.  Changed with the lock held."""
    slot: int
    """The port's place in the port table, where a job knows its port by that."""

    if TYPE_CHECKING:

        def epilogue(self) -> None: ...

    def complete(self, job: Job, thread: Thread) -> None:
        """A job has been done: hand its data to `ready_async`, or to `async_free` if that is not to be.

        Without the port's lock.  It waits for the lock rather than queue behind the port's signals, so it overtakes
        commands that wait.
        """
        lock, pdl = self.lock, job[6]
        mutex = lock.mutex
        if mutex is not None:
            self.runtime.also(self.thing, READ)
        if self.state is not CLOSED:
            if mutex is not None:
                mutex.acquire()
            try:
                if self.state is not CLOSED:
                    lock.holder = thread
                    self.hand_over(job)
                    if pdl is not None:
                        pdl.release()
                    self.jobs -= 1
                    if self.state is not CONNECTED:
                        self.epilogue()
                    return
            finally:
                lock.holder = None
                # With one scheduler nobody can have closed the port meanwhile, so it has returned.
                if mutex is not None:  # pragma: no branch
                    mutex.release()
                    lock.pass_on(thread)
        self._give_back(job)

    def _give_back(self, job: Job) -> None:
        """The port is gone: its data goes to `async_free`, without any lock."""
        if self.runtime.release.frees_for_closed_port:
            self._free(job)
        self._done(job)

    def _free(self, job: Job) -> None:
        """Give the data to `async_free`, if there is one."""
        job_id, _, _, async_data, async_free, _, _ = job
        if async_free is not None:
            self.note("async_free", job_id)
            async_free(async_data)

    def _done(self, job: Job) -> None:
        """The data has been handed over, and the port was not locked meanwhile: nobody needs the job any more."""
        pdl = job[6]
        if pdl is not None:
            pdl.release()
        self.lock.acquire()
        self.jobs -= 1
        closed = self.state is CLOSED
        self.lock.release()
        if closed:
            self.epilogue()

    def take_back(self, job: Job) -> None:
        """A job was cancelled: `async_free` gets its data, in the thread that cancels, under whatever lock that holds.

        Source: R7B `erl_async.c:driver_async_cancel`.
        """
        pdl = job[6]
        self._free(job)
        if self.lock.holder is running():
            if pdl is not None:
                pdl.release()
            self.jobs -= 1
            if self.state is CLOSED:
                self.epilogue()
        elif self.lock.mutex is None:
            self._done(job)
        else:  # who cancels holds another port's lock, and does not wait for this one
            running().scheduler.work.add(partial(self._done, job))
        self.driver.unload_if_jobless()

    def complete_in_slot(self, job: Job) -> None:
        """As R7B: if the slot is free, `async_free`; else the port that has it now is called, whoever that is."""
        port = self.runtime.slots.get(self.slot)
        if port is None:
            self._give_back(job)
        else:
            with port:
                port.hand_over(job)
            self._done(job)
        self.driver.unload_if_jobless()

    def complete_inside(self, job: Job) -> None:
        """Run a job inside `driver_async`, whose caller holds the lock, and hand its data over.

        `ready_async` runs nested in the caller's callback; if the port was only waiting for its driver queue to become
        empty, so does `stop`.
        """
        job_id, _, async_invoke, async_data, _, _, pdl = job
        self.note("async_invoke", job_id)
        async_invoke(async_data)
        self.note("async_return", job_id)
        self.hand_over(job)
        if pdl is not None:
            pdl.release()
        self.jobs -= 1
        if self.state is not CONNECTED:
            self.epilogue()

    def hand_over(self, job: Job) -> None:
        """Call `ready_async`, or `async_free` if there is none.  With the lock held."""
        ready_async = self.ready_async
        if ready_async is None:
            self._free(job)
            return
        record, now = self.runtime.record, self.runtime.now
        if record is not None:
            record((now(), running().lane, "ready_async", self.number, job[0], None))
        ready_async(self.drv_data, job[3])
