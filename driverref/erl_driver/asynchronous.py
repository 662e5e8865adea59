"""`driver_async`: work for an async thread, and the key that picks the thread.

A driver gives the pool a function and its data.  An async thread calls the function with the data.
Then the scheduler calls `ready_async` with the data, or the free function if the port is closed by
then.

This file checks what the caller gives.  The queues and the threads are in `runtime.async_pool`.
Source: `erl_async.c`, `driver_async` and `driver_async_port_key`.
"""

from __future__ import annotations

from typing import Any

from driverref.erl_driver.checks import in_any_callback, in_callback
from driverref.errors import check_int, null_pointer, wrong_type
from driverref.runtime.async_pool import AsyncFree, AsyncInvoke, Key
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED
from driverref.since import since
from driverref.threads import running

__all__ = [
    "driver_async",
    "driver_async_cancel",
    "driver_async_port_key",
]


def driver_async(
    port: ErlDrvPort,
    key: Key | int | None,
    async_invoke: AsyncInvoke,
    async_data: Any,
    async_free: AsyncFree | None = None,
) -> int:
    """Run `async_invoke(async_data)` on an async thread, as a job of the port.

    `key` chooses the thread: number `*key mod N` of N, and this number is written back to a `Key`.
    Without a key it is the job's id `mod N`.  The jobs of one thread run one after the other, in
    the order of the calls.  A job may run before this call returns.

    After the job exactly one of `ready_async(drv_data, async_data)` and `async_free(async_data)` is
    called, on the scheduler that made this call.  It is `ready_async` if the driver has one and the
    port is not closed.

    Returns the job's id, 1 or more.  Returns -1 if the port is closed: then nothing is called, and
    the data still belongs to the caller.  R15B to OTP 22 may have no pool.  There the job runs
    inside this call, and the result is 0.

    Only in a callback of the port.  Stands for `driver_async`.
    """
    thread = running()
    # The usual case on OS threads is decided here without a call, because every job comes this way.
    # `in_callback` tells a closed port, which is -1, from a call that is not allowed.
    if (
        type(port) is not ErlDrvPort
        or port.lock.holder is not thread
        or port.runtime.threads.simulated
        or port.state.value is CLOSED
    ) and not in_callback("driver_async", port):
        return -1
    if async_invoke is None:
        raise null_pointer("driver_async", "async_invoke")
    if not callable(async_invoke):
        raise wrong_type("driver_async", "async_invoke", "a function of one argument", async_invoke)
    if async_free is not None and not callable(async_free):
        expected = "a function of one argument, or None"
        raise wrong_type("driver_async", "async_free", expected, async_free)
    # An int is a key whose new value the driver does not read.
    if key is not None and type(key) is not Key and type(key) is not int:
        raise wrong_type("driver_async", "key", "a Key, an int or None", key)
    return port.runtime.pool.submit(port, key, async_invoke, async_data, async_free)


@since("R7B-0", until="17.0")
def driver_async_cancel(id: int) -> int:
    """Remove a job that has not begun from its queue, and call its `async_free`.

    Returns 1, or 0 if the job cannot be cancelled.  A job that runs is never stopped.

    Until R14B02 the call looks only at the newest job of each queue.  If that is another job, the
    call never returns: `EmulatorHang`.  R14B03 and R14B04 search the queues.  From R15A on the call
    does nothing and returns 0.

    Only in a callback of any port, or in `init`.  Stands for `driver_async_cancel`.
    """
    check_int("driver_async_cancel", "id", id, -(2**31), 2**31 - 1, "a job's id")
    in_any_callback("driver_async_cancel")
    return int(running().runtime.pool.cancel(id))


@since("R16B02")
def driver_async_port_key(port: ErlDrvPort) -> int:
    """Return a key for the jobs of this port, so that all of them run on one thread.

    The key is the port's number, so the ports are spread evenly over the threads.  Returns 0 if the
    port is closed.

    Only in a callback of the port.  Stands for `driver_async_port_key`.
    """
    return port.number if in_callback("driver_async_port_key", port) else 0
