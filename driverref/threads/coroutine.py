"""The switch: one small class, so that something else can stand in for greenlet.

A `Coroutine` is a stack that can be left in the middle of a plain function and entered again.  CPython
needs greenlet for that.  A Python in a browser has no greenlet but can switch stacks by other means;
it would replace this file and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import greenlet

Unwound = greenlet.GreenletExit
"""Raised in a coroutine that is left behind: by `unwind`, or when nobody refers to it any more."""


class Coroutine:
    """A stack of its own that runs `body`, or, without a body, the stack that is running now."""

    __slots__ = ("_greenlet",)

    def __init__(self, body: Callable[[], object] | None = None) -> None:
        self._greenlet = here = greenlet.getcurrent()
        if body is not None:
            while here.parent is not None:  # one that ends may go on in one that it has made
                here = here.parent
            # The lambda swallows what a finishing coroutine hands to one that has not begun.
            self._greenlet = greenlet.greenlet(lambda *_: body(), parent=here)

    def is_running(self) -> bool:
        """Whether the caller is this coroutine."""
        return greenlet.getcurrent() is self._greenlet

    def switch(self) -> None:
        """Leave the running coroutine here and go on with this one."""
        self._greenlet.switch()

    def throw(self, error: BaseException) -> None:
        """As `switch`, but `error` is raised where this one goes on."""
        self._greenlet.throw(error)

    def finish_into(self, successor: Coroutine) -> None:
        """When this coroutine's body returns, `successor` goes on."""
        self._greenlet.parent = successor._greenlet

    def unwind(self) -> None:
        """End this coroutine: raise `Unwound` where it stands, come back when its stack is empty."""
        if self._greenlet:  # has begun and not ended
            self._greenlet.parent = greenlet.getcurrent()
            self._greenlet.throw(Unwound())
