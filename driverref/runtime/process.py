"""An Erlang process: a mailbox, links, exit signals.

Everything that can wake a process comes through one queue, its inbox: messages, and `None`, which is no
term and says "look again".  So a process has one way to wait, `wait_until`, whether it is suspended at a busy
port, waits for a driver to be unloaded or for the emulator to halt; messages that come meanwhile are kept
for the next `receive`.

An exit signal to a process that does not trap exits is noticed when the process next enters the
emulator.  A real one is stopped in the middle of its code; between two BIFs nobody can tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driverref.errors import ProcessExit
from driverref.runtime.core import WAITERS, Runtime
from driverref.runtime.scheduler import Scheduler
from driverref.terms import DOWN, EXIT, KILL, KILLED, NORMAL, Atom, Pid, Port, Ref, Tuple
from driverref.threads import EXPIRED, READ, WRITE, Thread

Matching = Callable[[Any], object]


class Process:
    """One process.  `thread` carries it; `scheduler` is where its BIFs run: by default they take turns."""

    def __init__(self, runtime: Runtime, scheduler: int | None = None) -> None:
        self.runtime = runtime
        self.pid = Pid(runtime.number(Pid))
        index = (scheduler or self.pid.number) - 1
        self.scheduler: Scheduler = runtime.schedulers[index % len(runtime.schedulers)]
        self.signals = ("signals", self.pid.number)
        """What can raise `attention`, and `trap_exit`, for `touch`."""
        self.inbox = runtime.threads.queue(f"a message to {self.pid}")
        self.put = self.inbox.put
        # A poll spares OS threads something; to simulated ones it would only be one more step.
        self.get_first = self.inbox.get if runtime.threads.simulated else self.inbox.get_nowait
        self.saved: list[object] = []
        self.links: set[Pid | Port] = set()
        self.monitors: dict[Ref, Process | Callable[[Pid], None]] = {}
        """Who wants to know that this process has ended: a process, or a driver's callback."""
        self.trap_exit = False
        self.attention = False
        """Something must be looked at before the next BIF: a deadly signal, or the emulator is down."""
        self.alive = True
        self.doom: ProcessExit | None = None
        """What the first deadly signal has it end with."""
        self.thread: Thread
        runtime.enter(self.pid, self)

    def carried_by(self, thread: Thread) -> None:
        """Tie the process and its thread together."""
        thread.emulator, thread.process, thread.scheduler = self.runtime, self, self.scheduler
        thread.lane = self.scheduler.name
        self.thread = thread

    # What others do to it.  Any thread.

    def deliver(self, message: object) -> None:
        """Put a message into the mailbox."""
        self.inbox.put(message)

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        kill = reason == KILL and not broken_link
        self.runtime.also(self.signals, READ)
        if self.trap_exit and not kill:
            self.inbox.put(Tuple((EXIT, sender, reason)))
        elif reason != NORMAL or sender == self.pid:
            self.runtime.also(self.signals, WRITE)
            self.doom = self.doom or ProcessExit(KILLED if kill else reason)
            self.attention = True
            self.inbox.put(None)

    def lives(self) -> bool:
        return self.alive

    def wake(self) -> None:
        self.inbox.put(None)

    def emulator_down(self) -> None:
        self.attention = True
        self.inbox.put_at_once(None)

    # What its own thread does.

    def trap(self, on: bool) -> bool:
        """Have exit signals come as messages, or not; returns what was before."""
        self.runtime.also(self.signals, WRITE)
        before, self.trap_exit = self.trap_exit, on
        return before

    def heed(self) -> None:
        """Look for signals, and raise what `attention` is about."""
        self.runtime.also(self.signals, READ)
        if self.attention:
            if self.runtime.down is not None:
                raise self.runtime.refusal()
            assert self.doom is not None
            raise self.doom

    def _next(self, deadline: int | None) -> object:
        """The inbox's next item, or `EXPIRED`.  Who waits for it does the scheduler's work meanwhile."""
        work = self.scheduler.work
        if not self.inbox.empty() or not work.attend(self.put):
            return self.inbox.get_until(deadline)
        try:
            item = self.inbox.get_until(deadline)
            if item is None:
                self.scheduler.lend(self.thread)
        finally:  # Ctrl-C too ends the waiting
            work.leave()
        return item

    def wait_until(
        self,
        what: str,
        thing: object,
        condition: Callable[[], object],
        deadline: int | None = None,
    ) -> bool:
        """Sleep until `condition()` holds; whoever makes it true calls `wake`.  `False` at the deadline.

        `what` says what it waits for, should that never come; `thing` is what the condition reads, for `touch`.
        """
        also = self.runtime.also
        also(thing, WRITE)
        if condition():
            return True
        also(WAITERS, WRITE)
        self.runtime.waiters[self] = None
        self.thread.waits_for = what
        try:
            while True:
                also(thing, WRITE)
                if condition():
                    return True
                self.heed()
                item = self.inbox.get_until(deadline)
                if item is EXPIRED:
                    return False
                if item is not None:
                    self.saved.append(item)
        finally:
            self.thread.waits_for = ""
            also(WAITERS, WRITE)
            self.runtime.waiters.pop(self, None)

    def next_message(self, matching: Matching | None, deadline: int | None) -> object:
        """The first message that matches, or `EXPIRED`."""
        for index, message in enumerate(self.saved):
            if matching is None or matching(message):
                return self.saved.pop(index)
        while True:
            self.heed()
            message = self._next(deadline)
            if message is EXPIRED:
                return message
            if message is None:
                continue
            if matching is None or matching(message):
                return message
            self.saved.append(message)

    def terminate(self, reason: object) -> None:
        """The process ends: break its links, tell its monitors.  On its own scheduler."""
        self.alive = False
        linked, watching = self.runtime.let_go(self.pid)
        self.runtime.remove(self.pid)
        for entity in linked:
            entity.exit_signal(self.pid, reason, broken_link=True)
        for ref, watcher in watching:
            if isinstance(watcher, Process):
                watcher.deliver(Tuple((DOWN, ref, Atom("process"), self.pid, reason)))
            else:
                watcher(self.pid)
        self.runtime.changed()
