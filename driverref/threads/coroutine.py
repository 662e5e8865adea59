"""The switch: one small class, so that something else can stand in for greenlet.

A `Coroutine` is a stack that can be left in the middle of a plain function and entered again.  CPython
needs greenlet for that.  A Python in a browser has no greenlet but can switch stacks by other means;
it would replace this file and nothing else.

To make a greenlet costs ten times as much as to switch to it.  So one whose body has returned is kept, and
the next coroutine of that OS thread gets it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import greenlet

Unwound = greenlet.GreenletExit
"""Raised in a coroutine that is left behind: by `unwind`, or when nobody refers to it any more."""

Body = Callable[[], object]

_KEPT = 64


class _Idle(threading.local):
    """The greenlets of an OS thread that wait for a body."""

    def __init__(self) -> None:
        self.workers: list[_Worker] = []


_idle = _Idle()


class _Worker(greenlet.greenlet):
    """A greenlet that runs one body after the other."""

    body: Body | None = None
    successor: greenlet.greenlet | None = None
    """Who goes on when the body has returned; nobody, if the greenlet is being thrown away."""


def _work() -> None:
    """What a worker does.  While it waits it has no name for itself, or nobody could throw it away."""
    while True:
        _run_body()
        successor = _next_one()
        if successor is None:
            return
        successor.switch()


def _run_body() -> None:
    worker = _current()
    body, worker.body = worker.body, None
    assert body is not None
    del worker
    body()


def _next_one() -> greenlet.greenlet | None:
    """Who goes on while this worker waits for the next body; `None` if it is to end."""
    worker = _current()
    successor, worker.successor = worker.successor, None
    if successor is not None and len(_idle.workers) < _KEPT:
        _idle.workers.append(worker)
        return successor
    if successor is not None:
        worker.parent = successor
    return None


def _current() -> _Worker:
    worker = greenlet.getcurrent()
    assert isinstance(worker, _Worker)
    return worker


class Coroutine:
    """A stack of its own that runs `body`, or, without a body, the stack that is running now.

    A body ends, when it is unwound, by returning; it lets no exception out.
    """

    __slots__ = ("_greenlet",)

    def __init__(self, body: Body | None = None) -> None:
        self._greenlet = here = greenlet.getcurrent()
        if body is not None:
            if _idle.workers:
                worker = _idle.workers.pop()
            else:
                while here.parent is not None:  # one that ends may go on in one that it has made
                    here = here.parent
                worker = _Worker(_work, here)
            worker.body = body
            self._greenlet = worker

    def is_running(self) -> bool:
        """Whether the caller is this coroutine."""
        return greenlet.getcurrent() is self._greenlet

    def switch(self) -> None:
        """Leave the running coroutine here and go on with this one."""
        self._greenlet.switch()

    def finish_into(self, successor: Coroutine) -> None:
        """When this coroutine's body returns, `successor` goes on."""
        assert isinstance(self._greenlet, _Worker)
        self._greenlet.successor = successor._greenlet

    def unwind(self) -> None:
        """End this coroutine: raise `Unwound` where it stands, come back when its stack is empty."""
        worker = self._greenlet
        assert isinstance(worker, _Worker)
        if worker.body is None:  # it has begun
            worker.successor = greenlet.getcurrent()
            worker.throw(Unwound())
        else:
            worker.body = None
            _idle.workers.append(worker)
