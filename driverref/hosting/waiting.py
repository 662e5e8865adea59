"""Time, and the C library's threads and locks, on the simulated threads.

A `pthread_mutex_t` may be a variable that no call has created, so a lock is known by the name of
its memory.  That name is also the resource by which the search knows it: it is the same in all
schedules, whichever thread comes to the lock first.

Waiting is one step of the seam, as in `driverref.threads.primitives`.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Any

from driverref import erl_driver as c
from driverref.erl_driver import Pointer
from driverref.errors import Misuse
from driverref.hosting.host import ADDRESSES, handles
from driverref.hosting.special import function, tid_of, tid_word
from driverref.threads import ACQUIRE, AWAIT, SPURIOUS, WRITE, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from driverref.hosting.run import Run
    from driverref.threads.clocks import Stamp

_CLOCK_REALTIME = 0
BEGINNING = 1_000_000_000 * 10**9
"""What the clock on the wall says, in nanoseconds, when an emulator starts."""


@handles("usleep")
@handles("sleep")
@handles("nanosleep")
def sleep(run: Run, a: memoryview) -> None:
    run.threads.sleep(a[0])


@handles("clock_nanosleep")
def clock_nanosleep(run: Run, a: memoryview) -> None:
    ns = a[0]
    if a[1] & 1:  # TIMER_ABSTIME
        ns = max(0, ns - run.threads.read_clock())
    run.threads.sleep(ns)


@handles("sched_yield")
def sched_yield(run: Run, a: memoryview) -> None:
    run.threads.step()


@handles("clock_gettime")
def clock_gettime(run: Run, a: memoryview) -> int:
    now = run.threads.read_clock()
    return now + BEGINNING if a[0] == _CLOCK_REALTIME else now


# Locks.

_NORMAL, _RECURSIVE, _ERRORCHECK = range(3)


class Lock:
    """A `pthread_mutex_t`."""

    def __init__(self, run: Run, resource: object, where: str, kind: int = _NORMAL) -> None:
        self.threads, self.resource, self.kind = run.threads, resource, kind
        self.where = where
        self.holder: Any = None
        self.count = 0
        self.stamp: Stamp | None = None

    def __str__(self) -> str:
        held = f", held by {self.holder.name}" if self.holder else ""
        return f"the pthread mutex {self.where}{held}"

    def lock(self, deadline: int | None = None) -> int:
        me: Any = running()
        if self.holder is me and self.kind != _NORMAL:
            if self.kind == _ERRORCHECK:
                return errno.EDEADLK
            self.count += 1
            return 0
        if not self.threads.step(self.resource, ACQUIRE, self.free, deadline, self):
            return errno.ETIMEDOUT
        self._taken(me)
        return 0

    def free(self) -> bool:
        return self.holder is None

    def trylock(self) -> int:
        me: Any = running()
        self.threads.step(self.resource, WRITE)
        if self.holder is me and self.kind == _RECURSIVE:
            self.count += 1
        elif self.holder is not None:
            return errno.EBUSY
        else:
            self.threads.declare((self.resource, ACQUIRE))
            self._taken(me)
        return 0

    def _taken(self, me: Any) -> None:
        self.holder, self.count = me, 1
        me.clock.join(self.stamp)

    def unlock(self) -> int:
        me: Any = running()
        if self.holder is not me:
            raise Misuse(f"pthread_mutex_unlock: {me.name} does not hold {self}")
        self.count -= 1
        if not self.count:
            self.threads.declare((self.resource, WRITE))
            self.stamp = me.clock.stamp()
            self.holder = None
        return 0


class Condition:
    """A `pthread_cond_t`.  The threads that wait stand in line.

    `of` is what is made of it and a lock: no thread wakes there without a signal, and what a thread
    waits for is called after that.
    """

    def __init__(self, run: Run, resource: object, where: str, of: object = None) -> None:
        self.threads, self.resource, self.where, self.of = run.threads, resource, where, of
        self.line: deque[list[Stamp]] = deque()
        self.tickets = 0
        # The threads that have been woken without a signal.
        self.woken: list[Any] = []

    def __str__(self) -> str:
        return f"the pthread condition {self.where}" if self.of is None else str(self.of)

    def wait(self, lock: Lock, deadline: int | None) -> int:
        me: Any = running()
        if lock.holder is not me:
            raise Misuse(f"pthread_cond_wait: {me.name} does not hold {lock}")
        # A wake-up without a signal may come at once: the thread then waits for the lock, and that
        # may take any time.  Once for each thread, or a correct driver would never end.
        spurious = self.of is None and me not in self.woken and self.threads.chance(SPURIOUS)
        ticket: list[Stamp] = []
        count, lock.count = lock.count, 1
        if spurious:
            self.woken.append(me)
            lock.unlock()
        else:
            # To stand in line and to give up the lock are one step, so no signal comes between.
            self.threads.declare((self.resource, WRITE))
            self.line.append(ticket)
            place = (self.resource, self.tickets)
            self.tickets += 1
            lock.unlock()
            if not self.threads.step(place, AWAIT, lambda: bool(ticket), deadline, self):
                self.threads.declare((self.resource, WRITE))
                self.line.remove(ticket)
        for stamp in ticket:
            me.clock.join(stamp)
        self.threads.step(lock.resource, ACQUIRE, lambda: lock.holder is None, None, lock)
        lock._taken(me)
        lock.count = count
        return 0 if ticket or spurious else errno.ETIMEDOUT

    def signal(self, all: bool) -> int:
        me: Any = running()
        self.threads.step(self.resource, WRITE)
        first = self.tickets - len(self.line)
        while self.line:
            self.threads.declare(((self.resource, first), WRITE))
            self.line.popleft().append(me.clock.stamp())
            first += 1
            if not all:
                break
        return 0


class Once:
    """A `pthread_once_t`."""

    def __init__(self, run: Run, resource: int, where: str) -> None:
        self.lock = Lock(run, resource, where)
        self.done = False


def deadline_of(until: int) -> int | None:
    """The deadline that is given as a time of the clock on the wall; below 0 is none."""
    return None if until < 0 else max(0, until - BEGINNING)


def named(run: Run, address: int) -> tuple[int, str]:
    """The resource of a lock, and the words for it."""
    resource, where = run.host.name(address)
    return ADDRESSES | resource, where


def known(run: Run, address: int, make: Callable[[Run, int, str], Any]) -> Any:
    """The lock at an address, made when a thread comes to it for the first time."""
    run.host.look(run, address, 4)
    resource, where = named(run, address)
    found = run.locks.get(resource)
    if found is None:
        found = run.locks[resource] = make(run, resource, where)
    return found


@handles("pthread_mutex_init")
def pthread_mutex_init(run: Run, a: memoryview) -> None:
    resource, where = named(run, a[0])
    run.locks[resource] = Lock(run, resource, where, a[1])


@handles("pthread_mutex_destroy")
def pthread_mutex_destroy(run: Run, a: memoryview) -> None:
    lock = known(run, a[0], Lock)
    if lock.holder is not None:
        raise Misuse(f"pthread_mutex_destroy: {lock}")
    del run.locks[lock.resource]


@handles("pthread_mutex_lock")
def pthread_mutex_lock(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], Lock).lock()
    return result


@handles("pthread_mutex_timedlock")
def pthread_mutex_timedlock(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], Lock).lock(deadline_of(a[1]))
    return result


@handles("pthread_mutex_trylock")
def pthread_mutex_trylock(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], Lock).trylock()
    return result


@handles("pthread_mutex_unlock")
def pthread_mutex_unlock(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], Lock).unlock()
    return result


@handles("pthread_cond_init")
def pthread_cond_init(run: Run, a: memoryview) -> None:
    resource, where = named(run, a[0])
    run.locks[resource] = Condition(run, resource, where)


@handles("pthread_cond_destroy")
def pthread_cond_destroy(run: Run, a: memoryview) -> None:
    condition = known(run, a[0], Condition)
    if condition.line:
        raise Misuse(f"pthread_cond_destroy: {len(condition.line)} threads wait for {condition}")
    del run.locks[condition.resource]


@handles("pthread_cond_wait")
@handles("pthread_cond_timedwait")
def pthread_cond_wait(run: Run, a: memoryview) -> int:
    at, mutex, until = a[:3]
    deadline = deadline_of(until)
    lock = known(run, mutex, Lock)
    result: int = known(run, at, Condition).wait(lock, deadline)
    return result


@handles("pthread_cond_signal")
def pthread_cond_signal(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], Condition).signal(all=False)
    return result


@handles("pthread_cond_broadcast")
def pthread_cond_broadcast(run: Run, a: memoryview) -> int:
    result: int = known(run, a[0], Condition).signal(all=True)
    return result


@handles("pthread_once")
def pthread_once(run: Run, a: memoryview) -> None:
    once, call = known(run, a[0], Once), function(run, "pthread_once", "the function", a[1])
    once.lock.lock()
    if not once.done:
        once.done = True
        call()
    once.lock.unlock()


# Threads.


@handles("pthread_create")
def pthread_create(run: Run, a: memoryview) -> int:
    at, detached, func, argument = a[:4]
    call, tid = "pthread_create", c.ErlDrvTid()
    name = run.host.function(func)
    work = function(run, call, "the function", func)
    if c.erl_drv_thread_create(name, tid, work, argument, None):
        return errno.EAGAIN
    if detached and tid.own is not None:
        tid.own.row.end("pthread_detach")
    run.write_word(at, tid_word(run, tid))
    return 0


@handles("pthread_join")
def pthread_join(run: Run, a: memoryview) -> int:
    at, value = a[1], Pointer()
    result = c.erl_drv_thread_join(tid_of(run, "pthread_join", a[0]), value)
    if at and result == 0:
        run.write_word(at, value.value or 0)
    return result


@handles("pthread_detach")
def pthread_detach(run: Run, a: memoryview) -> int:
    tid = tid_of(run, "pthread_detach", a[0])
    if tid.own is None:
        return errno.EINVAL
    tid.own.row.end("pthread_detach")
    return 0


@handles("pthread_self")
def pthread_self(run: Run, a: memoryview) -> int:
    return tid_word(run, c.erl_drv_thread_self())


@handles("pthread_exit")
def pthread_exit(run: Run, a: memoryview) -> None:
    c.erl_drv_thread_exit(a[0])


@handles("pthread_key_create")
def pthread_key_create(run: Run, a: memoryview) -> int:
    key = c.ErlDrvTSDKey()
    if c.erl_drv_tsd_key_create("pthread key", key):
        return -1
    run.keys.append(key)
    return len(run.keys) - 1
