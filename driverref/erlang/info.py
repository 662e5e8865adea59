"""The BIFs that tell what is known of a port or a process.

`port_info` takes its turn at the port: what was asked of the port before is done first.  So it
waits while a callback of the port runs.

Sources: `erl_bif_info.c`, `io.c:erts_port_info`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from driverref.erlang.calling import Calling, Waiting, turn
from driverref.errors import ErlangError, badarg
from driverref.release import Release
from driverref.runtime.core import Runtime
from driverref.runtime.driver import ERL_DRV_FLAG_USE_PORT_LOCKING
from driverref.runtime.entities import Entities, Watch
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSING, CONNECTED
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Pid, Port, Tuple, copied

LISTED = ("registered_name", "name", "links", "id", "connected", "input", "output", "os_pid")
"""The items in the list that `port_info` returns without an item."""

# What an item is of a port, whose lock is held.
_PORT: dict[str, Callable[[Entities, ErlDrvPort], object]] = {
    "registered_name": lambda entities, port: entities.names.of(port.id),
    "name": lambda entities, port: port.name,
    "links": lambda entities, port: entities.links(port),
    "id": lambda entities, port: port.number,
    "connected": lambda entities, port: port.owner.value.pid,
    "input": lambda entities, port: port.bytes_in,
    "output": lambda entities, port: port.bytes_out,
    "os_pid": lambda entities, port: port.os_pid,
    "monitors": lambda entities, port: list(map(_watch, entities.watches(port))),
    "monitored_by": lambda entities, port: entities.watchers(port),
    "locking": lambda entities, port: _locking(port),
    "parallelism": lambda entities, port: port.parallelism,
    "queue_size": lambda entities, port: port.queue.value.size,
}
# What an item is of a process; the last two only of the one that calls.
_PROCESS: dict[str, Callable[[Entities, Process], object]] = {
    "links": lambda entities, process: entities.links(process),
    "monitors": lambda entities, process: list(map(_watch, entities.watches(process))),
    "monitored_by": lambda entities, process: entities.watchers(process),
    "registered_name": lambda entities, process: entities.names.of(process.pid),
    "trap_exit": lambda entities, process: process.trap_exit.value,
    "message_queue_len": lambda entities, process: len(process.mailbox()),
    "messages": lambda entities, process: [copied(message) for message in process.mailbox()],
}


class Info:
    """The BIFs that look at ports and processes.  `runtime` is the emulator they belong to."""

    runtime: Runtime

    def port_info(self, port: Port | str, item: str | None = None) -> Any:
        """Return facts about a port: a list of pairs, or the pair of one item.

        | item | value |
        |---|---|
        | `registered_name` | its name; `[]` in place of a pair, and not listed, if it has none |
        | `name` | the command that `open_port` got |
        | `links` | what it is linked to; none once it closes |
        | `id` | the number in its identifier; in C an index into the port table |
        | `connected` | its owner, also when that has ended |
        | `input` | bytes that `driver_output` and its relatives have sent; terms do not count |
        | `output` | bytes of commands that reached the driver; `port_control` does not count |
        | `os_pid` | what `erl_drv_set_os_pid` has set, or `undefined` |
        | `monitors`, `monitored_by` | what the driver monitors, and what monitors the port |
        | `locking` | `port_level` or `driver_level` |
        | `parallelism` | the option of `open_port` |
        | `queue_size` | bytes in the driver queue |

        The first eight are listed.  `memory` is not modelled.  Returns `None` (`undefined`) if the
        port is gone, or nothing has the name.

        An unknown item raises `badarg`.  On OTP 25 the call never returns if the port is locked or
        closing; here that is `badarg` too.  Stands for `erlang:port_info/1,2`.
        """
        entities = self.runtime.entities
        with Waiting(self.runtime, "port_info") as process:
            if not isinstance(port, Port | str):
                raise badarg("port_info", "port", "a Port, or the name of one", port)
            found = entities.names.find(port) if isinstance(port, str) else port
            handle = self.runtime.ports.find(found) if isinstance(found, Port) else None
            if handle is None:
                return None
            with turn(process, handle):
                if handle.state.value not in (CONNECTED, CLOSING):
                    return None
                # Not before: of a port that is gone, any item is undefined.
                if item is not None:
                    _check_item(self.runtime.release, item)
                    return _pair(item, _PORT[item](entities, handle))
                lacks_pid = self.runtime.release.lacks("port_info's `os_pid`", "R15B02")
                items = LISTED[:-1] if lacks_pid else LISTED
                pairs = [_pair(name, _PORT[name](entities, handle)) for name in items]
                # Without a name there is no pair, and the list has one less.
                return [pair for pair in pairs if pair]

    def process_info(self, pid: Pid, item: str | Sequence[str]) -> Any:
        """Return facts about a process: the pair of one item, or a list of pairs of several.

        The items are `links`, `monitors`, `monitored_by`, `registered_name` (`[]` if it has none),
        `trap_exit`, `message_queue_len` and `messages`.  The last two can only be asked by the
        process itself, because another process's mailbox is read when that process runs.  All
        other items, `status` among them, are not modelled.

        Another process answers when its scheduler is free, so the caller waits while that process
        runs a callback.  Returns `None` (`undefined`) if the process has ended.  Raises `badarg`
        for another item.  Stands for `erlang:process_info/2`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "process_info") as process:
            if not isinstance(pid, Pid):
                raise badarg("process_info", "pid", "a Pid", pid)
            items = [item] if isinstance(item, str) else item
            if not isinstance(items, list | tuple) or any(i not in tuple(_PROCESS) for i in items):
                raise badarg("process_info", "item", "one of " + ", ".join(_PROCESS), item)
            of = entities.find_process(pid)
            if of is None or of is process:
                return None if of is None else _told(entities, of, item)
            if {"message_queue_len", "messages"}.intersection(items):
                raise ErlangError(
                    "badarg", "process_info: only the process itself sees its mailbox"
                )
            with of.scheduler.mutex:
                # It may have ended while the caller waited.
                told = _told(entities, of, item) if of.lives() else None
            process.heed()
            return told


