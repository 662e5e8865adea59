"""Loading drivers, and reloading them: half of Erlang's module `erl_ddll`.

All that loads is `try_load`.  The other functions call it with options, and wait for what it says
is pending: a driver that is loaded while it is being replaced is there when that is done.

To reload is to upgrade a driver in a running node.  A driver is an object here where Erlang has a
file, so the new version is another object with the same name.  The old one goes as if it were
unloaded, and the new one comes in its place (`runtime.loaded_driver`).

Sources: `erl_bif_ddll.c:erl_ddll_try_load_3`; `erl_ddll.erl`; the manual page `erl_ddll(3)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from driverref.erlang.calling import Calling, Waiting
from driverref.erlang.driver_entry import check_entry, version_fits
from driverref.errors import badarg
from driverref.runtime.core import Runtime
from driverref.runtime.driver import Driver
from driverref.runtime.driver_state import PERMANENT
from driverref.runtime.loaded_driver import Event, LoadedDriver, Successor, Watcher
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Ref, Tuple
from driverref.threads.blocking import warn_of_blocking

OK = Atom("ok")

MONITOR_OPTIONS = (("monitor", "pending"), ("monitor", "pending_driver"))
_RELOAD_OPTIONS = (("reload", "pending"), ("reload", "pending_driver"))
_PENDING_DRIVER = ("monitor", "pending_driver")
_RELOAD = ("reload", "pending_driver")
_KILL_PORTS = ("driver_options", ["kill_ports"])

Option = tuple[str, str | Sequence[str]]

_ERRORS = {
    "bad_driver_name": "Bad driver name",
    "driver_incorrect_version": "Driver compiled with incorrect version of erl_driver.h",
    "driver_init_failed": "Driver init failed",
    "inconsistent": (
        "Driver name and/or driver options are inconsistent with currently loaded driver"
    ),
    "load_cancelled": "Loading was cancelled from other process",
    "not_loaded": "DDLL driver is not loaded",
    "not_loaded_by_this_process": "DDLL driver was not loaded by this process",
    "pending_process": "Driver is loaded by others when attempting option {reload, pending_driver}",
    "pending_reload": "Driver reloading is already pending",
    "permanent": "DDLL driver is permanent an cannot be unloaded/loaded",
}


class DriverLoading:
    """The functions of `erl_ddll` that load drivers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def load_driver(self, driver: Driver) -> object:
        """Load a driver for the calling process.  Unloading it will kill its ports.

        Returns `ok`, or `{error, Reason}`.  The reason is `driver_incorrect_version` if it was
        compiled for an interface that the emulator does not have, and `driver_init_failed` if its
        `init` refuses.  It is `bad_driver_name` if another driver of that name is loaded, or this
        one by `load`.  It is `permanent` if this driver cannot be unloaded any more.  While the
        driver is being reloaded the call waits; `load_cancelled` means that it was given up.

        A process may load a driver several times, and has to unload it as often.  Its end gives the
        driver up, and so kills the ports unless another process has loaded it.  To load a driver
        that waits to be unloaded cancels the unloading.  The processes that monitor the driver then
        get `{'UP', Ref, driver, Name, unload_cancelled}`.

        Raises `TypeError` for a driver that cannot be called: a callback that takes other
        parameters, is an `async def` or a generator; a public method that looks like a misspelt
        callback.  Stands for `erl_ddll:load_driver/2`, with the driver itself in place of its file.
        """
        return self._load("load_driver", driver, [_KILL_PORTS])

    def load(self, driver: Driver) -> object:
        """As `load_driver`, but unloading the driver will wait for its ports.  Since R11B-3.

        Stands for `erl_ddll:load/2`.
        """

        def check() -> None:
            check_bif(self._runtime.release, "erl_ddll:load", "R11B-3")

        return self._load("load", driver, [], check)

    def reload(self, driver: Driver) -> object:
        """Put `driver` in the place of the one of its name, which `load` has loaded.

        It waits until the ports of that one are closed and its jobs done.  Then `finish` of the old
        and `init` of the new driver are called.

        Returns `ok`, or `{error, Reason}`.  The reason is `pending_process` unless the calling
        process alone has loaded the driver, and once.  It is `bad_driver_name` if the driver was
        loaded by `load_driver`, and `not_loaded` if it is not.  If the new driver is refused, the
        reason is that of `load_driver`, and none is loaded.  Since R11B-3.  Stands for
        `erl_ddll:reload/2`.
        """

        def check() -> None:
            check_bif(self._runtime.release, "erl_ddll:reload", "R11B-3")

        return self._load("reload", driver, [_RELOAD], check)

    def reload_driver(self, driver: Driver) -> object:
        """As `reload`, of a driver that `load_driver` has loaded, and whose ports are killed.

        Stands for `erl_ddll:reload_driver/2`.
        """

        def check() -> None:
            check_bif(self._runtime.release, "erl_ddll:reload_driver", "R11B-3")

        return self._load("reload_driver", driver, [_RELOAD, _KILL_PORTS], check)

    def try_load(self, driver: Driver, options: Sequence[Option] = ()) -> Tuple:
        """Load a driver, or have it loaded in place of the one that has its name.

        `options` may hold:

        * `("driver_options", ["kill_ports"])`: unloading the driver will kill its ports.
        * `("reload", "pending_driver")`: replace the driver, which no other process has loaded.
        * `("reload", "pending")`: replace it for all processes that have loaded it.
        * `("monitor", "pending_driver")` or `("monitor", "pending")`: the answer has a third
          element, the `Ref` of a monitor with `loaded`, if it is pending.

        Returns `{ok, loaded}`, `{ok, already_loaded}`, or, while the driver is being replaced,
        `{ok, pending_driver, Ref}` to one that loads it.  With `reload` it is `{ok,
        pending_driver}` or `{ok, pending_process}`.  Both mean that the driver will be replaced
        when its ports are closed and its jobs done; with `kill_ports` they are killed.

        `{error, Reason}` has the reasons of `load_driver`, but `inconsistent` in place of
        `bad_driver_name`.  With `reload` it is also `not_loaded`, `not_loaded_by_this_process`,
        `pending_process`, or `pending_reload` if the driver is being replaced already.  Since
        R11B-3.  Stands for `erl_ddll:try_load/3`.
        """
        with Calling(self._runtime, "try_load") as process:
            check_bif(self._runtime.release, "erl_ddll:try_load", "R11B-3")
            return self._try_load(process, "try_load", driver, options)

    def format_error(self, reason: str) -> str:
        """The text of a reason that a function of `erl_ddll` has returned.

        Raises `badarg` for any other.  Since R11B-3.  Stands for `erl_ddll:format_error/1`.
        """
        with Calling(self._runtime, "format_error"):
            check_bif(self._runtime.release, "erl_ddll:format_error", "R11B-3")
            if not isinstance(reason, str) or reason not in _ERRORS:
                raise badarg("erl_ddll.format_error", "reason", "a reason of erl_ddll", reason)
            return _ERRORS[reason]

    # How they do it.

    def _load(
        self,
        call: str,
        driver: Driver,
        options: list[Option],
        check: Callable[[], None] = lambda: None,
    ) -> object:
        """Load, and wait for what is pending.  `check` refuses where a release lacks the call."""
        with Calling(self._runtime, call) as process:
            check()
            answer = self._try_load(process, call, driver, [_PENDING_DRIVER, *options])
            if answer[0] == "error":
                # For programs that know the module as it was before R11B-2.
                return failed("bad_driver_name") if answer[1] == "inconsistent" else answer
            if len(answer) == 2:
                return OK
        with Waiting(self._runtime, call) as process:
            message: Any = process.next_message(partial(_is_about, answer[2]), None)
            match message[-1]:
                case "loaded":
                    return OK
                case ("load_failure", reason):
                    return failed(reason)
                case reason:
                    return failed(reason)

    def _try_load(
        self, process: Process, call: str, driver: Driver, options: Sequence[Option]
    ) -> Tuple:
        check_entry(call, driver)
        if self._runtime.threads.simulated:
            warn_of_blocking(type(driver))
        kill_ports, reload, monitored = _read(call, options)
        self._runtime.note(process.scheduler.name, call, driver.driver_name)
        cancelled, kill, pending = False, False, None
        with process.scheduler.mutex:
            # Meanwhile no driver is replaced.
            with self._runtime.loading:
                # One look and one entry under the lock: once the process is a user, no other
                # process can unload the driver.
                with self._runtime.drivers_lock:
                    loaded = self._runtime.drivers.get(driver.driver_name)
                    if loaded is not None:
                        if reason := _refused(loaded, process, driver, kill_ports, reload):
                            return failed(reason)
                        if reload is not None:
                            make = partial(self._make, driver, kill_ports)
                            kill = loaded.reload(Successor(driver, kill_ports, make))
                        else:
                            self._use(loaded, process)
                            monitored = loaded.successor.value is not None
                            cancelled = not monitored and loaded.keep()
                        if monitored:
                            pending = watch(loaded, process, "loaded")
                # Without that lock, which `tell` takes itself.
                if loaded is None:
                    return self._load_new(process, driver, kill_ports, reload)
                if cancelled:
                    loaded.tell("UP", "unload_cancelled", "unloaded")
            if reload is not None:
                with self._runtime.driver_code:
                    loaded.let_go(kill)
        how = "pending_process" if reload == "pending" else "pending_driver"
        if pending is not None:
            return Tuple((OK, Atom(how), pending))
        return Tuple((OK, Atom("already_loaded" if reload is None else how)))

    def _load_new(
        self, process: Process, driver: Driver, kill_ports: bool, reload: str | None
    ) -> Tuple:
        """Load a driver whose name no other has."""
        if reload is not None:
            return failed("not_loaded")
        made = self._make(driver, kill_ports)
        if isinstance(made, str):
            return failed(made)
        with self._runtime.drivers_lock:
            self._runtime.drivers[driver.driver_name] = made
            self._use(made, process)
        return Tuple((OK, Atom("loaded")))

    def _make(self, driver: Driver, kill_ports: bool) -> LoadedDriver | str:
        """Run `init`.  Returns the driver, or the reason why it is refused."""
        if not version_fits(driver, self._runtime.release):
            return "driver_incorrect_version"
        made = self._runtime.driver_type(self._runtime, driver, kill_ports)
        # Without the lock of the table: `init` is the driver's code and may take its time.
        with self._runtime.driver_code:
            accepted = made.init()
        return made if accepted else "driver_init_failed"

    def _use(self, loaded: LoadedDriver, process: Process) -> None:
        """Count that the process has loaded the driver once more.  `drivers_lock` is held."""
        loaded.users.change()[process.pid] += 1
        process.uses_drivers = True


