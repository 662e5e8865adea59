"""The switch: one small class, so that another mechanism can stand in for greenlet.

A `Coroutine` is a stack that can be left in the middle of a plain function and entered again.
CPython needs greenlet for that.  A Python in a browser has no greenlet but can switch stacks by
other means; it would replace this file and nothing else.  That is why greenlet is wrapped.

To make a greenlet costs ten times as much as to switch to it.  So a greenlet whose body has
returned is kept, and the next coroutine of that OS thread gets it:

    Coroutine(body): a kept greenlet, or a new one, is given the body
        -> switch: the body runs
        -> it returns: `_work` keeps the greenlet and switches to the successor
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType

import greenlet

Unwound = greenlet.GreenletExit
"""Raised in a coroutine that is left behind: by `unwind`, or when nothing refers to it any more."""

Body = Callable[[], object]

_KEPT = 64
"""How many idle greenlets an OS thread keeps at most."""


class _Idle(threading.local):
    """The greenlets of an OS thread that have no body.  A greenlet cannot change its OS thread."""

    def __init__(self) -> None:
        self.workers: list[_Worker] = []


_idle = _Idle()


class _Worker(greenlet.greenlet):
    """A greenlet that runs one body after the other."""

    body: Body | None = None
    """What to run next; `None` as soon as it has begun."""
    successor: greenlet.greenlet | None = None
    """What goes on when the body has returned; `None` if the greenlet is being thrown away."""


def _work() -> None:
    """Run one body after the other.

    The two functions that it calls look up the worker for themselves.  A local variable here would
    live as long as the greenlet and refer to it, so an idle greenlet would never be collected.
    """
    while True:
        _run_body()
        successor = _after_body()
        if successor is None:
            return
        successor.switch()


def _run_body() -> None:
    worker = _current()
    body, worker.body = worker.body, None
    assert body is not None
    # The stack of the body must not refer to its own greenlet either: then the coroutine is
    # unwound as soon as nothing else does.
    del worker
    body()


def _after_body() -> greenlet.greenlet | None:
    """What to switch to while this worker waits for its next body; `None` if it is to end."""
    worker = _current()
    successor, worker.successor = worker.successor, None
    if successor is not None and len(_idle.workers) < _KEPT:
        _idle.workers.append(worker)
        return successor
    # A greenlet that ends is followed by its parent.
    if successor is not None:
        worker.parent = successor
    return None


def _current() -> _Worker:
    worker = greenlet.getcurrent()
    assert isinstance(worker, _Worker)
    return worker


class Coroutine:
    """A stack of its own that runs `body`; without a body, the stack that is running now.

    A body that is unwound ends by returning; it lets no exception out.  All coroutines that switch
    to each other belong to one OS thread.
    """

    __slots__ = ("_greenlet",)

    def __init__(self, body: Body | None = None) -> None:
        self._greenlet = ancestor = greenlet.getcurrent()
        if body is not None:
            if _idle.workers:
                worker = _idle.workers.pop()
            else:
                # `_after_body` makes the successor of a greenlet that ends its parent.  That may be
                # one that it has made itself, and no greenlet may be its own ancestor.  So the
                # maker is not the parent: the outermost greenlet is.
                while ancestor.parent is not None:
                    ancestor = ancestor.parent
                worker = _Worker(_work, ancestor)
            worker.body = body
            self._greenlet = worker

    def is_running(self) -> bool:
        """Whether the caller is this coroutine."""
        return greenlet.getcurrent() is self._greenlet

    def frame(self) -> FrameType | None:
        """The top of its stack; `None` if it has not begun."""
        return sys._getframe(1) if self.is_running() else self._greenlet.gr_frame

    def switch(self) -> None:
        """Leave the running coroutine here and go on with this one."""
        self._greenlet.switch()

    def finish_into(self, successor: Coroutine) -> None:
        """Have `successor` go on when this coroutine's body returns."""
        assert isinstance(self._greenlet, _Worker)
        self._greenlet.successor = successor._greenlet

    def unwind(self) -> None:
        """End this coroutine: raise `Unwound` where it stands, return when its stack is empty."""
        worker = self._greenlet
        assert isinstance(worker, _Worker)
        if worker.body is None:
            # It has begun.  Its `finally` blocks run, and each step in them raises again (`Steps`):
            # so nothing of the program goes on.
            worker.successor = greenlet.getcurrent()
            worker.throw(Unwound())
        else:
            # It has not begun.  There is no stack to clear, so none of its code has to run.
            worker.body = None
            _idle.workers.append(worker)
