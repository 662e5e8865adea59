"""A port, as everything else sees it: its owner, its state, and the parts that do its work.

An `ErlDrvPort` holds together what is a port's: its state, the lock that its callbacks run under,
its owner, and

* `senders`: what waits for it (`senders`);
* `timer`: its one timer (`port_timer`);
* `queue`: its driver queue (`ioq`).

What is done with a port stands elsewhere, each with its own subject: what Erlang asks of it in
`callbacks`, its end in `closing`, its finished jobs in `completions`.

Invariant: what changes a port holds its lock, and is on a scheduler.  Its state, its owner, what
`senders` has and the driver queue are also used without the lock, so they are cells.
"""

from __future__ import annotations

from typing import Any

from driverref.posix import Socket
from driverref.runtime import callbacks
from driverref.runtime.core import Runtime
from driverref.runtime.driver import ERL_DRV_FLAG_NO_BUSY_MSGQ, ErlDrvMonitor
from driverref.runtime.entities import Bonds
from driverref.runtime.ioq import DriverQueue
from driverref.runtime.lines import Lines
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port_lock import PortDataLock, PortLock
from driverref.runtime.port_state import CONNECTED, OPENING, TRANSITIONS, State
from driverref.runtime.process import Process
from driverref.runtime.senders import Senders, signal
from driverref.terms import KILL, NORMAL, Pid, Port, Ref
from driverref.threads import Cell, running


