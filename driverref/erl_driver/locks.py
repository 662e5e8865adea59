"""What threads share: mutexes, conditions, read/write locks, and a port's data lock.

The names, the order of arguments and the results are those of `erl_driver.h`; how the things work
is in `handles`.  `str` stands for `char *` and `None` for NULL: a thing without a name is called
`unknown`.  A wrong type is a `TypeError`, a handle that has been given back is a `Misuse`, and what
is never destroyed is a row of the `Leak` when the emulator has stopped.
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
    """A name can be asked for at any time, of what has been destroyed too."""
    check_type(call, kind.parameter, handle, kind | None, f"an {kind.__name__}")
    return None if handle is None else handle.name


# Mutexes.


@since("R12B-0")
def erl_drv_mutex_create(name: str | None) -> ErlDrvMutex:
    """Create a mutex, not recursive.  `name` is for messages.

    To be destroyed with `erl_drv_mutex_destroy`.  Any thread.  Source: `erl_drv_thread.c`.
    """
    return ErlDrvMutex("erl_drv_mutex_create", name, "erl_drv_mutex_destroy")


@since("R12B-0")
def erl_drv_mutex_destroy(mtx: ErlDrvMutex) -> None:
    """Destroy a mutex that nobody holds; `Misuse` if somebody does.

    Any thread.  Source: `erl_drv_thread.c`.
    """
    use("erl_drv_mutex_destroy", ErlDrvMutex, mtx)
    if (holder := mtx.holder.value) is not None:
        raise Misuse(f"erl_drv_mutex_destroy: {mtx} is held by {holder.name}")
    mtx.row.end("erl_drv_mutex_destroy")


@since("R16B02")
def erl_drv_mutex_name(mtx: ErlDrvMutex | None) -> str | None:
    """The name it was created with; `None` for `None`.  Any thread.  Source: `erl_drv_thread.c`."""
    return _name("erl_drv_mutex_name", ErlDrvMutex, mtx)


@since("R12B-0")
def erl_drv_mutex_lock(mtx: ErlDrvMutex) -> None:
    """Wait until nobody holds the mutex and lock it; `Misuse` if the caller holds it.

    In a callback that blocks the scheduler and the port.  Any thread.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_mutex_lock", ErlDrvMutex, mtx)
    mtx.lock("erl_drv_mutex_lock", me)


@since("R12B-0")
def erl_drv_mutex_trylock(mtx: ErlDrvMutex) -> int:
    """Lock the mutex if nobody holds it.  Returns 0, or `EBUSY` at once, to its holder too.

    Any thread.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_mutex_trylock", ErlDrvMutex, mtx)
    return 0 if mtx.try_lock(me) else EBUSY


@since("R12B-0")
def erl_drv_mutex_unlock(mtx: ErlDrvMutex) -> None:
    """Unlock the mutex.  Only the thread that holds it, else `Misuse`.

    Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_mutex_unlock", ErlDrvMutex, mtx)
    mtx.unlock("erl_drv_mutex_unlock", me)


# Conditions.


@since("R12B-0")
def erl_drv_cond_create(name: str | None) -> ErlDrvCond:
    """Create a condition variable.  `name` is for messages.

    To be destroyed with `erl_drv_cond_destroy`.  Any thread.  Source: `erl_drv_thread.c`.
    """
    return ErlDrvCond("erl_drv_cond_create", name, "erl_drv_cond_destroy")


@since("R12B-0")
def erl_drv_cond_destroy(cnd: ErlDrvCond) -> None:
    """Destroy a condition that nobody waits for; `Misuse` if somebody does.

    Any thread.  Source: `erl_drv_thread.c`.
    """
    use("erl_drv_cond_destroy", ErlDrvCond, cnd)
    with cnd.guard:
        if cnd.waiters:
            raise Misuse(f"erl_drv_cond_destroy: {cnd.waiters} threads wait for {cnd}")
    cnd.row.end("erl_drv_cond_destroy")


