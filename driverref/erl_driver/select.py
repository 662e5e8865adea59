"""`driver_select`: have the emulator wait for a descriptor, and call when it is ready.

A descriptor is a `Socket` of `driverref.posix`.  What the emulator does with it is in
`runtime.check_io`.  Source: `erl_check_io.c`, `driver_select`.
"""

from __future__ import annotations

from driverref.erl_driver.checks import check_type, in_callback
from driverref.errors import check_int
from driverref.posix import Socket
from driverref.runtime.check_io import (
    ERL_DRV_READ,
    ERL_DRV_USE,
    ERL_DRV_USE_NO_CALLBACK,
    ERL_DRV_WRITE,
)
from driverref.runtime.port import ErlDrvPort

__all__ = [
    "DO_READ",
    "DO_WRITE",
    "ERL_DRV_READ",
    "ERL_DRV_USE",
    "ERL_DRV_USE_NO_CALLBACK",
    "ERL_DRV_WRITE",
    "driver_select",
]

# The names of R7B, which later headers keep.
DO_READ = ERL_DRV_READ
DO_WRITE = ERL_DRV_WRITE

_NAMES = {ERL_DRV_READ: "ERL_DRV_READ", ERL_DRV_WRITE: "ERL_DRV_WRITE", ERL_DRV_USE: "ERL_DRV_USE"}


def driver_select(port: ErlDrvPort, event: Socket, mode: int, on: int) -> int:
    """Wait for a descriptor: `ready_input` or `ready_output` is called when it is ready.

    With `on` 1 the call switches on what `mode` names, and with 0 off.  `mode` is or'ed of

    * `ERL_DRV_READ`: `ready_input(drv_data, event)` is called while there is something to read, or
      the peer is gone;
    * `ERL_DRV_WRITE`: `ready_output(drv_data, event)` is called while something can be written;
    * `ERL_DRV_USE`: with the first of these two, the driver uses the descriptor.  Switched off, it
      switches off the others too, and `stop_select(event, None)` is called: only then may the
      descriptor be closed.  `ERL_DRV_USE_NO_CALLBACK` calls nothing, and the others are named.

    A callback is called again until the driver has read or written, or has switched it off.  It may
    be called when there is nothing to read, so it must read without waiting.

    Returns 0, or -1 if the port is closed.  It is `Misuse` if another port has selected the
    descriptor, if the descriptor or the port is closed while the port selects it, and if the driver
    lacks the callback.  The emulator writes a report to the log in these cases, or notices nothing.

    Before R13A there was no `ERL_DRV_USE`, and it has no effect.

    Only in a callback of the port.  Stands for `driver_select`.
    """
    check_type("driver_select", "event", event, Socket, "a Socket of driverref.posix")
    check_int("driver_select", "mode", mode, 0, 15, "ERL_DRV_READ, ERL_DRV_WRITE, ERL_DRV_USE")
    check_int("driver_select", "on", int(on) if isinstance(on, bool) else on, 0, 1, "a flag")
    if not in_callback("driver_select", port):
        return -1
    flags = [name for flag, name in _NAMES.items() if mode & flag]
    if mode & ERL_DRV_USE_NO_CALLBACK == ERL_DRV_USE_NO_CALLBACK:
        flags[-1] = "ERL_DRV_USE_NO_CALLBACK"
    port.note("driver_select", detail=f"{event} {' | '.join(flags) or 0} {'on' if on else 'off'}")
    port.runtime.check_io.select(port, event, mode, bool(on))
    return 0
