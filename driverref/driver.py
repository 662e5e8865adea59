"""The driver entry: callbacks, flags, and what NULL means.

`Driver` stands for `ErlDrvEntry`.  A subclass names itself, defines the callbacks it has, and an instance
is loaded with `erl_ddll.load_driver`.  A callback that is not defined is `None` here and NULL in C:

| callback | NULL means |
|---|---|
| `start` | the port opens, its driver data is `None` |
| `outputv` | `output` is called |
| `output` as well | the data is swallowed, `port_command` returns `true` |
| `control`, `call` | `badarg` |
| `timeout`, `ready_input`, `ready_output` | nothing happens |
| `ready_async` | `async_free` gets the data of every job |
| `flush` | a port with a driver queue that is not empty closes when somebody else empties it |
| `process_exit` | `driver_monitor_process` returns -1 |
| `init`, `stop`, `finish`, `stop_select`, `emergency_close` | nothing is called |
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

from driverref.runtime import DRIVERS, Runtime
from driverref.terms import DOWN, Atom, Pid, Port, Ref, Tuple
from driverref.threads import READ, WRITE, Mutex, Thread, running

ERL_DRV_FLAG_USE_PORT_LOCKING = 1 << 0
ERL_DRV_FLAG_SOFT_BUSY = 1 << 1
ERL_DRV_FLAG_NO_BUSY_MSGQ = 1 << 2


class Driver:
    """What `ErlDrvEntry` is in C: subclass it, define callbacks, load an instance.

    | callback | C signature, in Python |
    |---|---|
    | `init()` | once, when loaded; a result other than `None` or 0 refuses the load |
    | `start(port, command)` | returns the driver data: any object, one per `open_port` |
    | `output(drv_data, buf)` | `buf` is a `memoryview`, lent for the call |
    | `outputv(drv_data, ev)` | `ev` is an `ErlIOVec`, lent for the call |
    | `control(drv_data, command, buf)` | returns the reply's bytes, or -1 for `badarg` |
    | `call(drv_data, command, term)` | returns the reply's term, or `None` for `badarg` |
    | `ready_async(drv_data, async_data)` | a job has been done |
    | `timeout(drv_data)` | the port's timer |
    | `flush(drv_data)` | the port closes and its driver queue is not empty |
    | `process_exit(drv_data, monitor)` | a monitored process has ended |
    | `stop(drv_data)` | the port is gone: free the driver data |
    | `finish()` | once, before the driver is unloaded |
    """

    driver_name: ClassVar[str] = ""
    driver_flags: ClassVar[int] = 0

    init: Any = None
    start: Any = None
    stop: Any = None
    output: Any = None
    outputv: Any = None
    control: Any = None
    call: Any = None
    ready_input: Any = None
    ready_output: Any = None
    ready_async: Any = None
    timeout: Any = None
    flush: Any = None
    process_exit: Any = None
    stop_select: Any = None
    finish: Any = None
    emergency_close: Any = None


CALLBACKS = [name for name, default in vars(Driver).items() if default is None]
"""The names of the callbacks, in the order above."""


class PortLock:
    """The lock under which callbacks run, and who holds it.  One per driver, or one per port.

    A process's thread that holds it runs the driver's code, not Erlang's: meanwhile it is no process.

    Whoever gives it back looks at `waiting`.  So who only wants something to be done under it, some time, does
    not have to stand and wait.
    """

    __slots__ = ("_process", "holder", "look", "mutex", "waiting")

    def __init__(self, mutex: Mutex | None, look: Callable[[], None]) -> None:
        self.look = look
        """Makes known that `waiting` is looked at or changed."""
        self.mutex = mutex
        """`None` where there is one scheduler: whoever is on it has the lock, as nobody else can ask for it."""
        self.holder: Thread | None = None
        self._process: Any = None
        self.waiting: deque[Callable[[], None]] = deque()
        """What found the lock taken: work for a scheduler when it is given back."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock and begin to run the driver's code."""
        if self.mutex is not None and not self.mutex.acquire(blocking=blocking):
            return False
        self.holder = thread = running()
        self._process, thread.process = thread.process, None
        return True

    def wait(self, work: Callable[[], None]) -> None:
        """Have `work` done by a scheduler when the lock is given back."""
        self.look()
        self.waiting.append(work)

    def release(self) -> None:
        """The driver's code has run: give the lock back."""
        assert self.holder is not None
        thread, self.holder = self.holder, None
        thread.process = self._process
        if self.mutex is not None:
            self.mutex.release()
            self.pass_on(thread)

    def pass_on(self, thread: Thread) -> None:
        """Have the scheduler of `thread` do the first thing that waits; at its end it looks at the next."""
        self.look()
        if self.waiting:
            with suppress(IndexError):  # somebody else was faster
                thread.scheduler.work.add(self.waiting.popleft())


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
