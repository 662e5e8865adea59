"""Read/write locks and semaphores of the C library: several threads may have one at once.

So each is a lock and a condition, with which it guards a few numbers: a thread that cannot have it
waits for the condition, and looks again.  To take it would not do as one step, as with a mutex: two
threads that both may have it can do so in either order, and in the middle of what the other does.

C11's `threads.h` has nothing of its own here.  Its locks, conditions and threads are those of
`waiting`, under other names (`c/locks.c`).
"""

from __future__ import annotations

import errno
from collections import Counter
from typing import TYPE_CHECKING, Any

from driverref.errors import Misuse
from driverref.hosting.calls import unsigned
from driverref.hosting.host import handles
from driverref.hosting.waiting import Condition, Lock, deadline_of, known, named
from driverref.threads import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from driverref.hosting.run import Run

SEM_VALUE_MAX = 0x7FFFFFFF


class Shared:
    """What several threads may have: a lock and a condition, and a word for messages."""

    kind = ""

    def __init__(self, run: Run, resource: int, where: str) -> None:
        self.resource, self.where = resource, where
        self.guard = Lock(run, (resource, "guard"), where)
        self.changed = Condition(run, (resource, "changed"), where, self)

    def __str__(self) -> str:
        return f"the {self.kind} {self.where}"

    def until(self, free: Callable[[], bool], deadline: int | None) -> bool:
        """Wait, with the guard held, until it is free.  `False` if the deadline comes first."""
        while not free():
            if self.changed.wait(self.guard, deadline) == errno.ETIMEDOUT and not free():
                return False
        return True

    def guarded(self, use: Callable[[], int]) -> int:
        """Make a use with the guard held.  If it raises, the run is over, and so is the guard."""
        self.guard.lock()
        result = use()
        self.guard.unlock()
        return result


class RWLock(Shared):
    """A `pthread_rwlock_t`.  As in glibc, a reader waits only while another thread writes."""

    kind = "rwlock"

    def __init__(self, run: Run, resource: int, where: str) -> None:
        super().__init__(run, resource, where)
        self.writer: Any = None
        self.readers: Counter[Any] = Counter()

    def __str__(self) -> str:
        holders = [self.writer] if self.writer else [*self.readers]
        held = ", ".join(thread.name for thread in holders)
        return super().__str__() + (f", held by {held}" if held else "")

    def take(self, write: bool, deadline: int | None, wait: bool = True) -> int:
        """Lock for reading or writing; return 0 or an errno."""
        me: Any = running()

        def taken() -> int:
            if wait and self.writer is me:
                return errno.EDEADLK
            if not wait and not self.free(write):
                return errno.EBUSY
            if not self.until(lambda: self.free(write), deadline):
                return errno.ETIMEDOUT
            if write:
                self.writer = me
            else:
                self.readers[me] += 1
            return 0

        return self.guarded(taken)

    def free(self, write: bool) -> bool:
        return self.writer is None and not (write and self.readers)

    def give_back(self) -> int:
        me: Any = running()

        def given() -> int:
            if self.writer is me:
                self.writer = None
            elif me in self.readers:
                self.readers -= Counter([me])
            else:
                raise Misuse(f"pthread_rwlock_unlock: {me.name} does not hold {self}")
            return self.changed.signal(all=True)

        return self.guarded(given)


class Semaphore(Shared):
    """A `sem_t`."""

    kind = "semaphore"

    def __init__(self, run: Run, resource: int, where: str, value: int = 0) -> None:
        super().__init__(run, resource, where)
        self.value = value

    def take(self, deadline: int | None, wait: bool = True) -> int:
        def taken() -> int:
            if not wait and not self.value:
                return -errno.EAGAIN
            if not self.until(lambda: self.value > 0, deadline):
                return -errno.ETIMEDOUT
            self.value -= 1
            return 0

        return self.guarded(taken)

    def post(self) -> int:
        def posted() -> int:
            if self.value == SEM_VALUE_MAX:
                raise Misuse(f"sem_post: {self} has {SEM_VALUE_MAX} already, the most there can be")
            self.value += 1
            return self.changed.signal(all=True)

        return self.guarded(posted)


@handles("pthread_rwlock_init")
def pthread_rwlock_init(run: Run, a: memoryview) -> None:
    resource, where = named(run, a[0])
    run.locks[resource] = RWLock(run, resource, where)


@handles("pthread_rwlock_destroy")
def pthread_rwlock_destroy(run: Run, a: memoryview) -> None:
    lock = known(run, a[0], RWLock)
    if not lock.free(write=True):
        raise Misuse(f"pthread_rwlock_destroy: {lock}")
    del run.locks[lock.resource]


@handles("pthread_rwlock_lock")
def pthread_rwlock_lock(run: Run, a: memoryview) -> int:
    """Every call that locks, for writing or not: until a time, for ever (-1) or at once (-2)."""
    write, until = bool(a[1]), a[2]
    result: int = known(run, a[0], RWLock).take(write, deadline_of(until), wait=until != -2)
    return result


@handles("pthread_rwlock_unlock")
def pthread_rwlock_unlock(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], RWLock).give_back()
    return result


@handles("sem_init")
def sem_init(run: Run, a: memoryview) -> int:
    resource, where = named(run, a[0])
    value = unsigned(a[1]) & 0xFFFFFFFF
    if value > SEM_VALUE_MAX:
        return -errno.EINVAL
    run.locks[resource] = Semaphore(run, resource, where, value)
    return 0


@handles("sem_destroy")
def sem_destroy(run: Run, a: memoryview) -> None:
    semaphore = _semaphore(run, "sem_destroy", a[0])
    if semaphore.changed.line:
        raise Misuse(f"sem_destroy: {len(semaphore.changed.line)} threads wait for {semaphore}")
    del run.locks[semaphore.resource]


@handles("sem_wait")
def sem_wait(run: Run, a: memoryview) -> int:
    """Every call that waits: until a time, for ever (-1) or at once (-2)."""
    return _semaphore(run, "sem_wait", a[0]).take(deadline_of(a[1]), wait=a[1] != -2)


@handles("sem_post")
def sem_post(run: Run, a: memoryview) -> int:
    return _semaphore(run, "sem_post", a[0]).post()


@handles("sem_getvalue")
def sem_getvalue(run: Run, a: memoryview) -> int:
    semaphore = _semaphore(run, "sem_getvalue", a[0])
    return semaphore.guarded(lambda: semaphore.value)


def _semaphore(run: Run, call: str, address: int) -> Semaphore:
    """The semaphore at an address.  Unlike a lock, it has to be made by a call."""

    def none(run: Run, resource: int, where: str) -> Semaphore:
        raise Misuse(f"{call}: there is no semaphore {where}: sem_init makes one")

    found: Semaphore = known(run, address, none)
    return found
