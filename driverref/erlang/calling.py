"""The calling process of a BIF.

Each process has a thread of its own, and the thread knows it.  A thread that runs the driver's code carries no process
meanwhile, so it cannot call a BIF.
"""

from __future__ import annotations

from driverref.errors import Misuse
from driverref.runtime.core import Runtime
from driverref.runtime.process import Process
from driverref.threads import NOBODY, running


def calling(runtime: Runtime, call: str) -> Process:
    """The process that calls the BIF `call`.

    Raises what it must notice first: the emulator is down, or an exit signal has come.  `Misuse` if the thread is no
    process of this emulator, or runs the driver's code.
    """
    if runtime.down is not None:
        raise runtime.refusal()
    thread = running()
    if thread is NOBODY:
        thread = runtime.threads.adopted()
    if thread.runtime is not runtime:
        raise Misuse(f"{call}: this thread is no process of this emulator")
    process: Process | None = thread.process
    if process is None:
        raise Misuse(f"{call} is Erlang's side; a driver's code, on {thread.name}, cannot call it")
    process.heed()
    return process
