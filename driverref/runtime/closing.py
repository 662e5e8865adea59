"""The end of a port, from `port_close` or `driver_failure` to the last entry in a table.

The way through this file, with the state that each step leads to:

    exit: told to go (exiting) -> part: what is linked or monitors is told
        -> the driver queue is empty: terminate: `stop` (closed) -> gone
        -> it is not: `flush` (closing)
           ... epilogue, after each callback: it has become empty -> terminate

The jobs are not asked.  They keep the driver in memory, not the port.

What closes a port holds its lock.
Source: `io.c:erts_deliver_port_exit`, `terminate_port`, `erts_port_driver_callback_epilogue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driverref.errors import Misuse
from driverref.runtime import callbacks, senders
from driverref.runtime.port_state import CLOSED, CLOSING, CONNECTED, OPENING
from driverref.terms import KILLED, Atom, Tuple

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort


class Closing:
    """How ports end.  One for each emulator; it has no state of its own."""

    def exit(self, port: ErlDrvPort, reason: object, *, kill: bool = False) -> None:
        """Close the port.  Ignored once it is on its way."""
        # Of two that close the port only the first counts: `port_close` against the owner's end,
        # or a link's exit signal that comes back while `part` sends signals out.
        if port.state.value is not CONNECTED:
            return
        port.transit("told to exit")
        # As for a process, `kill` is told to others as `killed`: it would kill them too.
        reason = KILLED if kill else reason
        port.note("exit", detail=reason)
        # A suspended sender would wait for ever: a port that exits takes no commands, so it will
        # never say that it is no longer busy.  The sender goes on, and finds the port gone.
        senders.set_busy(port, False)
        # Links and monitors are told before `stop` runs, not after it.  So a process may know that
        # the port is gone while the driver still cleans up.
        self.part(port, reason)
        # What is in the driver queue has been accepted from Erlang and is not yet delivered, so the
        # driver gets the time to deliver it.  Being killed is the exception.
        if port.queue.value.size and not kill:
            port.transit("driver queue not empty")
            port.callback("flush", port.drv_data)
        else:
            self.terminate(port)

    def fail(self, port: ErlDrvPort, reason: object) -> int:
        """Do what `driver_failure` does: drop the driver queue, run `stop` before returning.

        Returns 0, or -1 if the port is closed.
        """
        # In these two callbacks the real emulator crashes, because the port is taken apart while
        # the code that called the driver still uses it.
        if port._fired is not None:
            raise Misuse("driver_failure was called in process_exit, which crashes the emulator")
        state = port.state.value
        if state is OPENING:
            hint = "return ERL_DRV_ERROR_GENERAL instead"
            raise Misuse(f"driver_failure was called in start, which crashes the emulator: {hint}")
        if state is CLOSED:
            return -1
        # A process that waits for the port to be acknowledged gets it, closed.  One whose port is
        # closed by another process waits on.
        callbacks.acknowledge(port, port.id)
        # A driver that has failed cannot be asked to deliver anything, so there is no `flush`.
        self.clear_queue(port)
        if state is CLOSING:
            self.terminate(port)
        else:
            self.exit(port, reason)
        return 0

    def part(self, port: ErlDrvPort, reason: object) -> None:
        """Tell the processes that are linked to the port, or monitor it, that it ends."""
        # Once for all: a process that links to the port from now on is told `noproc`.
        linked, watching = port.runtime.entities.part(port)
        for entity in linked:
            entity.exit_signal(port.id, reason, broken_link=True)
        for tell in watching:
            tell(reason)

    def epilogue(self, port: ErlDrvPort) -> None:
        """After a callback or a job: close the port if its driver queue is empty.

        Let the driver go if the port was the last thing that it waited for.
        """
        state = port.state.value
        # Only a callback can empty the queue, so this is the one place to look.  A thread that
        # empties it under the port data lock closes nothing: the port waits for its next callback.
        if state is CLOSING and not port.queue.value.size:
            self.terminate(port)
            state = CLOSED
        # A job that comes back to a closed port, or the port itself if it had none.
        if state is CLOSED and not port.jobs:
            port.driver.job_done(port.id)

    def terminate(self, port: ErlDrvPort) -> None:
        """Run `stop` and give up the port.  From *exiting* or *closing*."""
        # `stop` may call what looks at the driver queue again, such as `driver_deq`.  In this state
        # it does not come here a second time.
        if port.state.value is CLOSING:
            port.transit("driver queue empty")
        # A timer that fires now would find the driver data freed.
        port.timer.cancel()
        port.callback("stop", port.drv_data)
        port.transit("stop returned")
        self.gone(port)

    def say_closed(self, port: ErlDrvPort) -> None:
        """Send `{Port, closed}` to the process that is owed it."""
        # Only `Port ! {Owner, close}` is answered.  `port_close` returns, and that is its answer.
        process, port._close_reply = port._close_reply, None
        if process is not None:
            process.deliver(Tuple((port.id, Atom("closed"))))

    def clear_queue(self, port: ErlDrvPort) -> None:
        """Empty the driver queue, which other threads may use if there is a port data lock."""
        # The driver may call `driver_failure` with the lock held.  It is not recursive.
        if port.pdl is None or port.pdl.held():
            port.queue.change().clear()
        else:
            with port.pdl.mutex:
                port.queue.change().clear()

    def gone(self, port: ErlDrvPort) -> None:
        """Take from the port what `start` or `stop` has left behind, and it out of every table."""
        port.runtime.check_io.port_gone(port)
        port.drv_data = None
        # `stop` may have set a timer or filled the queue.  Neither is of any use now.
        port.timer.cancel()
        self.clear_queue(port)
        # The port's own reference.  Jobs hold others, so a job that runs may still take the lock.
        if port.pdl is not None:
            port.pdl.release()
        port.runtime.ports.remove(port)
        # Before the driver may go: a process that is owed both hears of the port first.
        self.say_closed(port)
        # The port leaves the driver's table last.  Before, another scheduler might find the driver
        # unused and unload it while this thread is still in its code.
        port.driver.port_gone(port.id, jobs=port.jobs)
        port.runtime.changed()
