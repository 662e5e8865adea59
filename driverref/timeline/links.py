"""What led to what: the lines of the picture, computed from the events alone.

A link joins an effect to its cause: `async_invoke` to `driver_async`, `timeout` to
`driver_set_timer`.  `WAITS` is the whole of that knowledge.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driverref.terms import Port, erlang

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from driverref.trace import Event

# Whose side a name is on.  All others are the driver's calls.
KINDS = {
    "callback": "init start stop output outputv control call ready_async async_free timeout flush"
    " process_exit finish",
    "Erlang": "send receive port_close exit halt suspended resumed",
    "job": "async_invoke async_return",
}


KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}


OUTPUTS = (
    "driver_output driver_output2 driver_outputv driver_output_binary driver_output_term"
    " driver_send_term erl_drv_output_term erl_drv_send_term"
)


WAITS = {
    "job": ("job", "async_invoke", "async_return"),
    "queued": ("waiting", "driver_async", "async_invoke"),
    "finished": ("waiting", "async_return", "ready_async async_free"),
    "suspended": ("waiting", "suspended", "resumed"),
    "timer": ("timer", "driver_set_timer", "timeout"),
    "message": ("message", OUTPUTS, "receive"),
}
"""What lies between a cause and its effect: how it is drawn, the causes, the effects."""


CAUSES = {name: wait for wait, (_, names, _) in WAITS.items() for name in names.split()}


EFFECTS = {name: wait for wait, (_, _, names) in WAITS.items() for name in names.split()}


@dataclass(order=True)
class Link:
    cause: int
    effect: int
    drawn: str
    offset: float = 0.0  # of its track from the lane where it ends


def links_of(events: Sequence[Event]) -> list[Link]:
    """Each effect with the oldest cause that has had none, in the order of the causes.

    A job that has not returned ends below the last row; one that had begun before, where it ends.
    """
    pending: defaultdict[tuple[str, Hashable], list[int]] = defaultdict(list)
    found = []
    for row, event in enumerate(events):
        if event.name in ("driver_set_timer", "driver_cancel_timer"):
            pending["timer", event.port].clear()  # a port has one timer
        if wait := EFFECTS.get(event.name):
            causes = pending[wait, _key(wait, event)]
            if causes or wait == "job":
                found.append(Link(causes.pop(0) if causes else row, row, WAITS[wait][0]))
        if wait := CAUSES.get(event.name):
            pending[wait, _key(wait, event)].append(row)
    running = (row for (wait, _), rows in pending.items() if wait == "job" for row in rows)
    return sorted(found + [Link(row, len(events), "job") for row in running])


def _key(wait: str, event: Event) -> Hashable:
    """What a cause and its effect have in common: the job, the message or the port."""
    match wait, event.detail:
        case "job" | "queued" | "finished", _:
            return event.job
        case "message", (Port() as port, ("data", _)):
            return port
        case "message", term if event.name == "receive" or event.name.endswith("_term"):
            return erlang(term)
    return event.port
