"""The trace: the events of a run, in order.  The book's pictures and tables are made from it.

Inside, a trace is one flat list with six items an event.  To record is then one `extend`, which
leaves no object behind for each event; the runtime records on its hot path.  The time in the list
is that of the threads seam, and a port is its number.  A `Trace` shows the items as `Event`s.

The events of one thread stand in the order in which they happened.  Events of different threads
stand in the order in which they were appended.  On simulated threads that order is exact.  On OS
threads two events that no lock or queue orders may stand either way round.

On simulated threads a trace knows more, for the picture: where in the program an event was made,
and when a callback returned (`_Details`).  On OS threads that would cost too much, and nothing is
noted.  A search notes nothing either.
"""

from __future__ import annotations

import difflib
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any, NamedTuple, overload

from driverref.diagnostics import Place, caller, defined, is_program, shown
from driverref.terms import Port, brief

Raw = tuple[int, str, str, int | None, int | None, object]
"""`(now, thread, name, the port's number, job, detail)`."""

__all__ = ["Event", "Record", "Trace"]

Record = Callable[[Raw], None]
"""Appends an event, given as one tuple, to the trace."""

NAMES = frozenset(
    """
    init start stop output outputv control call ready_input ready_output ready_async async_free
    timeout flush process_exit stop_select emergency_close finish
    driver_select driver_async async_invoke async_return
    driver_output driver_output2 driver_output_binary driver_output_term
    driver_outputv driver_send_term erl_drv_output_term erl_drv_send_term
    driver_enq driver_enq_bin driver_enqv driver_pushq driver_pushq_bin driver_pushqv driver_deq
    driver_set_timer driver_cancel_timer set_busy_port
    driver_monitor_process driver_demonitor_process
    driver_failure driver_failure_atom driver_failure_posix driver_failure_eof driver_exit
    driver_create_port erl_drv_init_ack
    erl_drv_thread_create erl_drv_thread_exit erl_drv_thread_join
    load_driver load try_load reload reload_driver unload_driver unload try_unload
    port_close exit halt send receive suspended resumed
    spawn exited exit_signal link unlink monitor demonitor
    """.split()
)
"""The names of all events.

Most are those of a callback or a call.  `exit` is told to a port, and `exited` has a process.  An
`exit_signal` is `{From, To, Reason}`.  `erl_drv_thread_exit` is the end of a driver's own thread,
whether it has called that or has returned.
"""


LONGEST = 200
"""How many characters of an event's detail are shown."""


class Event(NamedTuple):
    """One thing that happened.  `print(event)` gives one line, which cuts a long detail."""

    time: int
    """Nanoseconds since the emulator started; virtual on simulated threads."""
    thread: str
    """`"scheduler 1"`, `"async 2"`, or the name of a driver's own thread."""
    name: str
    """One of `NAMES`: that of a callback or a call, such as `output`, `driver_async` or `stop`."""
    port: Port | None = None
    """The port of the event, or `None` if it has none."""
    job: int | None = None
    """The job's id, as `driver_async` returned it."""
    detail: object = None
    """What the call got: the data, the milliseconds, the reason."""

    def __str__(self) -> str:
        parts = [self.name]
        if self.port is not None:
            parts.append(repr(self.port))
        if self.job is not None:
            parts.append(f"job {self.job}")
        if self.detail is not None:
            parts.append(brief(self.detail, LONGEST))
        return " ".join(parts)


def _hint(name: object) -> str:
    """What to write in place of a name that no event has."""
    near = difflib.get_close_matches(str(name), NAMES, 1)
    return f"did you mean {near[0]}?" if near else f"events are {', '.join(sorted(NAMES))}"


_WIDTH = 6


class Returned(NamedTuple):
    """When a callback returned."""

    before: int
    """How many events of the trace there were by then."""
    time: int
    """Nanoseconds, as in `Event`."""


@dataclass
class _Details:
    """What a trace knows beside its events."""

    places: list[Place] = field(default_factory=list)
    """Where in the program each event was made; of a callback, where it is defined."""
    returned: dict[int, Returned] = field(default_factory=dict)
    """When a callback returned, by the index of its event."""
    clock: Callable[[], int] = int

    def of(self, which: Sequence[int], start: int) -> _Details:
        """Return the same for the events with these indices, whose times count from `start`."""
        now = {index: number for number, index in enumerate(which)}
        returned = {
            now[index]: Returned(bisect_left(which, before), time - start)
            for index, (before, time) in self.returned.items()
            if index in now
        }
        return _Details([self.places[index] for index in which], returned)


