"""How a notebook shows an emulator and a port: as tables, with the picture of what happened last.

A notebook shows an object between two cells, when its program asks nothing of the emulator.  An
`Emulator` and a port's handle know their parts.  The identifier of a port is looked up in the
emulator of the running thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from driverref.runtime.core import Over, Runtime
from driverref.runtime.port import ErlDrvPort
from driverref.terms import Port
from driverref.threads import running
from driverref.timeline import svg
from driverref.trace import Trace

LAST = 50
"""How many events the picture has."""

COLUMNS = ("port", "driver", "state", "owner", "jobs", "bytes queued")


def emulator(runtime: Runtime, told: str) -> str:
    """An emulator: what `told` says of it, its ports and processes, and its last events."""
    names = runtime.entities.names
    parts = [f"<p><code>{escape(told)}</code></p>"]
    if ports := list(runtime.ports):
        parts.append(_table(COLUMNS, map(_row, ports)))
    processes = [
        (str(process.pid), str(names.of(process.pid) or ""), process.scheduler.name)
        for process in runtime.entities.processes()
    ]
    parts.append(_table(("process", "name", "runs on"), processes))
    return "".join([*parts, last_events(runtime.trace)])


def last_events(trace: Trace) -> str:
    """The picture of the last events of a trace, below a line that says what is left out."""
    left_out = len(trace) - LAST
    if left_out <= 0:
        return svg(trace)
    return f"<p>the last {LAST} of {len(trace):,} events</p>{svg(trace[left_out:])}"


def port(handle: ErlDrvPort) -> str:
    """A port, as the driver holds it."""
    if isinstance(handle.runtime, Over):
        return f"<code>{escape(repr(handle))}</code>"
    return _table(COLUMNS, [_row(handle)])


def identifier(id: Port) -> str:
    """A port, as Erlang's side knows it: of the emulator of the running thread, if that has it."""
    runtime = running().runtime
    handle = None if runtime is None else runtime.ports.find(id)
    return f"<code>{escape(repr(id))}</code>" if handle is None else port(handle)


def _row(handle: ErlDrvPort) -> tuple[str, ...]:
    owner, queue = handle.owner.value, handle.queue.value
    state = handle.state.value.value
    return str(handle.id), handle.name, state, str(owner.pid), str(handle.jobs), f"{queue.size:,}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table.  The cells are escaped here."""
    columns = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"
