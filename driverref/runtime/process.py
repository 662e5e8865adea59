"""An Erlang process: a mailbox, links, exit signals.

Everything that can wake a process comes through one queue, its *inbox*: messages, and `None`, which
is no term and says "look again".  So a process waits in one way only, whether for a message, for a
busy port, for a driver to be unloaded or for the emulator to halt.  Messages that come while it
waits for something else are *saved* for the next `receive`.

An exit signal to a process that does not trap exits is its *doom*.  A process that waits heeds it
at once.  One that goes on notices it when it is taken off its scheduler, which may be anywhere;
between two BIFs there is no difference to see.  So at the beginning of each BIF it may be noticed
or not:

* a signal that comes from elsewhere is noticed, but it may come late;
* a signal that the process has caused by its own BIF is not noticed before it waits, unless it
  happens to be taken off its scheduler before.  So OTP 25 did in each of 300 runs.

A search tries both ways (`Threads.chance`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driverref.errors import ProcessExit
from driverref.runtime.core import Runtime
from driverref.runtime.entities import Bonds
from driverref.runtime.scheduler import Scheduler
from driverref.terms import DOWN, EXIT, KILL, KILLED, NORMAL, Atom, Pid, Port, Ref, Tuple, copied
from driverref.threads import EXPIRED, LATE, Cell, Thread, running

Matching = Callable[[Any], object]

LATE_BIFS = 100
"""How many BIFs a process begins at most before it notices an exit signal.

