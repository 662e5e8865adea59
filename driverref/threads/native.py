"""The seam on OS threads: the standard library's own primitives, nearly bare.

`Lock`, `Condition` and `SimpleQueue` are handed out as they are, so the runtime's hot path is C.  A
step does nothing here: the operating system switches threads wherever it likes.  Nothing detects a
deadlock.

`NativeWork` is the one thing that is built here.  Read its head before its methods: it is correct
because of the order of their statements.
"""

from __future__ import annotations

import itertools
import queue
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, NoReturn

from driverref.diagnostics import caller
from driverref.errors import EmulatorHang
from driverref.threads import (
    EXPIRED,
    OUTSIDE,
    Crashed,
    Mutex,
    Socket,
    Thread,
    running,
    running_thread,
)
from driverref.threads.cells import PlainCell
from driverref.threads.native_poll import NativePoll

_PATIENCE = 20
"""How often `acquire_patiently` tries before it waits for the lock."""
_NAP = 50e-6
"""Seconds that it sleeps after each try."""

_no_op: Callable[[None], object] = bool
"""No-op used when no thread waits for work.  `bool(None)` is the cheapest call there is."""


class NativeThread(Thread):
    """A `Thread` and the `threading.Thread` that runs it."""

    __slots__ = ("carrier",)

    def __init__(self, name: str, carrier: threading.Thread) -> None:
        super().__init__(name)
        self.carrier = carrier


class NativeQueue(queue.SimpleQueue[Any]):
    """`SimpleQueue`, with a deadline instead of a timeout."""

    __slots__ = ()

    put_at_once = queue.SimpleQueue.put

    def get_until(self, deadline: int | None) -> Any:
        """The next item, or `EXPIRED` if none came before `deadline`."""
        if deadline is None:
            return self.get()
        seconds = max(0, deadline - time.monotonic_ns()) / 1e9
        try:
            return self.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except queue.Empty:
            return EXPIRED


class NativeWork:
    """A FIFO with a server that sleeps until its bell is rung.

    A thread that adds work calls `_tell`.  While the server sleeps, that rings the bell.  While a
    thread attends, it wakes that thread.  While the server is awake, and after the first call, it
    is `_no_op`.

    No wake-up is lost, because both sides write before they read:

        the thread that adds:       puts the item     then reads `_tell`
        the thread that waits:      sets `_tell`      then looks for items

    Whichever of the two reads last sees what the other has written.  Both may see it; then a thread
    is woken once too often, which does no harm.
    """

    def __init__(self, items: NativeQueue, bell: NativeQueue) -> None:
        self._items = items
        self._bell = bell
        self.take = items.get_nowait
        self._ring: Callable[[None], object] = bell.put
        self._tell = _no_op
        # Held to read `_tell` and set it in one go.
        self._swap = threading.Lock()

    def add(self, item: object) -> None:
        # Before: the item is in the queue before `_tell` is read.
        self._items.put(item)
        # Mostly the server is awake, and then an item costs no lock.
        if self._tell is not _no_op:
            # Without `_swap` another thread could attend between the reading and the setting.  Its
            # `_tell` would be wiped out without a call, and it would sleep beside the work.
            with self._swap:
                tell, self._tell = self._tell, _no_op
            tell(None)

    add_at_once = add

    def wait(self, deadline: int | None) -> None:
        # Before: `_tell` is set before the server looks for items.
        with self._swap:
            self._tell = self._ring
        if self._items.empty():
            self._bell.get_until(deadline)
        # The server is awake and takes everything that is there.  A thread that has attended
        # meanwhile need not be woken for it, so it does not matter if its `_tell` is lost here.
        self._tell = _no_op

    def attend(self, wake: Callable[[None], object]) -> bool:
        # Before: as in `wait`, `_tell` is set before this looks for items.
        with self._swap:
            if self._tell is not self._ring:
                return False  # the server is awake, or another thread attends
            self._tell = wake
        if not self._items.empty():
            wake(None)
        return True

    def leave(self) -> None:
        # Before: from here on new items ring the bell, and only then are those left looked for.
        with self._swap:
            self._tell = self._ring
        if not self._items.empty():
            # The server still sleeps: the call for these items went to the attending thread.
            self._tell = _no_op
            self._ring(None)

    def ring(self) -> None:
        self._ring(None)


