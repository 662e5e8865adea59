"""The BIFs that open, close, list and hand over ports.

A port is locked meanwhile.  If another scheduler holds its lock, the caller's scheduler waits.

Sources: `erl_bif_port.c`, `io.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from driverref.erlang.calling import Calling, Waiting, check_state, find_port, turn
from driverref.erlang.port_options import PortOptions, port_options
from driverref.errors import ErlangError, badarg
from driverref.runtime import callbacks
from driverref.runtime.core import Runtime
from driverref.runtime.driver import ERL_DRV_FLAG_NO_BUSY_MSGQ, ERL_DRV_FLAG_USE_INIT_ACK
from driverref.runtime.driver_state import FINISHING, KILLING
from driverref.runtime.lines import Lines
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CONNECTED
from driverref.runtime.process import Process
from driverref.terms import Atom, Pid, Port


class Ports:
    """The BIFs about ports.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def open_port(self, name: object, options: Sequence[object] = ("binary",)) -> Port:
        """Open a port of a loaded driver.  The calling process is its owner and is linked to it.

        `name` is `("spawn_driver", command)` or `("spawn", command)`, where `command` is a `str` or
        bytes.  The driver is what stands before the first blank of it; a tab is part of the name.
        `start` gets the whole command.

        `options` may hold:

        * `"binary"`: data arrives as a binary, and not as a list of bytes.  Unlike in Erlang, this
          is the default if no options are given.
        * `"eof"`: the port stays open at the end of file.
        * `("line", N)`: data arrives in lines, `{eol, Line}`, or in parts of N bytes of a longer
          line, `{noeol, Part}`; `"line"` is `("line", 512)`.  Only for `driver_output` and
          `driver_output2`.
        * `("busy_limits_msgq", (low, high))`, or `"disabled"`: as `erl_drv_busy_msgq_limits`.
        * `("parallelism", bool)`, which only `port_info` shows.
        * what changes nothing for a linked-in driver: `"stream"`, `"in"`, `"out"`, `"hide"`,
          `"use_stdio"`, `"nouse_stdio"`, `"stderr_to_stdout"`, `"overlapped_io"`, `("cd",
          directory)`, `("env", [(name, value), ...])`, and `("packet", N)`, which excludes `line`.

        Raises `badarg` if no such driver is loaded, and `enfile` if the port table is full.  If
        `start` or `erl_drv_init_ack` refuses, raises what it asked for: `einval`, `badarg`, or the
        name of an errno.
        `("spawn", ...)` without a driver would run an OS program in Erlang.  Here it raises
        `enoent`.  Stands for `erlang:open_port/2`.
        """
        runtime = self.runtime
        with Calling(runtime, "open_port") as process:
            found = port_options(runtime.release, options)
            how, command = _command(name)
            port = None
            while port is None:
                driver = self._driver(command)
                if driver is None:
                    what = f"no driver {_driver_name(command)!r} is loaded"
                    if how == "spawn" and command:
                        what += ", and OS programs are not modelled"
                        raise ErlangError("enoent", f"open_port: {what}")
                    raise ErlangError("badarg", f"open_port: {what}")
                limits = found.msgq_limits not in (None, "disabled")
                if limits and driver.flag(ERL_DRV_FLAG_NO_BUSY_MSGQ):
                    raise ErlangError("badarg", f"open_port: {driver.name!r} has NO_BUSY_MSGQ")
                with process.scheduler.mutex:
                    port = self._open(process, driver, command, found)
            if port.driver.flag(ERL_DRV_FLAG_USE_INIT_ACK):
                _await_acknowledgement(process, port)
            return port.id

    def _open(
        self, process: Process, driver: LoadedDriver, command: str, options: PortOptions
    ) -> ErlDrvPort | None:
        """Make the port and run `start`.  `None` if the driver has gone, or is another, since."""
        runtime = self.runtime
        number = runtime.ports.new_number()
        if number is None:
            raise ErlangError("enfile", "open_port: every slot of the port table is taken")
        port = ErlDrvPort(runtime, driver, process, number)
        # The port is locked before its identifier leads to it.  A process that guesses the
        # identifier waits until `start` has returned.
        with port:
            _apply(port, command, options)
            with runtime.drivers_lock:
                # Looked up again: it may have been unloaded since the first look.
                here = runtime.drivers.get(driver.name) is driver
                if not here or driver.state.value in (KILLING, FINISHING):
                    return None
                runtime.ports.enter(port)
                driver.port_opened(port.id)
            with runtime.driver_code:
                refused = callbacks.start(port, command, process.pid)
        if refused is not None:
            raise ErlangError(refused, f"open_port: start of driver {driver.name!r} failed")
        return port

    def _driver(self, command: str) -> LoadedDriver | None:
        """The driver that `command` names, if a port of it may be opened."""
        driver = self.runtime.driver(_driver_name(command))
        return None if driver is None or driver.state.value is KILLING else driver

    def port_close(self, port: Port | str) -> bool:
        """Close a port.  Any process may.  Returns `True`.

        When this returns, `stop` has run, unless the driver queue is not empty.  Jobs are neither
        cancelled nor waited for.  Raises `badarg` if the port is closing or closed.  Stands for
        `erlang:port_close/1`.
        """
        with Waiting(self.runtime, "port_close") as process:
            handle = find_port(self.runtime, "port_close", port)
            handle.note("port_close")
            with turn(process, handle):
                check_state("port_close", handle, CONNECTED)
                with self.runtime.driver_code:
                    self.runtime.closing.exit(handle, Atom("normal"))
        return True

    def port_connect(self, port: Port | str, pid: Pid) -> bool:
        """Make `pid` the owner and link it to the port.

        The old owner stays linked.  Returns `True`.  Raises `badarg` if the port is not connected
        or the process has ended.  Stands for `erlang:port_connect/2`.
        """
        with Waiting(self.runtime, "port_connect") as process:
            handle = find_port(self.runtime, "port_connect", port)
            if not isinstance(pid, Pid):
                raise badarg("port_connect", "pid", "a living process's Pid", pid)
            with turn(process, handle):
                check_state("port_connect", handle, CONNECTED)
                # Looked up now, because what came before may have ended the process.
                owner = self.runtime.entities.find_process(pid)
                if owner is None:
                    raise badarg("port_connect", "pid", "a living process's Pid", pid)
                handle.owner.value = owner
                self.runtime.entities.link(owner, handle)
        return True

    def ports(self) -> list[Port]:
        """Return the ports that exist, closing ports included.  Stands for `erlang:ports/0`."""
        with Calling(self.runtime, "ports"):
            return [port.id for port in self.runtime.ports]


