"""Processes and ports as others see them: what can be linked, monitored and told to exit.

`process` need not know `port`, and the other way round: what one has to know of the other is an
`Entity`.  An identifier is looked up in the table of its kind, and whatever ends takes itself out
of that table.  A link or a monitor is two entries, one on each side; they are made and taken away
under one lock, so that no side has half of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from driverref.terms import Pid, Port, Ref
from driverref.threads import Cell, Threads

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort
    from driverref.runtime.process import Process

    Watcher: TypeAlias = Process | Callable[[Pid], None]
    """What a monitor tells: a process, or a driver's callback."""


class Bonds:
    """The links of one entity, and the monitors that others have set on it.

    The monitors stand in the order in which they were set.
    """

    # One object, so that an entity that ends can part with both in one piece.

    __slots__ = ("links", "monitors")

    def __init__(self) -> None:
        self.links: set[Pid | Port] = set()
        self.monitors: dict[Ref, Any] = {}


class Entity(Protocol):
    """A process or a port."""

    bonds: Cell[Bonds]

    def lives(self) -> bool:
        """Whether it can be linked and monitored: it has not ended, and has not been told to."""
        ...

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """Take an exit signal: `sender` ended with `reason` and was linked, or called `exit/2`."""
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

    def link(self, one: Pid | Port, other: Pid | Port) -> bool:
        """Link two entities.  `False`, and nothing is linked, if one of them has ended."""
        with self.lock:
            # Both are looked up under the lock under which an entity parts with its links.  So
            # neither can end between the look and the two entries.
            this, that = self.find(one), self.find(other)
            if this is None or that is None or not (this.lives() and that.lives()):
                return False
            # A link has no direction.  Whichever ends, the other is told.
            this.bonds.change().links.add(self._own(other))
            that.bonds.change().links.add(self._own(one))
        return True

    def unlink(self, one: Pid | Port, other: Pid | Port) -> None:
        """Undo `link`, whether or not both are still alive."""
        with self.lock:
            for this, that in ((one, other), (other, one)):
                # An entity that has ended has parted with its links by itself.
                if (entity := self.find(this)) is not None:
                    entity.bonds.change().links.discard(self._own(that))

    def _own(self, id: Pid | Port) -> Pid | Port:
        """The identifier that a port was given, if that of an earlier port leads to it too."""
        # In R7B a process may link to a closed port's identifier and reach the port that has its
        # slot.  The signal that breaks the link carries that port's own identifier.
        port = self.ports.find(id) if isinstance(id, Port) else None
        return id if port is None else port.id

    def monitor(self, ref: Ref, of: Pid | Port, watcher: Watcher) -> bool:
        """Have `watcher` told when `of` ends.

        `False`, and nothing is monitored, if it has ended.
        """
        with self.lock:
            # An entity that has been told to exit has told its monitors already, or is about to.
            # One that came now would wait for a message that was never sent.
            entity = self.find(of)
            if entity is None or not entity.lives():
                return False
            entity.bonds.change().monitors[ref] = watcher
        return True

    def demonitor(self, ref: Ref, of: Pid | Port | None = None) -> bool:
        """Undo `monitor`.  Whether there was such a monitor; what was monitored may have ended.

        With `of` only that entity is looked at.  Erlang's references do not say what they monitor.
        """
        with self.lock:
            # A real reference holds what it monitors; here every entity is asked.
            if of is None:
                looked_at: list[Entity] = [*self.processes(), *self.ports]
            else:
                entity = self.find(of)
                looked_at = [] if entity is None else [entity]
            found = [e.bonds.change().monitors.pop(ref, None) for e in looked_at]
        return any(watcher is not None for watcher in found)

    def links(self, entity: Entity) -> list[Pid | Port]:
        """The identifiers that an entity is linked to, in order."""
        with self.lock:
            return sorted(entity.bonds.value.links, key=_in_order)

    def part(self, id: Pid | Port, entity: Entity) -> tuple[list[Entity], list[tuple[Ref, Any]]]:
        """Take the links and monitors of an entity that ends.

        Returns what was linked, processes before ports and each in the order of their identifiers,
        and the monitors in the order in which they were made.  A fixed order keeps runs that differ
        in nothing else from differing in this.
        """
        with self.lock:
            # Taken in one piece.  Signals and messages are sent after the lock, because to deliver
            # one may be a step at which other threads run.
            bonds, entity.bonds.value = entity.bonds.value, Bonds()
            ids = sorted(bonds.links, key=_in_order)
            # All of them are there: an entity that had ended would have taken its link away.
            linked = [other for other in map(self.find, ids) if other is not None]
            for other in linked:
                other.bonds.change().links.discard(id)
        return linked, list(bonds.monitors.items())


# Exit signals go out in this order.  In C it is that of a hash table, which nothing may rely on;
# any order would do, but it has to be the same in every run of one schedule.
def _in_order(id: Pid | Port) -> tuple[bool, int]:
    return isinstance(id, Port), id.number
