"""The BIFs of module `erlang` about ports.

A BIF on a port runs the driver's callback in the calling process, under the port's lock.  If
another scheduler holds that lock, the caller's scheduler waits.

`Port ! Message` is different.  If the port is locked, the signal is left with the port, and the
caller goes on.  The signals of one process to one port keep their order all the same, because a BIF
first carries out what waits (`_catch_up`).

The locks are always taken in one order: the scheduler's mutex, the port's lock, the tables.

Sources: `erl_bif_port.c`, `io.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from driverref.erlang.calling import calling, check_options
from driverref.errors import ErlangError, badarg
from driverref.runtime import callbacks, senders
from driverref.runtime.core import Runtime
from driverref.runtime.driver import ERL_DRV_FLAG_SOFT_BUSY
from driverref.runtime.driver_state import KILLING
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSING, CONNECTED, State
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Pid, Port, Tuple, iolist_to_iovec
from driverref.threads import running

BADSIG = Atom("badsig")
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
        process, runtime = calling(self.runtime, "open_port"), self.runtime
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
                raise ErlangError("enoent", f"open_port: {what}, and OS programs are not modelled")
            raise ErlangError("badarg", f"open_port: {what}")
        with process.scheduler.mutex:
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

    def port_command(self, port: Port, data: object, options: Sequence[str] = ()) -> bool:
        """Have the driver's `output` or `outputv` called with `data`, which is iodata.

        Any process may call this.  It waits for the callback, but not for the jobs that the
        callback schedules.  Returns `True`.  If the port is busy, the caller is suspended until it
        is not.  With `"nosuspend"` the result is `False` instead.  With `"force"` the command is
        carried out all the same, or `notsup` is raised if the driver has no
        `ERL_DRV_FLAG_SOFT_BUSY`.

        Raises `badarg` if the port is not connected or the data is not iodata.  Stands for
        `erlang:port_command/2,3`.
        """
        # The checks of `calling`, written out: this is called for each piece of work.
        thread, runtime = running(), self.runtime
        process = thread.process
        if process is None or process.runtime is not runtime or runtime.down or process.doom.value:
            process = calling(runtime, "port_command")
        if type(port) is Port and type(data) is bytes and not options:
            handle = runtime.ports.find(port)
            if handle is not None and callbacks.output_at_once(handle, thread, process, data):
                return True
        check_options("port_command", options, ("force", "nosuspend"))
        if options:
            check_bif(runtime.release, "port_command/3", "R13B03")
        return self._command(process, self._handle("port_command", port), data, options)

    def _command(
        self, process: Process, port: ErlDrvPort, data: object, options: Sequence[str]
    ) -> bool:
        """Carry out a command in the general way, after the wait for a busy port."""
        force = "force" in options
        if force and not port.driver.flag(ERL_DRV_FLAG_SOFT_BUSY):
            raise ErlangError(
                "notsup", f"port_command: driver {port.driver.name!r} lacks SOFT_BUSY"
            )
        while True:
            with process.scheduler.mutex, port:
                # A port that has ended while the sender stood in line may have taken it along.
                process.heed()
                self._catch_up("port_command", port, CONNECTED)
                if not port.senders.busy.value or force:
                    parts = _iodata("port_command", data)
                    with self.runtime.driver_code:
                        callbacks.command(port, parts, process.pid)
                    return True
                if "nosuspend" in options:
                    return False
                senders.suspend(port, process)
            # Without any lock, or the driver could not say that it is no longer busy.
            senders.wait_in_line(port, process)

    def send(self, dest: Pid | Port, message: object) -> object:
        """`Dest ! Message`.  Returns the message.

        A message to a process or a port that is gone is dropped.  A port takes `(owner, ("command",
        data))`, `(owner, "close")` and `(owner, ("connect", pid))`.  Any other message, or another
        sender than the owner, gives the owner the exit signal `badsig`.  Unlike `port_connect`, a
        connect does not link the new owner.

        If the port is locked, the caller does not wait; before R16A it does.  The caller of a
        command is suspended if the port is busy, or if more bytes of commands wait than the port
        allows.  In R7B that holds for any message.  Stands for `erlang:send/2`.
        """
        process = calling(self.runtime, "send")
        if not isinstance(dest, Pid | Port):
            raise badarg("send", "dest", "a Pid or a Port", dest)
        if isinstance(dest, Port):
            port = self.runtime.ports.find(dest)
            if port is not None:
                self._signal(process, port, message)
        else:
            receiver = self.runtime.entities.find_process(dest)
            self.runtime.note(process.scheduler.name, "send", message)
            if receiver is not None:
                receiver.deliver(Tuple(message) if isinstance(message, tuple) else message)
        return message

    def _signal(self, process: Process, port: ErlDrvPort, message: object) -> None:
        """Have a port carry out a message, or leave it there if the port is locked."""
        release, line = self.runtime.release, port.senders
        parts: list[bytes] | None = None
        is_command = False
        match message:
            case (Pid(), ("command", data)):
                is_command = True
                # Here and not when it is carried out: a list may have been changed by then.
                parts = _iodata_or_none(data)
        size = sum(map(len, parts or ()))

        def carry_out() -> None:
            # Asked only now, because the port may have closed while the signal waited.
            if port.state.value is CONNECTED:
                self._carry_out(process, port, message, parts)

        def held_up() -> bool:
            return port.state.value is CONNECTED and line.held_up()

        while True:
            with process.scheduler.mutex:
                if (is_command or release.busy_holds_any_message) and held_up():
                    senders.suspend(port, process)
                    # The port was looked at without its lock.  If it has become free since, its
                    # `resume` may have come before this sender stood in line, and no other would
                    # follow.
                    if not held_up():
                        senders.resume(port)
                # A signal that waits goes first, even if the lock is free: signals keep their
                # order.
                elif line.signals.value or not port.lock.acquire(blocking=release.signals_wait):
                    senders.post(port, carry_out, size)
                    return
                else:
                    try:
                        with self.runtime.driver_code:
                            carry_out()
                    finally:
                        port.leave()
                    return
            senders.wait_in_line(port, process)

    def _carry_out(
        self, process: Process, port: ErlDrvPort, message: object, parts: list[bytes] | None
    ) -> None:
        """Do what a message asks of a connected port, under its lock.

        `parts` is the data of a command, or `None` if it is not iodata.
        """
        owner = port.owner.value
        match message:
            case (Pid() as sender, ("command", _)) if sender == owner.pid and parts is not None:
                callbacks.command(port, parts, sender)
            case (Pid() as sender, "close") if sender == owner.pid:
                # `{Port, closed}` is sent when `stop` has run, which may be much later.
                port._close_reply = owner
                self.runtime.closing.exit(port, Atom("normal"))
            case (Pid() as sender, ("connect", Pid() as new)) if sender == owner.pid and (
                successor := self.runtime.entities.find_process(new)
            ):
                # The new owner has not asked for the port, so it is not linked and may ignore it.
                port.owner.value = successor
                owner.deliver(Tuple((port.id, Atom("connected"))))
            case _:
                owner.exit_signal(port.id, BADSIG)

    def port_control(self, port: Port, operation: int, data: object) -> object:
        """Have `control` called and return its reply.

        Any process may call this, also while the port is busy or closing.  The reply is a binary if
        the driver has set `PORT_CONTROL_FLAG_BINARY`, else a list of bytes.  `operation` is 0 to
        2^32-1, and `data` is iodata.  Raises `badarg` if the port is gone, the driver has no
        `control`, or `control` refuses.  Stands for `erlang:port_control/3`.
        """
        process = calling(self.runtime, "port_control")
        handle = self._handle("port_control", port)
        _check_operation("port_control", operation)
        sent = b"".join(_iodata("port_control", data))
        with process.scheduler.mutex, handle:
            # A port that is closing still answers, until `stop` has run.
            self._catch_up("port_control", handle, CONNECTED, CLOSING)
            with self.runtime.driver_code:
                reply = callbacks.control(handle, operation, sent, process.pid)
        if reply is None:
            raise ErlangError("badarg", f"port_control: driver {handle.driver.name!r} refused it")
        return reply

    def port_call(self, port: Port, operation: int, term: object) -> object:
        """Have `call` called with a term and return the term that it replies.

        May be called, and raises `badarg`, as `port_control`.  Stands for `erlang:port_call/3`.
        """
        process = calling(self.runtime, "port_call")
        check_bif(self.runtime.release, "port_call", "R8B-0")
        handle = self._handle("port_call", port)
        _check_operation("port_call", operation)
        with process.scheduler.mutex, handle:
            self._catch_up("port_call", handle, CONNECTED, CLOSING)
            with self.runtime.driver_code:
                reply = callbacks.call(handle, operation, term, process.pid)
        if reply is None:
            raise ErlangError("badarg", f"port_call: driver {handle.driver.name!r} refused it")
        return reply

    def port_close(self, port: Port) -> bool:
        """Close a port.  Any process may.  Returns `True`.

        When this returns, `stop` has run, unless the driver queue is not empty.  Jobs are neither
        cancelled nor waited for.  Raises `badarg` if the port is closing or closed.  Stands for
        `erlang:port_close/1`.
        """
        process = calling(self.runtime, "port_close")
        handle = self._handle("port_close", port)
        handle.note("port_close")
        with process.scheduler.mutex, handle:
            self._catch_up("port_close", handle, CONNECTED)
            with self.runtime.driver_code:
                self.runtime.closing.exit(handle, Atom("normal"))
        return True

    def port_connect(self, port: Port, pid: Pid) -> bool:
        """Make `pid` the owner and link it to the port.

        The old owner stays linked.  Returns `True`.  Raises `badarg` if the port is not connected
        or the process has ended.  Stands for `erlang:port_connect/2`.
        """
        process = calling(self.runtime, "port_connect")
        handle = self._handle("port_connect", port)
        if not isinstance(pid, Pid):
            raise badarg("port_connect", "pid", "a living process's Pid", pid)
        with process.scheduler.mutex, handle:
            self._catch_up("port_connect", handle, CONNECTED)
            # Looked up after `_catch_up`, which may have ended the process.
            owner = self.runtime.entities.find_process(pid)
            if owner is None:
                raise badarg("port_connect", "pid", "a living process's Pid", pid)
            handle.owner.value = owner
            self.runtime.entities.link(pid, port)
        return True

    def port_info(self, port: Port, item: str | None = None) -> Any:
        """What is known of a port: a list of pairs, or the pair of one item.

        Returns `None` (`undefined`) if the port is gone.  The items are `name`, `links`, `id`,
        `connected`, `os_pid` (undefined) and `queue_size`, which the list leaves out.  Bytes are
        not counted.  Stands for `erlang:port_info/1,2`.
        """
        calling(self.runtime, "port_info")
        if not isinstance(port, Port):
            raise badarg("port_info", "port", "a Port", port)
        if item is not None and item not in INFO_ITEMS:
            raise badarg("port_info", "item", "one of " + ", ".join(INFO_ITEMS), item)
        handle = self.runtime.ports.find(port)
        if handle is None:
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
        calling(self.runtime, "ports")
        return [port.id for port in self.runtime.ports]

    def _catch_up(self, call: str, port: ErlDrvPort, *states: State) -> None:
        """Carry out what waits for the port.  `badarg` if its state is then none of `states`.

        The port's lock is held.
        """
        with self.runtime.driver_code:
            senders.run(port)
        if port.state.value not in states:
            raise _not_open(call, port.id)

    def _handle(self, call: str, port: Port) -> ErlDrvPort:
        """The port that an argument identifies.  `badarg` if there is none."""
        if not isinstance(port, Port):
            raise badarg(call, "port", "a Port", port)
        handle = self.runtime.ports.find(port)
        if handle is None:
            raise _not_open(call, port)
        return handle


def _not_open(call: str, port: Port) -> ErlangError:
    return ErlangError("badarg", f"{call}: {port} is closing or closed, or never was")


def _check_operation(call: str, operation: object) -> None:
    if type(operation) is not int or operation not in range(1 << 32):
        raise badarg(call, "operation", "an int from 0 to 2^32-1", operation)


def _iodata(call: str, data: object) -> list[bytes]:
    """The binaries and runs of bytes in iodata, each in one piece."""
    try:
        return iolist_to_iovec(data)
    except ValueError as error:
        raise ErlangError("badarg", f"{call}: data must be iodata: {error}") from None


def _iodata_or_none(data: object) -> list[bytes] | None:
    """The pieces of a message's iodata, as `_iodata` returns them; `None` if it is no iodata.

    The sender of a message gets no answer, so there is nothing to raise.
    """
    try:
        return iolist_to_iovec(data)
    except ValueError:
        return None