def _check_item(release: Release, item: object) -> None:
    """Raise unless `port_info` of this release knows the item."""
    match item:
        case "registered_name":
            check_bif(release, "port_info's `registered_name`", "R8B-0")
        case "queue_size" | "locking" | "monitors":
            check_bif(release, "port_info's `queue_size`, `locking` and `monitors`", "R11B-3")
        case "os_pid":
            check_bif(release, "port_info's `os_pid`", "R15B02")
        case "parallelism":
            check_bif(release, "port_info's `parallelism`", "R16A")
        case "monitored_by":
            check_bif(release, "port_info's `monitored_by`", "19.0")
        case _ if item not in tuple(_PORT):
            raise badarg("port_info", "item", "one of " + ", ".join(_PORT), item)


def _told(entities: Entities, process: Process, item: str | Sequence[str]) -> object:
    """What `process_info` returns of a process that lives."""
    if isinstance(item, str):
        return _pair(item, _PROCESS[item](entities, process))
    values = [(name, _PROCESS[name](entities, process)) for name in item]
    # A list has a pair for each item, with `[]` for a name that is not there.
    return [Tuple((Atom(name), [] if v is None else v)) for name, v in values]


def _pair(item: str, value: object) -> object:
    """An item with its value.  A name that is not there is `[]`, without the item."""
    if item == "registered_name" and value is None:
        return []
    return Tuple((Atom(item), value))


def _watch(watch: Watch) -> Tuple:
    return Tuple((Atom(watch.kind), watch.item))


def _locking(port: ErlDrvPort) -> Atom:
    own = port.driver.flag(ERL_DRV_FLAG_USE_PORT_LOCKING)
    return Atom("port_level" if own else "driver_level")
