"""The life of a port, as a table.

`TRANSITIONS` is the whole of it: the states, and what leads from one to the next.  What may be
asked of a port depends on its state alone.  The state diagram in the book is drawn from this table.

* *opening*: `start` runs.
* *connected*: the ordinary state.
* *exiting*: the port has been told to go.  What is linked to it has been told, suspended senders go
  on.  If the driver queue is empty, or the reason is `kill`, `stop` runs at once, whatever the jobs
  do.
* *closing*: the driver queue was not empty.  `flush` has run.  Jobs, timers and `ready_async` still
  come, and after each callback the runtime looks whether the queue has become empty.
* *stopping*: it has, and `stop` runs.
* *closed*: `stop` has returned.  The identifier leads nowhere; the handle answers -1.

Source: `io.c:erts_deliver_port_exit`, `terminate_port`.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a port is in its life."""

    OPENING = "opening"
    CONNECTED = "connected"
    EXITING = "exiting"
    CLOSING = "closing"
    STOPPING = "stopping"
    CLOSED = "closed"


OPENING, CONNECTED, EXITING, CLOSING, STOPPING, CLOSED = State

DRAINING = (CLOSING, STOPPING)
"""From the callback `flush` to the end of `stop`: what the driver sends meanwhile is dropped."""

# An event that a state does not list cannot happen in it, and `ErlDrvPort.transit` refuses it.
TRANSITIONS: dict[State, dict[str, State]] = {
    # A port whose `start` fails has never been open: no `stop`, no `flush`.  One that a driver
    # creates has no `start`, and fails only if its owner ends meanwhile.
    OPENING: {"start returned": CONNECTED, "created": CONNECTED, "start failed": CLOSED},
    # `port_close`, the owner's end, an exit signal, `driver_failure`, the driver's unloading and
    # the emulator's end all come to this one event.
    CONNECTED: {"told to exit": EXITING},
    # `stop` runs within this state if there is nothing to flush.
    EXITING: {"driver queue not empty": CLOSING, "stop returned": CLOSED},
    # The one state in which a port that was told to go lives on.  Nothing but its driver can end
    # it.
    CLOSING: {"driver queue empty": STOPPING},
    STOPPING: {"stop returned": CLOSED},
    # Jobs may still be on their way.  They find the port closed, and it stays so.
    CLOSED: {},
}