@since("R16B02")
def erl_drv_cond_name(cnd: ErlDrvCond | None) -> str | None:
    """The name it was created with; `None` for `None`.  Any thread.  Source: `erl_drv_thread.c`."""
    return _name("erl_drv_cond_name", ErlDrvCond, cnd)


@since("R12B-0")
def erl_drv_cond_signal(cnd: ErlDrvCond) -> None:
    """Wake one thread that waits for the condition, if there is one.

    Any thread, with or without the mutex.  Source: `erl_drv_thread.c`.
    """
    use("erl_drv_cond_signal", ErlDrvCond, cnd)
    with cnd.guard:
        cnd.signalled.notify()


@since("R12B-0")
def erl_drv_cond_broadcast(cnd: ErlDrvCond) -> None:
    """Wake every thread that waits for the condition.

    Any thread, with or without the mutex.  Source: `erl_drv_thread.c`.
    """
    use("erl_drv_cond_broadcast", ErlDrvCond, cnd)
    with cnd.guard:
        cnd.signalled.notify_all()


@since("R12B-0")
def erl_drv_cond_wait(cnd: ErlDrvCond, mtx: ErlDrvMutex) -> None:
    """Unlock `mtx`, wait until woken, lock `mtx` again.  It may wake for nothing: test in a loop.

    Only the thread that holds `mtx`, else `Misuse`, as it is while others wait with another mutex.
    There is no wait with a time limit.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_cond_wait", ErlDrvCond, cnd)
    use("erl_drv_cond_wait", ErlDrvMutex, mtx)
    cnd.wait("erl_drv_cond_wait", me, mtx)


# Read/write locks.


@since("R12B-0")
def erl_drv_rwlock_create(name: str | None) -> ErlDrvRWLock:
    """Create a read/write lock, not recursive.  `name` is for messages.

    To be destroyed with `erl_drv_rwlock_destroy`.  Any thread.  Source: `erl_drv_thread.c`.
    """
    return ErlDrvRWLock("erl_drv_rwlock_create", name, "erl_drv_rwlock_destroy")


@since("R12B-0")
def erl_drv_rwlock_destroy(rwlck: ErlDrvRWLock) -> None:
    """Destroy a lock that nobody holds; `Misuse` if somebody does.

    Any thread.  Source: `erl_drv_thread.c`.
    """
    use("erl_drv_rwlock_destroy", ErlDrvRWLock, rwlck)
    with rwlck.guard:
        if rwlck.holders:
            holders = ", ".join(sorted(thread.name for thread in rwlck.holders))
            raise Misuse(f"erl_drv_rwlock_destroy: {rwlck} is held by {holders}")
    rwlck.row.end("erl_drv_rwlock_destroy")


@since("R16B02")
def erl_drv_rwlock_name(rwlck: ErlDrvRWLock | None) -> str | None:
    """The name it was created with; `None` for `None`.  Any thread.  Source: `erl_drv_thread.c`."""
    return _name("erl_drv_rwlock_name", ErlDrvRWLock, rwlck)


@since("R12B-0")
def erl_drv_rwlock_rlock(rwlck: ErlDrvRWLock) -> None:
    """Lock for reading; waits while somebody writes or waits to write.

    `Misuse` if the caller holds the lock in any way.  Any thread.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_rwlock_rlock", ErlDrvRWLock, rwlck)
    rwlck.acquire("erl_drv_rwlock_rlock", me, write=False)


@since("R12B-0")
def erl_drv_rwlock_tryrlock(rwlck: ErlDrvRWLock) -> int:
    """Lock for reading if that is possible now.  Returns 0 or `EBUSY`.

    Any thread.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_rwlock_tryrlock", ErlDrvRWLock, rwlck)
    return rwlck.acquire("erl_drv_rwlock_tryrlock", me, write=False, wait=False)


@since("R12B-0")
def erl_drv_rwlock_runlock(rwlck: ErlDrvRWLock) -> None:
    """Stop reading.  Only a thread that holds the lock for reading, else `Misuse`.

    Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_rwlock_runlock", ErlDrvRWLock, rwlck)
    rwlck.release("erl_drv_rwlock_runlock", me, write=False)


