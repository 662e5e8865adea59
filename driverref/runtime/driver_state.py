"""The life of a driver in the emulator's memory, as a table.

* *loaded*: the ordinary state.
* *permanent*: it can no longer be unloaded.
* *unloading*: it was given up by all its users.  It stays until its last port is closed and its last job done.
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

DRIVER_TRANSITIONS: dict[DriverState, dict[str, DriverState]] = {
    LOADED: {
        "given up": UNLOADING,
        "loaded again": LOADED,
        "locked": PERMANENT,
        "emulator stops": UNLOADING,
    },
    PERMANENT: {"emulator stops": UNLOADING},
    UNLOADING: {
        "given up": UNLOADING,
        "its ports are killed": KILLING,
        "loaded again": LOADED,
        "locked": PERMANENT,
        "idle": FINISHING,
        "emulator stops": UNLOADING,
    },
    KILLING: {
        "given up": KILLING,
        "its ports are killed": KILLING,
        "loaded again": LOADED,
        "locked": PERMANENT,
        "idle": FINISHING,
        "emulator stops": UNLOADING,
    },
    FINISHING: {"finish returned": UNLOADED},
    UNLOADED: {},
}
