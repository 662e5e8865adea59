"""The BIFs that have a port do something: commands, messages, `port_control` and `port_call`.

`port_command`, `port_control` and `port_call` run the driver's callback in the calling process,
under the port's lock.  If another scheduler holds that lock, the caller's scheduler waits.

`Port ! Message` is different.  If the port is locked, the message is left with the port, and the
caller goes on.  The signals of one process to one port keep their order all the same, because a BIF
first carries out what waits (`turn`).

The locks are always taken in one order: the scheduler's mutex, the port's lock, the tables.

Sources: `erl_bif_port.c`, `io.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from driverref.erlang.calling import (
    Calling,
    Heeding,
    Waiting,
    caller,
    check_options,
    check_state,
    find_port,
    name_here,
    turn,
)
from driverref.errors import ErlangError, badarg
from driverref.runtime import callbacks, senders
from driverref.runtime.core import Runtime
from driverref.runtime.crossing import given
from driverref.runtime.driver import ERL_DRV_FLAG_SOFT_BUSY
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSING, CONNECTED
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import Atom, Part, Pid, Port, Tuple, iodata_parts
from driverref.threads import running

BADSIG = Atom("badsig")

Dest: TypeAlias = Pid | Port | str | tuple[str, str]
"""Where a message can be sent: a process or a port, the name of one, or `(name, node)`."""


class Commands:
    """The BIFs that have a port do something.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def port_command(self, port: Port | str, data: object, options: Sequence[str] = ()) -> bool:
        """Send `data`, which is iodata, to the driver: its `output` or `outputv` is called.

        Any process may call this.  It waits for the callback, but not for the jobs that the
        callback schedules.  Returns `True`.  If the port is busy, the caller is suspended until it
        is not.  With `"nosuspend"` the result is `False` instead.  With `"force"` the command is
        carried out all the same, or `notsup` is raised if the driver has no
        `ERL_DRV_FLAG_SOFT_BUSY`.

        Raises `badarg` if the port is not connected or the data is not iodata.  Stands for
        `erlang:port_command/2,3`.
        """
        # A `Calling`, written out: this is called for each piece of work.
        thread, runtime = running(), self.runtime
        process = thread.process
        if process is None or process.runtime is not runtime or runtime.down:
            process = caller(runtime, "port_command")  # which raises
        runtime.threads.step()
        if process.doom.value is not None:
            process.notice()
        if type(port) is Port and type(data) is bytes and not options:
            handle = runtime.ports.find(port)
            if handle is not None and callbacks.output_at_once(handle, thread, process, data):
                if process.doom.value is not None:
                    process.heed()
                return True
        with Heeding(process):
            check_options("port_command", options, ("force", "nosuspend"))
            if options:
                check_bif(runtime.release, "port_command/3", "R13B03")
            return self._command(process, find_port(runtime, "port_command", port), data, options)

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
                with self.runtime.driver_code:
                    senders.run(port)
                check_state("port_command", port, CONNECTED)
                busy = port.senders.busy.value and not force
                if busy and "nosuspend" in options:
                    return False
                if not busy and not senders.holds(port, process.pid):
                    parts = _iodata("port_command", data)
                    with self.runtime.driver_code:
                        callbacks.command(port, parts, process.pid)
                    return True
                senders.suspend(port, process)
            # Without any lock, or the driver could not say that it is no longer busy.
            senders.wait_in_line(port, process)

    def send(self, dest: Dest, message: object, options: Sequence[str] | None = None) -> object:
        """`Dest ! Message`.  Returns the message.

        What arrives is a copy.  Raises `TypeError` for what is no Erlang term.

        `dest` is a process or a port, the name of one, or `(name, node)`.  A message to what is
        gone is dropped, and so is one to a `(name, node)` that leads nowhere.  A name that nothing
        has is `badarg`.

        A port takes `(owner, ("command", data))`, `(owner, "close")` and `(owner, ("connect",
        pid))`.  Any other message, or another sender than the owner, gives the owner the exit
        signal `badsig`.  Unlike `port_connect`, a connect does not link the new owner, and that
        may have ended.

        If the port is locked, the caller does not wait; before R16A it does.  The caller of a
        command is suspended if the port is busy, or if more bytes of commands wait than the port
        allows.  In R7B that holds for any message.  Stands for `erlang:send/2`.

        With `options` this is `erlang:send/3`, which came with R9C, and returns `ok`.  With
        `"nosuspend"` it returns `nosuspend`, and sends nothing, where it would suspend the caller.
        `"noconnect"` is about other nodes.
        """
        with Calling(self.runtime, "send") as process:
            if options is not None:
                check_options("send", options, ("nosuspend", "noconnect"))
                check_bif(self.runtime.release, "send/3", "R9C-0")
            to = self._destination(dest)
            # Iodata is taken out of a command here, and not when it is carried out: a list may have
            # been changed by then.
            parts = _command(message) if isinstance(to, Port) else None
            sent = given("send", "message", message) if parts is None else message
            port = self.runtime.ports.find(to) if isinstance(to, Port) else None
            if port is not None:
                nosuspend = options is not None and "nosuspend" in options
                if not self._signal(process, port, sent, parts, nosuspend):
                    return Atom("nosuspend")
            elif not isinstance(to, Port):
                receiver = None if to is None else self.runtime.entities.find_process(to)
                self.runtime.note(process.scheduler.name, "send", sent)
                if receiver is not None:
                    receiver.deliver(sent)
        return message if options is None else Atom("ok")

    def _destination(self, dest: object) -> Pid | Port | None:
        """What the argument of `send` leads to; `None` if the message is to be dropped."""
        names = self.runtime.entities.names
        match dest:
            case Pid() | Port():
                return dest
            case str():
                if (found := names.find(dest)) is None:
                    raise ErlangError("badarg", f"send: nothing has the name {dest}")
                return found
            case (str(), str()):
                name = name_here(dest)
                return None if name is None else names.find(name)
        raise badarg("send", "dest", "a Pid, a Port, or the name of one", dest)

    def _signal(
        self,
        process: Process,
        port: ErlDrvPort,
        message: object,
        parts: list[Part] | None,
        nosuspend: bool,
    ) -> bool:
        """Have a port carry out a message, or leave it there if the port is locked.

        `parts` is the data of a command, or `None` if it is no iodata.  `False`, and nothing is
        done, if the sender would be suspended and `nosuspend` is true.
        """
        line = port.senders
        match message:
            case (Pid(), ("command", _)):
                is_command = True
            case _:
                is_command = False
        waits_if_busy = is_command or self.runtime.release.busy_holds_any_message

        def carry_out() -> None:
            # Asked only now, because the port may have closed while the signal waited.
            if port.state.value is CONNECTED:
                self._carry_out(process, port, message, parts)

        def held_up() -> bool:
            return port.state.value is CONNECTED and line.held_up()

        while True:
            with process.scheduler.mutex:
                if not (waits_if_busy and held_up()):
                    size = sum(map(len, parts or ()))
                    senders.signal(port, carry_out, process.pid, command=is_command, size=size)
                    return True
                if nosuspend:
                    return False
                senders.suspend(port, process)
                # The port was looked at without its lock.  If it has become free since, its
                # `resume` may have come before this sender stood in line, and no other would
                # follow.
                if not held_up():
                    senders.resume(port)
            senders.wait_in_line(port, process)

    def _carry_out(
        self, process: Process, port: ErlDrvPort, message: object, parts: list[Part] | None
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
            case (Pid() as sender, ("connect", Pid() as new)) if sender == owner.pid:
                # The new owner has not asked for the port, so it is not linked and may ignore it.
                # Nor is it asked whether it lives.
                living = self.runtime.entities.find_process(new)
                port.owner.value = living or Process(self.runtime, ended=new)
                owner.deliver(Tuple((port.id, Atom("connected"))))
            case _:
                owner.exit_signal(port.id, BADSIG)

    def port_control(self, port: Port | str, operation: int, data: object) -> object:
        """Call the driver's `control`, and return its reply.

        Any process may call this, also while the port is busy or closing.  The reply is a binary if
        the driver has set `PORT_CONTROL_FLAG_BINARY`, else a list of bytes.  `operation` is 0 to
        2^32-1, and `data` is iodata.  Raises `badarg` if the port is gone, the driver has no
        `control`, or `control` refuses.  Stands for `erlang:port_control/3`.
        """
        with Waiting(self.runtime, "port_control") as process:
            handle = find_port(self.runtime, "port_control", port)
            _check_operation("port_control", operation)
            sent = b"".join(_iodata("port_control", data))
            # A port that is closing still answers, until `stop` has run.
            with turn(process, handle):
                check_state("port_control", handle, CONNECTED, CLOSING)
                with self.runtime.driver_code:
                    reply = callbacks.control(handle, operation, sent, process.pid)
            return _reply("port_control", handle, reply)

    def port_call(self, port: Port | str, operation: int, term: object) -> object:
        """Call the driver's `call` with a term, and return the term of its reply.

        Both are copied.  May be called, and raises `badarg`, as `port_control`.  Raises `TypeError`
        for what is no Erlang term.  Stands for `erlang:port_call/3`.
        """
        with Waiting(self.runtime, "port_call") as process:
            check_bif(self.runtime.release, "port_call", "R8B-0")
            handle = find_port(self.runtime, "port_call", port)
            _check_operation("port_call", operation)
            sent = given("port_call", "term", term)
            with turn(process, handle):
                check_state("port_call", handle, CONNECTED, CLOSING)
                with self.runtime.driver_code:
                    reply = callbacks.call(handle, operation, sent, process.pid)
            return _reply("port_call", handle, reply)


def _reply(call: str, port: ErlDrvPort, reply: object) -> object:
    """What the callback has replied.  `badarg` if it has refused."""
    if reply is None:
        raise ErlangError("badarg", f"{call}: driver {port.driver.name!r} refused it")
    return reply


def _check_operation(call: str, operation: object) -> None:
    if type(operation) is not int or operation not in range(1 << 32):
        raise badarg(call, "operation", "an int from 0 to 2^32-1", operation)


def _iodata(call: str, data: object) -> list[Part]:
    """The parts of iodata: its binaries, and the runs of bytes between them."""
    try:
        return iodata_parts(data)
    except ValueError as error:
        raise ErlangError("badarg", f"{call}: data must be iodata: {error}") from None


def _command(message: object) -> list[Part] | None:
    """The parts of the iodata of `(sender, ("command", data))`; `None` if it is no such message.

    The sender of a message gets no answer, so there is nothing to raise.
    """
    match message:
        case (Pid(), ("command", data)):
            try:
                return iodata_parts(data)
            except ValueError:
                return None
    return None
