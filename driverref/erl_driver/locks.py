"""What threads share: mutexes, conditions, read/write locks, and a port's data lock.

The names, the order of the arguments and the results are those of `erl_driver.h`.  How the locks
work is in `handles`; a function here checks its arguments and calls it.  `str` stands for `char *`
and `None` for NULL.  A lock without a name is called `unknown`.

A wrong type is a `TypeError`.  A handle that has been given back is a `Misuse`.  A lock that is
never destroyed is a row of the `Leak` when the emulator has stopped.
Sources: `erl_drv_thread.c`, and `io.c` for the port data lock.
"""

from __future__ import annotations

from errno import EBUSY

from driverref.erl_driver.checks import check_type, in_callback
from driverref.erl_driver.handles import (
    ErlDrvCond,
    ErlDrvMutex,
    ErlDrvPDL,
    ErlDrvRWLock,
    Handle,
    create,
    use,
)
from driverref.errors import Misuse
from driverref.runtime.port import ErlDrvPort
from driverref.since import since

__all__ = [
    "driver_pdl_create",
    "driver_pdl_dec_refc",
    "driver_pdl_get_refc",
    "driver_pdl_inc_refc",
    "driver_pdl_lock",
    "driver_pdl_unlock",
    "erl_drv_cond_broadcast",
    "erl_drv_cond_create",
    "erl_drv_cond_destroy",
    "erl_drv_cond_name",
    "erl_drv_cond_signal",
    "erl_drv_cond_wait",
    "erl_drv_mutex_create",
    "erl_drv_mutex_destroy",
    "erl_drv_mutex_lock",
    "erl_drv_mutex_name",
    "erl_drv_mutex_trylock",
    "erl_drv_mutex_unlock",
    "erl_drv_rwlock_create",
    "erl_drv_rwlock_destroy",
    "erl_drv_rwlock_name",
    "erl_drv_rwlock_rlock",
    "erl_drv_rwlock_runlock",
    "erl_drv_rwlock_rwlock",
    "erl_drv_rwlock_rwunlock",
    "erl_drv_rwlock_tryrlock",
    "erl_drv_rwlock_tryrwlock",
]


def _name(call: str, kind: type[Handle], handle: Handle | None) -> str | None:
    """The name of `handle`, which may have been destroyed: the name is still there."""
    check_type(call, kind.parameter, handle, kind | None, f"an {kind.__name__}")
    return None if handle is None else handle.name


# Mutexes.  The thread is looked up once, by `use`, which also checks the handle.


@since("R12B-0")
def erl_drv_mutex_create(name: str | None) -> ErlDrvMutex | None:
    """Create a mutex, not recursive.  `name` is for messages.

    Returns `None` (NULL) if there is no memory.  Destroy it with `erl_drv_mutex_destroy`.

    Any thread.  Stands for `erl_drv_mutex_create`.
    """
    return create("erl_drv_mutex_create", ErlDrvMutex, name)


@since("R12B-0")
def erl_drv_mutex_destroy(mtx: ErlDrvMutex | None) -> None:
    """Destroy a mutex.  `Misuse` if a thread holds it.

    Any thread.  Stands for `erl_drv_mutex_destroy`.
    """
    mtx, _ = use("erl_drv_mutex_destroy", ErlDrvMutex, mtx)
    # In C this is undefined: the emulator may abort, or nothing may be noticed.
    if (holder := mtx.holder.value) is not None:
        raise Misuse(f"erl_drv_mutex_destroy: {mtx} is held by {holder.name}")
    mtx.row.end("erl_drv_mutex_destroy")


@since("R16B02")
def erl_drv_mutex_name(mtx: ErlDrvMutex | None) -> str | None:
    """Return the name of a mutex, which may have been destroyed, or `None` for `None`.

    Any thread.  Stands for `erl_drv_mutex_name`.
    """
    return _name("erl_drv_mutex_name", ErlDrvMutex, mtx)


