"""The BIFs that open, close and hand over ports, and look at them.

A port is locked meanwhile.  If another scheduler holds its lock, the caller's scheduler waits.

Sources: `erl_bif_port.c`, `io.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from driverref.erlang.calling import Calling, Waiting, catch_up, check_options, find_port
from driverref.errors import ErlangError, badarg
from driverref.runtime import callbacks, senders
from driverref.runtime.core import Runtime
from driverref.runtime.driver_state import KILLING
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSING, CONNECTED
from driverref.runtime.process import Process
from driverref.terms import Atom, Pid, Port, Tuple

INFO_ITEMS = ("name", "links", "id", "connected", "os_pid", "queue_size")


class Ports:
    """The BIFs about ports.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def open_port(self, name: object, options: Sequence[str] = ("binary",)) -> Port:
        """Open a port of a loaded driver.  The calling process is its owner and is linked to it.

        `name` is `("spawn_driver", command)` or `("spawn", command)`.  The first word of `command`
        is the driver.  `options` may hold `"binary"`, with which data arrives as a binary and not
        as a list of bytes, and `"eof"`.  Unlike in Erlang, `binary` is the default.

        Raises `badarg` if no such driver is loaded, and `enfile` if the port table is full.  If
        `start` refuses, raises what it asked for: `einval`, `badarg`, or the name of an errno.
        `("spawn", ...)` without a driver would run an OS program in Erlang.  Here it raises
        `enoent`.  Stands for `erlang:open_port/2`.
        """
        runtime = self.runtime
        with Calling(runtime, "open_port") as process:
            match name:
                case ("spawn" | "spawn_driver" as how, str(command)) if command.split():
                    pass
                case _:
                    raise badarg("open_port", "name", '("spawn_driver", "driver arguments")', name)
            check_options("open_port", options, ("binary", "eof"))
            driver = self._driver(command)
            if driver is None:
                what = f"no driver {command.split()[0]!r} is loaded"
                if how == "spawn":
                    what += ", and OS programs are not modelled"
                    raise ErlangError("enoent", f"open_port: {what}")
                raise ErlangError("badarg", f"open_port: {what}")
            with process.scheduler.mutex:
                return self._open(process, driver, command, options)

    def _open(
        self, process: Process, driver: LoadedDriver, command: str, options: Sequence[str]
    ) -> Port:
        """Make the port and run `start`."""
        runtime = self.runtime
        number = runtime.ports.new_number()
        if number is None:
            raise ErlangError("enfile", "open_port: every slot of the port table is taken")
        port = ErlDrvPort(runtime, driver, process, number)
        # The port is locked before its identifier leads to it.  A process that guesses the
        # identifier waits until `start` has returned.
        with port:
            port.binary, port.eof = "binary" in options, "eof" in options
            with runtime.drivers_lock:
                # Looked up again: it may have been unloaded since the first look.
                if self._driver(command) is not driver:
                    raise ErlangError("badarg", f"open_port: {driver.name!r} was unloaded")
                runtime.ports.enter(port)
                driver.port_opened(port.id)
            with runtime.driver_code:
                refused = callbacks.start(port, command, process.pid)
        if refused is not None:
            raise ErlangError(refused, f"open_port: start of driver {driver.name!r} failed")
        return port.id

    def _driver(self, command: str) -> LoadedDriver | None:
        """The driver that `command` names, if a port of it may be opened."""
        driver = self.runtime.drivers.get(command.split(maxsplit=1)[0])
        return None if driver is None or driver.state.value is KILLING else driver

    def port_close(self, port: Port) -> bool:
        """Close a port.  Any process may.  Returns `True`.

        When this returns, `stop` has run, unless the driver queue is not empty.  Jobs are neither
        cancelled nor waited for.  Raises `badarg` if the port is closing or closed.  Stands for
        `erlang:port_close/1`.
        """
        with Waiting(self.runtime, "port_close") as process:
            handle = find_port(self.runtime, "port_close", port)
            handle.note("port_close")
            with process.scheduler.mutex, handle:
                catch_up("port_close", handle, CONNECTED)
                with self.runtime.driver_code:
                    self.runtime.closing.exit(handle, Atom("normal"))
        return True

    def port_connect(self, port: Port, pid: Pid) -> bool:
        """Make `pid` the owner and link it to the port.

        The old owner stays linked.  Returns `True`.  Raises `badarg` if the port is not connected
        or the process has ended.  Stands for `erlang:port_connect/2`.
        """
        with Waiting(self.runtime, "port_connect") as process:
            handle = find_port(self.runtime, "port_connect", port)
            if not isinstance(pid, Pid):
                raise badarg("port_connect", "pid", "a living process's Pid", pid)
            with process.scheduler.mutex, handle:
                catch_up("port_connect", handle, CONNECTED)
                # Looked up after `catch_up`, which may have ended the process.
                owner = self.runtime.entities.find_process(pid)
                if owner is None:
                    raise badarg("port_connect", "pid", "a living process's Pid", pid)
                handle.owner.value = owner
                self.runtime.entities.link(owner, handle)
        return True

    def port_info(self, port: Port, item: str | None = None) -> Any:
        """What is known of a port: a list of pairs, or the pair of one item.

        Returns `None` (`undefined`) if the port is gone.  The items are `name`, `links`, `id`,
        `connected`, `os_pid` (undefined) and `queue_size`, which the list leaves out.  Bytes are
        not counted.  Stands for `erlang:port_info/1,2`.
        """
        with Waiting(self.runtime, "port_info") as process:
            if not isinstance(port, Port):
                raise badarg("port_info", "port", "a Port", port)
            if item is not None and item not in INFO_ITEMS:
                raise badarg("port_info", "item", "one of " + ", ".join(INFO_ITEMS), item)
            handle = self.runtime.ports.find(port)
            if handle is None:
                return None
            with process.scheduler.mutex, handle:
                with self.runtime.driver_code:
                    senders.run(handle)
                if handle.state.value not in (CONNECTED, CLOSING):
                    return None
                values = {
                    "name": handle.driver.name,
                    "links": self.runtime.entities.links(handle),
                    "id": handle.number,
                    "connected": handle.owner.value.pid,
                    "os_pid": None,
                    "queue_size": handle.queue.value.size,
                }
        if item is not None:
            return Tuple((Atom(item), values[item]))
        return [Tuple((Atom(name), values[name])) for name in INFO_ITEMS[:-1]]

    def ports(self) -> list[Port]:
        """The ports that exist, closing ones too.  Stands for `erlang:ports/0`."""
        with Calling(self.runtime, "ports"):
            return [port.id for port in self.runtime.ports]
