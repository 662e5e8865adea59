"""An executable reference for Erlang's linked-in drivers and their async threads.

`Emulator` and `Driver` are where to begin; `driverref.erl_driver` is what a driver calls.
"""

from driverref.emulator import Emulator
from driverref.explore import compare, explore, replay
from driverref.memory import Struct
from driverref.memory.atomic import Atomic
from driverref.runtime.driver import Driver
from driverref.terms import Atom, Pid, Port, Ref
from driverref.trace import Event, Trace

__all__ = [
    "Atom",
    "Atomic",
    "Driver",
    "Emulator",
    "Event",
    "Pid",
    "Port",
    "Ref",
    "Struct",
    "Trace",
    "compare",
    "explore",
    "replay",
]
