"""The life of a driver in the emulator's memory, as a table.

* *loaded*: the ordinary state.
* *permanent*: it can no longer be unloaded.
* *unloading*: it was given up by all its users.  It stays until its last port is closed and its
  last job done.
* *killing*: the same, and its ports are being killed.
* *finishing*: nothing needs it any more.  It is out of the table of drivers, and `finish` runs.
* *unloaded*: `finish` has returned.

Source: `erl_bif_ddll.c`.
"""

from __future__ import annotations

from enum import Enum


class DriverState(Enum):
    """Where a driver is in its life."""

    LOADED = "loaded"
    PERMANENT = "permanent"
    UNLOADING = "unloading"
    KILLING = "killing"
    FINISHING = "finishing"
    UNLOADED = "unloaded"


LOADED, PERMANENT, UNLOADING, KILLING, FINISHING, UNLOADED = DriverState

# "given up" stands in every state that it may meet, because two users may give the driver up at
# once, and because `try_unload` may be called again with `kill_ports`.
DRIVER_TRANSITIONS: dict[DriverState, dict[str, DriverState]] = {
    LOADED: {
        "given up": UNLOADING,
        "loaded again": LOADED,
        # A job of R11B to R14B does this, see `Release.driver_async_locks_driver`.
        "locked": PERMANENT,
        "emulator stops": UNLOADING,
    },
    # Only the emulator's end unloads it.  Then `finish` is called all the same, so that what the
    # driver should free there is looked for.
    PERMANENT: {"emulator stops": UNLOADING},
    UNLOADING: {
        "given up": UNLOADING,
        "its ports are killed": KILLING,
        # A request to unload is not a promise.  Until nothing needs the driver it can be taken
        # back.
        "loaded again": LOADED,
        "locked": PERMANENT,
        "idle": FINISHING,
        "emulator stops": UNLOADING,
    },
    # As before, but no port of it can be opened: it would have to be killed too.
    KILLING: {
        "given up": KILLING,
        "its ports are killed": KILLING,
        "loaded again": LOADED,
        "locked": PERMANENT,
        "idle": FINISHING,
        "emulator stops": UNLOADING,
    },
    # Too late to load it again: a process that asks for it now finds no such driver.
    FINISHING: {"finish returned": UNLOADED},
    UNLOADED: {},
}
