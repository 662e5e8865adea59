"""One thing that happened.  The unit of traces, tables and pictures."""

from __future__ import annotations

from typing import NamedTuple

from driverref.terms import Port, erlang


class Event(NamedTuple):
    """One thing that happened.  `print(event)` gives one line."""

    time: int
    """Nanoseconds since the emulator started; virtual on simulated threads."""
    thread: str
    """`"scheduler 1"`, `"async 2"`, or the name of a driver's own thread."""
    name: str
    """The callback's or the call's own name: `output`, `driver_async`, `async_invoke`, `stop`."""
    port: Port | None = None
    """The port that it is about, where there is one."""
    job: int | None = None
    """The job's id, as `driver_async` returned it."""
    detail: object = None
    """What the call was about: the data, the milliseconds, the reason."""

    def __str__(self) -> str:
        parts = [self.name]
        if self.port is not None:
            parts.append(repr(self.port))
        if self.job is not None:
            parts.append(f"job {self.job}")
        if self.detail is not None:
            parts.append(erlang(self.detail))
        return " ".join(parts)
