"""The switch on CPython, which needs greenlet for it (`coroutine` says what a switch is).

Two facts about greenlets shape this file.

A greenlet begins as deep in the stack as the place that first switches to it.  CPython counts the
frames below that place against the greenlet's recursion limit, and keeps counting them when that
place has long returned.  Ten threads of 100 frames that had started each other would reach one
limit of 1000.  So each OS thread has a *hub*, a greenlet that is never deep, and only the hub
starts the others.

To make a greenlet costs ten times as much as to switch to it.  So the others are *workers*: a
worker whose body has returned waits for another body.

    Coroutine(body): an idle worker is given the body; if there is none, the hub starts one
        -> switch: the body runs
        -> it returns: the worker is idle, or ends; either way the hub goes on
        -> the hub switches to the successor
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import greenlet

from driverref.diagnostics import Place, standing
from driverref.errors import Misuse
from driverref.threads.thread import running, running_thread

Unwound = greenlet.GreenletExit
"""Raised in a coroutine that is left behind: by `unwind`, or when nothing refers to it any more."""

Body = Callable[[], object]

_KEPT = 64
"""How many idle workers an OS thread keeps at most."""


class _Worker(greenlet.greenlet):
    """A greenlet that runs one body after the other."""

    body: Body | None = None
    """What to run next; `None` as soon as it has begun."""
    successor: greenlet.greenlet | None = None
    """What goes on when the body has returned; `None` if the worker is being thrown away."""


class _Greenlets(threading.local):
    """The greenlets of the running OS thread.  A greenlet cannot change its OS thread."""

    idle: list[_Worker]
    """The workers that have no body."""
    hub: greenlet.greenlet
    successor: greenlet.greenlet
    """What the hub switches to next."""

    def __init__(self) -> None:
        self.make_hub()

    def make_hub(self) -> None:
        """Begin anew with a hub and no workers."""
        # An exception that leaves a worker goes to the hub, ends it, and goes to the hub's parent.
        # That is the outermost greenlet, because it does not end.
        outermost = greenlet.getcurrent()
        while outermost.parent is not None:
            outermost = outermost.parent
        self.idle = []
        self.hub = greenlet.greenlet(_serve, outermost)


def _serve() -> None:
    """The hub: start a worker if none is idle, then go on with the successor."""
    while True:
        if not _own.idle:
            # It comes back at once, to wait for a body.  The hub is its parent, so the hub goes on
            # when the worker ends, too.
            _own.idle.append(_Worker(_work))
            _own.idle[0].switch()
        # The hub refers to the successor until it is used again.
        _own.successor.switch()


def _work() -> None:
    """A worker: run one body after the other.

    The functions that it calls look up the worker for themselves.  A local variable here would live
    as long as the greenlet and refer to it, so an idle worker would never be collected.
    """
    while True:
        _own.hub.switch()
        _run_body()
        if not _stays():
            return


def _run_body() -> None:
    worker = _current()
    body, worker.body = worker.body, None
    assert body is not None
    # The stack of the body must not refer to its own greenlet either: then the coroutine is
    # unwound as soon as nothing else does.
    del worker
    with suppress(Unwound):
        body()


def _stays() -> bool:
    """Tell the hub what goes on after this worker's body; `False` if the worker is to end."""
    worker = _current()
    successor, worker.successor = worker.successor, None
    if successor is None:
        return False
    _own.successor = successor
    # Only a worker of this hub: one of a hub that an exception has ended does not come back here.
    if len(_own.idle) >= _KEPT or worker.parent is not _own.hub:
        return False
    _own.idle.append(worker)
    return True


def _current() -> _Worker:
    worker = greenlet.getcurrent()
    assert isinstance(worker, _Worker)
    return worker


_own = _Greenlets()


class Coroutine:
    """A stack of its own that runs `body`; without a body, the stack that is running now."""

    __slots__ = ("_greenlet",)

    def __init__(self, body: Body | None = None) -> None:
        self._greenlet = here = greenlet.getcurrent()
        if body is not None:
            if _own.hub.dead:  # Ctrl-C, between two bodies
                _own.make_hub()
            if not _own.idle:
                _own.successor = here
                _own.hub.switch()
            worker = _own.idle.pop()
            worker.body = body
            self._greenlet = worker

    def is_running(self) -> bool:
        """Whether the caller is this coroutine."""
        return greenlet.getcurrent() is self._greenlet

    def standing(self) -> Place:
        """Where in the program it stands; `None` if it has not begun."""
        return standing(sys._getframe() if self.is_running() else self._greenlet.gr_frame)

    def check_running(self) -> None:
        """Raise `Misuse` unless the caller is this coroutine."""
        if not self.is_running():
            raise Misuse(
                "the emulator is called on another greenlet than the one that made it; call it"
                " there, or in a function that was given to spawn"
            )

    def switch(self) -> None:
        """Leave the running coroutine here and go on with this one."""
        thread = running()
        try:
            self._greenlet.switch()
        finally:  # also where the one that was left is unwound, or ended by Ctrl-C
            running_thread.set(thread)

    def finish_into(self, successor: Coroutine) -> None:
        """Have `successor` go on when this coroutine's body returns."""
        assert isinstance(self._greenlet, _Worker)
        self._greenlet.successor = successor._greenlet

    def unwind(self) -> None:
        """End this coroutine: raise `Unwound` where it stands, return when its stack is empty."""
        worker = self._greenlet
        assert isinstance(worker, _Worker)
        if worker.body is not None:
            # It has not begun.  There is no stack to clear, so none of its code has to run.
            worker.body = None
            if len(_own.idle) < _KEPT:
                _own.idle.append(worker)
        elif not worker.dead:
            # Its `finally` blocks run, and each step in them raises again (`Steps`): so nothing of
            # the program goes on.
            worker.successor = greenlet.getcurrent()
            worker.throw(Unwound())