@since("R12B-0")
def erl_drv_rwlock_rwlock(rwlck: ErlDrvRWLock) -> None:
    """Lock for reading and writing; waits while anybody holds the lock.

    `Misuse` if the caller holds it in any way.  Any thread.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_rwlock_rwlock", ErlDrvRWLock, rwlck)
    rwlck.acquire("erl_drv_rwlock_rwlock", me, write=True)


@since("R12B-0")
def erl_drv_rwlock_tryrwlock(rwlck: ErlDrvRWLock) -> int:
    """Lock for reading and writing if nobody holds the lock.  Returns 0 or `EBUSY`.

    Any thread.  Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_rwlock_tryrwlock", ErlDrvRWLock, rwlck)
    return rwlck.acquire("erl_drv_rwlock_tryrwlock", me, write=True, wait=False)


@since("R12B-0")
def erl_drv_rwlock_rwunlock(rwlck: ErlDrvRWLock) -> None:
    """Stop writing.  Only the thread that holds the lock for writing, else `Misuse`.

    Source: `erl_drv_thread.c`.
    """
    me = use("erl_drv_rwlock_rwunlock", ErlDrvRWLock, rwlck)
    rwlck.release("erl_drv_rwlock_rwunlock", me, write=True)


# Port data locks.


@since("R11B-3")
def driver_pdl_create(port: ErlDrvPort) -> ErlDrvPDL | None:
    """Create the port's data lock, which lets any thread that holds it use the driver queue.

    It protects that queue and nothing else: `stop` frees the driver data without it.  `None` (NULL)
    if the port has one already or is gone.  The port holds one reference, every job of the port
    another.  In a callback of the port.  Source: `io.c`.
    """
    if not in_callback("driver_pdl_create", port) or port.pdl is not None:
        return None
    port.pdl = pdl = ErlDrvPDL("driver_pdl_create", str(port.id), "driver_pdl_dec_refc")
    return pdl


@since("R11B-3")
def driver_pdl_lock(pdl: ErlDrvPDL) -> None:
    """Wait until nobody holds the lock and lock it; `Misuse` if the caller holds it.

    Adds a reference for as long as it is locked.  `UseAfterFree` if the last one is gone.  Any
    thread.  Source: `io.c`.
    """
    me = use("driver_pdl_lock", ErlDrvPDL, pdl)
    pdl.must_not_hold("driver_pdl_lock", me)
    pdl.retain()
    pdl.lock("driver_pdl_lock", me)


@since("R11B-3")
def driver_pdl_unlock(pdl: ErlDrvPDL) -> None:
    """Unlock and give back the reference that `driver_pdl_lock` added, which may free the lock.

    Only the thread that holds it, else `Misuse`.  Source: `io.c`.
    """
    me = use("driver_pdl_unlock", ErlDrvPDL, pdl)
    pdl.unlock("driver_pdl_unlock", me)
    pdl.release()


@since("R11B-3")
def driver_pdl_get_refc(pdl: ErlDrvPDL) -> int:
    """The number of references.  `UseAfterFree` if there are none left.

    Any thread.  Source: `io.c`.
    """
    use("driver_pdl_get_refc", ErlDrvPDL, pdl)
    return pdl.count(0)


@since("R11B-3")
def driver_pdl_inc_refc(pdl: ErlDrvPDL) -> int:
    """Add a reference and return how many there are now.  `UseAfterFree` if there were none left.

    Any thread.  Source: `io.c`.
    """
    use("driver_pdl_inc_refc", ErlDrvPDL, pdl)
    return pdl.count(1)


@since("R11B-3")
def driver_pdl_dec_refc(pdl: ErlDrvPDL) -> int:
    """Give back a reference and return how many are left; at 0 the lock is freed.

    `UseAfterFree` if there were none left.  Any thread.  Source: `io.c`.
    """
    use("driver_pdl_dec_refc", ErlDrvPDL, pdl)
    return pdl.count(-1)
