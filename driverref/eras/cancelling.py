"""The queue of an async thread in which a job can be looked for: what the releases up to R14B had.

It is a list, a mutex and a condition, as in `erl_async.c`.  The lock-free queue that came with R15B
cannot be searched, and nothing is cancelled there.  `driver_async_cancel` came in two versions:

* `cancel_newest` looks at the newest job of each queue in turn.  If that is another job, the loop
  does not advance: it looks again, for ever, and holds the mutex meanwhile, so no thread can take
  the job away.
* `cancel_found` looks at every job (R14B03).

Both take a job away only while it is queued.  A job that runs is in no queue.  Source:
`erl_async.c:async_del`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from driverref.runtime.async_pool import Job
from driverref.threads import Threads


class SearchableQueue:
    """A FIFO of jobs that can be searched.

    Any thread puts, one thread gets; `None` ends that one.
    """

    def __init__(self, threads: Threads, name: str) -> None:
        self.threads = threads
        self.mutex = threads.mutex(f"the queue of {name}")
        self.filled = threads.condition(self.mutex, name)
        self.items: deque[Job | None] = deque()

    def put(self, item: Job | None) -> None:
        """Add an item, and wake the thread that waits for the first."""
        with self.mutex:
            self.items.append(item)
            if len(self.items) == 1:
                self.filled.notify()

    put_at_once = put

    def get(self) -> Job | None:
        """Take the oldest item; wait until there is one."""
        with self.mutex:
            while not self.items:
                self.filled.wait()
            return self.items.popleft()

    def give_up(self) -> None:
        """Take everything out and give `None`, as the seam's own queues do when it is closed.

        On OS threads.
        """
        with self.mutex:
            self.items = deque([None])
            self.filled.notify()

    def jobs(self) -> list[Job]:
        """The jobs in the queue, oldest first.  With the mutex held."""
        return [item for item in self.items if item is not None]


Cancel: TypeAlias = Callable[[Sequence[SearchableQueue], int], Job | None]
"""Takes the job of this id out of the queues and returns it; `None` if it is in none."""


def cancel_newest(queues: Sequence[SearchableQueue], job_id: int) -> Job | None:
    """Until R14B02.

    Loops for ever unless the job is the newest of its queue, or in none, and the queues before are
    empty.
    """
    for queue in queues:
        with queue.mutex:
            jobs = queue.jobs()
            if not jobs:
                continue
            if jobs[-1].id != job_id:
                queue.threads.spin(
                    "loops for ever in driver_async_cancel, and holds the mutex of a queue"
                )
            queue.items.remove(jobs[-1])
            return jobs[-1]
    return None


def cancel_found(queues: Sequence[SearchableQueue], job_id: int) -> Job | None:
    """R14B03 and R14B04."""
    for queue in queues:
        with queue.mutex:
            for job in queue.jobs():
                if job.id == job_id:
                    queue.items.remove(job)
                    return job
    return None


CANCEL: dict[str, Cancel] = {"newest": cancel_newest, "search": cancel_found}
"""By the value of `Release.driver_async_cancel`."""
