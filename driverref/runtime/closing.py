"""The end of a port, from `port_close` or `driver_failure` to the last entry in a table.

The way through this file, with the state that each step leads to:

    exit: told to go (exiting) -> part: what is linked or monitors is told
        -> the driver queue is empty: terminate: `stop` (closed) -> gone
        -> it is not: `flush` (closing) ... epilogue, after each callback: it has become empty -> terminate

The jobs are not asked.  They keep the driver in memory, not the port.

What closes a port holds its lock.  Source: `io.c:erts_deliver_port_exit`, `terminate_port`,
`erts_port_driver_callback_epilogue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driverref.errors import Misuse
from driverref.runtime import senders
from driverref.runtime.port_state import CLOSED, CLOSING, CONNECTED, OPENING
from driverref.terms import DOWN, KILLED, Atom, Tuple

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort


class Closing:
    """How ports end.  One for each emulator; it has no state of its own."""

    def exit(self, port: ErlDrvPort, reason: object, *, kill: bool = False) -> None:
        """Close the port.  Ignored once it is on its way."""
        if port.state.value is not CONNECTED:
            return
        port.transit("told to exit")
        reason = KILLED if kill else reason
        port.note("exit", detail=reason)
        senders.set_busy(port, False)
        self.part(port, reason)
        # What is in the driver queue has been accepted from Erlang and is not yet delivered, so the driver gets the
        # time to deliver it.  Being killed is the exception.
        if port.queue.value.size and not kill:
            port.transit("driver queue not empty")
            port.callback("flush", port.drv_data)
        else:
            self.terminate(port)

    def fail(self, port: ErlDrvPort, reason: object) -> int:
        """Do what `driver_failure` does: drop the driver queue, run `stop` before returning.

        Returns 0, or -1 if the port is closed.
        """
        if port._telling_exit:
            raise Misuse("driver_failure was called in process_exit, which crashes the emulator")
        state = port.state.value
        if state is OPENING:
            hint = "return ERL_DRV_ERROR_GENERAL instead"
            raise Misuse(f"driver_failure was called in start, which crashes the emulator: {hint}")
        if state is CLOSED:
            return -1
        self.clear_queue(port)
        if state is CLOSING:
            self.terminate(port)
        else:
            self.exit(port, reason)
        return 0

    def part(self, port: ErlDrvPort, reason: object) -> None:
        """Tell the processes that are linked to the port, or monitor it, that it ends."""
        linked, watching = port.runtime.entities.part(port.id, port)
        for entity in linked:
            entity.exit_signal(port.id, reason, broken_link=True)
        for ref, process in watching:
            process.deliver(Tuple((DOWN, ref, Atom("port"), port.id, reason)))

    def epilogue(self, port: ErlDrvPort) -> None:
        """After a callback or a job: close the port if its driver queue is empty, let the driver go if it can."""
        state = port.state.value
        if state is CLOSING and not port.queue.value.size:
            self.terminate(port)
            state = CLOSED
        if state is CLOSED and not port.jobs:
            port.driver.job_done(port.id)

    def terminate(self, port: ErlDrvPort) -> None:
        """Run `stop` and give up the port.  From *exiting* or *closing*."""
        if port.state.value is CLOSING:
            port.transit("driver queue empty")
        port.timer.cancel()
        port.callback("stop", port.drv_data)
        port.transit("stop returned")
        self.gone(port)
        self.say_closed(port)

    def say_closed(self, port: ErlDrvPort) -> None:
        """Send `{Port, closed}` to the process that is owed it."""
        process, port._close_reply = port._close_reply, None
        if process is not None:
            process.deliver(Tuple((port.id, Atom("closed"))))

    def clear_queue(self, port: ErlDrvPort) -> None:
        """Empty the driver queue, which other threads may use if there is a port data lock."""
        if port.pdl is None or port.pdl.held():
            port.queue.change().clear()
        else:
            with port.pdl.mutex:
                port.queue.change().clear()

    def gone(self, port: ErlDrvPort) -> None:
        """Take from the port what `start` or `stop` has left behind, and the port out of every table."""
        port.drv_data = None
        port.timer.cancel()
        self.clear_queue(port)
        if port.pdl is not None:
            port.pdl.release()
        port.runtime.ports.remove(port)
        # The port leaves the driver's table last.  Before, another scheduler might find the driver unused and unload it
        # while this thread is still in its code.
        port.driver.port_gone(port.id, jobs=port.jobs)
        port.runtime.changed()