@since("R12B-0")
def erl_drv_mutex_lock(mtx: ErlDrvMutex | None) -> None:
    """Wait until the mutex is free, and lock it.  `Misuse` if the caller holds it.

    In a callback the wait blocks the scheduler and the port.

    Any thread.  Stands for `erl_drv_mutex_lock`.
    """
    mtx, me = use("erl_drv_mutex_lock", ErlDrvMutex, mtx)
    mtx.lock("erl_drv_mutex_lock", me)


@since("R12B-0")
def erl_drv_mutex_trylock(mtx: ErlDrvMutex | None) -> int:
    """Lock the mutex if it is free.  Returns 0, or `EBUSY` at once, also if the caller holds it.

    Any thread.  Stands for `erl_drv_mutex_trylock`.
    """
    mtx, me = use("erl_drv_mutex_trylock", ErlDrvMutex, mtx)
    # To try is no fault even for the holder: the answer comes at once, so nothing hangs.
    return 0 if mtx.try_lock(me) else EBUSY


@since("R12B-0")
def erl_drv_mutex_unlock(mtx: ErlDrvMutex | None) -> None:
    """Unlock the mutex.  `Misuse` if the caller does not hold it.

    Only on the thread that holds the lock.  Stands for `erl_drv_mutex_unlock`.
    """
    mtx, me = use("erl_drv_mutex_unlock", ErlDrvMutex, mtx)
    mtx.unlock("erl_drv_mutex_unlock", me)


# Conditions.


@since("R12B-0")
def erl_drv_cond_create(name: str | None) -> ErlDrvCond | None:
    """Create a condition variable.  `name` is for messages.

    Returns `None` (NULL) if there is no memory.  Destroy it with `erl_drv_cond_destroy`.

    Any thread.  Stands for `erl_drv_cond_create`.
    """
    return create("erl_drv_cond_create", ErlDrvCond, name)


@since("R12B-0")
def erl_drv_cond_destroy(cnd: ErlDrvCond | None) -> None:
    """Destroy a condition variable.  `Misuse` if a thread waits for it.

    Any thread.  Stands for `erl_drv_cond_destroy`.
    """
    cnd, _ = use("erl_drv_cond_destroy", ErlDrvCond, cnd)
    # Under the guard, because a waiter that has been woken is counted until it has the guard again:
    # it still uses the condition.
    with cnd.guard:
        if cnd.waiters:
            waiters = "a thread waits" if cnd.waiters == 1 else f"{cnd.waiters} threads wait"
            raise Misuse(f"erl_drv_cond_destroy: {waiters} for {cnd}")
    cnd.row.end("erl_drv_cond_destroy")


@since("R16B02")
def erl_drv_cond_name(cnd: ErlDrvCond | None) -> str | None:
    """Return the name of a condition, which may have been destroyed, or `None` for `None`.

    Any thread.  Stands for `erl_drv_cond_name`.
    """
    return _name("erl_drv_cond_name", ErlDrvCond, cnd)


@since("R12B-0")
def erl_drv_cond_signal(cnd: ErlDrvCond | None) -> None:
    """Wake one thread that waits, if there is one.  The caller may hold the mutex or not.

    Any thread.  Stands for `erl_drv_cond_signal`.
    """
    cnd, _ = use("erl_drv_cond_signal", ErlDrvCond, cnd)
    with cnd.guard:
        # A signal that finds no waiter is lost, as in C.  So a waiter tests first, under its mutex.
        cnd.signalled.notify()


@since("R12B-0")
def erl_drv_cond_broadcast(cnd: ErlDrvCond | None) -> None:
    """Wake every thread that waits.  The caller may hold the mutex or not.

    Any thread.  Stands for `erl_drv_cond_broadcast`.
    """
    cnd, _ = use("erl_drv_cond_broadcast", ErlDrvCond, cnd)
    with cnd.guard:
        cnd.signalled.notify_all()


@since("R12B-0")
def erl_drv_cond_wait(cnd: ErlDrvCond | None, mtx: ErlDrvMutex | None) -> None:
    """Unlock `mtx`, wait until woken, lock `mtx` again.

    The thread may wake without a signal, so test what you wait for in a loop.  There is no wait
    with a time limit.  `Misuse` if the caller does not hold `mtx`, and while other threads wait
    with another mutex.

    Only on the thread that holds the lock.  Stands for `erl_drv_cond_wait`.
    """
    cnd, me = use("erl_drv_cond_wait", ErlDrvCond, cnd)
    mtx, _ = use("erl_drv_cond_wait", ErlDrvMutex, mtx)
    cnd.wait("erl_drv_cond_wait", me, mtx)


