"""The names under which processes and ports are registered.

A name leads to one process or port, and each has one name at most.  Whatever ends loses its name
before those that are linked to it, or monitor it, are told.  So a process that has got the message
`'DOWN'` finds the name free.

Source: `register.c`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from driverref.terms import Atom, Pid, Port
from driverref.threads import Threads

if TYPE_CHECKING:
    from driverref.runtime.entities import Entity


class Names:
    """Every registered name of one emulator.  Any thread may call its functions."""

    def __init__(self, threads: Threads) -> None:
        # Held while a name is given or taken away, because that changes both tables.
        self._lock = threads.guard("the registered names")
        self._ids: MutableMapping[str, Pid | Port] = threads.table()
        self._names: MutableMapping[Pid | Port, Atom] = threads.table()

    def find(self, name: str) -> Pid | Port | None:
        """What is registered under a name, or `None`."""
        return self._ids.get(name)

    def of(self, id: Pid | Port) -> Atom | None:
        """The name of a process or a port, or `None`."""
        return self._names.get(id)

    def enter(self, name: str, entity: Entity) -> str | None:
        """Register an entity.  Returns `None`, or why that is refused, and nothing is changed."""
        with self._lock:
            # Looked at under the lock.  What ends does so first and then gives up its name, under
            # the same lock, so no name can be left behind.
            if not entity.lives():
                return f"{entity.id} has ended"
            if (other := self.find(name)) is not None:
                return f"{other} has the name {name}"
            if (old := self.of(entity.id)) is not None:
                return f"{entity.id} has the name {old}"
            self._ids[name], self._names[entity.id] = entity.id, Atom(name)
        return None

    def remove(self, name: str, id: Pid | Port) -> bool:
        """Take the name from what has it.  `False` if that is not `id`."""
        with self._lock:
            if self.find(name) != id:
                return False
            del self._ids[name], self._names[id]
        return True

    def forget(self, id: Pid | Port) -> None:
        """Take its name from what ends."""
        if (name := self.of(id)) is not None:
            self.remove(name, id)

    def all(self) -> list[Atom]:
        """The names, in alphabetical order."""
        return sorted(map(Atom, self._ids))