class Trace(Sequence[Event]):
    """The events of one emulator, in order.  A sequence: `len`, index, slice, iterate.

    It grows while the emulator runs.  Any thread may read it.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._start = 0
        self._items: list[Any] = []
        self._details: _Details | None = None
        for time, thread, name, port, job, detail in events:
            number = None if port is None else port.number
            self._items += (time, thread, name, number, job, detail)

    def begin(self, now: int, clock: Callable[[], int] | None = None) -> Record | None:
        """Count times from `now` on, and return the function that appends an event.

        `None` instead of the function means that nothing is recorded.  With a `clock`, the details
        are noted as well: no other thread may record between two steps of a thread.
        """
        self._start = now
        append = self._items.extend
        if clock is None:
            # The method itself: a function around it would cost a call an event.
            return append
        self._details = _Details(clock=clock)
        note = self._details.places.append

        def record(raw: Raw) -> None:
            append(raw)
            note(caller())

        return record

    @property
    def detailed(self) -> bool:
        """Whether the details are noted."""
        return self._details is not None

    def watched(self, function: Any) -> Any:
        """Return a callback that notes when it returns; without details, the callback itself.

        Its event is the last one when it is called.
        """
        details, items = self._details, self._items
        if details is None or function is None:
            return function
        place = defined(function)

        def watch(*args: Any) -> Any:
            begun = len(items) // _WIDTH - 1
            self.at(place)
            # If it never returns, it lasts as long as the trace.
            details.returned[begun] = Returned(sys.maxsize, items[begun * _WIDTH])
            result = function(*args)
            details.returned[begun] = Returned(len(items) // _WIDTH, details.clock())
            return result

        return update_wrapper(watch, function)

    def at(self, place: Place) -> None:
        """Note that the last event was made at this place, if it is one of the program."""
        if self._details is not None and place is not None and is_program(place[0].co_filename):
            self._details.places[-1] = place

    def freeze(self) -> None:
        """Take no more events.

        A thread that outlives the emulator may still record.  It does so into the old list, which
        the trace no longer shows.
        """
        self._items = list(self._items)

    def __len__(self) -> int:
        return len(self._items) // _WIDTH

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Trace: ...
    def __getitem__(self, index: int | slice) -> Event | Trace:
        which = range(len(self))[index]
        return self._chosen(which) if isinstance(which, range) else self._event(which)

    def _chosen(self, which: Sequence[int]) -> Trace:
        """The events with these indices, as a trace of its own."""
        chosen = Trace(map(self._event, which))
        if self._details is not None and list(which) == sorted(which):
            chosen._details = self._details.of(which, self._start)
        return chosen

    def place(self, index: int) -> Place:
        """Where in the program an event was made; `None` if that is not known."""
        return None if self._details is None else self._details.places[index]

    def returned(self, index: int) -> Returned | None:
        """When the callback of an event returned; `None` if it has not, or that is not known."""
        found = None if self._details is None else self._details.returned.get(index)
        return found and Returned(found.before, found.time - self._start)

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, range(len(self)))

    def _event(self, index: int) -> Event:
        time, thread, name, number, job, detail = self._items[index * _WIDTH : (index + 1) * _WIDTH]
        port = None if number is None else Port(number)
        return Event(time - self._start, thread, name, port, job, detail)

    def select(self, *names: str) -> Trace:
        """Return the events with one of these names, as a trace of its own.

        Raises `ValueError` for a name that no event has: a test that waits for it would always
        pass.
        """
        for name in names:
            if name not in NAMES and all(event.name != name for event in self):
                raise ValueError(f"Trace: {shown(name)} is no event; {_hint(name)}")
        return self._chosen([at for at, event in enumerate(self) if event.name in names])

    def order(self, *names: str) -> list[str]:
        """Return the order of events as short strings: `["async_invoke(1)", "stop"]`.

        A job's id follows in brackets.  Without `names`, all events.  Raises as `select`.
        """
        chosen = self.select(*names) if names else self
        return [e.name if e.job is None else f"{e.name}({e.job})" for e in chosen]

    def __repr__(self) -> str:
        return f"<Trace of {len(self)} events>"

    # `timeline` imports this module, so this module imports `timeline` only when it is asked to
    # show itself.

    def __str__(self) -> str:
        from driverref.timeline import text

        return text(self)

    def _repr_html_(self) -> str:
        from driverref.notebook import last_events

        return last_events(self)
