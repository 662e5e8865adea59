"""The async threads: one queue each, and the arithmetic that picks a queue.

A job's way, in the order in which this file has it:

    driver_async -> submit: accepted, put on the queue of thread `*key mod N`
                 -> _serve: async_invoke, on that async thread
                 -> done: put on the queue of the scheduler that submitted it
                 -> Completions.complete: ready_async or async_free, on that scheduler

The rules are few (`erl_async.c`):

* There are N threads and N queues.  Thread i serves queue i, first in, first out, one job at a
  time.
* A job's queue is `*key mod N`, and `*key` is overwritten with that number.  Without a key it is
  the *job's id* `mod N`.  Ids come from one counter for the whole emulator.
* Nothing is balanced, nothing is stolen, nothing times out.  A job that does not return keeps its
  thread.
* An async thread calls nothing of the driver but `async_invoke`.

This is what every release does since R15B.  What earlier ones did otherwise, and what happens
without a pool, is in `driverref.eras.pools`: subclasses, one of which the emulator makes in place
of this class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from driverref.diagnostics import called, defined
from driverref.errors import check_int
from driverref.runtime.core import Runtime
from driverref.threads import Queue, Thread, running

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort
    from driverref.runtime.port_lock import PortDataLock
    from driverref.runtime.scheduler import Scheduler

AsyncInvoke: TypeAlias = Callable[[Any], object]
AsyncFree: TypeAlias = Callable[[Any], object]


class Job(NamedTuple):
    """What `driver_async` was given, and where the job goes when it has been done."""

    id: int
    port: ErlDrvPort
    async_invoke: AsyncInvoke
    async_data: Any
    async_free: AsyncFree | None
    # The scheduler that submitted the job completes it.  The process that sent the command may run
    # on another one by then, and the port may have another owner.
    scheduler: Scheduler
    # The port data lock, if the port has one.  The job holds a reference to it, so that the lock is
    # there for `async_invoke` even if the port has been closed.
    pdl: PortDataLock | None


# `Job(*fields)` is a function in Python, and a job is made for every call of `driver_async`.  This
# is what that function does, without the call: it saves a tenth of the time that a job takes.
_job: Callable[[tuple[Any, ...]], Job] = partial(tuple.__new__, Job)


class Key:
    """An `unsigned int` that a call can write back to.

    `Key(7)` is a key for `driver_async`.  After the call, `key.value` is `7 % N`, with N threads.
    """

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        check_int("Key", "value", value)
        self.value = value & 0xFFFFFFFF

    def __repr__(self) -> str:
        return f"Key({self.value})"


class AsyncPool:
    """`size` async threads."""

    def __init__(self, runtime: Runtime, size: int) -> None:
        self.runtime = runtime
        self.size = size
        self._ids = runtime.threads.counter()
        names = [f"async {i + 1}" for i in range(size)]
        # The threads that have not ended, as keys.  `halt` waits for the table to become empty.
        self.serving = runtime.threads.table()
        for name in names:
            self.serving[name] = None
        # A queue each, and not one for all: with one queue two jobs of one key could be taken by
        # two threads, and the key promises that they run one after the other.
        self.queues = [self._new_queue(f"a job for {name}") for name in names]
        self._puts: list[Callable[[Job], object]] = [queue.put for queue in self.queues]
        # The threads come last.  Each finds its queue, and `done`, ready.
        self.threads = [self._start(n, q) for n, q in zip(names, self.queues, strict=True)]

    def _new_queue(self, name: str) -> Queue:
        return self.runtime.threads.queue(name)

    def _start(self, name: str, queue: Queue) -> Thread:
        # `settle`: the thread waits for its first job before anything else happens.  So a trace,
        # and a search of the schedules, does not begin with N threads that start in some order.
        return self.runtime.threads.start(
            name, lambda: self._serve(name, queue), self.runtime.crash, settle=True
        )

    # In the driver's callback.

    def submit(
        self,
        port: ErlDrvPort,
        key: Key | int | None,
        async_invoke: AsyncInvoke,
        async_data: Any,
        async_free: AsyncFree | None,
    ) -> int:
        """Queue a job and return its id.  The caller has checked the arguments and holds the lock.

        From here on exactly one of `ready_async` and `async_free` will be called for the job.
        """
        thread, runtime, pdl = running(), self.runtime, port.pdl
        job_id = next(self._ids)
        # Until the job is completed, the port keeps the driver in memory, even a port that is
        # closed: the code that the job runs is the driver's.
        port.jobs += 1
        if pdl is not None:
            pdl.retain()
        if (record := runtime.record) is not None:
            now = runtime.now
            record((now(), thread.lane, "driver_async", port.number, job_id, None))
        job = _job((job_id, port, async_invoke, async_data, async_free, thread.scheduler, pdl))
        # Without a key the id stands in for one, so jobs go round the threads.  The ids are the
        # whole emulator's: of two ports that submit in turn, each meets every second thread only.
        # This is why OTP added `driver_async_port_key`.
        puts = self._puts
        puts[job_id % len(puts) if key is None else write_back(key, len(puts))](job)
        # The job may run, and even have been done, before this returns.
        return job_id

    # On an async thread.

    def _serve(self, name: str, queue: Queue) -> None:
        running().runtime = self.runtime
        record, now, done = self.runtime.record, self.runtime.now, self.done
        # Where the job is defined, for the picture.
        at = self.runtime.trace.at if self.runtime.trace.detailed else None
        # `None` ends the thread, and nothing else does.  A port that closes leaves its jobs where
        # they are: a thread inside the driver's code cannot be stopped, and a lock-free queue
        # cannot be searched for those that wait.
        while (job := queue.get()) is not None:
            # No lock is held here, neither the port's nor the driver's.  What `async_invoke` shares
            # with callbacks, the driver has to protect.
            if record is not None:
                record((now(), name, "async_invoke", job.port.number, job.id, None))
                if at is not None:
                    at(defined(job.async_invoke))
            try:
                job.async_invoke(job.async_data)
            except Exception as error:
                called(error, job.async_invoke)
                raise
            if record is not None:
                record((now(), name, "async_return", job.port.number, job.id, None))
            done(job)
        del self.serving[name]
        self.runtime.changed()

    def done(self, job: Job) -> None:
        """Send a job home that has been done.

        The async thread does not call `ready_async` itself: it would have to wait for the port's
        lock, and jobs of other ports would wait with it.
        """
        job.scheduler.work.add(job)

    def cancel(self, job_id: int) -> bool:
        """Take a job back that has not begun.

        Since R15B none can be, because the queue of a thread cannot be searched.
        """
        return False

    # The end.

    def finish(self) -> None:
        """Have every thread end when it has run what is in its queue now."""
        for queue in self.queues:
            queue.put_at_once(None)

    def give_up(self) -> None:
        """Have no queued job run.  On OS threads, once the seam is closed.

        The seam has emptied its own queues then, so there is nothing to do.
        """

    def stop(self) -> None:
        """Let every queued job run to its end, then end the threads and wait for them."""
        self.finish()
        for thread in self.threads:
            self.runtime.threads.join(thread)


def write_back(key: Key | int, size: int) -> int:
    """The queue of a key among `size`, which a `Key` then holds: `*key %= size`, unsigned."""
    # The write-back is easy to overlook.  A driver that passes the same variable again passes the
    # remainder, which picks the same queue.  A driver that computes its next key from the variable
    # has lost the rest of the old one.
    if isinstance(key, Key):
        key.value %= size
        return key.value
    # A plain int stands for a variable that the driver does not look at again.
    return (key & 0xFFFFFFFF) % size
