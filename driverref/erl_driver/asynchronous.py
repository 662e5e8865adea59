"""`driver_async` and the key.

A driver hands the pool a function and its data, and gets the data back in `ready_async`, or in the free
function if the port is gone by then.  Sources: `erl_async.c:driver_async`, `driver_async_port_key`.
"""

from __future__ import annotations

from typing import Any

from driverref.async_pool import AsyncFree, AsyncInvoke, Key, write_back
from driverref.erl_driver.checks import in_callback
from driverref.errors import wrong_type
from driverref.port import ErlDrvPort
from driverref.port_state import CLOSED
from driverref.threads import WRITE, running


def driver_async(
    port: ErlDrvPort,
    key: Key | int | None,
    async_invoke: AsyncInvoke,
    async_data: Any,
    async_free: AsyncFree | None = None,
) -> int:
    """Have `async_invoke(async_data)` called on an async thread.

    `key` picks the thread: `*key mod N`, written back to a `Key`; without one, the job's id `mod N`.  Jobs of one
    thread run one after the other, in the order of the calls.  The job may run before this returns.

    When it has run, exactly one of `ready_async(drv_data, async_data)` and `async_free(async_data)` is called, on
    the scheduler that made this call: `ready_async` if the driver has one and the port is not closed.

    Returns the job's id, 1 or more, or -1 if the port is closed; then nothing is called and the data is still
    the caller's.  Not thread-safe: only in a callback of the port.  Stands for `driver_async`.
    """
    thread = running()
    if (
        type(port) is not ErlDrvPort or port.lock.holder is not thread or port.state is CLOSED
    ) and not in_callback("driver_async", port):
        return -1
    if not callable(async_invoke):
        raise wrong_type("driver_async", "async_invoke", "a function of one argument", async_invoke)
    if async_free is not None and not callable(async_free):
        expected = "a function of one argument, or None"
        raise wrong_type("driver_async", "async_free", expected, async_free)
    runtime = port.runtime
    pool = runtime.pool
    if port.lock.mutex is not None:
        runtime.also("the job ids", WRITE)  # two schedulers may be here at once
    if key is None:
        queue = job_id = next(pool.ids)
    elif type(key) is Key or type(key) is int:
        job_id = next(pool.ids)
        queue = write_back(key, pool.size)
    else:
        raise wrong_type("driver_async", "key", "a Key, an int or None", key)
    port.jobs += 1
    pdl = port.pdl
    if pdl is not None:
        pdl.retain()
    scheduler = thread.scheduler
    if runtime.record is not None:
        now, record = runtime.now, runtime.record
        record((now(), scheduler.name, "driver_async", port.number, job_id, None))
    job = (job_id, port, async_invoke, async_data, async_free, scheduler, pdl)
    pool.puts[queue % pool.size](job)
    return job_id  # type: ignore[no-any-return]


def driver_async_port_key(port: ErlDrvPort) -> int:
    """A key for the jobs of this port: its number, so that ports spread evenly.  0 if the port is closed.

    Not thread-safe: only in a callback of the port.  Stands for `driver_async_port_key`.
    """
    return port.number if in_callback("driver_async_port_key", port) else 0
