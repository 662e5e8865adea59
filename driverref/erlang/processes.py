"""The BIFs of module `erlang` about processes, links and messages.

The process that calls a BIF is the one that the running thread carries (`calling`).  A BIF that
sends exit signals, or may run a driver's callback, holds the mutex of its process's scheduler
meanwhile, because a scheduler does one thing at a time.  It does not hold the mutex while the
process waits.

Sources: `bif.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from driverref.erlang.calling import Calling, caller
from driverref.errors import (
    EmulatorStopped,
    ErlangError,
    ProcessExit,
    badarg,
    check_int,
    wrong_type,
)
from driverref.runtime.core import Runtime
from driverref.runtime.entities import Entity
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.process import Matching, Process
from driverref.runtime.senders import signal
from driverref.since import check_bif
from driverref.terms import NOPROC, NORMAL, Atom, Pid, Port, Ref
from driverref.threads import EXPIRED, Empty, running


class Processes:
    """The BIFs about processes.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def self(self) -> Pid:
        """The calling process's identifier.  Stands for `erlang:self/0`."""
        with Calling(self.runtime, "self") as process:
            return process.pid

    def spawn(
        self,
        function: Callable[..., object],
        *args: object,
        link: bool = False,
        scheduler: int | None = None,
    ) -> Pid:
        """Start a process that calls `function(*args)`, and return its identifier.

        The process runs on `scheduler`, a number from 1 to the number of schedulers.  By default
        the schedulers take turns.  With `link` the process is linked to the caller.

        The process ends with the reason `normal` when `function` returns.  It also ends by `exit`,
        by an exit signal, or with an `ErlangError`, whose reason becomes its own.  Any other
        exception is a fault of the program and stops the emulator.

        Raises `system_limit` if there is no OS thread for the process.  Stands for
        `erlang:spawn/1`, `spawn_link/1` and `spawn_opt/2`.
        """
        with Calling(self.runtime, "spawn") as parent:
            if not callable(function):
                raise badarg("spawn", "function", "callable", function)
            if scheduler is not None:
                check_int("spawn", "scheduler", scheduler, 1, len(self.runtime.schedulers))
            return self._spawn(parent if link else None, scheduler, partial(function, *args))

    def _spawn(
        self, linked_to: Process | None, scheduler: int | None, function: Callable[[], object]
    ) -> Pid:
        child = Process(self.runtime, scheduler)

        def live() -> None:
            # On the new thread, which from here on finds its process without a table.
            thread = running()
            child.carried_by(thread)
            reason: object = NORMAL
            try:
                function()
            except ProcessExit as error:
                reason = error.reason
            except ErlangError as error:
                reason = Atom(error.reason)
            except EmulatorStopped:
                # The emulator is gone: there is nothing left that could be told of the end.
                return
            with child.scheduler.mutex:
                child.terminate(reason)

        # Linked before it runs, as `spawn_link` does: it may end before a later `link`.
        if linked_to is not None:
            self.runtime.entities.link(linked_to, child)
        name = f"process {child.pid}"
        try:
            child.thread = self.runtime.threads.start(name, live, self.runtime.crash)
        except RuntimeError as error:  # the operating system has no thread left
            # The child has never run, so it leaves no trace: the link must not send a signal.
            if linked_to is not None:
                self.runtime.entities.unlink(linked_to, child)
            self.runtime.entities.remove(child)
            raise ErlangError("system_limit", f"spawn: {error}") from None
        return child.pid

    def receive(self, matching: Matching | None = None, *, timeout: int | None = None) -> Any:
        """Wait for a message and take it out of the mailbox.

        Returns the oldest message for which `matching(message)` is true; without `matching`, the
        oldest of all.  `timeout` is in milliseconds, as in `receive ... after`.  If it passes
        first, the result is `None`, which is no Erlang term.  Without a `timeout`, waiting for a
        message that can never come is a `Deadlock` on simulated threads.
        """
        # A `Calling`, written out: this is called for each answer of a driver.  The step is that of
        # the mailbox, or that of the clock.
        process, runtime = running().process, self.runtime
        if process is None or process.runtime is not runtime or runtime.down:
            process = caller(self.runtime, "receive")
        message: Any = None
        if matching is None and timeout is None and not process.saved:
            get = process.get_first
            try:
                message = get()  # the ordinary case; None says "look again"
            except Empty:
                pass
            if message is None:
                message = process.next_message(None, None)
        else:
            if matching is not None and not callable(matching):
                expected = "a function of a message, or None"
                raise wrong_type("receive", "matching", expected, matching)
            # A deadline, and not a time for each wait: messages that do not match may come
            # meanwhile.
            deadline = None
            if timeout is not None:
                check_int("receive", "timeout", timeout, 0, 2**32 - 1)
                deadline = runtime.threads.read_clock() + timeout * 1_000_000
            message = process.next_message(matching, deadline)
        # A process that waits heeds an exit signal, whatever has come before it.
        if process.doom.value is not None:
            process.heed()
        if message is EXPIRED:
            return None
        if runtime.record is not None:
            now, record = runtime.now, runtime.record
            record((now(), process.scheduler.name, "receive", None, None, message))
        return message

    def process_flag(self, flag: str, value: bool) -> bool:
        """Set `trap_exit` of the calling process.  Returns the old value.

        Stands for `erlang:process_flag/2`.
        """
        with Calling(self.runtime, "process_flag") as process:
            if flag != "trap_exit":
                raise badarg("process_flag", "flag", '"trap_exit"', flag)
            if not isinstance(value, bool):
                raise badarg("process_flag", "value", "True or False", value)
            return process.trap(value)

    def link(self, to: Pid | Port) -> bool:
        """Link the calling process to a process or a port.  Returns `True`.

        If that is gone, the caller gets the exit signal `noproc`.  A port that is locked is linked
        when its lock is given back, and the caller does not wait; before R16A it does.  Stands for
        `erlang:link/1`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "link") as process, process.scheduler.mutex:
            other = self._entity("link", "to", to)
            # As if the link had been made and then broken: the caller need not test first.
            if isinstance(other, ErlDrvPort):
                entities.link_half(process, other.id)
                signal(other, partial(self._link_port, process, other))
            elif other is None or not entities.link(process, other):
                entities.link_half(process, to)
                process.exit_signal(to, NOPROC, broken_link=True)
        return True

    def _link_port(self, process: Process, port: ErlDrvPort) -> None:
        """Enter a port's half of a link, under its lock."""
        if not self.runtime.entities.link_half(port, process.pid):
            process.exit_signal(port.id, NOPROC, broken_link=True)

    def unlink(self, other: Pid | Port) -> bool:
        """Undo `link`.  Returns `True`.

        From now on the end of `other` does not reach the caller.  Stands for `erlang:unlink/1`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "unlink") as process, process.scheduler.mutex:
            entity = self._entity("unlink", "other", other)
            if isinstance(entity, ErlDrvPort):
                entities.unlink_half(process, entity.id)
                signal(entity, partial(entities.unlink_half, entity, process.pid))
            elif entity is None:
                entities.unlink_half(process, other)
            else:
                entities.unlink(process, entity)
        return True

    def monitor(self, kind: str, item: Pid | Port) -> Ref:
        """Ask for `{'DOWN', Ref, Kind, Item, Reason}` when a `"process"` or a `"port"` ends.

        Returns the `Ref`.  If the item has ended, the message comes at once, with the reason
        `noproc`.  A port that is locked is asked when its lock is given back, and the caller does
        not wait.  Ports can be monitored since OTP 19.0.  Stands for `erlang:monitor/2`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "monitor") as process:
            if (kind, type(item)) not in (("process", Pid), ("port", Port)):
                raise badarg("monitor", "item", 'a Pid with "process" or a Port with "port"', item)
            if kind == "port":
                check_bif(self.runtime.release, "monitor of a port", "19.0")
            ref = self.runtime.new(Ref)
            with process.scheduler.mutex:
                entities.watch(ref, process, item)
                other = entities.find(item)
                if isinstance(other, ErlDrvPort):
                    signal(other, partial(self._monitor, ref, kind, other, process))
                elif other is None:
                    process.down(ref, kind, item, NOPROC)
                else:
                    self._monitor(ref, kind, other, process)
        return ref

    def _monitor(self, ref: Ref, kind: str, item: Entity, process: Process) -> None:
        """Enter the half of a monitor that the monitored has; a port's under its lock."""
        if not self.runtime.entities.monitor(ref, item, process):
            process.down(ref, kind, item.id, NOPROC)

    def demonitor(self, ref: Ref) -> bool:
        """Undo `monitor`.  Returns `True`.  From now on no `'DOWN'` comes.

        Stands for `erlang:demonitor/1`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "demonitor") as process, process.scheduler.mutex:
            if not isinstance(ref, Ref):
                raise badarg("demonitor", "ref", "a Ref", ref)
            item = entities.unwatch(ref, process)
            other = None if item is None else entities.find(item)
            if isinstance(other, ErlDrvPort):
                signal(other, partial(entities.demonitor, ref, other))
            elif other is not None:
                entities.demonitor(ref, other)
        return True

    def exit(self, *arguments: Any) -> bool:
        """`exit(reason)` ends the calling process; `exit(dest, reason)` sends an exit signal.

        `dest` is a process or a port.  A port closes at any reason, even `normal`; `kill` closes it
        without `flush`.  Stands for `erlang:exit/1` and `exit/2`.
        """
        with Calling(self.runtime, "exit") as process:
            if len(arguments) == 1:
                # An exception, so that the function's `finally` clauses run.  `spawn` catches it.
                raise ProcessExit(_atom(arguments[0]))
            if len(arguments) != 2:
                raise TypeError("exit takes a reason, or a destination and a reason")
            dest, reason = arguments
            with process.scheduler.mutex:
                entity = self._entity("exit", "dest", dest)
                if entity is not None:
                    entity.exit_signal(process.pid, _atom(reason))
            # A process that sends itself a deadly signal does not come back (OTP 25, 300 of 300).
            if entity is process:
                process.heed()
        return True

    def _entity(self, call: str, parameter: str, id: object) -> Entity | None:
        """The process or the port that an argument identifies; `None` if it has ended."""
        if not isinstance(id, Pid | Port):
            raise badarg(call, parameter, "a Pid or a Port", id)
        return self.runtime.entities.find(id)


def _atom(reason: object) -> object:
    """A reason as Erlang has it: a `str` stands for an atom."""
    return Atom(reason) if type(reason) is str else reason
