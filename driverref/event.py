"""One thing that happened.  The unit of traces, tables and pictures."""

from __future__ import annotations

from typing import NamedTuple

from driverref.terms import Port, erlang

NAMES = frozenset(
    """
    init start stop output outputv control call ready_async async_free timeout flush process_exit finish
    driver_async async_invoke async_return driver_output driver_output2 driver_output_binary driver_output_term
    driver_outputv driver_send_term erl_drv_output_term erl_drv_send_term
    driver_enq driver_enq_bin driver_enqv driver_pushq driver_pushq_bin driver_pushqv driver_deq
    driver_set_timer driver_cancel_timer set_busy_port driver_failure driver_failure_atom driver_failure_posix
    driver_failure_eof driver_exit port_close exit halt send receive suspended resumed
    """.split()
)
"""What can happen: the names of all events."""


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
