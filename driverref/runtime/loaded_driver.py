"""A driver in the emulator's memory: what keeps it there, and how it goes."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

from driverref.runtime.core import DRIVERS, Runtime
from driverref.runtime.driver import CALLBACKS, ERL_DRV_FLAG_USE_PORT_LOCKING, Driver
from driverref.runtime.port_lock import PortLock
from driverref.terms import DOWN, Atom, Pid, Port, Ref, Tuple
from driverref.threads import READ, WRITE, running


def unloaded(ref: Ref, name: str) -> Tuple:
    """The message that a monitored driver is gone."""
    return Tuple((DOWN, ref, Atom("driver"), Atom(name), Atom("unloaded")))


class LoadedDriver:
    """A driver in the emulator's memory: its entry, its lock, and what keeps it there."""

    def __init__(self, runtime: Runtime, entry: Driver, kill_ports: bool) -> None:
        self.runtime = runtime
        release = runtime.release
        self.source = entry
        self.entry: Any = SimpleNamespace(
            **{
                name: getattr(entry, name) if name in release.callbacks else None
                for name in CALLBACKS
            }
        )
        """What the emulator has copied of it: the callbacks that the release knows."""
        self.flags = entry.driver_flags & release.driver_flags
        self.name = entry.driver_name
        self.thing = ("driver", self.name)
        """The driver to those who look at it without a lock, for `touch`."""
        self.lock: PortLock | None = None
        if not self.flag(ERL_DRV_FLAG_USE_PORT_LOCKING):
            self.lock = self._new_lock(f"driver {self.name}")
        self.ports: set[Port] = set()
        self.lingering: set[Port] = set()
        """Closed ports whose jobs have not all been given back."""
        self.users: Counter[Pid] = Counter()
        """Processes that loaded it, and how often."""
        self.kill_ports = kill_ports
        """Whether it was loaded so that unloading it kills its ports."""
        self.unloading = self.killing = False
        """Whether it was given up, and whether with its ports."""
        self.permanent = False
        """Whether it cannot be unloaded any more."""
        self.gone = False
        self.monitors: dict[Ref, Any] = {}

    def finish_if_idle(self) -> None:
        """Unload the driver if it was given up and neither a port nor a job needs it.  On a scheduler."""
        self.runtime.also(self.thing, READ)
        if not self.unloading:
            return
        with self.runtime.lock:  # nobody opens a port meanwhile, nobody else gets as far
            loaded = self.runtime.drivers.get(self.name) is self
            if not (loaded and self.unloading and self.idle()):
                return
            self.runtime.also(self.thing, WRITE)
            self.runtime.also(DRIVERS, READ)
            del self.runtime.drivers[self.name]
        self._run("finish")
        self.runtime.also(self.thing, WRITE)
        self.gone = True
        for ref, process in self.monitors.items():
            process.deliver(unloaded(ref, self.name))
        self.runtime.changed()

    def init(self) -> bool:
        """Run `init`, if there is one.  Whether the driver may be loaded."""
        return self._run("init") in (None, 0) or not self.runtime.release.init_may_refuse

    def give_up(self, kill: bool) -> None:
        """Have it unloaded as soon as nothing needs it; with `kill`, kill its ports, or in old releases its last job
        kills them.
        """
        self.runtime.also(self.thing, WRITE)
        with self.runtime.lock:
            if self.permanent:
                return
            self.unloading = True
        if kill and not (self.runtime.release.unload_waits_for_jobs and self._has_jobs()):
            self._kill_ports()
        self.finish_if_idle()

    def unload_if_jobless(self) -> None:
        """A job is done: unload the driver if that was waited for, where jobs and not ports are waited for."""
        if self.unloading and self.runtime.release.unload_waits_for_jobs and not self._has_jobs():
            if not self.killing:  # else it was a job of a port that is killed
                self._kill_ports()
            self.finish_if_idle()

    def _has_jobs(self) -> bool:
        ports = self.runtime.ports
        return bool(self.lingering) or any(ports[port.number].jobs for port in self.ports)

    def _kill_ports(self) -> None:
        self.killing = True
        reason = self.runtime.release.unload_reason
        for port in sorted(self.ports):
            handle = self.runtime.find_port(port)
            if handle is None:
                continue
            # A callback of the driver may have cancelled the last job: then its lock is held.
            with nullcontext() if handle.lock.holder is running() else handle:
                handle.fail(Atom(reason) if isinstance(reason, str) else reason)

    def is_as(self, entry: Driver, kill_ports: bool) -> bool:
        """Whether it is this driver, loaded in this way."""
        return self.source is entry and self.kill_ports is kill_ports

    def keep(self) -> bool:
        """Somebody loads it: it is not to be unloaded any more.  Whether it was.  With the runtime's lock held."""
        was, self.unloading, self.killing = self.unloading, False, False
        self.runtime.also(self.thing, WRITE)
        return was

    def make_permanent(self) -> None:
        """Keep it in memory for ever, even if its unloading was asked for: nobody uses it, nobody can unload it.

        Source: R13B `erl_bif_ddll.c:erts_ddll_lock_driver`.
        """
        self.runtime.also(self.thing, READ)
        if self.permanent:
            return
        with self.runtime.lock:
            self.keep()
            self.permanent = True
            self.users.clear()
        self.tell_cancelled("permanent")

    def tell_cancelled(self, why: str = "unload_cancelled") -> None:
        """Tell those who wait for the unloading that it will not come."""
        with self.runtime.lock:
            told, self.monitors = self.monitors, {}
        for ref, process in told.items():
            up = (Atom("UP"), ref, Atom("driver"), Atom(self.name), Atom(why))
            process.deliver(Tuple(up))
        self.runtime.changed()

    def _run(self, name: str) -> Any:
        """Run a callback without a port.  The thread that carries a process is none meanwhile."""
        function, thread = getattr(self.entry, name), running()
        if function is None:
            return None
        self.runtime.note(thread.lane, name, self.name)
        process, thread.process = thread.process, None
        try:
            return function()
        finally:
            thread.process = process

    def lock_for_port(self, port: Port) -> PortLock:
        """The lock that the callbacks of `port` run under."""
        return self.lock or self._new_lock(str(port))

    def _new_lock(self, whose: str) -> PortLock:
        contended = len(self.runtime.schedulers) > 1
        mutex = self.runtime.threads.mutex(f"the lock of {whose}") if contended else None
        return PortLock(mutex, partial(self.runtime.also, ("waiting", whose), WRITE))

    def flag(self, flag: int) -> bool:
        """Whether the entry carries this `ERL_DRV_FLAG_*`, and the release knows it."""
        return bool(self.flags & flag)

    def idle(self) -> bool:
        """Whether neither a port nor a job keeps the driver in memory."""
        return not self.ports and not self.lingering
