"""The switch in a browser (`coroutine` says what a switch is).

Python is WebAssembly there, as Pyodide builds it, and its `run_sync` leaves the whole stack until
something awaitable is done.  A stack that is left can be entered again from JavaScript's loop
alone, so every switch goes through it:

    switch: the other stack's baton is handed on, so JavaScript will enter that stack
        -> wait: `run_sync` on a baton of one's own leaves this stack
        -> JavaScript enters the other
        -> `run_sync` returns there

Three facts shape this file.

To begin a stack costs much more than to enter one.  So a stack whose body has returned waits for
another body, as the workers of `greenlets` do.

An awaitable of asyncio's would make several turns of its loop for each switch.  A `_Baton` has as
much of a future as `run_sync` asks for, and tells JavaScript at once.

The stack of WebAssembly is moved away while it is left, and parts of Python's frames lie on it.  So
nothing may walk through the frames of a stack that is left.  The garbage collector does, but not
when it is called: it is switched off and called from time to time.  And to say where it stands, a
stack is entered and asked.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator
from contextlib import suppress

from pyodide.code import run_js
from pyodide.ffi import run_sync

from driverref.diagnostics import Place, standing
from driverref.errors import Misuse
from driverref.threads.thread import running, running_thread


class Unwound(BaseException):
    """Raised in a coroutine that is left behind, by `unwind`."""


Body = Callable[[], object]

_KEPT = 64
"""How many idle stacks are kept at most."""

_COLLECT = 2_000
"""After how many bodies the garbage is collected."""

gc.disable()

# Begins a stack: it is entered for the first time when all others are left.
_begin = run_js("(work) => { work.callPromising() }")


class _Baton:
    """What a stack waits for: as much of an asyncio future as `run_sync` needs."""

    __slots__ = ("_passed", "_tell")
    _asyncio_future_blocking = False

    def __init__(self) -> None:
        self._tell: Callable[[_Baton], object] | None = None
        self._passed = False

    def __await__(self) -> Generator[_Baton, None, None]:
        raise NotImplementedError  # it need only be there

    def result(self) -> None:
        """Nothing but the turn is handed on."""

    def add_done_callback(self, tell: Callable[[_Baton], object]) -> None:
        """Have JavaScript told.  The baton may have been handed on before."""
        self._tell = tell
        if self._passed:
            tell(self)

    def hand_on(self) -> None:
        """Have the stack that waits for this go on, as soon as the running one is left."""
        self._passed = True
        if self._tell is not None:
            self._tell(self)


class _Stack:
    """A stack that runs one body after the other; the first of all runs none."""

    __slots__ = ("baton", "coroutine", "error", "question")

    def __init__(self) -> None:
        self.baton = _Baton()
        self.coroutine: Coroutine | None = None
        """Whose body it runs next; `None` if it is being thrown away."""
        self.error: BaseException | None = None
        """What is raised where it stands, when it goes on."""
        self.question: Callable[[], None] | None = None
        """What it does before it goes on, or instead."""

    def wait(self) -> None:
        """Leave this stack here, until its baton is handed on and it is asked no question."""
        global _current
        while True:
            run_sync(self.baton)
            self.baton = _Baton()
            _current = self
            question, self.question = self.question, None
            if question is None:
                break
            question()
        error, self.error = self.error, None
        if error is not None:
            raise error

    def work(self) -> None:
        """Run one body after the other."""
        while True:
            self.wait()
            coroutine, self.coroutine = self.coroutine, None
            if coroutine is None:
                return
            successor = coroutine._run()
            del coroutine
            kept = len(_idle) < _KEPT
            if kept:
                _idle.append(self)
            successor.baton.hand_on()
            if not kept:
                return


def _stack() -> _Stack:
    """Return a stack that has no body."""
    if _idle:
        return _idle.pop()
    stack = _Stack()
    _begin(stack.work)
    return stack


_current = _first = _Stack()
_idle: list[_Stack] = []
_bodies = 0
"""How many bodies there have been."""


class Coroutine:
    """A stack of its own that runs `body`; without a body, the stack that is running now.

    A coroutine to which nothing refers is not unwound, and keeps its stack.
    """

    __slots__ = ("_body", "_ended", "_stack", "_successor")

    def __init__(self, body: Body | None = None) -> None:
        global _bodies
        self._body, self._ended = body, False
        self._successor: _Stack | None = None
        if body is None:
            self._stack = _current
            return
        _bodies += 1
        if _bodies % _COLLECT == 0:
            gc.collect()
        self._stack = _stack()
        self._stack.coroutine = self

    def _run(self) -> _Stack:
        """Run the body, on its stack; return what goes on then."""
        body, self._body = self._body, None
        assert body is not None
        try:
            with suppress(Unwound):
                body()
        except BaseException as error:
            _first.error, self._successor = error, _first
        self._ended = True
        assert self._successor is not None
        return self._successor

    def is_running(self) -> bool:
        """Whether the caller is this coroutine."""
        return _current is self._stack

    def standing(self) -> Place:
        """Where in the program it stands; `None` if it has not begun."""
        if self.is_running():
            return standing(sys._getframe())
        if self._body is not None or self._ended:
            return None
        found: list[Place] = []
        me = _current

        def answer() -> None:
            found.append(standing(sys._getframe()))
            me.baton.hand_on()

        self._stack.question = answer
        self._stack.baton.hand_on()
        me.wait()
        return found[0]

    def check_running(self) -> None:
        """Raise `Misuse` unless the caller is this coroutine."""
        if not self.is_running():
            raise Misuse(
                "the emulator is called on another stack than the one that made it; call it there,"
                " or in a function that was given to spawn"
            )

    def switch(self) -> None:
        """Leave the running coroutine here and go on with this one."""
        me, thread = _current, running()
        self._stack.baton.hand_on()
        try:
            me.wait()
        finally:
            running_thread.set(thread)

    def finish_into(self, successor: Coroutine) -> None:
        """Have `successor` go on when this coroutine's body returns."""
        self._successor = successor._stack

    def unwind(self) -> None:
        """End this coroutine: raise `Unwound` where it stands, return when its stack is empty."""
        if self._ended:
            return
        stack, me = self._stack, _current
        if self._body is not None:
            # It has not begun.  There is no stack to clear, so none of its code has to run.
            self._body, self._ended, stack.coroutine = None, True, None
            if len(_idle) < _KEPT:
                _idle.append(stack)
            else:
                stack.baton.hand_on()
            return
        stack.error, self._successor = Unwound(), me
        stack.baton.hand_on()
        me.wait()
