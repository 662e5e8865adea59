"""The rows of a picture and of a table: the events, and what can be known of them besides.

* A callback that took time has a second row, where it returns.
* A callback knows the last row before its return, so the picture can show how long it ran.
* A row of a job says where the job's data is then: with the emulator, the job or the driver.
* Of a port whose `stop` has returned no callback runs any more, and its driver data is gone.

Only a trace from simulated threads knows when a callback returned and where in the program an event
was made.  For any other, a callback lasts at least until the last call that follows on its thread,
since only callbacks call there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from driverref.diagnostics import Place
from driverref.terms import Port
from driverref.timeline.links import KIND
from driverref.trace import Event, Trace

HELD = {
    "driver_async": "emulator",
    "async_invoke": "job",
    "async_return": "emulator",
    "ready_async": "driver",
    "async_free": "driver",
}
"""By the name of an event, what has the data of its job from then on."""

GONE = "driver data gone"
"""What is said of a port after `stop`."""


@dataclass
class Row:
    """An event, or the return of a callback."""

    event: Event
    kind: str
    """A key of `links.KINDS`, or `call`, or `return`."""
    place: Place = None
    last: int | None = None
    """Of a callback: the last row before it returned."""
    after_stop: bool = False
    """Whether `stop` of its port has returned before."""

    @property
    def held(self) -> str:
        """What has the data of the event's job from here on; `""` if the event does not say."""
        return HELD.get(self.event.name, "")

    @property
    def note(self) -> str:
        """What is to be said below the event."""
        return GONE if self.event.name == "stop" else ""


def rows_of(events: Iterable[Event]) -> list[Row]:
    """Return the rows of some events, in order."""
    trace = events if isinstance(events, Trace) and events.detailed else None
    listed = list(events)
    returns = _returns(trace, listed)
    rows: list[Row] = []
    row_of: list[int] = []  # by the number of an event
    end_of: dict[int, int] = {}  # by the number of a callback, the row in which it returns
    for number, event in enumerate(listed):
        _add_returns(rows, returns.get(number, ()), listed, end_of)
        row_of.append(len(rows))
        place = None if trace is None else trace.place(number)
        rows.append(Row(event, KIND.get(event.name, "call"), place))
    _add_returns(rows, returns.get(len(listed), ()), listed, end_of)
    for number, at in enumerate(row_of):
        if rows[at].kind == "callback":
            returned = None if trace is None else trace.returned(number)
            if returned is None:
                rows[at].last = _last_call(rows, at)
            else:
                before = min(returned.before, len(listed))
                rows[at].last = end_of.get(number, row_of[before - 1])
    _mark_stopped(rows)
    return rows


def several_ports(events: Iterable[Event]) -> bool:
    """Whether the events belong to more than one port."""
    return len({event.port for event in events} - {None}) > 1


def _returns(trace: Trace | None, events: list[Event]) -> dict[int, list[tuple[int, int]]]:
    """Return the callbacks that took time, by the event before which they returned.

    Of each there is its number, and the time of its return.  An inner one comes before the outer.
    """
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    if trace is not None:
        for number in reversed(range(len(events))):
            returned = trace.returned(number)
            if returned is not None and returned.time > events[number].time:
                found[min(returned.before, len(events))].append((number, returned.time))
    return found


def _add_returns(
    rows: list[Row],
    returns: Iterable[tuple[int, int]],
    events: list[Event],
    end_of: dict[int, int],
) -> None:
    for number, time in returns:
        began = events[number]
        end_of[number] = len(rows)
        rows.append(
            Row(began._replace(time=time, name=f"{began.name} returns", detail=None), "return")
        )


def _last_call(rows: list[Row], first: int) -> int:
    """Return the last row of a callback of which no more is known than the calls that follow."""
    thread, last = rows[first].event.thread, first
    for at in range(first + 1, len(rows)):
        if rows[at].event.thread == thread:
            if rows[at].kind != "call":
                break
            last = at
    return last


def _mark_stopped(rows: list[Row]) -> None:
    """Mark what comes after the `stop` of its port, or, if there is one port, after its `stop`."""
    several = several_ports(row.event for row in rows)
    stopped: dict[Port | None, int] = {}
    for at, row in enumerate(rows):
        port = row.event.port if several else None
        row.after_stop = at > stopped.get(port, len(rows))
        if row.event.name == "stop" and row.last is not None:
            stopped[port] = row.last
