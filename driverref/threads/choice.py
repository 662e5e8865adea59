"""What may go on at a step, as a number: a script, a search and a witness hold such numbers.

* 0, 1, 2 and so on: the thread that was started as the first, second, third.
* `TIME`: virtual time passes.
* `other_way(n)`: thread n, and what mostly does not happen at its step happens
  (`Threads.chance`).
"""

from __future__ import annotations

TIME = -1
"""Let time pass."""


def other_way(number: int) -> int:
    """The number that stands for the other way of a thread; of that number, the thread's."""
    return -2 - number


def thread_of(choice: int) -> int:
    """The number of the thread that goes on with this choice; of `TIME` itself."""
    return max(choice, other_way(choice))


def named(choice: int) -> str:
    """A choice in words, for messages."""
    if choice == TIME:
        return "time"
    return f"thread {choice}" if choice >= 0 else f"the other way of thread {thread_of(choice)}"