class ErlDrvPort:
    """A port, as the driver holds it: the handle given to `start` and to every call on the port."""

    __slots__ = (
        "_close_reply",
        "_fired",
        "acknowledged",
        "binary",
        "bonds",
        "bytes_in",
        "bytes_out",
        "caller",
        "control_flags",
        "created",
        "driver",
        "drv_data",
        "eof",
        "events",
        "id",
        "jobs",
        "lines",
        "lock",
        "name",
        "number",
        "opener",
        "os_pid",
        "owner",
        "parallelism",
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
        # Twice the same: the record of events holds the number, messages hold the identifier, and
        # neither should have to be made on the hot path.
        self.number = number
        self.id = Port(number)
        self.driver = driver
        # One for each port with `ERL_DRV_FLAG_USE_PORT_LOCKING`, else the driver's.
        self.lock: PortLock = driver.lock_for_port(self.id)
        self.state: Cell[State] = threads.cell(OPENING)
        # What `start` has returned.  Until then, and once `stop` has returned, it is NULL.
        self.drv_data: Any = None
        # The connected process: the one that gets the port's messages.  `port_connect` changes it.
        self.owner = threads.cell(owner)
        # The process that called, while a callback runs that has a caller.
        self.caller: Pid | None = None
        self.bonds = threads.cell(Bonds())
        # A driver that sets `ERL_DRV_FLAG_NO_BUSY_MSGQ` takes whatever comes.
        unlimited = driver.flag(ERL_DRV_FLAG_NO_BUSY_MSGQ)
        self.senders = Senders(threads, None if unlimited else runtime.busy_msgq_limits)
        self.timer = runtime.timer_type(threads)
        # Used under the port's lock, or under the port data lock if there is one.  So two threads
        # may use it that have no lock in common, and the search has to know of it.
        self.queue = threads.cell(DriverQueue())
        # The port data lock, which the driver may create once.  The port holds one reference to it.
        self.pdl: PortDataLock | None = None
        # What `open_port` was given: the command, and the options.
        self.name = ""
        self.binary = self.eof = self.parallelism = False
        self.lines: Lines | None = None
        # The ports that the driver has created in a callback of this one, and whose locks are held
        # until it has returned.
        self.created: list[ErlDrvPort] = []
        # What the driver has sent as data, and what commands have brought it.
        self.bytes_in = self.bytes_out = 0
        # What `set_port_control_flags` has set: whether a reply of `control` is a binary.
        self.control_flags = 0
        # What `erl_drv_set_os_pid` has set.
        self.os_pid: int | None = None
        # Jobs that were accepted and not yet completed.  They outlive the port.
        self.jobs = 0
        # The descriptors that it selects.  A dict for its order.
        self.events: dict[Socket, None] = {}
        # The process whose `open_port` waits for `erl_drv_init_ack`, and what that call is told:
        # the port's identifier, or the reason why it fails.
        self.opener: Process | None = None
        self.acknowledged: Cell[Port | str | None] = threads.cell(None)
        # The process that asked with `Port ! {Owner, close}` and is owed `{Port, closed}`.  It may
        # not be the owner any more when `stop` has run.
        self._close_reply: Process | None = None
        # The monitor whose `process_exit` runs.  In that callback `driver_failure` is not allowed.
        self._fired: ErlDrvMonitor | None = None

    def __repr__(self) -> str:
        return f"<ErlDrvPort {self.id} of {self.driver.name}, {self.state.value.value}>"

    def _repr_html_(self) -> str:
        from driverref.notebook import port

        return port(self)

    def transit(self, event: str) -> None:
        """Go to the next state.

        An event that the state does not know raises and changes nothing.
        """
        # Looked up before anything is changed: an illegal event leaves the port as it was.
        try:
            self.state.value = TRANSITIONS[self.state.value][event]
        except KeyError:
            raise AssertionError(f"{self!r} cannot follow {event!r}") from None

    # The lock.

    # `with port:` stands around everything that changes the port, callbacks among them.

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.leave()
        else:  # the emulator is going down, or a BIF has refused: no callback has run
            self.unlock()

    def leave(self) -> None:
        """Unlock.  Before that, close the port if only the driver queue was waited for."""
        try:
            # Every thread that has held the lock looks, because each may have emptied the driver
            # queue, or have done what a closed port's driver waits for.
            if self.state.value is not CONNECTED:
                self.runtime.closing.epilogue(self)
            self.leave_created()
        except Exception as crash:  # in `stop` or `finish`
            raise self.runtime.fault(crash) from None
        finally:
            self.unlock()

    def leave_created(self) -> None:
        """Leave the ports that the callback has created, the last one first."""
        while self.created:
            self.created.pop().leave()

    def unlock(self) -> None:
        """Unlock, and do nothing else: also the ports that have been created and not left."""
        for port in self.created:
            port.unlock()
        self.lock.release()

    # Callbacks.

    def callback(self, name: str, *args: Any, detail: object = None) -> Any:
        """Run a callback of the entry with the lock held.  A callback that is NULL does nothing."""
        # From the emulator's copy of the entry.  What the driver's class does to itself after it
        # was loaded has no effect, as in C.
        function = getattr(self.driver.entry, name)
        if function is None:
            return None
        self.note(name, detail=detail)
        return function(*args)

    def note(self, name: str, job: int | None = None, detail: object = None) -> None:
        """Record an event of this port, on the running thread's lane."""
        # The lane is the thread's, and not the scheduler's: on a thread of the driver's own there
        # is no scheduler.
        record, now = self.runtime.record, self.runtime.now
        if record is not None:
            record((now(), running().lane, name, self.number, job, detail))

    # As an entity.

    def lives(self) -> bool:
        """Whether it can be linked and monitored: it has not been told to exit."""
        return self.state.value in (OPENING, CONNECTED)

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """Take an exit signal.

        The thread that sends it is on a scheduler and holds no port's lock: a thread that holds one
        sends its exit signals to processes, which take them without a lock.
        """

        def carry_out() -> None:
            # Asked only now.  Since the signal was sent the link may have been undone, and the port
            # may have another owner.
            if broken_link and not self.runtime.entities.unlink_half(self, sender):
                return
            self.runtime.note_exit_signal(sender, self.id, reason)
            # The owner's end closes the port whatever the reason.  Another linked process may end
            # normally.
            if not broken_link or reason != NORMAL or sender == self.owner.value.pid:
                self.runtime.closing.exit(self, reason, kill=reason == KILL and not broken_link)

        signal(self, carry_out, sender)

    def down(self, ref: Ref, reason: object) -> None:
        """Run `process_exit`: a process that the driver monitors has ended.

        The thread holds no port's lock.
        """
        with self:
            # Asked only now: the driver may have given the monitor up, or the port may have ended.
            watch = self.runtime.entities.unwatch(ref, self)
            if watch is not None:
                assert isinstance(watch.id, Pid), "a driver can monitor processes only"
                callbacks.process_exit(self, ErlDrvMonitor(ref, watch.id))
