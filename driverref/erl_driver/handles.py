"""The locks that the create functions return: handles that check how they are used.

In C these are thin wrappers of the platform's threads.  A mistake there hangs or aborts the
emulator, or does nothing on one platform and harm on another.  Here they are written once, on the
project's own threads (`driverref.threads`).

* Every handle has a name and a row in the ledger.  The row says whether the handle still exists.
* A lock knows the thread that holds it.

So every mistake is a `Misuse` that names the thread and the handle, and what is never given back is
a row of the `Leak`.

In the parameters, `call` is the function of `erl_driver.h` that the driver has called.  It is there
for the messages.  `me` is the calling thread.
"""

from __future__ import annotations

from errno import EBUSY
from typing import ClassVar, TypeVar

from driverref.errors import Misuse, UseAfterFree, null_pointer, wrong_type
from driverref.memory.allocation import fails
from driverref.threads import SPURIOUS, Cell, Thread, current, running

__all__ = [
    "ErlDrvCond",
    "ErlDrvMutex",
    "ErlDrvPDL",
    "ErlDrvRWLock",
]


class Handle:
    """Something that a driver creates and has to give back."""

    kind: ClassVar[str]
    parameter: ClassVar[str]
    give_back: ClassVar[str]
    """The call that gives it back."""
    given_back: ClassVar[str] = "destroyed"
    fault: ClassVar[type[Misuse | UseAfterFree]] = Misuse

    def __init__(self, call: str, name: str | None) -> None:
        if not isinstance(name, str | None):
            raise wrong_type(call, "name", "a str or None", name)
        self.name = "unknown" if name is None else name
        self.runtime = current(call).runtime
        self.threads = self.runtime.threads
        # In the ledger from the start: a handle that the driver forgets at once is a leak too.
        self.row = self.runtime.ledger.add(str(self), "created", self.give_back)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


H = TypeVar("H", bound=Handle)


def create(call: str, kind: type[H], name: str | None) -> H | None:
    """A new handle; `None` (NULL) if there is no memory for it."""
    return None if fails(call) else kind(call, name)


def use(call: str, kind: type[H], handle: H | None) -> tuple[H, Thread]:
    """The handle and the calling thread, after a check that the thread may use it.

    The handle must be of that `kind` (`TypeError`), not NULL (`Misuse`), of this emulator and not
    given back (the `fault` of its kind, mostly `Misuse`).
    """
    if handle is None:
        raise null_pointer(call, kind.parameter)
    if not isinstance(handle, kind):
        raise wrong_type(call, kind.parameter, f"an {kind.__name__}", handle)
    # A driver's module outlives an emulator, and what it keeps in globals is in the next one too.
    me = current(call)
    if me.runtime is not handle.runtime:
        raise Misuse(f"{call}: {handle} belongs to another emulator")
    # Another thread may give the handle back just before.
    me.runtime.threads.step()
    if not handle.row.alive:
        ended = handle.row.ended
        raise kind.fault(f"{call}: {handle} was {kind.given_back} at {ended}", None, ended)
    return handle, me


class Lock(Handle):
    """A lock with one holder."""

    def __init__(self, call: str, name: str | None) -> None:
        super().__init__(call, name)
        self.mutex = self.threads.mutex(str(self))
        self.holder: Cell[Thread | None] = self.threads.cell(None)

    def lock(self, call: str, me: Thread) -> None:
        """Wait for the lock and take it.  `Misuse` if the caller is the holder."""
        self.must_not_hold(call, me)
        self.mutex.acquire()
        # Written only by a thread that has the mutex, so it always names the holder.
        self.holder.value = me

    def try_lock(self, me: Thread) -> bool:
        """Take the lock if it is free.  Returns whether it was taken."""
        taken: bool = self.mutex.acquire(blocking=False)
        if taken:
            self.holder.value = me
        return taken

    def unlock(self, call: str, me: Thread) -> None:
        """Give up the lock.  `Misuse` unless the caller is the holder."""
        self.must_hold(call, me)
        # Before the release: afterwards the next holder may have written its name already.
        self.holder.value = None
        self.mutex.release()

    def must_not_hold(self, call: str, me: Thread) -> None:
        """Raise `Misuse` if the caller is the holder."""
        # A peek, which is no step of a search: no other thread can change whether the answer is
        # "me", so its place in the order does not matter.
        if self.holder.peek() is me:
            raise Misuse(f"{call}: {me.name} holds {self} already and would wait for itself")

    def must_hold(self, call: str, me: Thread) -> None:
        """Raise `Misuse` unless the caller is the holder."""
        if self.holder.peek() is not me:
            raise Misuse(f"{call}: {me.name} does not hold {self}")


