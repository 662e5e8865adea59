"""Loading and unloading drivers: Erlang's module `erl_ddll`.

A driver stays in memory while a process uses it, a port is open, or a job is in flight, because the
job's code is the driver's.  So unloading is a request.  `load_driver` and `unload_driver` kill the
ports that stand in the way.  `load` and `unload` wait for them.  All of them wait for the jobs.

The driver's `finish` is called at the end, after the last `async_free`.  How a driver goes is in
`runtime.loaded_driver`; this file counts the processes that use it.

Sources: `erl_bif_ddll.c`; the manual page `erl_ddll(3)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from driverref.erlang.calling import Calling, Waiting, check_options
from driverref.erlang.driver_entry import check_entry, version_fits
from driverref.errors import badarg
from driverref.runtime.core import Runtime
from driverref.runtime.driver import Driver
from driverref.runtime.driver_state import PERMANENT
from driverref.runtime.loaded_driver import LoadedDriver, told
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Pid, Ref, Tuple

OK = Atom("ok")

_MONITOR_OPTIONS = (("monitor", "pending"), ("monitor", "pending_driver"))
# What `info` tells of a loaded driver.  The lock of the drivers is held.
_ITEMS: dict[str, Callable[[LoadedDriver], object]] = {
    "processes": lambda driver: _counted(driver.users.value),
    "driver_options": lambda driver: [Atom("kill_ports")] if driver.kill_ports else [],
    "port_count": lambda driver: driver.port_count(),
    "linked_in_driver": lambda driver: False,
    "permanent": lambda driver: driver.state.value is PERMANENT,
    "awaiting_load": lambda driver: [],
    "awaiting_unload": lambda driver: _counted(driver.waiting()),
}
_COUNTS = ("processes", "port_count", "awaiting_load", "awaiting_unload")


class ErlDdll:
    """The functions of `erl_ddll`, as methods: `erl.erl_ddll.load_driver(Square())`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loading = runtime.threads.mutex("the loading of drivers")
        """Held while `init` runs: of two processes that load a driver, one finds it loaded."""

    def load_driver(self, driver: Driver) -> object:
        """Load a driver for the calling process.  Unloading it will kill its ports.

        Returns `ok`, or `{error, Reason}`.  The reason is `driver_incorrect_version` if it was
        compiled for an interface that the emulator does not have, and `driver_init_failed` if its
        `init` refuses.  It is `bad_driver_name` if another driver of that name is loaded, or this
        one by `load`.  It is `permanent` if this driver cannot be unloaded any more.

        A process may load a driver several times, and has to unload it as often.  Its end gives the
        driver up, and so kills the ports unless another process has loaded it.  To load a driver
        that waits to be unloaded cancels the unloading.  The processes that monitor the driver then
        get `{'UP', Ref, driver, Name, unload_cancelled}`.

        Raises `TypeError` for a driver that cannot be called: a callback that takes other
        parameters, is an `async def` or a generator; a public method that looks like a misspelt
        callback.  Stands for `erl_ddll:load_driver/2`, with the driver itself in place of its file.
        """
        return self._load("load_driver", driver, kill_ports=True)

    def load(self, driver: Driver) -> object:
        """As `load_driver`, but unloading the driver will wait for its ports.  Since R11B-3.

        Stands for `erl_ddll:load/2`.
        """
        return self._load("load", driver, kill_ports=False)

    def _load(self, call: str, driver: Driver, kill_ports: bool) -> object:
        with Calling(self._runtime, call) as process:
            if not kill_ports:
                check_bif(self._runtime.release, "erl_ddll:load", "R11B-3")
            check_entry(call, driver)
            self._runtime.note(process.scheduler.name, call, driver.driver_name)
            return self._load_checked(process, driver, kill_ports)

    def _load_checked(self, process: Process, driver: Driver, kill_ports: bool) -> object:
        with process.scheduler.mutex, self._loading:
            # One look and one entry under the lock: once the process is a user, no other process
            # can unload the driver.
            with self._runtime.drivers_lock:
                loaded = self._runtime.drivers.get(driver.driver_name)
                if loaded is not None:
                    if loaded.state.value is PERMANENT:
                        return _error("permanent")
                    if not loaded.is_as(driver, kill_ports):
                        return _error("bad_driver_name")
                    cancelled = loaded.keep()
                    self._use(loaded, process)
            # Without that lock, which `tell_cancelled` takes itself.
            if loaded is not None:
                if cancelled:
                    loaded.tell_cancelled()
                return OK
            if not version_fits(driver, self._runtime.release):
                return _error("driver_incorrect_version")
            loaded = self._runtime.driver_type(self._runtime, driver, kill_ports)
            # Without the lock of the table: `init` is the driver's code and may take its time.
            with self._runtime.driver_code:
                accepted = loaded.init()
            if not accepted:
                return _error("driver_init_failed")
            with self._runtime.drivers_lock:
                self._runtime.drivers[driver.driver_name] = loaded
                self._use(loaded, process)
            return OK

    def _use(self, loaded: LoadedDriver, process: Process) -> None:
        """Count that the process has loaded the driver once more.  `drivers_lock` is held."""
        loaded.users.change()[process.pid] += 1
        process.uses_drivers = True

    def unload_driver(self, name: str) -> object:
        """Kill the driver's ports with `driver_unloaded`, wait for its jobs, and unload it.

        Returns `ok` when the driver is gone, if other processes still use it, or if a process loads
        it meanwhile.  Else returns `{error, Reason}` as `try_unload`.  A job that does not return
        keeps this call waiting for ever.  Stands for `erl_ddll:unload_driver/1`.
        """
        with Waiting(self._runtime, "unload_driver") as process:
            # Looked up before the request, after which the table may have no such driver.
            loaded = self._runtime.drivers.get(name) if isinstance(name, str) else None
            result = self._try_unload(process, "unload_driver", name, ["kill_ports"])
            if loaded is not None and result == (OK, "pending_driver"):
                what = f"driver {name!r} to be unloaded"
                process.wait_until(what, lambda: not loaded.pending())
                # A job of the driver may have called `driver_async` during the wait.
                if loaded.state.value is PERMANENT:
                    return _error("permanent")
            return OK if result[0] == OK else result

    def unload(self, name: str) -> object:
        """Give the driver up: it is unloaded when its last port is closed and its last job is done.

        Returns `ok` without waiting, or `{error, Reason}` as `try_unload`.  Since R11B-3.  Stands
        for `erl_ddll:unload/1`.
        """
        with Calling(self._runtime, "unload") as process:
            check_bif(self._runtime.release, "erl_ddll:unload", "R11B-3")
            result = self._try_unload(process, "unload", name, ())
            return OK if result[0] == OK else result

    def try_unload(self, name: str, options: Sequence[str | tuple[str, str]] = ()) -> object:
        """Ask for the driver to be unloaded as soon as nothing needs it.

        With `"kill_ports"` among the options its ports are killed, without `flush`.  A driver that
        `load_driver` has loaded is always unloaded so.

        Returns `{ok, pending_driver}`, although the driver may be gone by then, or `{ok,
        pending_process}` if processes still use it.  With `("monitor", "pending")` the answer has a
        third element, the `Ref` of a monitor as `monitor` sets it; with `("monitor",
        "pending_driver")` only that of a pending driver has.

        The errors are `{error, not_loaded}` and `{error, not_loaded_by_this_process}`.  From R11B-2
        to R14B it is `{error, permanent}` once the driver has called `driver_async`.  Since R11B-3.
        Stands for `erl_ddll:try_unload/2`.
        """
        with Calling(self._runtime, "try_unload") as process:
            check_bif(self._runtime.release, "erl_ddll:try_unload", "R11B-3")
            return self._try_unload(process, "try_unload", name, options)

    def _try_unload(
        self, process: Process, call: str, name: str, options: Sequence[str | tuple[str, str]]
    ) -> Tuple:
        if not isinstance(name, str):
            raise badarg(call, "name", "a driver's name, a str", name)
        check_options(call, options, ("kill_ports", *_MONITOR_OPTIONS))
        self._runtime.note(process.scheduler.name, call, name)
        loaded = self._runtime.drivers.get(name)
        if loaded is None:
            return _error("not_loaded")
        if loaded.state.value is PERMANENT:
            return _error("permanent")
        with process.scheduler.mutex:
            with self._runtime.drivers_lock:
                # A driver without users was given up by the last: any process may ask again, to
                # have its ports killed, for example.
                users = loaded.users.change()
                if users and process.pid not in users:
                    return _error("not_loaded_by_this_process")
                if users:
                    users[process.pid] -= 1
                    if not users[process.pid]:
                        del users[process.pid]
                if users:
                    pending: list[object] = [OK, Atom("pending_process")]
                    if _MONITOR_OPTIONS[0] in options:
                        pending.append(self._watch(loaded, process))
                    return Tuple(pending)
                pending = [OK, Atom("pending_driver")]
                # Before the driver is given up, which may unload it at once.
                if any(option in options for option in _MONITOR_OPTIONS):
                    pending.append(self._watch(loaded, process))
            # Without the lock, because `stop` and `finish` may run in here.
            kill = loaded.kill_ports or "kill_ports" in options
            with self._runtime.driver_code:
                loaded.give_up(kill)
        return Tuple(pending)

    def _watch(self, loaded: LoadedDriver, process: Process) -> Ref:
        """Enter a monitor of the driver's unloading.  `drivers_lock` is held."""
        ref = self._runtime.new(Ref)
        loaded.monitors.change()[ref] = process
        return ref

    def monitor(self, kind: str, item: tuple[str, str]) -> Ref:
        """Ask for `{'DOWN', Ref, driver, Name, unloaded}` when a driver has been unloaded.

        `kind` is `"driver"`, and `item` is `(name, "unloaded")`.  Returns the `Ref`.  If the driver
        is not loaded, the message comes at once.  If its unloading is cancelled, the message is
        `{'UP', Ref, driver, Name, unload_cancelled}` instead.

        With `(name, "loaded")` the message comes at once in every case, because drivers are not
        reloaded here.  It is `{'UP', Ref, driver, Name, loaded}`, `{'DOWN', ..., load_cancelled}`
        if the driver waits to be unloaded, or `{'DOWN', ..., unloaded}` if it is not loaded.
        Of a driver that cannot be unloaded any more, both are told `{'UP', ..., permanent}`.
        `unloaded_only` is not modelled.  Since R11B-3.  Stands for `erl_ddll:monitor/2`.
        """
        with Calling(self._runtime, "monitor") as process:
            check_bif(self._runtime.release, "erl_ddll:monitor", "R11B-3")
            match kind, item:
                case "driver", (str(name), "unloaded" | "loaded" as wanted):
                    pass
                case _:
                    expected = '"driver", (name, "unloaded" or "loaded")'
                    raise badarg("erl_ddll.monitor", "item", expected, (kind, item))
            self._runtime.note(process.scheduler.name, "monitor", Tuple((process.pid, item)))
            # Under the lock, so that the driver is not unloaded between the look and the entry: the
            # message would never come.
            with self._runtime.drivers_lock:
                loaded = self._runtime.drivers.get(name)
                permanent = loaded is not None and loaded.state.value is PERMANENT
                if loaded is not None and wanted == "unloaded" and not permanent:
                    return self._watch(loaded, process)
                how = ("UP", "permanent") if permanent else ("DOWN", "unloaded")
                if loaded is not None and not permanent:
                    how = ("DOWN", "load_cancelled") if loaded.pending() else ("UP", "loaded")
            ref = self._runtime.new(Ref)
            process.deliver(told(how[0], ref, name, how[1]))
            return ref

    def demonitor(self, ref: Ref) -> bool:
        """Undo `monitor`, if the monitor is the caller's.  Returns `True`.

        A message that has come stays in the mailbox.  Since R11B-3.  Stands for
        `erl_ddll:demonitor/1`.
        """
        with Calling(self._runtime, "demonitor") as process:
            check_bif(self._runtime.release, "erl_ddll:demonitor", "R11B-3")
            if not isinstance(ref, Ref):
                raise badarg("erl_ddll.demonitor", "ref", "a Ref", ref)
            self._runtime.note(process.scheduler.name, "demonitor", Tuple((process.pid, ref)))
            with self._runtime.drivers_lock:
                for loaded in self._runtime.drivers.values():
                    if loaded.monitors.value.get(ref) is process:
                        del loaded.monitors.change()[ref]
        return True

    def info(self, name: str, item: str | None = None) -> Any:
        """What is known of a loaded driver: the value of one item, or a list of all as pairs.

        | item | value |
        |---|---|
        | `processes` | the processes that have loaded it, each with how often |
        | `driver_options` | `[kill_ports]` after `load_driver`, `[]` after `load` |
        | `port_count` | its ports, closing ones too |
        | `linked_in_driver` | whether it is part of the emulator, which none is here |
        | `permanent` | whether it can be unloaded no more |
        | `awaiting_load`, `awaiting_unload` | the processes that monitor it, each with how often |

        For a permanent driver the numbers are no longer kept: `processes`, `port_count` and the
        last two are `permanent`.  Raises `badarg` if no such driver is loaded.  Since R11B-3.
        Stands for `erl_ddll:info/1,2`.
        """
        with Calling(self._runtime, "info"):
            check_bif(self._runtime.release, "erl_ddll:info", "R11B-3")
            if item is not None and item not in tuple(_ITEMS):
                raise badarg("erl_ddll.info", "item", "one of " + ", ".join(_ITEMS), item)
            with self._runtime.drivers_lock:
                loaded = self._runtime.drivers.get(name) if isinstance(name, str) else None
                if loaded is None:
                    raise badarg("erl_ddll.info", "name", "the name of a loaded driver", name)
                if item is not None:
                    return _item(loaded, item)
                return [Tuple((Atom(item), _item(loaded, item))) for item in _ITEMS]

    def loaded_drivers(self) -> object:
        """`{ok, Names}`, in alphabetical order.  Stands for `erl_ddll:loaded_drivers/0`."""
        with Calling(self._runtime, "loaded_drivers"):
            return Tuple((OK, sorted(self._runtime.drivers)))


def _item(driver: LoadedDriver, item: str) -> object:
    if item in _COUNTS and driver.state.value is PERMANENT:
        return Atom("permanent")
    return _ITEMS[item](driver)


def _counted(processes: Counter[Pid]) -> list[Tuple]:
    return [Tuple(pair) for pair in sorted(processes.items())]


def _error(reason: str) -> Tuple:
    """`{error, Reason}`."""
    return Tuple((Atom("error"), Atom(reason)))
