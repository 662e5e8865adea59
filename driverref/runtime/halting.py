"""Halting: the race that `erlang:halt/2` is.

`flush` closes the ports, so driver queues are written, waits for that, and has every queued job run
to its end.  Nothing waits for the completions of those jobs, so whether the last `async_free` is
called is not defined.

Source: `erl_init.c`, `erl_process.c:handle_reap_ports`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driverref.runtime.core import Runtime
from driverref.runtime.process import Process
from driverref.terms import KILLED
from driverref.threads import running

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort


class Halting:
    """How an emulator halts.  One for each emulator; it has no state of its own."""

    # Earlier emulators do something here (`driverref.eras.halting`): they let queued jobs run, and
    # close no port.

    def jobs_first(self, process: Process, status: int) -> None:
        """Have jobs run before anything else is done.

        With the scheduler's mutex held.  Not today.
        """

    def flush(self, process: Process, deadline: int | None) -> bool:
        """Close the ports, then have the jobs done.  `False` if the deadline passes first."""
        runtime = process.runtime
        # Ports first, then jobs.  `flush` and `stop` may submit jobs, which have to be done as
        # well.
        close_ports(process)
        if not process.wait_until(PortsToClose(runtime), lambda: not runtime.ports, deadline):
            return False
        # The scheduler's mutex is held while the jobs are waited for, so this scheduler completes
        # none of them.  That is why the last `async_free` may not be called.
        with process.scheduler.mutex:
            return join_pool(process, deadline)


def emergency_close(process: Process) -> None:
    """Call `emergency_close` for every port: the emulator writes a crash dump, and is gone.

    No lock is taken, so another thread may be in a callback of the same port.  With the scheduler's
    mutex held.
    """
    runtime, thread = process.runtime, running()
    # From here on the thread runs the driver's code, so it is no process.
    thread.process = None
    try:
        with runtime.driver_code:
            for port in list(runtime.ports):
                port.callback("emergency_close", port.drv_data)
    finally:
        thread.process = process


class PortsToClose:
    """The words for what a process waits for that has closed the ports: those that are left."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __str__(self) -> str:
        return f"its ports to close: {'; '.join(map(self._why_open, self._runtime.ports))}"

    def _why_open(self, port: ErlDrvPort) -> str:
        driver, owner, size = port.driver, port.owner.value, port.queue.value.size
        told = f"{port.id} of driver {driver.name!r} is {port.state.value.value}"
        if size:
            told += f" with {size} byte{'s' * (size != 1)} in its driver queue"
            told += ", the driver has no flush" * (driver.entry.flush is None)
        if not owner.alive.value:
            told += f", its owner {owner.pid} is gone"
        return told


def join_pool(process: Process, deadline: int | None) -> bool:
    """Have every queued job run, and end the async threads.

    `False` if the deadline passes first.
    """
    pool = process.runtime.pool
    # The mark that ends a thread is put behind the jobs that are in its queue now.  A job that a
    # callback submits later is behind the mark, and is never run.
    pool.finish()
    # A job that never returns is waited for, as long as the deadline allows; it cannot be stopped.
    return process.wait_until("the async threads", lambda: not pool.serving, deadline)


def close_ports(process: Process) -> None:
    """Close every port with the reason `killed`.  Driver queues are flushed all the same."""
    runtime: Runtime = process.runtime
    # Ports that close send exit signals, and one of them may be linked to the process that halts.
    process.trap(True)
    if not runtime.ports:
        return
    with process.scheduler.mutex:
        for port in runtime.ports:
            # The reason is the atom `killed`, and not `kill`: driver queues are flushed.
            with port, runtime.driver_code:
                runtime.closing.exit(port, KILLED)
