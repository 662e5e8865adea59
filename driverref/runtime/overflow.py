"""What is told of a stack that is full.

CPython raises `RecursionError` when a thread's stack has `sys.getrecursionlimit()` frames.  The
words of that error, and the line that it comes from, depend on how deep the stack was before, so
the same mistake would look different in a plain run and in a search.  Its traceback has a thousand
frames.  The place at which calls begin to repeat is the same in every run.  That is told, in a
sentence.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import NamedTuple

from driverref.diagnostics import Place, is_program, where
from driverref.errors import StackOverflow


class Nesting(NamedTuple):
    """Where the program's calls nest until the stack is full.  `str` gives a sentence."""

    what: str
    place: Place
    until: str

    def __str__(self) -> str:
        return f"{self.what} at {where(self.place)}{self.until}"


def repeated(error: RecursionError) -> Nesting | None:
    """Where the program's calls nest until the stack is full.

    `None` if no function of the program has called itself since the frame in which this is asked.
    """
    calls = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if is_program(code.co_filename):
            calls.append((code, traceback.tb_lasti))
        traceback = traceback.tb_next
    times = Counter(code for code, _ in calls)
    # Of functions that call each other in turn, some have been called once less than the others.
    often = max(2, max(times.values(), default=0) - 1)
    for place in calls:
        if times[place[0]] >= often:
            until = f" until the stack of {sys.getrecursionlimit()} frames is full"
            return Nesting(f"{calls[0][0].co_name}: calls nest", place, until)
    return None


def nested_jobs(depth: int) -> StackOverflow:
    """The fault of a chain of jobs that run nested in each other, `depth` of them."""
    return StackOverflow(
        f"driver_async: {depth} jobs run nested in each other, each of them submitted",
        "; without async threads a job and its ready_async run inside driver_async, so in C a long"
        " chain overflows the stack; use async threads, or submit the next job from timeout",
    )
