"""Erlang's side, processes: the BIFs of module `erlang` that are about processes, links and messages.

Whoever calls a BIF is the calling process: each process has a thread of its own, and the thread knows it.  A
BIF holds the mutex of its process's scheduler while it changes anything, because a scheduler does one thing at
a time, but not while the process waits.

Sources: `bif.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    """The BIFs about processes.  `runtime` is the emulator they belong to."""

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

        It runs on `scheduler` (1 to the number of schedulers); by default they take turns.  The process ends
        when `function` returns, with reason `normal`; when it calls `exit`; by an exit signal; or with an
        `ErlangError`, whose reason becomes its own.  Any other exception is a fault of the program and
        stops the emulator.  Raises `system_limit` if there is no OS thread for it.  Stands for `erlang:spawn/1`,
        `spawn_link/1` and `spawn_opt/2`.
        """
        parent = calling(self.runtime, "spawn")
        if not callable(function):
            raise badarg("spawn", "function", "callable", function)
        if scheduler is not None:
            check_int("spawn", "scheduler", scheduler, 1, len(self.runtime.schedulers))
        child = Process(self.runtime, scheduler)

        def live() -> None:
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
                return
            with child.scheduler.mutex:
                child.terminate(reason)

        if link:
            self.runtime.entities.link(parent.pid, child.pid)
        name = f"process {child.pid}"
        try:
            child.thread = self.runtime.threads.start(name, live, self.runtime.crash)
        except RuntimeError as error:  # the operating system has no thread left
            self.runtime.entities.part(child.pid, child)
            self.runtime.entities.remove(child)
            raise ErlangError("system_limit", f"spawn: {error}") from None
        return child.pid

    def receive(self, matching: Matching | None = None, *, timeout: int | None = None) -> Any:
        """The oldest message in the mailbox for which `matching(message)` is true; waits for one.

        `timeout` is in milliseconds, as in `receive ... after`; when it passes first the result is `None`,
        which is no Erlang term.  Without a `timeout`, waiting for a message that nobody can send is a
        `Deadlock` on simulated threads.
        """
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
        """Set `trap_exit` of the calling process; returns the old value.  Stands for `erlang:process_flag/2`."""
        process = calling(self.runtime, "process_flag")
        if flag != "trap_exit":
            raise badarg("process_flag", "flag", '"trap_exit"', flag)
        if not isinstance(value, bool):
            raise badarg("process_flag", "value", "True or False", value)
        return process.trap(value)

    def link(self, to: Pid | Port) -> bool:
        """Link the calling process to a process or a port.

        If it is gone, the caller gets the exit signal `noproc`.  Stands for `erlang:link/1`.
        """
        process = calling(self.runtime, "link")
        if not isinstance(to, Pid | Port):
            raise badarg("link", "to", "a Pid or a Port", to)
        with process.scheduler.mutex:
            if not self.runtime.entities.link(process.pid, to):
                process.exit_signal(to, NOPROC, broken_link=True)
        return True

    def unlink(self, other: Pid | Port) -> bool:
        """Undo `link`.  Stands for `erlang:unlink/1`."""
        process = calling(self.runtime, "unlink")
        if not isinstance(other, Pid | Port):
            raise badarg("unlink", "other", "a Pid or a Port", other)
        self.runtime.entities.unlink(process.pid, other)
        return True

    def monitor(self, kind: str, item: Pid | Port) -> Ref:
        """Ask for `{'DOWN', Ref, Kind, Item, Reason}` when a `"process"` or a `"port"` ends.

        At once, with `noproc`, if it has ended.  Stands for `erlang:monitor/2`.
        """
        process = calling(self.runtime, "monitor")
        if (kind, type(item)) not in (("process", Pid), ("port", Port)):
            raise badarg("monitor", "item", 'a Pid with "process" or a Port with "port"', item)
        if kind == "port":
            check_bif(self.runtime.release, "monitor of a port", "19.0")
        ref = Ref(self.runtime.number(Ref))
        with process.scheduler.mutex:
            if not self.runtime.entities.monitor(ref, item, process):
                process.deliver(Tuple((DOWN, ref, Atom(kind), item, NOPROC)))
        return ref

    def demonitor(self, ref: Ref) -> bool:
        """Undo `monitor`.  Stands for `erlang:demonitor/1`."""
        calling(self.runtime, "demonitor")
        if not isinstance(ref, Ref):
            raise badarg("demonitor", "ref", "a Ref", ref)
        self.runtime.entities.demonitor(ref)
        return True

    def exit(self, *arguments: Any) -> bool:
        """`exit(reason)` ends the calling process; `exit(dest, reason)` sends an exit signal.

        A port closes at any reason, even `normal`; `kill` closes it without `flush`.  Stands for
        `erlang:exit/1` and `exit/2`.
        """
        process = calling(self.runtime, "exit")
        if len(arguments) == 1:
            raise ProcessExit(_atom(arguments[0]))
        if len(arguments) != 2:
            raise TypeError("exit takes a reason, or a destination and a reason")
        dest, reason = arguments
        if not isinstance(dest, Pid | Port):
            raise badarg("exit", "dest", "a Pid or a Port", dest)
        with process.scheduler.mutex:
            entity = self.runtime.entities.find(dest)
            if entity is not None:
                with self.runtime.driver_code:
                    entity.exit_signal(process.pid, _atom(reason))
        process.heed()
        return True


def _atom(reason: object) -> object:
    return Atom(reason) if type(reason) is str else reason
