"""`driver_async` and the key.

A driver hands the pool a function and its data, and gets the data back in `ready_async`, or in the free
function if the port is gone by then.  Sources: `erl_async.c:driver_async`, `driver_async_port_key`.
"""

from __future__ import annotations

from typing import Any

from driverref.erl_driver.checks import in_callback
from driverref.errors import Misuse, check_int, wrong_type
from driverref.runtime.async_pool import AsyncFree, AsyncInvoke, Key
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED
from driverref.since import since
from driverref.threads import current, running

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
    """Have `async_invoke(async_data)` called on an async thread; without a pool, until OTP 22, at once and here.

    `key` picks the thread: `*key mod N`, written back to a `Key`; without one, the job's id `mod N`.  Jobs of one
    thread run one after the other, in the order of the calls.  The job may run before this returns.

    When it has run, exactly one of `ready_async(drv_data, async_data)` and `async_free(async_data)` is called, on
    the scheduler that made this call: `ready_async` if the driver has one and the port is not closed.

    Returns the job's id, 1 or more, or -1 if the port is closed; then nothing is called and the data is still
    the caller's.  0 in R15B to 22 if there is no pool.  Not thread-safe: only in a callback of the port.  Stands for
    `driver_async`.
    """
    thread = running()
    if (
        type(port) is not ErlDrvPort or port.lock.holder is not thread or port.state.value is CLOSED
    ) and not in_callback("driver_async", port):
        return -1
    if not callable(async_invoke):
        raise wrong_type("driver_async", "async_invoke", "a function of one argument", async_invoke)
    if async_free is not None and not callable(async_free):
        expected = "a function of one argument, or None"
        raise wrong_type("driver_async", "async_free", expected, async_free)
    if key is not None and type(key) is not Key and type(key) is not int:
        raise wrong_type("driver_async", "key", "a Key, an int or None", key)
    return port.runtime.pool.submit(port, key, async_invoke, async_data, async_free)


@since("R7B-0", until="17.0")
def driver_async_cancel(id: int) -> int:
    """Take a job out of its queue, if it has not begun, and call its `async_free`.  Returns 1, or 0 if it cannot.

    Until R14B02 it looks only at the newest job of each queue, and if that is another one it loops for ever:
    `EmulatorHang`.  R14B03 and R14B04 search the queues.  From R15A it does nothing and returns 0.  It never
    stops a job that runs.  Not thread-safe: only in a callback.  Stands for `driver_async_cancel`.
    """
    check_int("driver_async_cancel", "id", id, -(2**31), 2**31 - 1, "a job's id")
    thread = current("driver_async_cancel")
    if thread.scheduler is None or thread.process is not None:
        raise Misuse(f"driver_async_cancel: only a callback may call it, not {thread.name}")
    return int(thread.runtime.pool.cancel(id))


@since("R16B02")
def driver_async_port_key(port: ErlDrvPort) -> int:
    """A key for the jobs of this port: its number, so that ports spread evenly.  0 if the port is closed.

    Not thread-safe: only in a callback of the port.  Stands for `driver_async_port_key`.
    """
    return port.number if in_callback("driver_async_port_key", port) else 0
