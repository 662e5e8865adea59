"""What every room of one emulator shares: the seam, the trace, the ledger, the table of identifiers.

The runtime knows that processes and ports exist but not what they are.  Both are *entities*: things with
an identifier that can be linked, monitored and sent an exit signal.  So `process` need not know `port`
and `port` need not know `emulator`; they meet here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from driverref.errors import EmulatorStopped, UseAfterFree
from driverref.memory import Ledger
from driverref.release import Release
from driverref.runtime.entities import Entity, by_number
from driverref.terms import Pid, Port, Ref
from driverref.threads import READ, WRITE, Threads, running
from driverref.trace import Record, Trace

TABLE = "the table of processes and ports"
"""Read by whoever enters or removes something, because these do not disturb each other; written by whoever looks at
the whole of it."""
WAITERS = "the processes that wait for a change"
PORTS = "the ports that are open"
DRIVERS = "the drivers that are loaded"
SLOT = "a slot of the port table"


class Runtime:
    """One emulator's common ground.  Made by `Emulator`; reached as `running().emulator`."""

    def __init__(self, threads: Threads, release: Release, trace: bool | Trace) -> None:
        self.threads = threads
        self.reader = running()
        """The thread that runs the reader's program: the one to be told of a crash."""
        self.release = release
        self.trace = Trace() if isinstance(trace, bool) else trace
        self.record: Record | None = None if trace is False else self.trace.begin(threads.now())
        """Appends an event; `None` where nobody asked for a trace."""
        self.now = threads.now
        self.also = threads.also
        """Makes known that something is touched that no lock guards."""
        self.ledger = Ledger(threads)
        self.lock = threads.guard("the table of drivers, ports and processes")
        """Held while a port is entered, a driver is taken out, a link or a monitor is made or given up."""
        self.entities: dict[Pid | Port, Entity] = {}
        self.ports: dict[int, Any] = {}
        """`port.ErlDrvPort` by number: those that are open, opening or closing."""
        self.slots: dict[int, Any] = {}
        """The same by slot, where the release has slots; `None` in one that is free again."""
        self._last_port = 0
        self.drivers: dict[str, Any] = {}
        """`driver.LoadedDriver` by name."""
        self.schedulers: list[Any] = []
        self.pool: Any = None
        self.numbers: dict[type, Iterator[int]] = {}
        self.waiters: dict[Any, None] = {}
        """`process.Process`: those that wait for something other than a message, in the order in which they began."""
        self.down: str | None = None
        """Why nothing can be asked of the emulator any more, or `None` while it runs."""
        self._crash: BaseException | None = None

    def note(self, lane: str, name: str, detail: object) -> None:
        """Record an event that is no port's."""
        if self.record is not None:
            self.record((self.now(), lane, name, None, None, detail))

    def number(self, kind: type) -> int:
        """The next unused number for a `Port`, a `Pid` or a `Ref`."""
        self.also(kind, WRITE)
        return next(self.numbers.setdefault(kind, itertools.count(1)))

    def enter(self, id: Pid | Port, entity: Entity) -> None:
        """Enter a process or a port."""
        self.also(TABLE, READ)
        self.entities[id] = entity

    def remove(self, id: Pid | Port) -> None:
        """It has ended."""
        self.also(TABLE, READ)
        self.also((type(id), id.number), WRITE)
        del self.entities[id]

    def find(self, id: Pid | Port) -> Entity | None:
        """The process or the port, if it has not ended."""
        if isinstance(id, Port) and self.release.slots:
            return self.find_port(id)  # type: ignore[no-any-return]
        self.also((type(id), id.number), READ)
        return self.entities.get(id)

    def find_port(self, id: Port) -> Any:
        """The `ErlDrvPort`, or `None` if the port has ended or never was.

        Where there are slots, only the slot is looked at: the identifier of a closed port leads to the next one there.
        """
        slots = self.release.slots
        if slots:
            slot = id.number % slots
            self.also((SLOT, slot), READ)
            return self.slots.get(slot)
        self.also((Port, id.number), READ)
        return self.ports.get(id.number)

    def take_slot(self, slot: int, port: Any) -> None:
        """A port is opened, or, with `None`, gone: from now on the identifiers of the slot lead to it, or nowhere."""
        if self.release.slots:
            self.also((SLOT, slot), WRITE)
            self.slots[slot] = port

    def port_number(self) -> int | None:
        """The number of the next port; `None` if every slot of the port table is taken.

        Where there are slots, it is the next free one after the last that was given, never that one; each time round,
        the table's size is added.  Source: R7B `io.c:get_free_port`.
        """
        size = self.release.slots
        if not size:
            return self.number(Port)
        last = self._last_port
        for number in range(last + 1, last + size):
            if self.slots.get(number % size) is None:
                self._last_port = number
                return number
        return None

    def find_driver(self, name: str) -> Any:
        """The `LoadedDriver`, or `None`."""
        self.also(("driver", name), READ)
        return self.drivers.get(name)

    def all(self) -> list[Entity]:
        """The processes and ports that have not ended, oldest first."""
        self.also(TABLE, WRITE)
        known = list(self.entities.items())
        return [entity for _, entity in sorted(known, key=lambda item: by_number(item[0]))]

    def link(self, one: Pid | Port, other: Pid | Port) -> bool:
        """Link two entities.  `False` if one of them has ended."""
        with self.lock:
            this, that = self.find(one), self.find(other)
            if this is None or that is None or not (this.lives() and that.lives()):
                return False
            this.links.add(self._own(other))
            that.links.add(self._own(one))
        return True

    def _own(self, id: Pid | Port) -> Pid | Port:
        """The identifier that an entity was given, where that of another before it leads there too."""
        port = self.find_port(id) if isinstance(id, Port) else None
        return id if port is None else port.id

    def unlink(self, one: Pid | Port, other: Pid | Port) -> None:
        """Undo `link`, whether or not both are still alive."""
        with self.lock:
            for this, that in ((one, other), (other, one)):
                if (entity := self.find(this)) is not None:
                    entity.links.discard(self._own(that))

    def monitor(self, ref: Ref, of: Pid | Port, watcher: object) -> bool:
        """Have `watcher` told when `of` ends.  `False` if it has ended."""
        with self.lock:
            entity = self.find(of)
            if entity is None or not entity.lives():
                return False
            entity.monitors[ref] = watcher
        return True

    def let_go(self, of: Pid | Port) -> tuple[list[Entity], list[tuple[Ref, Any]]]:
        """`of` ends: take away its links and monitors.  Who is to be told of it, in order."""
        with self.lock:
            entity = self.entities[of]
            order = sorted(entity.links, key=by_number)
            linked = [self.entities[other] for other in order]
            watching = list(entity.monitors.items())
            entity.links.clear()
            entity.monitors.clear()
            for other in linked:
                other.links.discard(of)
        return linked, watching

    def changed(self) -> None:
        """A port, a job or a driver is gone: wake every process that may wait for that."""
        self.also(WAITERS, READ)
        for process in list(self.waiters):
            process.wake()

    def crash(self, error: BaseException) -> BaseException | None:
        """An error has left a thread.  Returns what the reader should see; `None` if that was seen already."""
        if self.crash_was_seen():
            return None
        return self.fault(error)

    def fault(self, error: BaseException) -> BaseException:
        """The driver's code raised: the emulator is down.  Returns the error that the caller should raise."""
        if self.down is not None:
            return self._crash or error
        crash = _explained(error)
        # Who else calls raises it in the reader's program.
        if running() is not self.reader and not self.threads.interrupt(crash):
            self._crash = crash
        self.stop_running(f"it crashed with {type(crash).__name__}")
        return crash

    def stop_running(self, why: str) -> None:
        """From now on every BIF refuses."""
        self.down = why
        for entity in list(self.entities.values()):
            entity.emulator_down()

    def crash_was_seen(self) -> bool:
        """Whether the emulator is down and its reader has been told why."""
        return self.down is not None and self._crash is None

    def refusal(self) -> BaseException:
        """What a BIF raises once the emulator is down: to the reader, the first time, the crash itself."""
        if running() is self.reader and self._crash is not None:
            crash, self._crash = self._crash, None
            return crash
        return EmulatorStopped(f"the emulator is not running: {self.down}")


def _explained(error: BaseException) -> BaseException:
    """A buffer used or kept after its callback shows as Python's complaint about a `memoryview`."""
    if isinstance(error, ValueError) and "released memoryview" in str(error):
        what = "used after the callback had returned"
    elif isinstance(error, BufferError):
        what = "kept by something when the callback returned"
    else:
        return error
    advice = "it is lent for the call only: copy it with bytes(buf)"
    fault = UseAfterFree(f"a callback's buffer was {what}; {advice}")
    return fault.with_traceback(error.__traceback__)