class NativeThreads:
    """The seam on OS threads."""

    simulated = False
    stuck: Exception | None = None

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # Those that are still in use, for `close`.  In the order in which they were made: a
        # server's items before its bell.
        self._queues: dict[weakref.ref[NativeQueue], None] = {}
        self._polls: list[NativePoll] = []
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._main: NativeThread
        self.new_id: Callable[[], int] = itertools.count(1).__next__

    cell = PlainCell
    table = dict
    counter = staticmethod(partial(itertools.count, 1))

    now = read_clock = staticmethod(time.monotonic_ns)
    time_offset = time.time_ns() - time.monotonic_ns()

    def sleep(self, ns: int) -> None:
        time.sleep(ns / 1e9)

    def mutex(self, name: str) -> Mutex:
        return threading.Lock()

    def guard(self, name: str) -> AbstractContextManager[object]:
        return threading.Lock()

    def acquire_patiently(self, mutex: Mutex) -> None:
        # While a thread waits in the lock, each release is a system call.  So this one naps and
        # tries again, and waits in the lock only after it has failed many times.
        for _ in range(_PATIENCE):
            if mutex.acquire(False):
                return
            time.sleep(_NAP)
        mutex.acquire()

    def condition(self, mutex: Mutex, name: str) -> threading.Condition:
        return threading.Condition(mutex)  # type: ignore[arg-type]

    def queue(self, name: str) -> NativeQueue:
        # By weak reference: a process that has ended must not leave its inbox behind.
        new = NativeQueue()
        self._queues[weakref.ref(new, lambda dead: self._queues.pop(dead, None))] = None
        return new

    def work(self, name: str) -> NativeWork:
        return NativeWork(self.queue(name), self.queue(name))

    def socketpair(self) -> tuple[Socket, Socket]:
        pair = socket.socketpair()
        self._sockets.update(pair)
        return pair

    def poll(self, name: str) -> NativePoll:
        self._polls.append(NativePoll())
        return self._polls[-1]

    def step(self, resource: object = None, mode: object = None) -> bool:
        return True

    def load(self, resource: object) -> None:
        pass

    def chance(self, kind: str) -> bool:
        return False

    def spin(self, loop: str) -> NoReturn:
        raise EmulatorHang(f"{running().name} {loop}", caller())

    def atomically(self, resource: object, reads: bool = True) -> AbstractContextManager[object]:
        return self._guard  # one for all atomics: it is held for a statement or two

    def adopt(self, name: str) -> Thread:
        self._main = NativeThread(name, threading.current_thread())
        running_thread.set(self._main)
        return self._main

    def start(
        self, name: str, target: Callable[[], None], crashed: Crashed, settle: bool = False
    ) -> Thread:
        def run() -> None:
            running_thread.set(thread)
            try:
                target()
            except BaseException as error:
                crashed(error)  # what it returns cannot be raised in the adopted thread

        # A daemon: a thread that waits for ever does not keep the process from ending.
        thread = NativeThread(name, threading.Thread(target=run, name=name, daemon=True))
        thread.carrier.start()
        return thread

    def join(self, thread: Thread) -> None:
        assert isinstance(thread, NativeThread)
        thread.carrier.join()

    def interrupt(self, error: BaseException) -> bool:
        return False  # no OS thread can be made to raise while it is in a call of C

    def close(self) -> None:
        running_thread.set(OUTSIDE)
        # A copy: a queue that is collected meanwhile takes itself out of the dict.
        for each in filter(None, [reference() for reference in list(self._queues)]):
            # No item that is left may run; `None` ends the thread that serves the queue.
            with suppress(queue.Empty):  # not `until empty()`: its server takes items meanwhile
                while True:
                    each.get_nowait()
            each.put(None)
        for poll in self._polls:
            poll.end()
        # What a driver has left open, as the operating system closes it when the emulator ends.
        for left in list(self._sockets):
            left.close()