A real process is taken off its scheduler after 4,000 reductions.
"""


class Process:
    """One process.

    `thread` carries it; `scheduler` is where its BIFs run: by default processes take turns.
    `ended` is for a process that ended some time ago: nothing reaches it, but a port may be given
    it as its owner.
    """

    def __init__(
        self, runtime: Runtime, scheduler: int | None = None, *, ended: Pid | None = None
    ) -> None:
        threads = runtime.threads
        self.runtime = runtime
        self.pid = self.id = ended or runtime.new(Pid)
        # A real scheduler steals processes from others; here a process stays.  What a driver's
        # author wants to know is what can happen on one scheduler and on several.
        index = (scheduler or self.pid.number) - 1
        self.scheduler: Scheduler = runtime.schedulers[index % len(runtime.schedulers)]
        self.inbox = threads.queue(f"a message to {self.pid}")
        # Bound once: `driver_output` calls it for every message.
        self.put = self.inbox.put
        # A poll is cheaper than `get` on OS threads, where the message is mostly there.  On
        # simulated threads it would be one more step.
        self.get_first = self.inbox.get if threads.simulated else self.inbox.get_nowait
        # Messages that have been looked at and were not wanted yet, oldest first.
        self.saved: list[object] = []
        self.bonds = threads.cell(Bonds())
        self.trap_exit = threads.cell(False)
        # What the process ends with: the first deadly signal.
        self.doom: Cell[ProcessExit | None] = threads.cell(None)
        # Whether it has caused that by itself, and how many BIFs it has begun since.
        self._own_doom = False
        self._late = 0
        self.alive = threads.cell(ended is None)
        # What `process_flag` has set.  It changes nothing here, and only the process asks.
        self.message_queue_data = Atom("on_heap")
        # Whether it has ever loaded a driver.  Only its own thread asks, so it is no cell.
        self.uses_drivers = False
        self.thread: Thread
        if ended is None:
            runtime.entities.enter(self)

    def carried_by(self, thread: Thread) -> None:
        """Tie the process and its thread together."""
        # Called by the thread itself.  The seam knows it only once it runs.
        thread.runtime, thread.process, thread.scheduler = self.runtime, self, self.scheduler
        # In a picture a process has no lane of its own.  What it does, its scheduler does.
        thread.lane = self.scheduler.name
        self.thread = thread

    # What other threads do to it.

    def deliver(self, message: object) -> None:
        """Put a copy of a message into the mailbox: the sender, or the trace, keeps the other."""
        # Also of a process that has ended: nothing reads it any more, and the sender cannot know.
        self.inbox.put(copied(message))

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """Take an exit signal: as a message if the process traps exits, else as its end."""
        if broken_link and not self.runtime.entities.unlink_half(self, sender):
            return
        self.runtime.note_exit_signal(sender, self.pid, reason)
        # `kill` cannot be trapped, but only when it is sent.  The end of a linked process that was
        # killed arrives as `killed`, and a link that breaks with `kill` is a reason like any other.
        kill = reason == KILL and not broken_link
        if self.trap_exit.value and not kill:
            self.deliver(Tuple((EXIT, sender, reason)))
        # A linked process that ends normally kills nothing.  `exit(self(), normal)` does.
        elif reason != NORMAL or sender == self.pid:
            if self.doom.value is None:
                self.doom.value = ProcessExit(KILLED if kill else copied(reason))
                self._own_doom = running() is self.thread
            # It may wait for a message, and has to be told.
            self.inbox.put(None)

    def down(self, ref: Ref, reason: object) -> None:
        """Deliver `{'DOWN', ...}`, unless the monitor was given up meanwhile."""
        watch = self.runtime.entities.unwatch(ref, self)
        if watch is not None:
            self.deliver(Tuple((DOWN, ref, Atom(watch.kind), watch.item, reason)))

    def lives(self) -> bool:
        """Whether it can be linked and monitored."""
        return self.alive.value

    def wake(self) -> None:
        """Have it look again at what it waits for."""
        self.inbox.put(None)

    def emulator_down(self) -> None:
        """Have it notice that the emulator is down."""
        # Nothing that the search hears of: the run ends, whatever this process would have done.
        # At once: the thread that takes the emulator down must not be stopped halfway.
        self.inbox.put_at_once(None)

    # What its own thread does.

    def trap(self, on: bool) -> bool:
        """Have exit signals come as messages, or not; returns what was before."""
        # Only this process sets it, but others read it when they send an exit signal.
        before, self.trap_exit.value = self.trap_exit.value, on
        return before

    def heed(self) -> None:
        """Raise what the process has to notice: the emulator is down, or its doom has come."""
        if self.runtime.down is not None:
            raise self.runtime.refusal()
        doom = self.doom.value
        if doom is not None:
            raise doom

    def notice(self) -> None:
        """Heed an exit signal if the process is taken off its scheduler here."""
        doom = self.doom.value
        if doom is not None and self.runtime.down is None and self._late < LATE_BIFS:
            self._late += 1
            if self._own_doom is not self.runtime.threads.chance(LATE):
                return
        self.heed()

    def wait_until(
        self, what: object, condition: Callable[[], object], deadline: int | None = None
    ) -> bool:
        """Sleep until `condition()` holds; `False` if `deadline` passes first.

        What makes the condition true calls `Runtime.changed`, or `wake`.  The condition reads cells
        and tables, so that the search knows what the process waits for.  `what` says it in words,
        for a `Deadlock`, which prints it.
        """
        if condition():  # in most cases, and then nothing need be written
            return True
        self.runtime.waiters.change()[self] = None
        self.thread.waits_for = what
        try:
            # The condition is asked again after the process has entered itself among the waiters.
            # A change that came in between has woken only those that were waiters already.
            while not condition():
                self.heed()
                item = self.inbox.get_until(deadline)
                if item is EXPIRED:
                    return False
                # A message that comes meanwhile is not what is waited for.  It keeps its place
                # before those that come later.
                if item is not None:
                    self.saved.append(item)
            # A process that was asleep takes its signals before it goes on, so what it waited for
            # does not come first if both are there.
            self.heed()
            return True
        finally:
            self.thread.waits_for = ""
            self.runtime.waiters.change().pop(self, None)

    def next_message(self, matching: Matching | None, deadline: int | None) -> object:
        """The first message that matches, or `EXPIRED`."""
        # Saved messages are older than all that are in the inbox.
        for index, message in enumerate(self.saved):
            if matching is None or matching(message):
                return self.saved.pop(index)
        while True:
            # Before each wait, because `None` in the inbox may stand for an exit signal.
            self.heed()
            message = self._next(deadline)
            if message is EXPIRED:
                return message
            if message is None:
                continue
            if matching is None:
                return message
            # A selective receive leaves what does not match, for a later one.  It is saved before
            # it is looked at: `matching` is the program's, and may raise.
            self.saved.append(message)
            if matching(message):
                return self.saved.pop()

    def mailbox(self) -> list[object]:
        """Every message that has come and was not taken, oldest first."""
        while not self.inbox.empty():
            # `None` says "look again" to a process that waits.  This one does not.
            if (item := self.inbox.get()) is not None:
                self.saved.append(item)
        return self.saved

    def drop(self, matching: Matching) -> None:
        """Take the first message that matches out of the mailbox, if there is one."""
        for index, message in enumerate(self.mailbox()):
            if matching(message):
                del self.saved[index]
                return

    def _next(self, deadline: int | None) -> object:
        """The inbox's next item, or `EXPIRED`.

        The thread does the scheduler's work while it waits.
        """
        work = self.scheduler.work
        # With a message there already the thread has no time to lend.  If the scheduler's thread is
        # awake, or another process has lent its thread, `attend` says that no help is needed.
        if not self.inbox.empty() or not work.attend(self.put):
            return self.inbox.get_until(deadline)
        try:
            item = self.inbox.get_until(deadline)
            # None, put there by `attend`: there is work.  Or another thread has woken the process;
            # then there is none, and `lend` returns at once.
            if item is None:
                self.scheduler.lend(self.thread)
        finally:  # Ctrl-C ends the waiting too
            work.leave()
        return item

    def terminate(self, reason: object) -> None:
        """End the process: give up its drivers, break its links, tell its monitors.

        On its own scheduler.
        """
        entities = self.runtime.entities
        self.runtime.note(self.scheduler.name, "exited", Tuple((self.pid, reason)))
        # First, so that nothing is linked to the process that would not be told.
        self.alive.value = False
        # The drivers before the links: a port that is killed because its driver's last user ends
        # tells its links `driver_unloaded`, also if that process is its owner.
        names = list(self.runtime.drivers) if self.uses_drivers else []
        drivers = [self.runtime.driver(name) for name in names]
        given_up = [driver for driver in drivers if driver and driver.user_ends(self.pid)]
        linked, watching = entities.part(self)
        entities.remove(self)
        for entity in linked:
            entity.exit_signal(self.pid, reason, broken_link=True)
        # A driver's monitor runs its callback here and now, on this scheduler, under the port's
        # lock.
        for tell in watching:
            tell(reason)
        # Their `finish` runs last, when everything that the process was linked to has been told.
        for driver in given_up:
            driver.user_gone(self.pid)
        # `stop` may wait for the last process, and a driver for the end of its user.
        self.runtime.changed()
