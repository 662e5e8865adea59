"""The life of a port, as a table.

`TRANSITIONS` is the whole of it: the states, and what leads from one to the next.  What may be asked of a port depends
on its state alone.  The state diagram in the book is drawn from this table.

* *opening*: `start` runs.
* *connected*: the ordinary state.
* *exiting*: the port has been told to go.  What is linked to it has been told, suspended senders go on.  If the driver
  queue is empty, or the reason is `kill`, `stop` runs at once, whatever the jobs do.
* *closing*: the driver queue was not empty.  `flush` has run.  Jobs, timers and `ready_async` still come, and after each
  callback the runtime looks whether the queue has become empty.
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

TRANSITIONS: dict[State, dict[str, State]] = {
    OPENING: {"start returned": CONNECTED, "start failed": CLOSED},
    CONNECTED: {"told to exit": EXITING},
    EXITING: {"driver queue not empty": CLOSING, "stop returned": CLOSED},
    CLOSING: {"driver queue empty": STOPPING},
    STOPPING: {"stop returned": CLOSED},
    CLOSED: {},
}
