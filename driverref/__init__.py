"""An executable reference for Erlang's linked-in drivers and their async threads.

To use it, begin with `Emulator` and `Driver`; `driverref.erl_driver` is what a driver calls.

To learn how it works, read in this order.  Up to the header it is about 1,000 lines of code.

1. `runtime/async_pool.py`: the async threads, and a job's way to them.
2. `runtime/completions.py`: the way back, to `ready_async` or `async_free`.
3. `runtime/scheduler.py`: where both ways begin and end.
4. `runtime/port_state.py`, then `port.py`, `callbacks.py`, `closing.py`: a port and its life.
5. `erl_driver/asynchronous.py`, with `erl_driver.h` beside it: what the driver sees of all this.
6. `threads/__init__.py`, then `steps.py`: the seam, and threads that run one at a time.
7. `explore/search.py`: every schedule that makes a difference.

`eras/` has what older emulators did otherwise, `erlang/` the BIFs, `memory/` the driver's blocks.
"""

from driverref.emulator import Emulator
from driverref.errors import ErlangError
from driverref.explore import assert_outcomes, compare, explore, replay
from driverref.memory import Struct
from driverref.memory.atomic import Atomic
from driverref.runtime.driver import Driver
from driverref.terms import Atom, Pid, Port, Ref
from driverref.trace import Event, Trace

__version__ = "0.1.0"

__all__ = [
    "Atom",
    "Atomic",
    "Driver",
    "Emulator",
    "ErlangError",
    "Event",
    "Pid",
    "Port",
    "Ref",
    "Struct",
    "Trace",
    "assert_outcomes",
    "compare",
    "explore",
    "replay",
]
