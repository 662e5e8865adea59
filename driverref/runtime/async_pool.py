"""The async threads: one queue each, and the arithmetic that picks a queue.

The rules are few and none of them is clever (`erl_async.c`):

* There are N threads and N queues.  Thread i serves queue i, first in, first out, one job at a time.
* A job's queue is `*key mod N`, and `*key` is overwritten with that number.  Without a key it is the
  *job's id* `mod N`, and ids come from one counter for the whole emulator.
* Nothing is balanced, nothing is stolen, nothing times out.  A job that does not return keeps its thread.
* A finished job is put on the queue of the scheduler that submitted it.  The thread calls nothing else.  Before R15B
  it goes on one stack for all, or the thread hands it over itself.

A queued job is a plain tuple, the only object that the runtime makes for it.  With no threads, which was the default
until R16A, no job is queued at all: `driver_async` runs it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

from driverref.runtime.cancelling import CANCEL, SearchableQueue
from driverref.runtime.core import Runtime
from driverref.threads import READ, Queue, running

AsyncInvoke: TypeAlias = Callable[[Any], object]
AsyncFree: TypeAlias = Callable[[Any], object]

Job: TypeAlias = tuple[int, Any, AsyncInvoke, Any, AsyncFree | None, Any, Any]
"""`(id, port, async_invoke, async_data, async_free, scheduler, pdl)`."""


SERVING = "the async threads that have not ended"


class Key:
    """An `unsigned int` that `driver_async` can write back to: `Key(7)`, afterwards `key.value == 7 % N`."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"Key: value must be an int, not {value!r}")
        self.value = value & 0xFFFFFFFF

    def __repr__(self) -> str:
        return f"Key({self.value})"


def write_back(key: Key | int, size: int) -> int:
    """The queue of a key among `size`, which a `Key` then holds: `*key %= size`, unsigned; 0 if there is none."""
    size = size or 1
    if isinstance(key, Key):
        key.value %= size
        return key.value
    return (key & 0xFFFFFFFF) % size


class ReadyStack:
    """The finished jobs of an emulator before R15B, the last one on top.

    The async thread puts its job there and wakes the emulator thread, which takes the whole stack and goes through it
    from the top: so the jobs that it finds together come out in reverse.  Source: R7B `erl_async.c:async_ready`,
    `check_async_ready`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.work = runtime.schedulers[0].work
        self.mutex = runtime.threads.mutex("the stack of finished jobs")
        self.jobs: list[Job] = []
        self.by_slot = runtime.release.slots > 0

    def push(self, job: Job) -> None:
        """On an async thread: the job has been done."""
        with self.mutex:
            self.jobs.append(job)
        self.work.add(self.drain)

    def drain(self) -> None:
        """On the emulator thread: hand over what is there."""
        with self.mutex:
            jobs, self.jobs = self.jobs, []
        for job in reversed(jobs):
            if self.by_slot:
                job[1].complete_in_slot(job)
            else:
                job[1].complete(job, running())


def complete_here(job: Job) -> None:
    """On an async thread that hands over its job itself: to the driver it is a scheduler meanwhile."""
    thread = running()
    thread.scheduler = job[5]
    job[1].complete(job, thread)
    thread.scheduler = None


class AsyncPool:
    """`size` async threads.  `ids` numbers the jobs; `puts[i]` queues one for thread i."""

    def __init__(self, runtime: Runtime, size: int) -> None:
        release = runtime.release
        self.cancel = CANCEL.get(release.driver_async_cancel or "")
        """How to take a job out of `queues`; `None` where that is not done."""
        self.hand_over: Callable[[Job], None] | None = None
        """What a thread does with a finished job; `None`: it goes to the scheduler that submitted it."""
        if release.async_thread_completes and len(runtime.schedulers) > 1:
            self.hand_over = complete_here
        elif release.completions == "stack":
            self.hand_over = ReadyStack(runtime).push
        self.runtime = runtime
        self.size = size
        self.ids = itertools.count(1)
        names = [f"async {i + 1}" for i in range(size)]
        self.serving = set(names)
        """The threads that have not ended."""
        self.queues = [self._queue(f"a job for {name}") for name in names]
        self.puts = [queue.put for queue in self.queues]
        self.threads = [self._start(n, q) for n, q in zip(names, self.queues, strict=True)]

    def _queue(self, name: str) -> Any:
        threads = self.runtime.threads
        return threads.queue(name) if self.cancel is None else SearchableQueue(threads, name)

    def _start(self, name: str, queue: Queue) -> Any:
        return self.runtime.threads.start(
            name, lambda: self._serve(name, queue), self.runtime.crash, settle=True
        )

    def _serve(self, name: str, queue: Queue) -> None:
        running().emulator = self.runtime
        record, now, hand_over = self.runtime.record, self.runtime.now, self.hand_over
        early = hand_over is not complete_here and not self.runtime.release.pdl_held_for_completion
        while (job := queue.get()) is not None:
            job_id, port, async_invoke, async_data, _, scheduler, pdl = job
            if record is None:
                async_invoke(async_data)
            else:
                record((now(), name, "async_invoke", port.number, job_id, None))
                async_invoke(async_data)
                record((now(), name, "async_return", port.number, job_id, None))
            if early and pdl is not None:
                pdl.release()
                job = (*job[:6], None)
            if hand_over is None:
                scheduler.work.add(job)
            else:
                hand_over(job)
        self.runtime.also(SERVING, READ)
        self.serving.discard(name)
        self.runtime.changed()

    def finish(self) -> None:
        """Have every thread end when it has run what is in its queue now."""
        for queue in self.queues:
            queue.put_at_once(None)

    def give_up(self) -> None:
        """Have no queued job run, and every thread end that is not in a job.  On OS threads."""
        for queue in self.queues:
            if isinstance(queue, SearchableQueue):  # all others are the seam's
                queue.give_up()

    def stop(self) -> None:
        """Let every queued job run to its end, then end the threads and wait for them."""
        self.finish()
        for thread in self.threads:
            self.runtime.threads.join(thread)
