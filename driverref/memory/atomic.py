"""C11's atomics: the one kind of variable that threads may share without a lock.

An operation is one step: no other thread sees it half done.  It also orders.  Let thread A write a
value and thread B read it: then all that A did before the write happened before all that B does
after the read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext

from driverref.errors import wrong_type
from driverref.threads import OUTSIDE, running

_outside = itertools.count()  # numbers the atomics that are made outside an emulator


class Atomic:
    """An `atomic_int` or `atomic_bool` of C11: the right type for a flag that cancels a job.

    It stands alone or in a field of a `Struct`.  Each operation is one step, is sequentially
    consistent, and stands for the one of the same name in `stdatomic.h`.  A value that is no `int`
    and no `bool` is a `TypeError`.  Any thread, also outside an emulator.
    """

    __slots__ = ("_id", "_value")

    def __init__(self, value: int = 0) -> None:
        self._value = _number(value)
        thread = running()
        # Made outside, as a global variable is, it can meet any emulator's own numbers.  The pair
        # keeps it from being taken for one of them.
        self._id: object = (
            ("an atomic", next(_outside)) if thread is OUTSIDE else thread.runtime.threads.new_id()
        )

    def load(self) -> int:
        """The value."""
        if (thread := running()) is not OUTSIDE:
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
        # Outside an emulator there is one thread, so nothing can divide the operation.
        undivided = (
            nullcontext()
            if thread is OUTSIDE
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