# Read/write locks.


@since("R12B-0")
def erl_drv_rwlock_create(name: str | None) -> ErlDrvRWLock | None:
    """Create a read/write lock, not recursive.  `name` is for messages.

    Returns `None` (NULL) if there is no memory.  Destroy it with `erl_drv_rwlock_destroy`.

    Any thread.  Stands for `erl_drv_rwlock_create`.
    """
    return create("erl_drv_rwlock_create", ErlDrvRWLock, name)


@since("R12B-0")
def erl_drv_rwlock_destroy(rwlck: ErlDrvRWLock | None) -> None:
    """Destroy a read/write lock.  `Misuse` if a thread holds it.

    Any thread.  Stands for `erl_drv_rwlock_destroy`.
    """
    rwlck, _ = use("erl_drv_rwlock_destroy", ErlDrvRWLock, rwlck)
    # Under the guard, as every look at the holders: there may be several, and they come and go.
    with rwlck.guard:
        if rwlck.holders:
            holders = ", ".join(sorted(thread.name for thread in rwlck.holders))
            raise Misuse(f"erl_drv_rwlock_destroy: {rwlck} is held by {holders}")
    rwlck.row.end("erl_drv_rwlock_destroy")


@since("R16B02")
def erl_drv_rwlock_name(rwlck: ErlDrvRWLock | None) -> str | None:
    """Return the name of a lock, which may have been destroyed, or `None` for `None`.

    Any thread.  Stands for `erl_drv_rwlock_name`.
    """
    return _name("erl_drv_rwlock_name", ErlDrvRWLock, rwlck)


@since("R12B-0")
def erl_drv_rwlock_rlock(rwlck: ErlDrvRWLock | None) -> None:
    """Lock for reading.  Waits while a thread writes or waits to write.

    `Misuse` if the caller holds the lock in any way.

    Any thread.  Stands for `erl_drv_rwlock_rlock`.
    """
    rwlck, me = use("erl_drv_rwlock_rlock", ErlDrvRWLock, rwlck)
    rwlck.acquire("erl_drv_rwlock_rlock", me, write=False)


@since("R12B-0")
def erl_drv_rwlock_tryrlock(rwlck: ErlDrvRWLock | None) -> int:
    """Lock for reading if that needs no wait.  Returns 0 or `EBUSY`.

    Any thread.  Stands for `erl_drv_rwlock_tryrlock`.
    """
    rwlck, me = use("erl_drv_rwlock_tryrlock", ErlDrvRWLock, rwlck)
    return rwlck.acquire("erl_drv_rwlock_tryrlock", me, write=False, wait=False)


@since("R12B-0")
def erl_drv_rwlock_runlock(rwlck: ErlDrvRWLock | None) -> None:
    """Give back a lock for reading.  `Misuse` if the caller does not hold it for reading.

    Only on the thread that holds the lock.  Stands for `erl_drv_rwlock_runlock`.
    """
    rwlck, me = use("erl_drv_rwlock_runlock", ErlDrvRWLock, rwlck)
    rwlck.release("erl_drv_rwlock_runlock", me, write=False)


@since("R12B-0")
def erl_drv_rwlock_rwlock(rwlck: ErlDrvRWLock | None) -> None:
    """Lock for reading and writing.  Waits while a thread holds the lock in any way.

    `Misuse` if the caller holds it in any way.

    Any thread.  Stands for `erl_drv_rwlock_rwlock`.
    """
    rwlck, me = use("erl_drv_rwlock_rwlock", ErlDrvRWLock, rwlck)
    rwlck.acquire("erl_drv_rwlock_rwlock", me, write=True)


