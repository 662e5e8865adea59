"""Erlang's side, ports: the BIFs of module `erlang` that are about ports.

A BIF on a port runs the driver's callback in the caller, under the port's lock; if another scheduler holds
that lock, the caller's scheduler waits.  `Port ! Message` is different: if the port is locked, the signal is
left with the port and the caller goes on.  Signals of one process to one port keep their order, because a BIF
first carries out what waits.

Sources: `erl_bif_port.c`, `io.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from driverref.erlang.processes import ProcessBifs
from driverref.errors import ErlangError, badarg
from driverref.runtime.core import PORTS
from driverref.runtime.driver import ERL_DRV_FLAG_SOFT_BUSY
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSING, CONNECTED, State
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Pid, Port, Tuple, iolist_to_binary
from driverref.threads import READ, WRITE, running

BADSIG = Atom("badsig")
INFO_ITEMS = ("name", "links", "id", "connected", "os_pid", "queue_size")


class PortBifs(ProcessBifs):
    """The BIFs about ports."""

    def open_port(self, name: object, options: Sequence[str] = ("binary",)) -> Port:
        """Open a port of a loaded driver and link the calling process, its owner, to it.

        `name` is `("spawn_driver", command)` or `("spawn", command)`; the first word of `command` is the driver.
        `options` may hold `"binary"` (data arrives as a binary, not as a list of bytes) and `"eof"`; here, and
        only here, `binary` is the default.  Raises `badarg` if no such driver is loaded, and what `start`
        asked for if it refuses: `einval`, `badarg`, or the name of an errno.  `("spawn", ...)` without a
        driver would run an OS program in Erlang; here it is `enoent`.  Stands for `erlang:open_port/2`.
        """
        process = self._enter("open_port")
        match name:
            case ("spawn" | "spawn_driver" as how, str(command)) if command.split():
                pass
            case _:
                raise badarg("open_port", "name", '("spawn_driver", "driver arguments")', name)
        _check_options("open_port", options, ("binary", "eof"))
        driver = self._driver(command)
        if driver is None:
            what = f"no driver {command.split()[0]!r} is loaded"
            if how == "spawn":
                raise ErlangError("enoent", f"open_port: {what}, and OS programs are not modelled")
            raise ErlangError("badarg", f"open_port: {what}")
        with process.scheduler.mutex:
            number = self.runtime.port_number()
            if number is None:
                raise ErlangError("enfile", "open_port: every slot of the port table is taken")
            port = ErlDrvPort(self.runtime, driver, process, number)
            with port:  # before others can find it: they wait until start has returned
                port.binary, port.eof = "binary" in options, "eof" in options
                with self.runtime.lock:
                    if self._driver(command) is not driver:
                        raise ErlangError("badarg", f"open_port: {driver.name!r} was unloaded")
                    self.runtime.also(PORTS, READ)
                    self.runtime.ports[number] = port
                    self.runtime.take_slot(port.slot, port)
                    self.runtime.enter(port.id, port)
                    driver.ports.add(port.id)
                refused = self._guarded(lambda: port.start(command, process.pid))
        if refused is not None:
            raise ErlangError(refused, f"open_port: start of driver {driver.name!r} failed")
        return port.id

    def _driver(self, command: str) -> LoadedDriver | None:
        """The driver that `command` names, if a port of it may be opened."""
        driver: LoadedDriver | None = self.runtime.find_driver(command.split(maxsplit=1)[0])
        return None if driver is None or driver.killing else driver

    def port_command(self, port: Port, data: object, options: Sequence[str] = ()) -> bool:
        """Have the driver's `output` (or `outputv`) called with `data`, which is iodata.  Any process may.

        The caller waits for the callback, not for jobs it schedules.  If the port is busy the caller is
        suspended until it is not; with `"nosuspend"` the result is `False` instead; with `"force"` the
        command is carried out all the same, or is `notsup` without `ERL_DRV_FLAG_SOFT_BUSY`.  Raises
        `badarg` if the port is not connected or the data is not iodata.  Stands for `erlang:port_command/3`.
        """
        thread = running()
        process = thread.process
        if process is None or process.attention or process.runtime is not self.runtime:
            process = self._enter("port_command")
        # The ordinary case is written out, because it is the hot path; all others are in _command.  Functions
        # held in attributes are called through local names, which CPython 3.11 does much faster.
        runtime = self.runtime
        if type(port) is Port and type(data) is bytes and not options:
            runtime.also(process.signals, READ)
            handle = runtime.find_port(port)
        else:
            handle = None
        if handle is not None and type(data) is bytes:
            lock, output, record = handle.lock, handle.output, runtime.record
            turn, mutex = process.scheduler.mutex, lock.mutex
            turn.acquire()
            try:
                if mutex is not None:
                    mutex.acquire()
                    runtime.also(handle.thing, READ)  # a signal is left without the lock
                try:
                    if (
                        output is not None
                        and handle.state is CONNECTED
                        and not handle.busy
                        and not handle.signals
                        and (handle.timer is None or handle.timer.due_for is None)
                    ):
                        lock.holder, thread.process, handle.caller = thread, None, process.pid
                        if record is not None:
                            now = runtime.now
                            record((now(), thread.lane, "output", port.number, None, data))
                        buf = memoryview(data)
                        output(handle.drv_data, buf)
                        buf.release()
                        handle.caller = None
                        return True
                finally:
                    lock.holder, thread.process = None, process
                    if mutex is not None:
                        mutex.release()
                        lock.pass_on(thread)
            except Exception as error:
                raise runtime.fault(error) from None
            finally:
                turn.release()
        _check_options("port_command", options, ("force", "nosuspend"))
        if options:
            check_bif(runtime.release, "port_command/3", "R13B03")
        return self._command(process, self._handle("port_command", port), data, options)

    def _command(
        self, process: Process, port: ErlDrvPort, data: object, options: Sequence[str]
    ) -> bool:
        force = "force" in options
        if force and not port.driver.flag(ERL_DRV_FLAG_SOFT_BUSY):
            raise ErlangError(
                "notsup", f"port_command: driver {port.driver.name!r} lacks SOFT_BUSY"
            )
        while True:
            with process.scheduler.mutex, port:
                self._catch_up("port_command", port, CONNECTED)
                if not port.busy or force:
                    _check_iodata("port_command", data)
                    self._guarded(lambda: port.command(data, process.pid))
                    return True
                if "nosuspend" in options:
                    return False
                port.suspend(process)
            port.wait_in_line(process)

    def send(self, dest: Pid | Port, message: object) -> object:
        """`Dest ! Message`; returns the message.  To a process that is gone it is dropped.

        To a port: `(owner, ("command", data))`, `(owner, "close")` or `(owner, ("connect", pid))`, dropped if
        the port is gone; anything else, or somebody else than the owner, gives the owner the exit signal
        `badsig`.  Unlike `port_connect`, a connect does not link the new owner.

        If the port is locked the caller does not wait; before R16A it does.  With a command it is suspended if the port
        is busy, in R7B with any message, or if more bytes of commands wait already than the port allows.  Stands for
        `erlang:send/2`.
        """
        process = self._enter("send")
        if not isinstance(dest, Pid | Port):
            raise badarg("send", "dest", "a Pid or a Port", dest)
        if isinstance(dest, Port):
            port = self.runtime.find_port(dest)
            if port is not None:
                self._signal(process, port, message)
        else:
            entity = self.runtime.find(dest)
            self.runtime.note(process.scheduler.name, "send", message)
            if isinstance(entity, Process):
                entity.deliver(Tuple(message) if isinstance(message, tuple) else message)
        return message

    def _signal(self, process: Process, port: ErlDrvPort, message: object) -> None:
        release = self.runtime.release
        size, holds = 0, release.busy_holds_any_message
        match message:
            case (Pid(), ("command", data)):
                holds = True
                with suppress(ValueError):  # the port finds out, and answers badsig
                    size = len(iolist_to_binary(data))

        def carry_out() -> None:
            if port.state is CONNECTED:
                self._carry_out(process, port, message)

        def held_up() -> bool:
            self.runtime.also(port.thing, READ)
            return port.state is CONNECTED and (port.busy or port.msgq_full())

        while True:
            with process.scheduler.mutex:
                if holds and held_up():
                    port.suspend(process)
                    if not held_up():
                        port.resume()  # it ended before we were in line: nobody else will
                elif port.has_signals() or not port.lock.acquire(blocking=release.signals_wait):
                    port.post(carry_out, size)
                    return
                else:
                    try:
                        self._guarded(carry_out)
                    finally:
                        port.__exit__(None)
                    return
            port.wait_in_line(process)

    def _carry_out(self, process: Process, port: ErlDrvPort, message: object) -> None:
        """A message to a connected port, under its lock."""
        match message:
            case (Pid() as sender, ("command", data)) if sender == port.owner.pid:
                try:
                    _check_iodata("send", data)
                except ErlangError:
                    port.owner.exit_signal(port.id, BADSIG)
                else:
                    port.command(data, sender)
            case (Pid() as sender, "close") if sender == port.owner.pid:
                port.close_reply = port.owner
                port.exit(Atom("normal"))
            case (Pid() as sender, ("connect", Pid() as new)) if sender == port.owner.pid and (
                owner := self.runtime.find(new)
            ):
                old = port.owner
                self._connect(port, owner)
                old.deliver(Tuple((port.id, Atom("connected"))))
            case _:
                port.owner.exit_signal(port.id, BADSIG)

    def port_control(self, port: Port, operation: int, data: object) -> object:
        """Have `control` called; returns its reply as a binary if the driver set
        `PORT_CONTROL_FLAG_BINARY`, else as a list of bytes.  Any process may, also while the port is busy or closing.

        `operation` is 0 to 2^32-1, `data` iodata.  Raises `badarg` if the port is gone, the driver has no
        `control`, or `control` refuses.  Stands for `erlang:port_control/3`.
        """
        process = self._enter("port_control")
        handle = self._handle("port_control", port)
        _check_operation("port_control", operation)
        sent = _check_iodata("port_control", data)
        with process.scheduler.mutex, handle:
            self._catch_up("port_control", handle, CONNECTED, CLOSING)
            reply = self._guarded(lambda: handle.control(operation, sent, process.pid))
        if reply is None:
            raise ErlangError("badarg", f"port_control: driver {handle.driver.name!r} refused it")
        return reply

    def port_call(self, port: Port, operation: int, term: object) -> object:
        """Have `call` called with a term; returns the term it replies.

        May be called as `port_control`, and raises `badarg` as that does.  Stands for `erlang:port_call/3`.
        """
        process = self._enter("port_call")
        check_bif(self.runtime.release, "port_call", "R8B-0")
        handle = self._handle("port_call", port)
        _check_operation("port_call", operation)
        with process.scheduler.mutex, handle:
            self._catch_up("port_call", handle, CONNECTED, CLOSING)
            reply = self._guarded(lambda: handle.call(operation, term, process.pid))
        if reply is None:
            raise ErlangError("badarg", f"port_call: driver {handle.driver.name!r} refused it")
        return reply

    def port_close(self, port: Port) -> bool:
        """Close a port: any process may.  `stop` has run when this returns, unless the driver queue is not empty.

        Jobs are neither cancelled nor waited for.  Raises `badarg` if the port is closing or closed.  Stands for
        `erlang:port_close/1`.
        """
        process = self._enter("port_close")
        handle = self._handle("port_close", port)
        handle.note("port_close")
        with process.scheduler.mutex, handle:
            self._catch_up("port_close", handle, CONNECTED)
            self._guarded(lambda: handle.exit(Atom("normal")))
        return True

    def port_connect(self, port: Port, pid: Pid) -> bool:
        """Make `pid` the owner, linked to the port; the old owner stays linked.  Stands for `erlang:port_connect/2`."""
        process = self._enter("port_connect")
        handle = self._handle("port_connect", port)
        if not isinstance(pid, Pid):
            raise badarg("port_connect", "pid", "a living process's Pid", pid)
        with process.scheduler.mutex, handle:
            self._catch_up("port_connect", handle, CONNECTED)
            owner = self.runtime.find(pid)
            if owner is None:
                raise badarg("port_connect", "pid", "a living process's Pid", pid)
            self._connect(handle, owner)
            self.runtime.link(pid, port)
        return True

    def _connect(self, port: ErlDrvPort, owner: object) -> None:
        assert isinstance(owner, Process)
        self.runtime.also(port.thing, WRITE)
        port.owner = owner

    def port_info(self, port: Port, item: str | None = None) -> Any:
        """What is known of a port: a list of pairs, or one pair; `None` (`undefined`) if the port is gone.

        The items are `name`, `links`, `id`, `connected`, `os_pid` (undefined) and, only when asked for,
        `queue_size`.  Bytes are not counted.  Stands for `erlang:port_info/1,2`.
        """
        self._enter("port_info")
        if not isinstance(port, Port):
            raise badarg("port_info", "port", "a Port", port)
        if item is not None and item not in INFO_ITEMS:
            raise badarg("port_info", "item", "one of " + ", ".join(INFO_ITEMS), item)
        handle = self.runtime.find_port(port)
        if handle is None:
            return None
        self.runtime.also(handle.thing, READ)
        with self.runtime.lock:
            links = sorted(handle.links, key=lambda pid: pid.number)
        values = {
            "name": handle.driver.name,
            "links": links,
            "id": handle.number,
            "connected": handle.owner.pid,
            "os_pid": None,
            "queue_size": handle.queue_size(),
        }
        if item is not None:
            return Tuple((Atom(item), values[item]))
        return [Tuple((Atom(name), values[name])) for name in INFO_ITEMS[:-1]]

    def ports(self) -> list[Port]:
        """The ports there are, closing ones too.  Stands for `erlang:ports/0`."""
        self._enter("ports")
        self.runtime.also(PORTS, WRITE)
        return [Port(number) for number in sorted(self.runtime.ports)]

    def _catch_up(self, call: str, port: ErlDrvPort, *states: State) -> None:
        """Carry out what waits for the port; `badarg` if its state is then none of these.  With its lock held."""
        self._guarded(port.run_signals)
        if port.state not in states:
            raise _not_open(call, port.id)

    def _handle(self, call: str, port: Port) -> ErlDrvPort:
        if not isinstance(port, Port):
            raise badarg(call, "port", "a Port", port)
        handle = self.runtime.find_port(port)
        if handle is None:
            raise _not_open(call, port)
        assert isinstance(handle, ErlDrvPort)
        return handle


def _not_open(call: str, port: Port) -> ErlangError:
    return ErlangError("badarg", f"{call}: {port} is closing or closed, or never was")


def _check_operation(call: str, operation: object) -> None:
    if type(operation) is not int or operation not in range(1 << 32):
        raise badarg(call, "operation", "an int from 0 to 2^32-1", operation)


def _check_options(call: str, options: object, allowed: Sequence[str]) -> None:
    if not isinstance(options, list | tuple) or any(option not in allowed for option in options):
        expected = "a list of " + " and ".join(f'"{option}"' for option in allowed)
        raise badarg(call, "options", expected, options)


def _check_iodata(call: str, data: object) -> bytes:
    try:
        return iolist_to_binary(data)
    except ValueError as error:
        raise ErlangError("badarg", f"{call}: data must be iodata: {error}") from None
