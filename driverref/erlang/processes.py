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

from driverref.diagnostics import called
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
from driverref.runtime.crossing import given, given_if_term
from driverref.runtime.entities import Entity
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.process import Matching, Process
from driverref.runtime.senders import signal
from driverref.since import check_bif
from driverref.terms import (
    EXIT,
    NOPROC,
    NORMAL,
    Atom,
    Pid,
    Port,
    Ref,
    Tuple,
    copied,
    holds_bytes,
)
from driverref.threads import EXPIRED, Empty, running

_UNITS = {
    "native": 1,
    "nanosecond": 1,
    "microsecond": 1_000,
    "millisecond": 1_000_000,
    "second": 1_000_000_000,
}
"""Units of time, in nanoseconds."""


class Processes:
    """The BIFs about processes.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def self(self) -> Pid:
        """Return the calling process's identifier.  Stands for `erlang:self/0`."""
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

        A list, a map or a tuple in `args` is copied, if it is a term; anything else, and what the
        function knows by itself, is the program's and is shared.

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
            return self._spawn(
                parent if link else None, scheduler, partial(function, *map(given_if_term, args))
            )

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
            except Exception as error:
                called(error, function)
                raise
            with child.scheduler.mutex:
                child.terminate(reason)

        self.runtime.note(running().lane, "spawn", child.pid)
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
        oldest of all.  What `matching` raises passes through, and each message stays where it is.
        `timeout` is in milliseconds, as in `receive ... after`.  If it passes first, the result is
        `None`, which is no Erlang term.  Without a `timeout`, waiting for a message that can never
        come is a `Deadlock` on simulated threads.
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
            # The message is the program's from now on, and the trace keeps what it was.
            noted = message if holds_bytes(message) else copied(message)
            record((now(), process.scheduler.name, "receive", None, None, noted))
        return message

    def process_flag(self, flag: str, value: object) -> object:
        """Set a flag of the calling process.  Returns the old value.

        `trap_exit` is `True` or `False`.  `message_queue_data` is `"on_heap"` or `"off_heap"`, and
        changes nothing here: what breaks an emulator when a message is built off the heap is a
        `Misuse` in any case (`erl_drv_send_term`).  It came with OTP 19.0.  Stands for
        `erlang:process_flag/2`.
        """
        with Calling(self.runtime, "process_flag") as process:
            if flag == "trap_exit":
                if not isinstance(value, bool):
                    raise badarg("process_flag", "value", "True or False", value)
                return process.trap(value)
            if flag != "message_queue_data":
                raise badarg("process_flag", "flag", '"trap_exit" or "message_queue_data"', flag)
            check_bif(self.runtime.release, "process_flag's `message_queue_data`", "19.0")
            if not isinstance(value, str) or value not in ("on_heap", "off_heap"):
                raise badarg("process_flag", "value", '"on_heap" or "off_heap"', value)
            before, process.message_queue_data = process.message_queue_data, Atom(value)
            return before

    def is_process_alive(self, pid: Pid) -> bool:
        """Return whether a process has not ended.  Stands for `erlang:is_process_alive/1`."""
        with Calling(self.runtime, "is_process_alive"):
            if not isinstance(pid, Pid):
                raise badarg("is_process_alive", "pid", "a Pid", pid)
            return self.runtime.entities.find_process(pid) is not None

    def link(self, to: Pid | Port) -> bool:
        """Link the calling process to a process or a port.  Returns `True`.

        If that is gone, or is a port that is closing, a caller that traps exits gets `{'EXIT', To,
        noproc}`; for any other, `noproc` is raised.  This holds in every release.  A port that is
        locked is linked when its lock is given back, and the caller does not wait; before R16A it
        does.  If the port has failed by then, the caller gets the exit signal `noproc`.  A link of
        a process to itself has no effect.  Stands for `erlang:link/1`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "link") as process, process.scheduler.mutex:
            other = self._entity("link", "to", to)
            self.runtime.note(process.scheduler.name, "link", Tuple((process.pid, to)))
            if other is process:
                pass
            elif isinstance(other, ErlDrvPort) and other.lives():
                entities.link_half(process, other.id)
                signal(other, partial(self._link_port, process, other), process.pid)
            elif other is None or not entities.link(process, other):
                if not process.trap_exit.value:
                    raise ErlangError("noproc", f"link: {to} has ended")
                process.deliver(Tuple((EXIT, to, NOPROC)))
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
            self.runtime.note(process.scheduler.name, "unlink", Tuple((process.pid, other)))
            if isinstance(entity, ErlDrvPort):
                entities.unlink_half(process, entity.id)
                signal(entity, partial(entities.unlink_half, entity, process.pid), process.pid)
            elif entity is None:
                entities.unlink_half(process, other)
            else:
                entities.unlink(process, entity)
        return True

    def make_ref(self) -> Ref:
        """Return a reference that differs from every other.  Stands for `erlang:make_ref/0`."""
        with Calling(self.runtime, "make_ref"):
            return self.runtime.new(Ref)

    def monotonic_time(self, unit: str = "native") -> int:
        """Return the emulator's clock, which never goes back.

        `unit` is `"second"`, `"millisecond"`, `"microsecond"`, `"nanosecond"` or `"native"`, which
        is nanoseconds.  On simulated threads time passes only while every thread waits.  Stands for
        `erlang:monotonic_time/0,1`, which came with OTP 18.
        """
        with Calling(self.runtime, "monotonic_time"):
            check_bif(self.runtime.release, "monotonic_time", "18.0")
            if unit not in tuple(_UNITS):
                raise badarg("monotonic_time", "unit", "one of " + ", ".join(_UNITS), unit)
            return self.runtime.threads.read_clock() // _UNITS[unit]

    def exit(self, *arguments: Any) -> bool:
        """`exit(reason)` ends the calling process; `exit(dest, reason)` sends an exit signal.

        `dest` is a process or a port.  A port closes at any reason, even `normal`; `kill` closes it
        without `flush`.  Raises `TypeError` for a reason that is no Erlang term.  Stands for
        `erlang:exit/1` and `exit/2`.
        """
        with Calling(self.runtime, "exit") as process:
            if len(arguments) == 1:
                # An exception, so that the function's `finally` clauses run.  `spawn` catches it.
                raise ProcessExit(given("exit", "reason", arguments[0]))
            if len(arguments) != 2:
                raise TypeError("exit takes a reason, or a destination and a reason")
            dest, reason = arguments[0], given("exit", "reason", arguments[1])
            with process.scheduler.mutex:
                entity = self._entity("exit", "dest", dest)
                if entity is not None:
                    entity.exit_signal(process.pid, reason)
            # A process that sends itself a deadly signal does not come back (OTP 25, 300 of 300).
            if entity is process:
                process.heed()
        return True

    def _entity(self, call: str, parameter: str, id: object) -> Entity | None:
        """The process or the port that an argument identifies; `None` if it has ended."""
        if not isinstance(id, Pid | Port):
            raise badarg(call, parameter, "a Pid or a Port", id)
        return self.runtime.entities.find(id)
