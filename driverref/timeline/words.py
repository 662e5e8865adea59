"""A trace in words: the table that `print(trace)` shows, and the text for a screen reader."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from driverref.terms import brief
from driverref.timeline.rows import Row, rows_of, several_ports
from driverref.trace import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from driverref.trace import Event


HELD_BY = "data held by"
"""The heading of what has the data of a job."""


def text(trace: Iterable[Event], *, notes: bool = False) -> str:
    """Return the events as a table of time, thread and event, a line each, under headings.

    With `notes` the table has what the picture shows beside the events: the return of a callback
    that took time, where the data of a job is, and the `stop` after which the driver data is gone.
    """
    listed = [row for row in rows_of(trace) if notes or row.kind != "return"]
    if not listed:
        return "no events"
    several = several_ports(row.event for row in listed)
    rows = [("time", "thread", "event", HELD_BY if notes else "")]
    for row in listed:
        event = row.event
        # With one port, a job's id says enough.
        words = " ".join(label(event, with_port=several or event.job is None)).strip()
        note = (row.held or row.note) if notes else ""
        rows.append((duration(event.time), one_line(event.thread), words, note))
    time, thread, what = (max(len(row[column]) for row in rows) for column in (0, 1, 2))
    return "\n".join(
        f"{row[0]:>{time}}  {row[1]:<{thread}}  {row[2]:<{what}}  {row[3]}".rstrip() for row in rows
    )


def duration(ns: int) -> str:
    """Return nanoseconds in the largest unit that gives 1 or more: `1.5 us`, `20 ms`.

    The number is exact: integers only, since a `float` would round it.
    """
    for unit, name in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")):
        if ns >= unit:
            whole, rest = divmod(ns, unit)
            return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".") + f" {name}"
    return f"{ns} ns" if ns else "0"


def lanes(trace: Iterable[Event]) -> list[str]:
    """Return the threads in the order of their lanes: schedulers, async threads, the driver's."""

    def place(thread: str) -> tuple[int, int]:
        found = re.fullmatch("(scheduler|async) ([0-9]+)", thread)
        return (found[1] == "async", int(found[2])) if found else (2, 0)

    return sorted(dict.fromkeys(event.thread for event in trace), key=place)


def one_line(words: str) -> str:
    """Return `words` as one line that XML and a terminal can show.

    Every other character is written as Erlang escapes it, such as `\\x{A}` for a new line.
    """
    return "".join(c if c.isprintable() else f"\\x{{{ord(c):X}}}" for c in words)


def label(event: Event, *, with_port: bool = False) -> tuple[str, str]:
    """Return the event's name, and its port, job and detail in one text."""
    parts = [repr(event.port)] if with_port and event.port is not None else []
    if event.job is not None:
        parts.append(f"job {event.job}")
    if event.detail is not None:
        unit = " ms" if event.name == "driver_set_timer" else ""
        parts.append(brief(event.detail, LONGEST) + unit)
    return one_line(event.name), one_line(" ".join(parts))


def describe(rows: Sequence[Row]) -> str:
    """Return the text for a screen reader: numbers first, then the events in order.

    Events in a row on one thread share one mention of it.
    """
    if not rows:
        return "No events."
    turns = (
        f"on {thread} " + ", ".join(_told(row) for row in turn)
        for thread, turn in groupby(rows, key=lambda row: row.event.thread)
    )
    events = [row.event for row in rows if row.kind != "return"]
    jobs = len({event.job for event in events} - {None})
    sums = f"Events: {len(events)}, threads: {len(lanes(events))}, jobs: {jobs}"
    return f"{sums}. In order: {'; '.join(turns)}."


def _told(row: Row) -> str:
    """Return an event as a screen reader is to read it."""
    words = " ".join(label(row.event)).strip()
    if row.kind == "return":
        words += f" at {duration(row.event.time)}"
    return f"{words} ({row.note})" if row.note else words