@since("R12B-0")
def erl_drv_rwlock_tryrwlock(rwlck: ErlDrvRWLock | None) -> int:
    """Lock for reading and writing if the lock is free.  Returns 0 or `EBUSY`.

    Any thread.  Stands for `erl_drv_rwlock_tryrwlock`.
    """
    rwlck, me = use("erl_drv_rwlock_tryrwlock", ErlDrvRWLock, rwlck)
    return rwlck.acquire("erl_drv_rwlock_tryrwlock", me, write=True, wait=False)


@since("R12B-0")
def erl_drv_rwlock_rwunlock(rwlck: ErlDrvRWLock | None) -> None:
    """Give back a lock for writing.  `Misuse` if the caller does not hold it for writing.

    Only on the thread that holds the lock.  Stands for `erl_drv_rwlock_rwunlock`.
    """
    rwlck, me = use("erl_drv_rwlock_rwunlock", ErlDrvRWLock, rwlck)
    rwlck.release("erl_drv_rwlock_rwunlock", me, write=True)


# Port data locks.  They are counted, because a port may be closed while a job holds its lock.


@since("R11B-3")
def driver_pdl_create(port: ErlDrvPort) -> ErlDrvPDL | None:
    """Create the port's data lock.  Any thread that holds it may use the driver queue.

    The lock protects that queue and nothing else: `stop` frees the driver data without it.  The
    port holds one reference, and every job of the port another.  Returns `None` (NULL) if the port
    has a lock already or is closed.

    Only in a callback of the port.  Stands for `driver_pdl_create`.
    """
    if not in_callback("driver_pdl_create", port) or port.pdl is not None:
        return None
    # Made with one reference, the port's.  `Closing.gone` gives it back.
    port.pdl = pdl = ErlDrvPDL("driver_pdl_create", str(port.id))
    return pdl


@since("R11B-3")
def driver_pdl_lock(pdl: ErlDrvPDL | None) -> None:
    """Wait until the lock is free, and lock it.  `Misuse` if the caller holds it.

    The lock has one more reference while it is held.  `UseAfterFree` if the last reference is gone.

    Any thread.  Stands for `driver_pdl_lock`.
    """
    pdl, me = use("driver_pdl_lock", ErlDrvPDL, pdl)
    pdl.must_not_hold("driver_pdl_lock", me)
    # The reference comes before the wait: the holder may give back the last other one meanwhile.
    pdl.retain()
    pdl.lock("driver_pdl_lock", me)


@since("R11B-3")
def driver_pdl_unlock(pdl: ErlDrvPDL | None) -> None:
    """Unlock, and give back the reference that `driver_pdl_lock` added.  This may free the lock.

    `Misuse` if the caller does not hold the lock.

    Only on the thread that holds the lock.  Stands for `driver_pdl_unlock`.
    """
    pdl, me = use("driver_pdl_unlock", ErlDrvPDL, pdl)
    # Unlocked first: a lock that is freed must not be held.
    pdl.unlock("driver_pdl_unlock", me)
    pdl.release()


@since("R11B-3")
def driver_pdl_get_refc(pdl: ErlDrvPDL | None) -> int:
    """Return the number of references.  `UseAfterFree` if none is left.

    Any thread.  Stands for `driver_pdl_get_refc`.
    """
    pdl, _ = use("driver_pdl_get_refc", ErlDrvPDL, pdl)
    # The number may be old when it is returned, so it decides nothing; it is for messages.
    return pdl.count(0)


@since("R11B-3")
def driver_pdl_inc_refc(pdl: ErlDrvPDL | None) -> int:
    """Add a reference, and return the new number.  `UseAfterFree` if none was left.

    Any thread.  Stands for `driver_pdl_inc_refc`.
    """
    pdl, _ = use("driver_pdl_inc_refc", ErlDrvPDL, pdl)
    refc = pdl.count(1)
    pdl.row.mention("a reference taken")
    return refc


@since("R11B-3")
def driver_pdl_dec_refc(pdl: ErlDrvPDL | None) -> int:
    """Give back a reference, and return the number left.  At 0 the lock is freed.

    `UseAfterFree` if none was left.

    Any thread.  Stands for `driver_pdl_dec_refc`.
    """
    pdl, _ = use("driver_pdl_dec_refc", ErlDrvPDL, pdl)
    return pdl.count(-1)
