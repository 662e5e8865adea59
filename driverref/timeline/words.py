"""A trace in words.

The table that `print(trace)` shows, and the sentences that a screen reader says.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from driverref.terms import erlang

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from driverref.trace import Event


def text(trace: Iterable[Event]) -> str:
    """The events as a table: time, thread, event; a line each, under a line of headings."""
    events = list(trace)
    if not events:
        return "no events"
    several = several_ports(events)
    rows = [("time", "thread", "event")]
    for event in events:
        said = " ".join(label(event, with_port=several or event.job is None)).strip()
        rows.append((duration(event.time), one_line(event.thread), said))
    time, thread = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{row[0]:>{time}}  {row[1]:<{thread}}  {row[2]}" for row in rows)


def duration(ns: int) -> str:
    """Nanoseconds in the largest unit of which there is at least one: `1.5 us`, `20 ms`.

    The number is exact.
    """
    for unit, name in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")):
        if ns >= unit:
            whole, rest = divmod(ns, unit)
            return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".") + f" {name}"
    return f"{ns} ns" if ns else "0"


def lanes(trace: Iterable[Event]) -> list[str]:
    """The threads in the order of their lanes: schedulers, async threads, the driver's own."""

    def place(thread: str) -> tuple[int, int]:
        found = re.fullmatch("(scheduler|async) ([0-9]+)", thread)
        return (found[1] == "async", int(found[2])) if found else (2, 0)

    return sorted(dict.fromkeys(event.thread for event in trace), key=place)


def one_line(words: str) -> str:
    """One line, of characters that XML and a terminal can show; others as Erlang escapes them."""
    return "".join(c if c.isprintable() else f"\\x{{{ord(c):X}}}" for c in words)


def label(event: Event, *, with_port: bool = False) -> tuple[str, str]:
    """The event's name, and the rest."""
    parts = [repr(event.port)] if with_port and event.port is not None else []
    if event.job is not None:
        parts.append(f"job {event.job}")
    if event.detail is not None:
        unit = " ms" if event.name == "driver_set_timer" else ""
        parts.append(erlang(event.detail) + unit)
    return one_line(event.name), one_line(" ".join(parts))


def several_ports(events: Iterable[Event]) -> bool:
    return len({event.port for event in events} - {None}) > 1


def describe(events: Sequence[Event]) -> str:
    if not events:
        return "No events."
    turns = (
        f"on {thread} " + ", ".join(" ".join(label(event)).strip() for event in turn)
        for thread, turn in groupby(events, key=lambda event: event.thread)
    )
    jobs = len({event.job for event in events} - {None})
    sums = f"Events: {len(events)}, threads: {len(lanes(events))}, jobs: {jobs}"
    return f"{sums}. In order: {'; '.join(turns)}."
