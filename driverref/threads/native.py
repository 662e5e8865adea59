"""The seam on OS threads: the standard library's own primitives, nearly bare.

`Lock`, `Condition` and `SimpleQueue` are handed out as they are, so the runtime's hot path is C.
Nothing here detects a deadlock: a thread that waits for ever waits for ever.
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

from driverref.errors import EmulatorHang
from driverref.threads import (
    EXPIRED,
    NOBODY,
    Crashed,
    Mutex,
    Socket,
    Thread,
    running,
    running_thread,
)
from driverref.threads.cells import PlainCell

_PATIENCE = 20
_NAP = 50e-6
"""How often, and for how many seconds, `acquire_patiently` looks away before it stands in line."""

_nobody: Callable[[None], object] = bool
"""To tell nobody: a call that has no effect."""


class NativeThread(Thread):
    """A `Thread` and the `threading.Thread` that carries it."""

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
    """A FIFO with a server that sleeps until its bell is rung, or until somebody else is told instead.

    `_tell` is how to tell whoever attends that there is work; it is `_nobody` while they know already.  Who adds an
    item does it before looking at `_tell`, and who goes to sleep, or leaves, sets `_tell` before looking for items.
    So one of the two sees the other.  `_swap` keeps who tells from wiping out what was set after it had looked.  To
    be told once too often does no harm.
    """

    def __init__(self, items: NativeQueue, bell: NativeQueue) -> None:
        self._items = items
        self._bell = bell
        self.take = items.get_nowait
        self._ring: Callable[[None], object] = bell.put
        self._tell = _nobody
        self._swap = threading.Lock()

    def add(self, item: Any) -> None:
        self._items.put(item)
        if self._tell is not _nobody:
            with self._swap:
                tell, self._tell = self._tell, _nobody
            tell(None)

    add_at_once = add

    def wait(self, deadline: int | None) -> None:
        with self._swap:
            self._tell = self._ring
        if self._items.empty():
            self._bell.get_until(deadline)
        self._tell = _nobody

    def attend(self, tell: Callable[[None], object]) -> bool:
        with self._swap:
            if self._tell is not self._ring:
                return False  # the server is awake, or another thread attends
            self._tell = tell
        if not self._items.empty():
            tell(None)
        return True

    def leave(self) -> None:
        with self._swap:
            self._tell = self._ring
        if not self._items.empty():
            self._tell = _nobody
            self._ring(None)

    def ring(self) -> None:
        self._ring(None)


class NativeThreads:
    """The seam on OS threads."""

    simulated = False

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queues: dict[weakref.ref[NativeQueue], None] = {}
        """Those that somebody may wait for, in the order of their making: a server's items before its bell."""
        self._main: NativeThread
        self.new_id = itertools.count(1).__next__

    cell = PlainCell
    table = dict
    counter = staticmethod(partial(itertools.count, 1))

    now = read_clock = staticmethod(time.monotonic_ns)

    def sleep(self, ns: int) -> None:
        time.sleep(ns / 1e9)

    def mutex(self, name: str) -> Mutex:
        return threading.Lock()

    def guard(self, name: str) -> AbstractContextManager[object]:
        return threading.Lock()

    def acquire_patiently(self, mutex: Mutex) -> None:
        for _ in range(_PATIENCE):
            if mutex.acquire(False):
                return
            time.sleep(_NAP)
        mutex.acquire()

    def condition(self, mutex: Mutex, name: str) -> threading.Condition:
        return threading.Condition(mutex)  # type: ignore[arg-type]

    def queue(self, name: str) -> NativeQueue:
        made = NativeQueue()
        self._queues[weakref.ref(made, lambda gone: self._queues.pop(gone, None))] = None
        return made

    def work(self, name: str) -> NativeWork:
        return NativeWork(self.queue(name), self.queue(name))

    def socketpair(self) -> tuple[Socket, Socket]:
        return socket.socketpair()

    def step(self, resource: object = None, mode: object = None) -> bool:
        return True

    def touch(self, resource: object, write: bool) -> None:
        pass

    def load(self, resource: object) -> None:
        pass

    def spin(self, loop: str) -> NoReturn:
        raise EmulatorHang(f"{running().name} {loop}")

    fresh: Callable[[], int]

    def atomically(self, resource: object, reads: bool = True) -> AbstractContextManager[object]:
        return self._guard

    def adopt(self, name: str) -> Thread:
        self._main = NativeThread(name, threading.current_thread())
        running_thread.set(self._main)
        return self._main

    def adopted(self) -> Thread:
        if self._main.carrier is threading.current_thread():
            running_thread.set(self._main)
        return running()

    def start(
        self, name: str, target: Callable[[], None], crashed: Crashed, settle: bool = False
    ) -> Thread:
        def run() -> None:
            running_thread.set(thread)
            try:
                target()
            except BaseException as error:
                crashed(error)

        thread = NativeThread(name, threading.Thread(target=run, name=name, daemon=True))
        thread.carrier.start()
        return thread

    def join(self, thread: Thread) -> None:
        assert isinstance(thread, NativeThread)
        thread.carrier.join()

    def interrupt(self, error: BaseException) -> bool:
        return False

    def close(self) -> None:
        running_thread.set(NOBODY)
        for each in filter(None, [alive() for alive in list(self._queues)]):
            with suppress(queue.Empty):  # not until empty(): whoever serves it takes items too
                while True:
                    each.get_nowait()
            each.put(None)
