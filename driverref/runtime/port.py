"""A port, as everything else sees it: who it belongs to, its state, and the parts that do its work.

An `ErlDrvPort` holds together what is a port's: its state, the lock that its callbacks run under, its owner, and

* `senders`: what waits for it (`senders`);
* `timer`: its one timer (`port_timer`);
* `queue`: its driver queue (`ioq`).

What is done with a port stands elsewhere, each with its own subject: what Erlang asks of it in `callbacks`, its end in
`closing`, its finished jobs in `completions`.

Invariant: what changes a port holds its lock, and is on a scheduler.  Its state, its owner, what `senders` has and the
driver queue are also used without the lock, so they are cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driverref.runtime.core import Runtime
from driverref.runtime.driver import ERL_DRV_FLAG_NO_BUSY_MSGQ
from driverref.runtime.entities import Bonds
from driverref.runtime.ioq import DriverQueue
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port_lock import PortDataLock, PortLock
from driverref.runtime.port_state import CONNECTED, OPENING, TRANSITIONS, State
from driverref.runtime.process import Process
from driverref.runtime.senders import Senders
from driverref.terms import KILL, NORMAL, Pid, Port
from driverref.threads import Cell, running

if TYPE_CHECKING:
    pass


class ErlDrvPort:
    """A port, as the driver holds it: the handle given to `start` and to every call on the port."""

    __slots__ = (
        "_close_reply",
        "_telling_exit",
        "binary",
        "bonds",
        "caller",
        "control_flags",
        "driver",
        "drv_data",
        "eof",
        "id",
        "jobs",
        "lock",
        "number",
        "owner",
        "pdl",
        "queue",
        "runtime",
        "senders",
        "state",
        "timer",
    )

    def __init__(self, runtime: Runtime, driver: LoadedDriver, owner: Process, number: int) -> None:
        threads = runtime.threads
        self.runtime = runtime
        self.number = number
        self.id = Port(number)
        self.driver = driver
        self.lock: PortLock = driver.lock_for_port(self.id)
        self.state: Cell[State] = threads.cell(OPENING)
        self.drv_data: Any = None
        self.owner = threads.cell(owner)
        """The connected process: the one that gets the port's messages."""
        self.caller: Pid | None = None
        """The process that called, while a callback runs that has a caller."""
        self.bonds = threads.cell(Bonds())
        limits = runtime.busy_msgq_limits
        self.senders = Senders(threads, None if driver.flag(ERL_DRV_FLAG_NO_BUSY_MSGQ) else limits)
        self.timer = runtime.timer_type(threads)
        self.queue = threads.cell(DriverQueue())
        self.pdl: PortDataLock | None = None
        self.binary = self.eof = False
        """The options of `open_port`."""
        self.control_flags = 0
        self.jobs = 0
        """Jobs that were accepted and not yet completed."""
        self._close_reply: Process | None = None
        """The process that asked with `Port ! {Owner, close}` and is owed `{Port, closed}`."""
        self._telling_exit = False
        """Whether `process_exit` runs, in which `driver_failure` is not allowed."""

    def __repr__(self) -> str:
        return f"<ErlDrvPort {self.id} of {self.driver.name}, {self.state.value.value}>"

    def transit(self, event: str) -> None:
        """Go to the next state.  An event that the state does not know raises and changes nothing."""
        try:
            self.state.value = TRANSITIONS[self.state.value][event]
        except KeyError:
            raise AssertionError(f"{self!r} cannot follow {event!r}") from None

    # The lock.

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.leave()
        else:
            self.lock.release()

    def leave(self) -> None:
        """Unlock.  Before that, close the port if only the driver queue was waited for."""
        try:
            if self.state.value is not CONNECTED:
                self.runtime.closing.epilogue(self)
        except Exception as crash:  # in `stop` or `finish`
            raise self.runtime.fault(crash) from None
        finally:
            self.lock.release()

    # Callbacks.

    def callback(self, name: str, *args: Any, detail: object = None) -> Any:
        """Run a callback of the entry with the lock held.  A callback that is NULL does nothing."""
        function = getattr(self.driver.entry, name)
        if function is None:
            return None
        self.note(name, detail=detail)
        return function(*args)

    def note(self, name: str, job: int | None = None, detail: object = None) -> None:
        """Record an event of this port, on the running thread's lane."""
        record, now = self.runtime.record, self.runtime.now
        if record is not None:
            record((now(), running().lane, name, self.number, job, detail))

    # As an entity.

    def lives(self) -> bool:
        """Whether it can be linked and monitored: it has not been told to exit."""
        return self.state.value in (OPENING, CONNECTED)

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """Take an exit signal.  The thread that sends it is on a scheduler and holds no port's lock."""
        # The owner's end closes the port whatever the reason.  Another linked process may end normally.
        if broken_link and reason == NORMAL and sender != self.owner.value.pid:
            return
        with self:
            self.runtime.closing.exit(self, reason, kill=reason == KILL and not broken_link)