class ErlDrvMutex(Lock):
    """A mutex, from `erl_drv_mutex_create`."""

    kind, parameter, give_back = "mutex", "mtx", "erl_drv_mutex_destroy"


class ErlDrvCond(Handle):
    """A condition variable, from `erl_drv_cond_create`.

    A condition of `driverref.threads` belongs to a mutex and is notified with that mutex held.  In
    C any thread may signal, with or without the mutex.  So this one has a mutex of its own, the
    guard.
    """

    kind, parameter, give_back = "condition", "cnd", "erl_drv_cond_destroy"

    def __init__(self, call: str, name: str | None) -> None:
        super().__init__(call, name)
        self.guard = self.threads.mutex(str(self))
        self.signalled = self.threads.condition(self.guard, str(self))
        self.mutex: ErlDrvMutex | None = None
        self.waiters = 0
        # The threads that have been woken without a signal.
        self._woken: list[Thread] = []

    def wait(self, call: str, me: Thread, mutex: ErlDrvMutex) -> None:
        """Unlock `mutex`, wait for a signal, lock `mutex` again."""
        mutex.must_hold(call, me)
        # A wake-up without a signal may come at once: the thread then waits for the mutex, and that
        # may take any time.  Once for each thread, or a correct driver would never end.
        spurious = me not in self._woken and self.threads.chance(SPURIOUS)
        # The guard is held from before the mutex is unlocked.  A signal needs the guard too, so it
        # cannot come between the unlocking and the wait, and be lost.
        with self.guard:
            if self.waiters and self.mutex is not mutex:
                raise Misuse(f"{call}: {me.name} waits with {mutex}, others with {self.mutex}")
            self.mutex = mutex
            self.waiters += 1
            # After the count, so that the condition cannot be destroyed before the wait begins.
            mutex.unlock(call, me)
            if spurious:
                self._woken.append(me)
            else:
                self.signalled.wait()
            self.waiters -= 1
        # Without the guard: the thread that holds the mutex may want to signal.
        mutex.lock(call, me)


class ErlDrvRWLock(Handle):
    """Many readers or one writer, from `erl_drv_rwlock_create`.

    A waiting writer goes before new readers.
    """

    kind, parameter, give_back = "rwlock", "rwlck", "erl_drv_rwlock_destroy"

    def __init__(self, call: str, name: str | None) -> None:
        super().__init__(call, name)
        self.guard = self.threads.mutex(str(self))
        self.released = self.threads.condition(self.guard, str(self))
        self.holders: list[Thread] = []
        """A reader is in it once for each time it holds the lock: `tryrlock` allows several."""
        self.writing = False
        self.writers_waiting = 0

    def acquire(self, call: str, me: Thread, *, write: bool, wait: bool = True) -> int:
        """Become a reader, or the writer.

        Returns 0, or `EBUSY` if that needs a wait and `wait` is false.
        """
        with self.guard:
            # Even a second reading may hang: a writer that came in between waits for the first.
            if wait and me in self.holders:
                raise Misuse(f"{call}: {me.name} holds {self} already and would wait for itself")
            # Readers wait for a waiting writer, or a stream of them would keep it out for ever.
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
        """Stop reading, or writing.  `Misuse` unless the caller does that."""
        with self.guard:
            if me not in self.holders or self.writing is not write:
                how = "writing" if write else "reading"
                raise Misuse(f"{call}: {me.name} does not hold {self} for {how}")
            self.holders.remove(me)
            self.writing = False
            # All, because several readers may go on at once.
            self.released.notify_all()


class ErlDrvPDL(Lock):
    """A port data lock, from `driver_pdl_create`: a lock with a count of references.

    The port holds a reference, and so does each of its jobs.  The lock is freed at 0.
    """

    kind, parameter = "port data lock of", "pdl"
    give_back, given_back = "driver_pdl_dec_refc", "freed"
    fault = UseAfterFree

    refc = 1

    def held(self) -> bool:
        """Whether the running thread holds it."""
        return self.holder.peek() is running()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def count(self, change: int) -> int:
        """Add `change` to the references and return their number.  At 0 the lock is freed."""
        # Jobs end on several threads, and two that give back a reference must not both miss the 0.
        with self.threads.atomically((self.row.id, "count")):
            self.refc += change
            refc = self.refc
        # Outside the step, by the value that it had: only one thread can have brought it to 0.
        if not refc:
            self.row.end(self.give_back)
        return refc

    def retain(self) -> None:
        """Add a reference: a job begins to need the lock."""
        self.count(1)

    def release(self) -> None:
        """Give back a reference: a job, or the port, needs the lock no more."""
        self.count(-1)
