"""The driver's side: what `erl_driver.h` declares, under the names it has there.

Parameters are in C's order and units, and results are C's.  Python has no pointers, and so three
things differ:

* A buffer carries its own length.
* A pointer to an `unsigned int` is an `int`, or a `Key`, whose `value` shows what was written back.
* Where C fills a struct of the caller's, the struct is returned.

The docstring of a function says on which threads it may be called; a call elsewhere is a `Misuse`.
"A callback of the port" is called by a scheduler that holds the port's lock.  "Any thread" is a
scheduler, an async thread, or a thread that a driver has started.

This module only hands on names, as a header does.  In reading order:

* `asynchronous`: jobs for the async threads.
* `output`, `queue`: what a driver sends, and what it keeps until it can send it.
* `select`: descriptors that the emulator waits for.
* `ports`, `failure`: the timer, busy, the processes a port knows, and a port's failure.
* `system`, `clock`, `environment`: what a driver asks of the emulator.
* `locks`, `handles`: what threads share, and the checks on its use.
* `own_threads`: threads that a driver starts.
* `checks`, `sent_terms`: what every call on a port checks first, and what a term may be.

Each of them but the last two lists in `__all__` what the header declares of it.  The names from
other folders are imported `as` themselves: from that a type checker knows that they are handed on.
"""

# ruff: noqa: F403 - every import is a declaration

import types

from driverref.erl_driver.asynchronous import *
from driverref.erl_driver.clock import *
from driverref.erl_driver.environment import *
from driverref.erl_driver.failure import *
from driverref.erl_driver.handles import *
from driverref.erl_driver.locks import *
from driverref.erl_driver.output import *
from driverref.erl_driver.own_threads import *
from driverref.erl_driver.ports import *
from driverref.erl_driver.queue import *
from driverref.erl_driver.select import *
from driverref.erl_driver.system import *
from driverref.memory.allocation import *
from driverref.memory.binary import *
from driverref.runtime.async_pool import Key as Key
from driverref.runtime.callbacks import PORT_CONTROL_FLAG_BINARY as PORT_CONTROL_FLAG_BINARY
from driverref.runtime.driver import (
    ERL_DRV_EXTENDED_MAJOR_VERSION as ERL_DRV_EXTENDED_MAJOR_VERSION,
)
from driverref.runtime.driver import ERL_DRV_EXTENDED_MARKER as ERL_DRV_EXTENDED_MARKER
from driverref.runtime.driver import (
    ERL_DRV_EXTENDED_MINOR_VERSION as ERL_DRV_EXTENDED_MINOR_VERSION,
)
from driverref.runtime.driver import ERL_DRV_FLAG_NO_BUSY_MSGQ as ERL_DRV_FLAG_NO_BUSY_MSGQ
from driverref.runtime.driver import ERL_DRV_FLAG_SOFT_BUSY as ERL_DRV_FLAG_SOFT_BUSY
from driverref.runtime.driver import ERL_DRV_FLAG_USE_INIT_ACK as ERL_DRV_FLAG_USE_INIT_ACK
from driverref.runtime.driver import ERL_DRV_FLAG_USE_PORT_LOCKING as ERL_DRV_FLAG_USE_PORT_LOCKING
from driverref.runtime.driver import (
    ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD as ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD,
)
from driverref.runtime.driver import ErlDrvMonitor as ErlDrvMonitor
from driverref.runtime.iovec import ErlIOVec as ErlIOVec
from driverref.runtime.iovec import SysIOVec as SysIOVec
from driverref.runtime.port import ErlDrvPort as ErlDrvPort

# Without `__all__`, `import *` would also bind the modules of this folder, such as `queue`.  It is
# not a plain assignment, because mypy would then take for exported only what is a literal list.
globals()["__all__"] = [
    name
    for name, value in globals().items()
    if not name.startswith("_") and not isinstance(value, types.ModuleType)
]
