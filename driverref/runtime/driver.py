"""The driver entry: callbacks, flags, and what NULL means.

`Driver` stands for `ErlDrvEntry`.  A subclass names itself, defines the callbacks it has, and an instance
is loaded with `erl_ddll.load_driver`.  A callback that is not defined is `None` here and NULL in C:

| callback | NULL means |
|---|---|
| `start` | the port opens, its driver data is `None` |
| `outputv` | `output` is called |
| `output` as well | the data is swallowed, `port_command` returns `true` |
| `control`, `call` | `badarg` |
| `timeout`, `ready_input`, `ready_output` | nothing happens |
| `ready_async` | `async_free` gets the data of every job |
| `flush` | a port with a driver queue that is not empty closes when somebody else empties it |
| `process_exit` | `driver_monitor_process` returns -1 |
| `init`, `stop`, `finish`, `stop_select`, `emergency_close` | nothing is called |
"""

from __future__ import annotations

from typing import Any, ClassVar

ERL_DRV_FLAG_USE_PORT_LOCKING = 1 << 0
ERL_DRV_FLAG_SOFT_BUSY = 1 << 1
ERL_DRV_FLAG_NO_BUSY_MSGQ = 1 << 2


class Driver:
    """What `ErlDrvEntry` is in C: subclass it, define callbacks, load an instance.

    | callback | C signature, in Python |
    |---|---|
    | `init()` | once, when loaded; a result other than `None` or 0 refuses the load |
    | `start(port, command)` | returns the driver data: any object, one per `open_port` |
    | `output(drv_data, buf)` | `buf` is a `memoryview`, lent for the call |
    | `outputv(drv_data, ev)` | `ev` is an `ErlIOVec`, lent for the call |
    | `control(drv_data, command, buf)` | returns the reply's bytes, or -1 for `badarg` |
    | `call(drv_data, command, term)` | returns the reply's term, or `None` for `badarg` |
    | `ready_async(drv_data, async_data)` | a job has been done |
    | `timeout(drv_data)` | the port's timer |
    | `flush(drv_data)` | the port closes and its driver queue is not empty |
    | `process_exit(drv_data, monitor)` | a monitored process has ended |
    | `stop(drv_data)` | the port is gone: free the driver data |
    | `finish()` | once, before the driver is unloaded |
    """

    driver_name: ClassVar[str] = ""
    driver_flags: ClassVar[int] = 0

    init: Any = None
    start: Any = None
    stop: Any = None
    output: Any = None
    outputv: Any = None
    control: Any = None
    call: Any = None
    ready_input: Any = None
    ready_output: Any = None
    ready_async: Any = None
    timeout: Any = None
    flush: Any = None
    process_exit: Any = None
    stop_select: Any = None
    finish: Any = None
    emergency_close: Any = None


CALLBACKS = [name for name, default in vars(Driver).items() if default is None]
"""The names of the callbacks, in the order above."""
