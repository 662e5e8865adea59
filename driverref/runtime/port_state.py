"""A port's life, as a table.

`TRANSITIONS` is the whole of it: five states, and what leads from one to the next.  What may be asked of a
port depends on its state alone.

* *opening*: `start` runs.  *connected*: the ordinary state.
* *exiting*: the port has been told to go.  Those linked have been told, senders that were suspended go on,
  and if the driver queue is empty, or the reason is `kill`, `stop` runs at once, whatever the jobs do.
* *closing*: the driver queue was not empty.  `flush` has run; jobs, timers and `ready_async` still come, and
  after each callback the runtime looks whether the queue has become empty.  Then `stop` runs.
* *closed*: `stop` has returned.  The identifier leads nowhere; the handle answers -1.

Sources: `io.c:erts_deliver_port_exit`, `terminate_port`.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a port is in its life."""

    OPENING = "opening"
    CONNECTED = "connected"
    EXITING = "exiting"
    CLOSING = "closing"
    CLOSED = "closed"


OPENING, CONNECTED, EXITING, CLOSING, CLOSED = State

TRANSITIONS: dict[State, dict[str, State]] = {
    OPENING: {"start returned": CONNECTED, "start failed": CLOSED},
    CONNECTED: {"told to exit": EXITING},
    EXITING: {"driver queue not empty": CLOSING, "stop returned": CLOSED},
    CLOSING: {"stop returned": CLOSED},
    CLOSED: {},
}
