"""Events, in order: what the book's pictures and tables are made of.

A trace is one flat list, six items an event, because that is what the runtime's hot path can afford: to append
six items makes no object that stays.  The time is on the seam's own clock, the port is its number.  A `Trace`
shows them as `Event`s.

Events of one thread are in the order in which they happened.  Between threads the order is that of
appending: on simulated threads it is exact, on OS threads two events that nothing orders may stand either
way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

from driverref.event import Event
from driverref.terms import Port
from driverref.timeline import svg, text

Raw = tuple[int, str, str, int | None, int | None, object]
"""`(now, thread, name, the port's number, job, detail)`."""

__all__ = ["Event", "Record", "Trace"]

Record = Callable[[Raw], None]
"""Appends an event, given as one tuple, to the trace."""

_WIDTH = 6


class Trace(Sequence[Event]):
    """The events of one emulator, in order.  A sequence: `len`, index, slice, iterate.

    Grows while the emulator runs.  May be read from any thread.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._start = 0
        self._items: list[Any] = []
        for time, thread, name, port, job, detail in events:
            number = None if port is None else port.number
            self._items += (time, thread, name, number, job, detail)

    def begin(self, now: int) -> Record | None:
        """Count times from `now` on.  Returns the function that appends an event; `None`: nothing is recorded."""
        self._start = now
        return self._items.extend

    def freeze(self) -> None:
        """Take no more events: what threads that were left behind still do is no longer of interest."""
        self._items = list(self._items)

    def __len__(self) -> int:
        return len(self._items) // _WIDTH

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Trace: ...
    def __getitem__(self, index: int | slice) -> Event | Trace:
        which = range(len(self))[index]
        if isinstance(which, range):
            return Trace(map(self._event, which))
        return self._event(which)

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, range(len(self)))

    def _event(self, index: int) -> Event:
        time, thread, name, number, job, detail = self._items[index * _WIDTH : (index + 1) * _WIDTH]
        port = None if number is None else Port(number)
        return Event(time - self._start, thread, name, port, job, detail)

    def select(self, *names: str) -> Trace:
        """The events with one of these names, as a trace of its own."""
        return Trace(event for event in self if event.name in names)

    def order(self, *names: str) -> list[str]:
        """The order of events as short strings: `["async_invoke(1)", "stop", "async_free(1)"]`.

        A job's id follows in brackets.  Without `names`, all events.
        """
        chosen = self.select(*names) if names else self
        return [e.name if e.job is None else f"{e.name}({e.job})" for e in chosen]

    def __repr__(self) -> str:
        return f"<Trace of {len(self)} events>"

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return svg(self)
