"""The process that calls a BIF, and the options that it gives.

Each process has a thread of its own, and the thread knows its process.  A thread that runs the
driver's code carries no process meanwhile, so it cannot call a BIF.
"""

from __future__ import annotations

from collections.abc import Sequence

from driverref.errors import Misuse, badarg
from driverref.runtime.core import Runtime
from driverref.runtime.process import Process
from driverref.threads import OUTSIDE, running


def calling(runtime: Runtime, call: str) -> Process:
    """The process that calls the BIF `call`.

    Raises what the process must notice before the BIF does anything: the emulator is down, or an
    exit signal has come.  Raises `Misuse` if the thread is no process of this emulator, or runs the
    driver's code.
    """
    # First, because every BIF of an emulator that is down raises this, on any thread.
    if runtime.down is not None:
        raise runtime.refusal()
    thread = running()
    # A notebook runs each cell in a new context, which does not know the adopted thread yet.
    if thread is OUTSIDE:
        thread = runtime.threads.adopted()
    if thread.runtime is not runtime:
        raise Misuse(f"{call}: this thread is no process of this emulator")
    process: Process | None = thread.process
    if process is None:
        raise Misuse(f"{call} is Erlang's side; a driver's code, on {thread.name}, cannot call it")
    # An exit signal ends a process at its next BIF: Python cannot stop a thread from outside.
    process.heed()
    return process


def check_options(call: str, options: object, allowed: Sequence[str]) -> None:
    """Raise `badarg` unless `options` is a list of some of the `allowed` strings."""
    if not isinstance(options, list | tuple) or any(option not in allowed for option in options):
        expected = "a list of " + " and ".join(f'"{option}"' for option in allowed)
        raise badarg(call, "options", expected, options)
