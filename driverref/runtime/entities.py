"""Processes and ports as others see them: what can be linked, monitored and told to exit.

`process` need not know `port`, and the other way round: what one has to know of the other is an
`Entity`.  An identifier is looked up in the table of its kind, and whatever ends takes itself out
of that table.

A link or a monitor is two halves, one on each side.  Between two processes both halves are made,
and taken away, under one lock.  Between a process and a port each half is made for itself, because
the port gets its half by a signal, which may find it locked.  A signal that breaks a link, and the
message of a monitor, count only if the receiver still has its own half.  So a process that has
called `unlink` or `demonitor` hears nothing more, whatever is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from driverref.runtime.names import Names
from driverref.terms import Pid, Port, Ref
from driverref.threads import Cell, Threads

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort
    from driverref.runtime.process import Process


class Watch(NamedTuple):
    """The half of a monitor that the watching process or port has."""

    kind: str
    """`"process"` or `"port"`."""
    item: object
    """What `'DOWN'` calls the monitored: a `Pid`, a `Port`, or `{Name, Node}`."""
    id: Pid | Port | None
    """What is monitored; `None` if nothing had the name."""


class Bonds:
    """The links of one entity, the monitors that others have set on it, and those that it has set.

    The monitors stand in the order in which they were set.
    """

    # One object, so that an entity that ends can part with all of them in one piece.

    __slots__ = ("links", "monitors", "watches")

    def __init__(self) -> None:
        self.links: set[Pid | Port] = set()
        self.monitors: dict[Ref, Entity] = {}
        self.watches: dict[Ref, Watch] = {}


class Entity(Protocol):
    """A process or a port."""

    bonds: Cell[Bonds]

    @property
    def id(self) -> Pid | Port:
        """Its identifier."""
        ...

    def lives(self) -> bool:
        """Whether it can be linked and monitored: it has not ended, and has not been told to."""
        ...

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """Take an exit signal: `sender` ended with `reason` and was linked, or called `exit/2`."""
        ...

    def down(self, ref: Ref, reason: object) -> None:
        """Hear that what it monitors has ended, unless it has given the monitor up."""
        ...


class PortTable:
    """The ports that are opening, open or closing, by number.

    The number of a closed port is not used again.
    """

    # R7B's port table works otherwise (`driverref.eras.slots`), so the way from an identifier to a
    # port leads through this class everywhere.

    def __init__(self, threads: Threads) -> None:
        self._by_number: MutableMapping[int, ErlDrvPort] = threads.table()
        self._numbers = threads.counter()

    def new_number(self) -> int | None:
        """The number of the next port; `None` if the table is full, which today's never is."""
        # A real table has a size as well (`+Q`), and an identifier carries a number that makes it
        # unique.  What a program can see of that is that no identifier is used twice.
        return next(self._numbers)

    def find(self, id: Port) -> ErlDrvPort | None:
        """The port to which an identifier leads, or `None`."""
        return self._by_number.get(id.number)

    def enter(self, port: ErlDrvPort) -> None:
        """From now on the identifier of `port` leads to it."""
        self._by_number[port.number] = port

    def remove(self, port: ErlDrvPort) -> None:
        """From now on its identifier leads nowhere."""
        del self._by_number[port.number]

    def __iter__(self) -> Iterator[ErlDrvPort]:
        """The ports there are, oldest first."""
        # A list is made at once: ports may close while the caller goes through it.
        return iter([port for _, port in sorted(self._by_number.items())])

    def __len__(self) -> int:
        return len(self._by_number)


