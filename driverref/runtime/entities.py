"""What processes and ports have in common: an identifier, links, monitors, exit signals."""

from __future__ import annotations

from typing import Any, Protocol

from driverref.terms import Pid, Port, Ref


class Entity(Protocol):
    """A process or a port, as far as others must know it."""

    links: set[Pid | Port]
    monitors: dict[Ref, Any]

    def lives(self) -> bool:
        """Whether it can be linked and monitored: it has not ended, and has not been told to."""
        ...

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """`sender` ended with `reason` and was linked, or called `exit/2`."""
        ...

    def emulator_down(self) -> None:
        """Ask for nothing any more."""
        ...


def by_number(id: Pid | Port) -> tuple[bool, int]:
    """Processes before ports: an order that is the same in all runs that nobody can tell apart."""
    return isinstance(id, Port), id.number
