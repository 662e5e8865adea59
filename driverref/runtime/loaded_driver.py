"""A driver in the emulator's memory: what keeps it there, and how it goes.

A driver stays while a process uses it, a port of it is open, or a job of it is in flight, because
the job's code is the driver's.  So unloading is a request:

    give_up: asked for -> ports close, or are killed; jobs are done
        -> finish_if_idle, wherever one of them goes: `finish`, and the driver is gone

A driver is *reloaded* if it was given up with a successor.  Its users keep it as long as ports and
jobs do, and no longer; then `finish` of the one and `init` of the other run, and the users have the
new one.  Meanwhile whatever asks for the driver by its name waits (`Runtime.driver`).

Which state follows which is the table in `driver_state`.  What is counted here, users, ports and
jobs, is changed by several schedulers, under the lock of the table of drivers where two of the
counts have to agree.

Source: `erl_bif_ddll.c`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, MutableMapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from driverref.runtime.core import Runtime
from driverref.runtime.driver import CALLBACKS, ERL_DRV_FLAG_USE_PORT_LOCKING, Driver
from driverref.runtime.driver_state import (
    DRIVER_TRANSITIONS,
    FINISHING,
    KILLING,
    LOADED,
    PERMANENT,
    UNLOADED,
    UNLOADING,
)
from driverref.runtime.port_lock import PortLock
from driverref.runtime.process import Process
from driverref.terms import Atom, Pid, Port, Ref, String, Tuple
from driverref.threads import Cell, running


def told(how: str, ref: Ref, name: str, why: object) -> Tuple:
    """The message about a monitored driver: `how` is `"DOWN"` or `"UP"`.

    `name` is an atom, but in a message that comes at once: there it is the string that `monitor`
    was given.
    """
    given = name if isinstance(name, Atom) else String(name)
    why = Atom(why) if isinstance(why, str) else why
    return Tuple((Atom(how), ref, Atom("driver"), given, why))


Event = Literal["loaded", "unloaded", "unloaded_only"]
"""What a process waits for that monitors a driver; `unloaded_only` is not told of a cancelling."""
EVENTS: tuple[Event, ...] = ("loaded", "unloaded", "unloaded_only")


class Watcher(NamedTuple):
    """A process that monitors a driver."""

    process: Process
    event: Event


class Successor(NamedTuple):
    """The driver that takes the place of one that is reloaded."""

    source: Driver
    kill_ports: bool
    make: Callable[[], LoadedDriver | str]
    """Runs `init`, and returns the driver, or the reason why it is refused."""


class LoadedDriver:
    """A driver in the emulator's memory."""

    def __init__(self, runtime: Runtime, source: Driver, kill_ports: bool) -> None:
        threads, release = runtime.threads, runtime.release
        self.runtime = runtime
        # What was given to `load_driver`, to know it again.
        self.source = source
        # What the emulator has copied of it, as it copies an `ErlDrvEntry`: the callbacks that the
        # release knows.  One that it does not know is not called, and is not missed.
        self.entry: Any = SimpleNamespace(
            **{
                name: runtime.trace.watched(getattr(source, name))
                if name in release.callbacks
                else None
                for name in CALLBACKS
            }
        )
        # The callback that gets a command in the ordinary case, for `output_at_once`.
        self.plain_output = self.entry.output if self.entry.outputv is None else None
        # A flag that the release does not know is no error.  It has no effect.
        self.flags = source.driver_flags & release.driver_flags
        self.name = source.driver_name
        # Whether it was loaded so that unloading it kills its ports: by `load_driver`, not `load`.
        self.kill_ports = kill_ports
        self.state = threads.cell(LOADED)
        # The lock of all its ports; `None` if each port has one of its own.  A driver of before
        # there were several schedulers expects that none of its callbacks runs beside another.
        self.lock: PortLock | None = None
        if not self.flag(ERL_DRV_FLAG_USE_PORT_LOCKING):
            self.lock = self._new_lock(f"driver {self.name}")
        # The identifiers of its ports, by number; and of ports that are closed and have jobs in
        # flight.  Two tables, because `unload` kills the first and waits for the second.
        self._ports: MutableMapping[int, Port] = threads.table()
        self._lingering: MutableMapping[int, Port] = threads.table()
        # The processes that have loaded it, and how often.  Each has to unload it as often.
        self.users: Cell[Counter[Pid]] = threads.cell(Counter())
        # The processes that want to know that it is unloaded, or will not be; or, of a driver that
        # is reloaded, that the other is loaded.
        self.monitors: Cell[dict[Ref, Watcher]] = threads.cell({})
        # What is loaded in its place when it is gone.
        self.successor: Cell[Successor | None] = threads.cell(None)

    # For `erl_ddll:info`.

    def port_count(self) -> int:
        """How many ports it has."""
        return len(self._ports)

    def waiting(self, *events: Event) -> Counter[Pid]:
        """The processes that wait for one of these events, and how often."""
        watchers = self.monitors.value.values()
        return Counter(watcher.process.pid for watcher in watchers if watcher.event in events)

    def flag(self, flag: int) -> bool:
        """Whether the entry carries this `ERL_DRV_FLAG_*`, and the release knows it."""
        return bool(self.flags & flag)

    def lock_for_port(self, port: Port) -> PortLock:
        """The lock that the callbacks of `port` run under."""
        return self.lock or self._new_lock(str(port))

    def _new_lock(self, whose: str) -> PortLock:
        return PortLock(self.runtime.threads, whose, contended=len(self.runtime.schedulers) > 1)

    def transit(self, event: str) -> None:
        """Go to the next state.

        An event that the state does not know raises and changes nothing.
        """
        try:
            self.state.value = DRIVER_TRANSITIONS[self.state.value][event]
        except KeyError:
            state = self.state.value.value
            raise AssertionError(
                f"driver {self.name!r}, {state}, cannot follow {event!r}"
            ) from None

    def pending(self) -> bool:
        """Whether its unloading was asked for and has not come to an end."""
        return self.state.value in (UNLOADING, KILLING, FINISHING)

    # What keeps it in memory.

    def port_opened(self, port: Port) -> None:
        """Count a port in.  With the lock of the table of drivers held."""
        # Before `start` runs, so that the driver is not unloaded under it.
        self._ports[port.number] = port

    def port_gone(self, port: Port, jobs: int) -> None:
        """Count a port out; until they are done, its jobs keep the driver in its place."""
        # Entered in the one table before it leaves the other.  Between the two the driver would
        # look unused to another scheduler.
        if jobs:
            self._lingering[port.number] = port
        del self._ports[port.number]
        self.finish_if_idle()

    def job_done(self, port: Port) -> None:
        """Count out the last job of a port that is closed."""
        # A port that had no jobs when it was closed is in neither table by now.
        if port.number in self._lingering:
            del self._lingering[port.number]
        self.finish_if_idle()

    def idle(self) -> bool:
        """Whether neither a user nor a port nor a job keeps the driver in memory."""
        # A driver that was given up has a user only while its last one ends (`user_ends`), or if it
        # is reloaded: then it is no longer what they use.
        used = self.users.value and not self.successor.value
        return not (used or self._ports or self._lingering)

    def has_jobs(self) -> bool:
        """Whether a job of the driver is in flight."""
        ports = map(self.runtime.ports.find, self._ports.values())
        return bool(self._lingering) or any(port.jobs for port in ports if port is not None)

    # Its callbacks without a port.

    def init(self) -> bool:
        """Run `init`, if there is one.  Whether the driver may be loaded."""
        # Before the driver is in the table, so no port of it can be open while `init` runs.
        return self._run("init") in (None, 0)

    def _run(self, name: str) -> Any:
        function, thread = getattr(self.entry, name), running()
        if function is None:
            return None
        self.runtime.note(thread.lane, name, self.name)
        # No port, and so no port's lock.  But it is the driver's code, which may call no BIF.
        with thread.as_driver():
            return function()

    # Unloading.

    def give_up(self, kill: bool) -> None:
        """Have the driver unloaded as soon as nothing needs it; with `kill`, kill its ports."""
        with self.runtime.drivers_lock:
            # Another process may have made it permanent, or unloaded it, since it was looked up.
            if self.state.value in (PERMANENT, FINISHING, UNLOADED):
                return
            reloading = self.successor.value is not None
            kill = self._give_up(kill, None)
        if reloading:
            self.tell("DOWN", "load_cancelled", "loaded")
        self.let_go(kill)

    def reload(self, successor: Successor) -> bool:
        """Have another driver take its place as soon as no port and no job needs this one.

        With the lock of the table held.  Returns what `let_go` needs, which is called without it.
        """
        return self._give_up(self.kill_ports, successor)

    def _give_up(self, kill: bool, successor: Successor | None) -> bool:
        """Change the state.  Returns whether the ports are to be killed.  The lock is held."""
        self.transit("given up")
        self.successor.value = successor
        kill = kill and self.may_kill_ports()
        if kill:
            self.transit("its ports are killed")
        return kill

    def let_go(self, kill: bool) -> None:
        """Kill the ports, or not, and unload the driver if nothing needs it."""
        # The ports are closed without the lock, because `stop` is the driver's code and may take
        # its time.  The state keeps new ones from being opened meanwhile.
        if kill:
            self.kill_the_ports()
        self.finish_if_idle()

    def user_ends(self, pid: Pid) -> bool:
        """A process ends.  Give the driver up if that process is its last user: whether it is.

        The process remains a user until `user_gone`, so that `finish` does not run before that.
        """
        with self.runtime.drivers_lock:
            if self.users.value.keys() != {pid}:
                self.users.change().pop(pid, None)
                return False
        self.give_up(self.kill_ports)
        return True

    def user_gone(self, pid: Pid) -> None:
        """The last user has ended.  Unload the driver if nothing else keeps it."""
        with self.runtime.drivers_lock:
            self.users.change().pop(pid, None)
        self.finish_if_idle()

    def may_kill_ports(self) -> bool:
        """Whether unloading may kill the ports now.  Jobs do not hinder it."""
        return True

    def kill_the_ports(self) -> None:
        """Close every port as `driver_failure` does.  On a scheduler."""
        # Those that are there now, in a fixed order.  Each takes itself out of the table.
        for name in sorted(self._ports.values()):
            port = self.runtime.ports.find(name)
            if port is None:  # closed by another scheduler since
                continue
            # A callback of the driver may be what had it unloaded.  Then its lock is held by this
            # thread.
            with nullcontext() if port.lock.holder is running() else port:
                self.runtime.closing.fail(port, self.unload_reason())

    def unload_reason(self) -> object:
        """The reason with which the ports are killed."""
        # What their owners find in the exit signal.
        return Atom("driver_unloaded")

    def finish_if_idle(self) -> None:
        """Unload the driver if it was given up and neither a port nor a job needs it.

        On a scheduler.
        """
        # Asked wherever a port or a job goes, in most cases of a driver that stays.
        if self.state.value not in (UNLOADING, KILLING):
            return
        reloading = self.successor.value is not None
        # A driver is replaced under the lock of loading, which is taken before that of the table.
        with self.runtime.loading if reloading else nullcontext():
            # Under the lock no port is opened meanwhile, and of two schedulers that are here only
            # one goes on.
            with self.runtime.drivers_lock:
                if self.state.value not in (UNLOADING, KILLING) or not self.idle():
                    return
                successor = self.successor.value
                as_seen = (successor is not None) is reloading
                if as_seen:
                    self.transit("idle")
                    # Out of the table before `finish` runs: a driver of the same name may be loaded
                    # from now on, and is another one.  A successor is waited for.
                    if successor is None:
                        del self.runtime.drivers[self.name]
            if as_seen:
                self._finish(successor)
                return
        # A successor has come since, or has been given up.
        self.finish_if_idle()

    def _finish(self, successor: Successor | None) -> None:
        """Run `finish`, and put the successor in the driver's place if there is one."""
        self._run("finish")
        if successor is None:
            self.transit("finish returned")
        # Told after `finish`, so a process that was told may free what the driver has used.
        self.tell("DOWN", "unloaded", "unloaded", "unloaded_only")
        if successor is not None:
            self._replace(successor)

    def _replace(self, successor: Successor) -> None:
        """Load the driver that takes this one's place."""
        made = successor.make()
        with self.runtime.drivers_lock:
            self.transit("finish returned")
            if isinstance(made, str):
                del self.runtime.drivers[self.name]
            else:
                made.users.value = self.users.value
                self.runtime.drivers[self.name] = made
        if isinstance(made, str):
            self.tell("DOWN", Tuple((Atom("load_failure"), Atom(made))), "loaded")
        else:
            self.tell("UP", "loaded", "loaded")

    def stop(self) -> None:
        """Unload the driver although processes use it: the emulator stops.

        Its ports are closed and its jobs done.
        """
        self.transit("emulator stops")
        self.users.change().clear()
        self.finish_if_idle()

    # Loading it again, and keeping it.

    def keep(self) -> bool:
        """Load the driver once more.

        Whether that has cancelled an unloading.  With the lock of the table held.
        """
        # The driver stays as it is.  `init` is not called again: it was never out of memory.
        cancelled = self.pending()
        self.transit("loaded again")
        return cancelled

    def make_permanent(self) -> None:
        """Keep the driver in memory for ever, even if its unloading was asked for.

        Source: R13B `erl_bif_ddll.c:erts_ddll_lock_driver`.
        """
        # `driver_async` comes here each time, so the look must be cheap.
        if self.state.value is PERMANENT:
            return
        with self.runtime.drivers_lock:
            self.transit("locked")
            self.users.change().clear()
            self.successor.value = None
        for event in EVENTS:
            self.tell("UP", "permanent", event)

    def tell(self, how: str, why: object, *events: Event) -> None:
        """Tell the processes that wait for one of these events, and let them wait no more."""
        with self.runtime.drivers_lock:
            # They are told once, by the one message or the other.
            monitors = self.monitors.change()
            waiting = [ref for ref, watcher in monitors.items() if watcher.event in events]
            watchers = [monitors.pop(ref) for ref in waiting]
        # The last that has set a monitor is told first, as on OTP 25.
        for ref, watcher in zip(reversed(waiting), reversed(watchers), strict=True):
            watcher.process.deliver(told(how, ref, Atom(self.name), why))
        self.runtime.changed()
