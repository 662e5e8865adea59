"""The locks that the create functions return: handles that know what may be done with them.

In C these are thin wraps of the platform's threads, and a mistake hangs or aborts the emulator, or
does nothing until the day it does.  Here they are written once on the seam.  Each has a name and a
row in the ledger, which says whether it is still there, and a lock knows who holds it.  So every
mistake is a `Misuse` that names the thread and the thing, and what is never given back is a row of
the `Leak`.

`call` is always the function of `erl_driver.h` that the driver has called, for the messages.
"""

from __future__ import annotations

from errno import EBUSY
from typing import ClassVar, TypeVar

from driverref.errors import Misuse, UseAfterFree, wrong_type
from driverref.threads import Cell, Thread, current, running

__all__ = [
    "ErlDrvCond",
    "ErlDrvMutex",
    "ErlDrvPDL",
    "ErlDrvRWLock",
]


class Handle:
    """Something that was created and has to be given back."""

    kind: ClassVar[str]
    parameter: ClassVar[str]
    given_back: ClassVar[str] = "destroyed"
    fault: ClassVar[type[Misuse | UseAfterFree]] = Misuse

    def __init__(self, call: str, name: str | None, give_back: str) -> None:
        if not isinstance(name, str | None):
            raise wrong_type(call, "name", "a str or None", name)
        self.name = "unknown" if name is None else name
        self.runtime = current(call).runtime
        self.threads = self.runtime.threads
        self.row = self.runtime.ledger.add(str(self), "created", give_back)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


H = TypeVar("H", bound=Handle)


def use(call: str, kind: type[H], handle: H) -> Thread:
    """The calling thread, which may use `handle`: of that `kind`, of this emulator, and alive."""
    if not isinstance(handle, kind):
        raise wrong_type(call, kind.parameter, f"an {kind.__name__}", handle)
    me = current(call)
    if me.runtime is not handle.runtime:
        raise Misuse(f"{call}: {handle} belongs to another emulator")
    if not handle.row.alive:
        raise kind.fault(f"{call}: {handle} was {kind.given_back} at {handle.row.ended}")
    return me


class Lock(Handle):
    """A lock with one holder."""

    def __init__(self, call: str, name: str | None, give_back: str) -> None:
        super().__init__(call, name, give_back)
        self.mutex = self.threads.mutex(str(self))
        self.holder: Cell[Thread | None] = self.threads.cell(None)

    def lock(self, call: str, me: Thread) -> None:
        """Wait for the lock, but not for oneself."""
        self.must_not_hold(call, me)
        self.mutex.acquire()
        self.holder.value = me

    def try_lock(self, me: Thread) -> bool:
        """Take the lock if nobody holds it."""
        taken: bool = self.mutex.acquire(blocking=False)
        if taken:
            self.holder.value = me
        return taken

    def unlock(self, call: str, me: Thread) -> None:
        """Give up the lock, if it is one's own."""
        self.must_hold(call, me)
        self.holder.value = None
        self.mutex.release()

    def must_not_hold(self, call: str, me: Thread) -> None:
        """Refuse the holder."""
        if self.holder.peek() is me:
            raise Misuse(f"{call}: {me.name} holds {self} already and would wait for itself")

    def must_hold(self, call: str, me: Thread) -> None:
        """Refuse anybody but the holder."""
        if self.holder.peek() is not me:
            raise Misuse(f"{call}: {me.name} does not hold {self}")


class ErlDrvMutex(Lock):
    """A mutex, from `erl_drv_mutex_create`."""

    kind, parameter = "mutex", "mtx"


class ErlDrvCond(Handle):
    """A condition variable, from `erl_drv_cond_create`.

    The seam's conditions belong to a mutex and are notified under it; C's are signalled by anybody.
    So this one has a mutex of its own, held from before the waiter lets go of the driver's.
    """

    kind, parameter = "condition", "cnd"

    def __init__(self, call: str, name: str | None, give_back: str) -> None:
        super().__init__(call, name, give_back)
        self.guard = self.threads.mutex(str(self))
        self.signalled = self.threads.condition(self.guard, str(self))
        self.mutex: ErlDrvMutex | None = None
        self.waiters = 0

    def wait(self, call: str, me: Thread, mutex: ErlDrvMutex) -> None:
        """Let go of `mutex`, wait for a signal, take `mutex` again."""
        mutex.must_hold(call, me)
        with self.guard:
            if self.waiters and self.mutex is not mutex:
                raise Misuse(f"{call}: {me.name} waits with {mutex}, others with {self.mutex}")
            self.mutex = mutex
            self.waiters += 1
            mutex.unlock(call, me)
            self.signalled.wait()
            self.waiters -= 1
        mutex.lock(call, me)


class ErlDrvRWLock(Handle):
    """Many readers or one writer, from `erl_drv_rwlock_create`.  Readers let a writer go first."""

    kind, parameter = "rwlock", "rwlck"

    def __init__(self, call: str, name: str | None, give_back: str) -> None:
        super().__init__(call, name, give_back)
        self.guard = self.threads.mutex(str(self))
        self.released = self.threads.condition(self.guard, str(self))
        self.holders: list[Thread] = []
        """A reader as often as it holds the lock: it may not wait for it again, but it may try."""
        self.writing = False
        self.writers_waiting = 0

    def acquire(self, call: str, me: Thread, *, write: bool, wait: bool = True) -> int:
        """Join the readers, or become the writer.  0, or `EBUSY` where that would mean to wait."""
        with self.guard:
            if wait and me in self.holders:
                raise Misuse(f"{call}: {me.name} holds {self} already and would wait for itself")
            while self.holders if write else self.writing or self.writers_waiting:
                if not wait:
                    return EBUSY
                self.writers_waiting += write
                self.released.wait()
                self.writers_waiting -= write
            self.writing = write
            self.holders.append(me)
        return 0

    def release(self, call: str, me: Thread, *, write: bool) -> None:
        """Leave the readers, or stop writing."""
        with self.guard:
            if me not in self.holders or self.writing is not write:
                how = "writing" if write else "reading"
                raise Misuse(f"{call}: {me.name} does not hold {self} for {how}")
            self.holders.remove(me)
            self.writing = False
            self.released.notify_all()


class ErlDrvPDL(Lock):
    """A port data lock, from `driver_pdl_create`: a lock, and a count of those who may use it."""

    kind, parameter = "port data lock of", "pdl"
    given_back = "freed"
    fault = UseAfterFree

    refc = 1

    def held(self) -> bool:
        """Whether the running thread holds it."""
        return self.holder.peek() is running()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def count(self, change: int) -> int:
        """Add to the references, free at 0, and say how many there are."""
        with self.threads.atomically((self.row.id, "count")):
            self.refc += change
            refc = self.refc
        if not refc:
            self.row.end("driver_pdl_dec_refc")
        return refc

    def retain(self) -> None:
        """Somebody more needs the lock: a job."""
        self.count(1)

    def release(self) -> None:
        """Somebody needs it no more: a job, or the port."""
        self.count(-1)
