"""Loading and unloading drivers: Erlang's module `erl_ddll`.

A driver stays in memory while a process uses it, a port is open, or a job is in flight, because the job's
code is the driver's.  Unloading is therefore a request.  `load_driver` and `unload_driver` kill the ports that
stand in the way; `load` and `unload` wait for them.  Jobs are waited for in any case.

`finish` is called on the way out, after the last `async_free`.  Sources: `erl_bif_ddll.c`, `erl_ddll(3)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from driverref.driver import CALLBACKS, Driver, LoadedDriver, unloaded
from driverref.errors import badarg, wrong_type
from driverref.process import Process
from driverref.runtime import Runtime
from driverref.terms import Atom, Pid, Ref, Tuple

OK = Atom("ok")

_USER = Ref(0)
"""Under this reference, which no monitor has, a process's end is reported to `ErlDdll`."""


class ErlDdll:
    """The functions of `erl_ddll`, as methods: `erl.erl_ddll.load_driver(Square())`."""

    def __init__(
        self,
        runtime: Runtime,
        enter: Callable[[str], Process],
        guarded: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._runtime = runtime
        self._enter = enter
        self._guarded = guarded

    def load_driver(self, driver: Driver) -> object:
        """Load a driver for the calling process; unloading it will kill its ports.

        Returns `ok`, or `{error, Reason}`: `driver_init_failed` if its `init` refuses, `inconsistent` if another
        driver of that name is loaded.  A process may load a driver several times, and has to unload it as often.
        Stands for `erl_ddll:load_driver/2`, with the driver itself in place of its file.
        """
        return self._load("load_driver", driver, kill_ports=True)

    def load(self, driver: Driver) -> object:
        """As `load_driver`, but unloading it will wait for its ports.  Stands for `erl_ddll:load/2`."""
        return self._load("load", driver, kill_ports=False)

    def _load(self, call: str, driver: Driver, kill_ports: bool) -> object:
        process = self._enter(call)
        _check_entry(call, driver)
        with process.scheduler.mutex:
            loaded = self._runtime.drivers.get(driver.driver_name)
            if loaded is None:
                loaded = LoadedDriver(self._runtime, driver)
                if driver.init is not None:
                    loaded.note("init")
                    if self._guarded(driver.init) not in (None, 0):
                        return Tuple((Atom("error"), Atom("driver_init_failed")))
                self._runtime.drivers[driver.driver_name] = loaded
            elif loaded.entry is not driver:
                return Tuple((Atom("error"), Atom("inconsistent")))
            loaded.unloading = False
            loaded.kill_ports |= kill_ports
            loaded.users[process.pid] = loaded.users.get(process.pid, 0) + 1
            process.monitors[_USER] = self._user_gone
            return OK

    def unload_driver(self, name: str) -> object:
        """Kill the driver's ports with `driver_unloaded`, wait for its jobs, and unload it.

        Returns `ok` once it is gone, or if others still use it; else `{error, not_loaded}`.  A job that does not
        return keeps this waiting for ever.  Stands for `erl_ddll:unload_driver/1`.
        """
        result = self.try_unload(name, ["kill_ports"], call="unload_driver")
        if isinstance(result, Tuple) and result[1] == "pending_driver":
            process = self._enter("unload_driver")
            process.wait_until(lambda: name not in self._runtime.drivers)
        return OK if isinstance(result, Tuple) and result[0] == "ok" else result

    def unload(self, name: str) -> object:
        """Give the driver up: it is unloaded when its last port is closed and its last job is done.

        Returns `ok` without waiting, or `{error, not_loaded}`.  Stands for `erl_ddll:unload/1`.
        """
        result = self.try_unload(name, [], call="unload")
        return OK if isinstance(result, Tuple) and result[0] == "ok" else result

    def try_unload(
        self, name: str, options: Sequence[str] = (), *, call: str = "try_unload"
    ) -> object:
        """Ask for the driver to be unloaded, now or as soon as nothing needs it.

        With `"kill_ports"` among the options its ports are killed.  Returns `{ok, unloaded}`,
        `{ok, pending_driver}`, `{ok, pending_process}` if other processes use it, or `{error, not_loaded}` or
        `{error, not_loaded_by_this_process}`.  Stands for `erl_ddll:try_unload/2`.
        """
        process = self._enter(call)
        _check_name(call, name)
        if isinstance(options, str) or not set(options) <= {"kill_ports"}:
            raise badarg(call, "options", 'a list of "kill_ports"', options)
        loaded = self._runtime.drivers.get(name)
        if loaded is None:
            return Tuple((Atom("error"), Atom("not_loaded")))
        if process.pid not in loaded.users:
            return Tuple((Atom("error"), Atom("not_loaded_by_this_process")))
        loaded.users[process.pid] -= 1
        if not loaded.users[process.pid]:
            del loaded.users[process.pid]
        if loaded.users:
            return Tuple((OK, Atom("pending_process")))
        with process.scheduler.mutex:
            kill = loaded.kill_ports or "kill_ports" in options
            self._guarded(lambda: self._give_up(loaded, kill))
        gone = self._runtime.drivers.get(name) is not loaded
        return Tuple((OK, Atom("unloaded" if gone else "pending_driver")))

    def _give_up(self, loaded: LoadedDriver, kill: bool) -> None:
        loaded.unloading = True
        loaded.kill_ports = kill
        if kill:
            for port in sorted(loaded.ports):
                handle = self._runtime.ports.get(port.number)
                if handle is not None:
                    with handle:
                        handle.exit(Atom("driver_unloaded"))
        loaded.finish_if_idle()

    def _user_gone(self, pid: Pid) -> None:
        """A process has ended: the drivers that only it had loaded are given up."""
        for loaded in list(self._runtime.drivers.values()):
            if loaded.users.pop(pid, None) is not None and not loaded.users:
                self._give_up(loaded, loaded.kill_ports)

    def monitor(self, kind: str, item: tuple[str, str]) -> Ref:
        """Ask for `{'DOWN', Ref, driver, Name, unloaded}` when a driver has been unloaded.

        `kind` is `"driver"`, `item` is `(name, "unloaded")`.  At once if it is not loaded.  Stands for
        `erl_ddll:monitor/2`.
        """
        process = self._enter("monitor")
        match kind, item:
            case "driver", (str(name), "unloaded"):
                pass
            case _:
                raise badarg("erl_ddll.monitor", "item", '"driver", (name, "unloaded")', (kind, item))
        ref = Ref(self._runtime.number(Ref))
        loaded = self._runtime.drivers.get(name)
        if loaded is None:
            process.deliver(unloaded(ref, name))
        else:
            loaded.monitors[ref] = process
        return ref

    def loaded_drivers(self) -> object:
        """`{ok, Names}`.  Stands for `erl_ddll:loaded_drivers/0`."""
        self._enter("loaded_drivers")
        return Tuple((OK, sorted(self._runtime.drivers)))


def _check_name(call: str, name: object) -> None:
    if not isinstance(name, str):
        raise badarg(call, "name", "a driver's name, a str", name)


def _check_entry(call: str, driver: object) -> None:
    if not isinstance(driver, Driver):
        raise wrong_type(call, "driver", "an instance of a Driver subclass", driver)
    name = type(driver).__name__
    if not isinstance(driver.driver_name, str) or len(driver.driver_name.split()) != 1:
        raise wrong_type(call, f"{name}.driver_name", "a str of one word", driver.driver_name)
    if not isinstance(driver.driver_flags, int):
        raise wrong_type(call, f"{name}.driver_flags", "ERL_DRV_FLAG_* or'ed", driver.driver_flags)
    for callback in CALLBACKS:
        function = getattr(driver, callback)
        if function is not None and not callable(function):
            raise wrong_type(call, f"{name}.{callback}", "a method, or None for NULL", function)
