"""The BIFs of module `erlang` about processes, links and messages.

The process that calls a BIF is the one that the running thread carries (`calling`).  A BIF that
sends exit signals, or may run a driver's callback, holds the mutex of its process's scheduler
meanwhile, because a scheduler does one thing at a time.  It does not hold the mutex while the
process waits.

Sources: `bif.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driverref.diagnostics import called
from driverref.erlang.calling import calling
from driverref.errors import (
    EmulatorStopped,
    ErlangError,
    ProcessExit,
    badarg,
    check_int,
    wrong_type,
)
from driverref.runtime.core import Runtime
from driverref.runtime.process import Matching, Process
from driverref.since import check_bif
from driverref.terms import DOWN, NOPROC, NORMAL, Atom, Pid, Port, Ref, Tuple
from driverref.threads import EXPIRED, Empty, running


class Processes:
    """The BIFs about processes.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def self(self) -> Pid:
        """The calling process's identifier.  Stands for `erlang:self/0`."""
        return calling(self.runtime, "self").pid

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
        parent = calling(self.runtime, "spawn")
        if not callable(function):
            raise badarg("spawn", "function", "callable", function)
        if scheduler is not None:
            check_int("spawn", "scheduler", scheduler, 1, len(self.runtime.schedulers))
        child = Process(self.runtime, scheduler)

        def live() -> None:
            # On the new thread, which from here on finds its process without a table.
            thread = running()
            child.carried_by(thread)
            reason: object = NORMAL
            try:
                function(*args)
            except ProcessExit as error:
                reason = error.reason
            except ErlangError as error:
                reason = Atom(error.reason)
            except EmulatorStopped:
                # The emulator is gone: there is nothing left that could be told of the end.
                return
            except Exception as error:
                called(error, function)
                raise
            with child.scheduler.mutex:
                child.terminate(reason)

        self.runtime.note(parent.scheduler.name, "spawn", child.pid)
        # Linked before it runs, as `spawn_link` does: it may end before a later `link`.
        if link:
            self.runtime.entities.link(parent.pid, child.pid)
        name = f"process {child.pid}"
        try:
            child.thread = self.runtime.threads.start(name, live, self.runtime.crash)
        except RuntimeError as error:  # the operating system has no thread left
            # The child has never run, so it leaves no trace: the link must not send a signal.
            self.runtime.entities.part(child.pid, child)
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
        # The checks of `calling`, written out: this is called for each answer of a driver.
        process, runtime = running().process, self.runtime
        if process is None or process.runtime is not runtime or runtime.down or process.doom.value:
            process = calling(self.runtime, "receive")
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
        process = calling(self.runtime, "process_flag")
        if flag != "trap_exit":
            raise badarg("process_flag", "flag", '"trap_exit"', flag)
        if not isinstance(value, bool):
            raise badarg("process_flag", "value", "True or False", value)
        return process.trap(value)

    def link(self, to: Pid | Port) -> bool:
        """Link the calling process to a process or a port.  Returns `True`.

        If that is gone, the caller gets the exit signal `noproc`.  Stands for `erlang:link/1`.
        """
        process = calling(self.runtime, "link")
        if not isinstance(to, Pid | Port):
            raise badarg("link", "to", "a Pid or a Port", to)
        self.runtime.note(process.scheduler.name, "link", Tuple((process.pid, to)))
        with process.scheduler.mutex:
            # As if the link had been made and then broken: the caller need not test first.
            if not self.runtime.entities.link(process.pid, to):
                process.exit_signal(to, NOPROC, broken_link=True)
        return True

    def unlink(self, other: Pid | Port) -> bool:
        """Undo `link`.  Returns `True`.  Stands for `erlang:unlink/1`."""
        process = calling(self.runtime, "unlink")
        if not isinstance(other, Pid | Port):
            raise badarg("unlink", "other", "a Pid or a Port", other)
        self.runtime.note(process.scheduler.name, "unlink", Tuple((process.pid, other)))
        self.runtime.entities.unlink(process.pid, other)
        return True

    def monitor(self, kind: str, item: Pid | Port) -> Ref:
        """Ask for `{'DOWN', Ref, Kind, Item, Reason}` when a `"process"` or a `"port"` ends.

        Returns the `Ref`.  If the item has ended, the message comes at once, with the reason
        `noproc`.  Ports can be monitored since OTP 19.0.  Stands for `erlang:monitor/2`.
        """
        process = calling(self.runtime, "monitor")
        if (kind, type(item)) not in (("process", Pid), ("port", Port)):
            raise badarg("monitor", "item", 'a Pid with "process" or a Port with "port"', item)
        if kind == "port":
            check_bif(self.runtime.release, "monitor of a port", "19.0")
        self.runtime.note(process.scheduler.name, "monitor", Tuple((process.pid, item)))
        ref = self.runtime.new(Ref)
        with process.scheduler.mutex:
            if not self.runtime.entities.monitor(ref, item, process):
                process.deliver(Tuple((DOWN, ref, Atom(kind), item, NOPROC)))
        return ref

    def demonitor(self, ref: Ref) -> bool:
        """Undo `monitor`.  Returns `True`.  Stands for `erlang:demonitor/1`."""
        process = calling(self.runtime, "demonitor")
        if not isinstance(ref, Ref):
            raise badarg("demonitor", "ref", "a Ref", ref)
        self.runtime.note(process.scheduler.name, "demonitor", Tuple((process.pid, ref)))
        self.runtime.entities.demonitor(ref)
        return True

    def exit(self, *arguments: Any) -> bool:
        """`exit(reason)` ends the calling process; `exit(dest, reason)` sends an exit signal.

        `dest` is a process or a port.  A port closes at any reason, even `normal`; `kill` closes it
        without `flush`.  Stands for `erlang:exit/1` and `exit/2`.
        """
        process = calling(self.runtime, "exit")
        if len(arguments) == 1:
            # An exception, so that the function's `finally` clauses run.  `spawn` catches it.
            raise ProcessExit(_atom(arguments[0]))
        if len(arguments) != 2:
            raise TypeError("exit takes a reason, or a destination and a reason")
        dest, reason = arguments
        if not isinstance(dest, Pid | Port):
            raise badarg("exit", "dest", "a Pid or a Port", dest)
        with process.scheduler.mutex:
            entity = self.runtime.entities.find(dest)
            if entity is not None:
                # A port that gets the signal runs `stop` here, which is the driver's code.
                with self.runtime.driver_code:
                    entity.exit_signal(process.pid, _atom(reason))
        # The signal may have come back at once: to itself, or by a link.
        process.heed()
        return True


def _atom(reason: object) -> object:
    """A reason as Erlang has it: a `str` stands for an atom."""
    return Atom(reason) if type(reason) is str else reason
