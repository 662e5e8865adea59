"""C11's atomics: the one kind of variable that threads may share without a lock.

An operation is one step that no other thread divides.  It also orders: a thread that reads a value
that another thread has written knows what that thread did before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext

from driverref.errors import wrong_type
from driverref.threads import NOBODY, running

_outside = itertools.count()


class Atomic:
    """An `atomic_int` or `atomic_bool` of C11: the right type for a flag that cancels a job.

    Alone or in a field of a `Struct`; any thread, and outside an emulator too.  Each operation is
    one step, sequentially consistent, and stands for the one of `stdatomic.h`.
    """

    __slots__ = ("_id", "_value")

    def __init__(self, value: int = 0) -> None:
        self._value = _number(value)
        thread = running()
        self._id: object = (
            ("an atomic", next(_outside)) if thread is NOBODY else thread.runtime.threads.new_id()
        )

    def load(self) -> int:
        """The value."""
        if (thread := running()) is not NOBODY:
            thread.runtime.threads.load(self._id)
        return self._value

    def store(self, value: int) -> None:
        """Set the value."""
        self._change(lambda _: value, value, reads=False)

    def exchange(self, value: int) -> int:
        """Set the value and return the one before."""
        return self._change(lambda _: value, value)

    def compare_exchange(self, expected: int, desired: int) -> bool:
        """Set the value to `desired` if it was `expected`, and return whether it was."""
        return self._change(lambda now: desired if now == expected else now, desired) == expected

    def fetch_add(self, n: int) -> int:
        """Add `n` and return the value before."""
        return self._change(lambda now: now + n, n)

    def fetch_sub(self, n: int) -> int:
        """Subtract `n` and return the value before."""
        return self._change(lambda now: now - n, n)

    def _change(self, new: Callable[[int], int], operand: int, reads: bool = True) -> int:
        _number(operand)
        thread = running()
        undivided = (
            nullcontext()
            if thread is NOBODY
            else thread.runtime.threads.atomically(self._id, reads)
        )
        with undivided:
            before = self._value
            self._value = new(before)
        return before

    def __repr__(self) -> str:
        return f"Atomic({self._value})"


def _number(value: int) -> int:
    if not isinstance(value, int):
        raise wrong_type("Atomic", "value", "an int or a bool", value)
    return value