def _refused(
    loaded: LoadedDriver, process: Process, driver: Driver, kill_ports: bool, reload: str | None
) -> str | None:
    """Why a driver is not loaded, or reloaded, where one of its name is.  The lock is held."""
    if loaded.state.value is PERMANENT:
        return "permanent"
    successor = loaded.successor.value
    if reload is None:
        source, kill = loaded.source, loaded.kill_ports
        if successor is not None:
            source, kill = successor.source, successor.kill_ports
        return None if source is driver and kill is kill_ports else "inconsistent"
    if successor is not None:
        return "pending_reload"
    users = loaded.users.value
    if not loaded.pending():
        if reload == "pending_driver" and users != {process.pid: 1}:
            return "pending_process"
        if loaded.kill_ports is not kill_ports:
            return "inconsistent"
    return None if process.pid in users else "not_loaded_by_this_process"


def _read(call: str, options: object) -> tuple[bool, str | None, bool]:
    """What the options say: to kill ports, how to reload, and whether to monitor that."""
    kill_ports, reload, monitored = False, None, False
    expected = "a list of reload, monitor and driver_options"
    if not isinstance(options, list | tuple):
        raise badarg(call, "options", expected, options)
    for option in options:
        match option:
            case ("driver_options", [*words]) if all(word == "kill_ports" for word in words):
                kill_ports = kill_ports or bool(words)
            case ("reload", "pending" | "pending_driver" as reload):
                pass
            case ("monitor", "pending" | "pending_driver"):
                monitored = True
            case _:
                raise badarg(call, "options", expected, options)
    return kill_ports, reload, monitored


def watch(loaded: LoadedDriver, process: Process, event: Event) -> Ref:
    """Enter a monitor of a driver.  `drivers_lock` is held."""
    ref = loaded.runtime.new(Ref)
    loaded.monitors.change()[ref] = Watcher(process, event)
    return ref


def _is_about(ref: object, message: Any) -> bool:
    """Whether this is the message of a monitor."""
    return isinstance(message, tuple) and len(message) == 5 and message[1] == ref


def failed(reason: object) -> Tuple:
    """`{error, Reason}`."""
    return Tuple((Atom("error"), Atom(reason) if isinstance(reason, str) else reason))
