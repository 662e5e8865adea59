"""The switch: one small class, with one implementation for CPython and one for a browser.

A `Coroutine` is a stack that can be left in the middle of a plain function and entered again.

    Coroutine(body)      a stack of its own, which runs `body` when it is switched to
    Coroutine()          the stack that is running now
    is_running           whether the caller is this coroutine
    check_running        the same, as `Misuse`
    standing             where in the program it stands; None if it has not begun
    switch               leave the running coroutine here, and go on with this one
    finish_into          which coroutine goes on when this one's body returns
    unwind               raise `Unwound` where it stands, and return when its stack is empty

A body lets no exception out but `Unwound`.  All coroutines that switch to each other belong to one
OS thread.

`greenlets` is for CPython.  A Python in a browser has neither greenlet nor threads, but WebAssembly
can leave a stack: `stack_switching`.  Nothing else in the package knows which of the two it is.
"""

from __future__ import annotations

import sys

if sys.platform == "emscripten":
    from driverref.threads.stack_switching import Coroutine as Coroutine
    from driverref.threads.stack_switching import Unwound as Unwound
else:
    from driverref.threads.greenlets import Coroutine as Coroutine
    from driverref.threads.greenlets import Unwound as Unwound
