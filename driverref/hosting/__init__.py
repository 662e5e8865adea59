"""A driver in C under the simulated threads: the author's own file, unchanged, in every schedule.

`c_driver` compiles it and returns what a scenario loads; all else is as with a driver in Python.

How it works, in reading order:

* `c/`: the runtime, in C.  Begin with `host.h`, then `stacks.c` and `shadow.c`.
* `host`: calls the driver's code, and serves what that asks for.
* `calls`, `special`: the functions of `erl_driver.h`; `term_words`, `vectors`, `external`: their
  arguments.
* `atomics`, `waiting`, `locks`, `sockets`: C11's atomics, time, the C library's threads, locks and
  sockets.
* `wrong`, `faults`: what the runtime has found, as errors.
* `battery`, `apart`: what every driver has to survive, in a process of its own.
* `run`: what one emulator has given to C; `driver`: the driver as the emulator sees it.
* `tools`, `building`, `kept`, `lines`, `library`: from the C file to a loaded object with known
  lines.

Nothing else in the package imports this folder, and no compiler is needed until a driver in C is
hosted.
"""

from driverref.hosting.driver import CDriver, c_driver
from driverref.hosting.faults import Crash, Endless, Unmodelled
from driverref.hosting.tools import CompileError

__all__ = [
    "CDriver",
    "CompileError",
    "Crash",
    "Endless",
    "Unmodelled",
    "c_driver",
]
