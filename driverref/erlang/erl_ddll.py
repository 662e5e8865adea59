"""Erlang's module `erl_ddll`: how drivers are given up, watched and looked at.

How they are loaded and reloaded is in `driver_loading`.

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
from driverref.erlang.driver_loading import (
    MONITOR_OPTIONS,
    OK,
    DriverLoading,
    failed,
    watch,
)
from driverref.errors import badarg
from driverref.runtime.driver_state import PERMANENT
from driverref.runtime.loaded_driver import Event, LoadedDriver, told
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Pid, Ref, Tuple

# What `info` tells of a loaded driver.  The lock of the drivers is held.
_ITEMS: dict[str, Callable[[LoadedDriver], object]] = {
    "processes": lambda driver: _counted(driver.users.value),
    "driver_options": lambda driver: [Atom("kill_ports")] if driver.kill_ports else [],
    "port_count": lambda driver: driver.port_count(),
    "linked_in_driver": lambda driver: False,
    "permanent": lambda driver: driver.state.value is PERMANENT,
    "awaiting_load": lambda driver: _counted(driver.waiting("loaded")),
    "awaiting_unload": lambda driver: _counted(driver.waiting("unloaded", "unloaded_only")),
}
_COUNTS = ("processes", "port_count", "awaiting_load", "awaiting_unload")


class ErlDdll(DriverLoading):
    """The functions of `erl_ddll`, as methods: `erl.erl_ddll.load_driver(Square())`."""

    def unload_driver(self, name: str) -> object:
        """Kill the driver's ports with `driver_unloaded`, wait for its jobs, and unload it.

        Returns `ok` when the driver is gone, if other processes still use it, or if a process loads
        it meanwhile.  Else returns `{error, Reason}` as `try_unload`.  A job that does not return
        keeps this call waiting for ever.  Stands for `erl_ddll:unload_driver/1`.
        """
        with Waiting(self._runtime, "unload_driver") as process:
            # Looked up before the request, after which the table may have no such driver.
            loaded = self._runtime.driver(name)
            result = self._try_unload(process, "unload_driver", name, ["kill_ports"])
            if loaded is not None and result == (OK, "pending_driver"):
                what = f"driver {name!r} to be unloaded"
                process.wait_until(what, lambda: not loaded.pending())
                # A job of the driver may have called `driver_async` during the wait.
                if loaded.state.value is PERMANENT:
                    return failed("permanent")
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
        check_options(call, options, ("kill_ports", *MONITOR_OPTIONS))
        self._runtime.note(process.scheduler.name, call, name)
        loaded = self._runtime.driver(name)
        if loaded is None:
            return failed("not_loaded")
        if loaded.state.value is PERMANENT:
            return failed("permanent")
        with process.scheduler.mutex:
            with self._runtime.drivers_lock:
                # A driver without users was given up by the last: any process may ask again, to
                # have its ports killed, for example.
                users = loaded.users.change()
                if users and process.pid not in users:
                    return failed("not_loaded_by_this_process")
                if users:
                    users[process.pid] -= 1
                    if not users[process.pid]:
                        del users[process.pid]
                if users:
                    pending: list[object] = [OK, Atom("pending_process")]
                    if MONITOR_OPTIONS[0] in options:
                        pending.append(watch(loaded, process, "unloaded"))
                    return Tuple(pending)
                pending = [OK, Atom("pending_driver")]
                # Before the driver is given up, which may unload it at once.
                if any(option in options for option in MONITOR_OPTIONS):
                    pending.append(watch(loaded, process, "unloaded"))
            # Without the lock, because `stop` and `finish` may run in here.
            kill = loaded.kill_ports or "kill_ports" in options
            with self._runtime.driver_code:
                loaded.give_up(kill)
        return Tuple(pending)

    def monitor(self, kind: str, item: tuple[str, str]) -> Ref:
        """Monitor a driver: a message says what has become of it.

        `kind` is `"driver"`, and `item` is a pair of its name and one of three words.  Returns the
        `Ref` of the message.

        | word | message | when |
        |---|---|---|
        | `unloaded` | `{'DOWN', Ref, driver, Name, unloaded}` | the driver has been unloaded |
        | | `{'UP', ..., unload_cancelled}` | its unloading is cancelled |
        | `unloaded_only` | `{'DOWN', ..., unloaded}` | the driver has been unloaded |
        | `loaded` | `{'UP', ..., loaded}` | the new driver of a reload is loaded |
        | | `{'DOWN', ..., {load_failure, Reason}}` | the new driver is refused |
        | | `{'DOWN', ..., load_cancelled}` | the driver is given up |

        A reload unloads the old driver.  The message comes at once if there is nothing to wait for.
        For a driver that is not loaded it is `{'DOWN', ..., unloaded}`.  With `loaded` it is
        `{'UP', ..., loaded}` for a driver that is loaded, and `{'DOWN', ..., load_cancelled}` for
        one that waits to be unloaded.  For a driver that cannot be unloaded any more, it is
        `{'UP', ..., permanent}` with each of the three words.  Since R11B-3.  Stands for
        `erl_ddll:monitor/2`.
        """
        with Calling(self._runtime, "monitor") as process:
            check_bif(self._runtime.release, "erl_ddll:monitor", "R11B-3")
            wanted: Event
            match kind, item:
                case "driver", (str(name), "unloaded" | "unloaded_only" | "loaded" as wanted):
                    pass
                case _:
                    expected = '"driver", (name, "unloaded", "unloaded_only" or "loaded")'
                    raise badarg("erl_ddll.monitor", "item", expected, (kind, item))
            self._runtime.note(process.scheduler.name, "monitor", Tuple((process.pid, item)))
            self._runtime.driver(name)
            # Under the lock, so that the driver is not unloaded between the look and the entry: the
            # message would never come.
            with self._runtime.drivers_lock:
                loaded = self._runtime.drivers.get(name)
                if loaded is None:
                    how = ("DOWN", "unloaded")
                elif loaded.state.value is PERMANENT:
                    how = ("UP", "permanent")
                elif wanted != "loaded" or loaded.successor.value is not None:
                    return watch(loaded, process, wanted)
                else:
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
                    watcher = loaded.monitors.value.get(ref)
                    if watcher is not None and watcher.process is process:
                        del loaded.monitors.change()[ref]
        return True

    def info(self, name: str | None = None, item: str | None = None) -> Any:
        """Return facts about a loaded driver: the value of one item, or a list of all as pairs.

        Without a name, of all: a list of pairs of a name and such a list.

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
        Stands for `erl_ddll:info/0,1,2`.
        """
        with Calling(self._runtime, "info"):
            check_bif(self._runtime.release, "erl_ddll:info", "R11B-3")
            if item is not None and item not in tuple(_ITEMS):
                raise badarg("erl_ddll.info", "item", "one of " + ", ".join(_ITEMS), item)
            if name is None and item is None:
                names = sorted(self._runtime.drivers)
                found = [(each, self._runtime.driver(each)) for each in names]
                with self._runtime.drivers_lock:
                    return [Tuple((each, _items(loaded))) for each, loaded in found if loaded]
            loaded = self._runtime.driver(name)
            with self._runtime.drivers_lock:
                if loaded is None:
                    raise badarg("erl_ddll.info", "name", "the name of a loaded driver", name)
                if item is not None:
                    return _item(loaded, item)
                return _items(loaded)

    def loaded_drivers(self) -> object:
        """Return `{ok, Names}`, in alphabetical order.  Stands for `erl_ddll:loaded_drivers/0`."""
        with Calling(self._runtime, "loaded_drivers"):
            return Tuple((OK, sorted(self._runtime.drivers)))


def _items(driver: LoadedDriver) -> list[Tuple]:
    return [Tuple((Atom(item), _item(driver, item))) for item in _ITEMS]


def _item(driver: LoadedDriver, item: str) -> object:
    if item in _COUNTS and driver.state.value is PERMANENT:
        return Atom("permanent")
    return _ITEMS[item](driver)


def _counted(processes: Counter[Pid]) -> list[Tuple]:
    return [Tuple(pair) for pair in sorted(processes.items())]