def _await_acknowledgement(process: Process, port: ErlDrvPort) -> None:
    """Wait until the driver has called `erl_drv_init_ack`, or has failed the port."""
    answer = port.acknowledged
    process.wait_until(f"erl_drv_init_ack for {port.id}", lambda: answer.value is not None)
    if isinstance(reason := answer.value, str):
        raise ErlangError(reason, f"open_port: driver {port.driver.name!r} acknowledged an error")


def _command(name: object) -> tuple[str, str]:
    """How to find the driver, and the command, from the first argument of `open_port`."""
    match name:
        case ("spawn" | "spawn_driver" as how, str() | bytes() as command):
            text = command.decode("latin-1") if isinstance(command, bytes) else command
            if "\0" not in text:
                return how, text
    raise badarg("open_port", "name", '("spawn_driver", "driver arguments")', name)


def _driver_name(command: str) -> str:
    # Only a blank ends it.  A command that begins with one names no driver.
    return command.partition(" ")[0]


def _apply(port: ErlDrvPort, command: str, options: PortOptions) -> None:
    """Give a port what `open_port` was given.  The port's lock is held."""
    port.name = command
    port.binary, port.eof = options.binary, options.eof
    port.parallelism = options.parallelism
    if options.line:
        port.lines = Lines(options.line)
    if options.msgq_limits == "disabled":
        port.senders.limits.value = None
    elif options.msgq_limits is not None:
        port.senders.limits.value = options.msgq_limits
