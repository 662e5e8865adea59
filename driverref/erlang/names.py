"""The BIFs that register processes and ports under a name.

A name stands in place of a port in `port_command`, `port_control`, `port_call`, `port_close`,
`port_connect` and `port_info`; in place of a port or a process in `send` and `monitor`.  `link`,
`unlink` and `exit` take no name.  A `str` is taken for the atom.

A port has to be locked to get a name or to lose it, and the caller waits for the lock.

Source: `register.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from driverref.erlang.calling import Calling
from driverref.errors import ErlangError, badarg
from driverref.runtime import senders
from driverref.runtime.core import Runtime
from driverref.runtime.entities import Entity
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Pid, Port


class Registering:
    """The BIFs about registered names.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def register(self, name: str, id: Pid | Port) -> bool:
        """Give a process or a port a name.  Returns `True`.

        Raises `badarg` if the name is taken, `id` has a name or has ended, or the name is
        `undefined`.  A port that is closing has ended.  Ports can have names since R8B.  Stands for
        `erlang:register/2`.
        """
        with Calling(self.runtime, "register") as process:
            if not isinstance(name, str) or name == "undefined":
                raise badarg("register", "name", 'an atom, and not "undefined"', name)
            if not isinstance(id, Pid | Port):
                raise badarg("register", "id", "a Pid or a Port", id)
            if isinstance(id, Port):
                check_bif(self.runtime.release, "register of a port", "R8B-0")
            entity = self.runtime.entities.find(id)
            refused: str | None = f"{id} has ended"
            if entity is not None:
                with _locked(process, entity):
                    refused = self.runtime.entities.names.enter(name, entity)
            if refused is not None:
                raise ErlangError("badarg", f"register: {refused}")
        return True

    def unregister(self, name: str) -> bool:
        """Remove a name.  Returns `True`.

        Raises `badarg` if nothing has the name.  Stands for `erlang:unregister/1`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "unregister") as process:
            found = entities.names.find(_name("unregister", name))
            entity = None if found is None else entities.find(found)
            if entity is not None:
                # It may have lost the name before the port was locked.
                with _locked(process, entity):
                    if entities.names.remove(name, entity.id):
                        return True
            raise ErlangError("badarg", f"unregister: nothing has the name {name}")

    def whereis(self, name: str) -> Pid | Port | None:
        """Return the process or the port with this name, or `None` (`undefined`).

        Stands for `erlang:whereis/1`.
        """
        with Calling(self.runtime, "whereis"):
            return self.runtime.entities.names.find(_name("whereis", name))

    def registered(self) -> list[Atom]:
        """Return the names that are taken, sorted.  Stands for `erlang:registered/0`."""
        with Calling(self.runtime, "registered"):
            return self.runtime.entities.names.all()


def _name(call: str, name: object) -> str:
    if not isinstance(name, str):
        raise badarg(call, "name", "an atom", name)
    return name


@contextmanager
def _locked(process: Process, entity: Entity) -> Iterator[None]:
    """Hold a port's lock while it is given a name, or loses it.  A process needs none."""
    if isinstance(entity, ErlDrvPort):
        with process.scheduler.mutex, entity:
            # What was asked of the port before is done first: it may close the port.
            with entity.runtime.driver_code:
                senders.run(entity)
            yield
    else:
        yield
