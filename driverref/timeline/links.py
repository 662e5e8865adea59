"""Causes and effects: the lines of the picture, computed from the events alone.

A link joins an effect to its cause: `async_invoke` to `driver_async`, `timeout` to
`driver_set_timer`.  `WAITS` lists every kind of link.  `_key` says what an effect has in common
with its cause, and `links_of` pairs them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driverref.terms import Port, erlang

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from driverref.trace import Event

# The side that makes an event.  A name that is not here is a call of the driver.
KINDS = {
    "callback": "init start stop output outputv control call ready_async async_free timeout flush"
    " process_exit finish",
    "Erlang": "send receive port_close exit halt suspended resumed spawn exited exit_signal link"
    " unlink monitor demonitor load_driver load unload_driver unload try_unload",
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
"""By the kind of a link: how it is drawn, the names of its causes, the names of its effects."""


CAUSES = {name: wait for wait, (_, names, _) in WAITS.items() for name in names.split()}
"""By the name of an event, the kind of link that begins at it."""


EFFECTS = {name: wait for wait, (_, _, names) in WAITS.items() for name in names.split()}
"""By the name of an event, the kind of link that ends at it."""


@dataclass(order=True)
class Link:
    """A line of the picture.  `cause` and `effect` are the rows of two events."""

    cause: int
    effect: int
    drawn: str
    offset: float = 0.0  # from the lane where it ends to the track it runs in


def links_of(events: Sequence[Event]) -> list[Link]:
    """Pair each effect with the oldest cause of its key that has no effect yet.

    Returns the links in the order of the causes.  A job that has not returned ends in the row after
    the last.  A job that began before the first event begins in the row where it ends.
    """
    pending: defaultdict[tuple[str, Hashable], list[int]] = defaultdict(list)
    found = []
    for row, event in enumerate(events):
        if event.name in ("driver_set_timer", "driver_cancel_timer"):
            # A port has one timer, so only the last call that set it is a cause.
            pending["timer", event.port].clear()
        if wait := EFFECTS.get(event.name):
            causes = pending[wait, _key(wait, event)]
            if causes or wait == "job":
                found.append(Link(causes.pop(0) if causes else row, row, WAITS[wait][0]))
        if wait := CAUSES.get(event.name):
            pending[wait, _key(wait, event)].append(row)
    running = (row for (wait, _), rows in pending.items() if wait == "job" for row in rows)
    return sorted(found + [Link(row, len(events), "job") for row in running])


def _key(wait: str, event: Event) -> Hashable:
    """Return what a cause and its effect have in common: the job, the message or the port."""
    # `driver_output` records the data without the tuple that arrives around it, so the port is the
    # key of such a message.  A term arrives as it was sent.
    match wait, event.detail:
        case "job" | "queued" | "finished", _:
            return event.job
        case "message", (Port() as port, ("data", _)):
            return port
        case "message", term if event.name == "receive" or event.name.endswith("_term"):
            return _comparable(term)
    return event.port


def _comparable(term: object) -> Hashable:
    """Return what equal terms have in common, and can be a key: a list and a map cannot."""
    match term:
        case tuple() | list():
            kind = "tuple" if isinstance(term, tuple) else type(term).__name__
            return kind, *map(_comparable, term)
        case dict():
            return frozenset((_comparable(key), _comparable(part)) for key, part in term.items())
    return term if isinstance(term, bytes) else erlang(term)