class Entities:
    """Every process and every port of one emulator."""

    def __init__(self, threads: Threads, ports: PortTable) -> None:
        # Held while a link or a monitor is made or taken away.  One lock for all entities: with one
        # each, two that link to each other would have to agree which to take first.
        self.lock = threads.guard("the links and monitors")
        self.ports = ports
        self.names = Names(threads)
        self._processes: MutableMapping[int, Process] = threads.table()

    def find(self, id: Pid | Port) -> Entity | None:
        """The process or the port to which an identifier leads, or `None` if it has ended.

        One that is about to end is found, because its links can still be taken away.
        """
        # An identifier says by its type in which table it is looked up.
        return self._processes.get(id.number) if isinstance(id, Pid) else self.ports.find(id)

    def find_process(self, pid: Pid) -> Process | None:
        """The process, if a message can reach it; `None` if it ends or has ended."""
        # A pid is not used again, so one that is kept too long leads nowhere and not astray.
        process = self._processes.get(pid.number)
        return process if process is not None and process.lives() else None

    # Processes enter and remove themselves; a port is entered by `open_port`, under its own lock.

    def enter(self, process: Process) -> None:
        """Enter a process that begins."""
        self._processes[process.pid.number] = process

    def remove(self, process: Process) -> None:
        """Remove a process that has ended."""
        del self._processes[process.pid.number]

    def processes(self) -> list[Process]:
        """The processes that have not ended, oldest first."""
        return [process for _, process in sorted(self._processes.items())]

    # Links.

    def link(self, one: Entity, other: Entity) -> bool:
        """Link two entities.  `False`, and nothing is linked, if one of them has ended."""
        with self.lock:
            # Both are looked at under the lock under which an entity parts with its links.  So
            # neither can end between the look and the two entries.
            if not (one.lives() and other.lives()):
                return False
            # A link has no direction.  Whichever ends, the other is told.
            one.bonds.change().links.add(other.id)
            other.bonds.change().links.add(one.id)
        return True

    def link_half(self, one: Entity, to: Pid | Port) -> bool:
        """Enter the half of a link that `one` has.  `False` if `one` has ended."""
        with self.lock:
            if one.lives():
                one.bonds.change().links.add(to)
                return True
        return False

    def unlink(self, one: Entity, other: Entity) -> None:
        """Undo `link`."""
        with self.lock:
            one.bonds.change().links.discard(other.id)
            other.bonds.change().links.discard(one.id)

    def unlink_half(self, one: Entity, to: Pid | Port) -> bool:
        """Take away the half of a link that `one` has.  Whether it was there."""
        with self.lock:
            links = one.bonds.change().links
            was_linked = to in links
            links.discard(to)
        return was_linked

    # Monitors.

    def monitor(self, ref: Ref, of: Entity, watcher: Entity) -> bool:
        """Have `watcher` told when `of` ends.

        `False`, and nothing is monitored, if it has ended.
        """
        with self.lock:
            # An entity that has been told to exit has told its monitors already, or is about to.
            # One that came now would wait for a message that was never sent.
            if not of.lives():
                return False
            of.bonds.change().monitors[ref] = watcher
        return True

    def demonitor(self, ref: Ref, of: Entity) -> bool:
        """Undo `monitor`.  Whether there was such a monitor."""
        with self.lock:
            return of.bonds.change().monitors.pop(ref, None) is not None

    def watch(self, ref: Ref, watcher: Entity, watch: Watch) -> None:
        """Enter the half of a monitor that the watcher has."""
        with self.lock:
            watcher.bonds.change().watches[ref] = watch

    def unwatch(self, ref: Ref, watcher: Entity) -> Watch | None:
        """Take that half away.  `None` if the watcher has no such monitor."""
        with self.lock:
            return watcher.bonds.change().watches.pop(ref, None)

    # What an entity has, for the BIFs that tell it.

    def links(self, entity: Entity) -> list[Pid | Port]:
        """The identifiers that an entity is linked to, in order."""
        with self.lock:
            return sorted(entity.bonds.value.links, key=_in_order)

    def watches(self, entity: Entity) -> list[Watch]:
        """What an entity monitors, in the order in which the monitors were set."""
        with self.lock:
            return list(entity.bonds.value.watches.values())

    def watchers(self, entity: Entity) -> list[Pid | Port]:
        """The identifiers of what monitors an entity, once for each monitor and in that order."""
        with self.lock:
            return [watcher.id for watcher in entity.bonds.value.monitors.values()]

    def part(self, entity: Entity) -> tuple[list[Entity], list[Callable[[object], object]]]:
        """Take the name, the links and the monitors of an entity that ends.

        Returns what was linked, processes before ports and each in the order of their identifiers,
        and, in the order in which the monitors were set, a function for each that tells it the
        reason.  A fixed order keeps runs that differ in nothing else from differing in this.
        """
        # First, so that whatever is told of the end finds the name free.
        self.names.forget(entity.id)
        with self.lock:
            # Taken in one piece.  Signals and messages are sent after the lock, because to deliver
            # one may be a step at which other threads run.
            bonds, entity.bonds.value = entity.bonds.value, Bonds()
            ids = sorted(bonds.links, key=_in_order)
            linked = [other for other in map(self.find, ids) if other is not None]
            for ref, watch in bonds.watches.items():
                # It may have ended, and be about to tell this entity so.
                watched = None if watch.id is None else self.find(watch.id)
                if watched is not None:
                    watched.bonds.change().monitors.pop(ref, None)
        return linked, [partial(watcher.down, ref) for ref, watcher in bonds.monitors.items()]


# Exit signals go out in this order.  In C it is that of a hash table, which nothing may rely on;
# any order would do, but it has to be the same in every run of one schedule.
def _in_order(id: Pid | Port) -> tuple[bool, int]:
    return isinstance(id, Port), id.number
