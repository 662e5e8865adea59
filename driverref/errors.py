"""The errors.  The class of an error says what has to be changed.

There are three sides in a running emulator, and a mistake is made on one of them.

* **The driver** broke a rule of `erl_driver.h`: a `DriverFault`.  In C most of these are undefined
  behaviour.  Here each one stops the emulator, and its message names the places in the program that
  make the mistake: where a block was used, and where it had been freed.  A `DriverFault` finds its
  place itself when it is made.
* **The Erlang side** called a BIF wrongly, or too late: an `ErlangError`, as `erlang:error/1`
  raises it.
* **The Python program** passed an argument that the parameter does not take: a plain `TypeError` or
  `ValueError`, with the call, the parameter, what it takes and what it got.

`EmulatorHang` is a fault of the emulator itself.  `ProcessExit` is no error: it ends a process.
`Interrupted` is no error either: Ctrl-C raises it, and it has what a search had found.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any, TypeGuard

from driverref.diagnostics import Place, caller, shown, where


class DriverFault(Exception):
    """The driver broke a rule of `erl_driver.h`: change the driver.

    The emulator stops, because in C most of what follows would be undefined.

    `places` has the places in the program that make the mistake, such as `"drv.py:12 in work"`.
    Two faults of one class with the same places are one mistake.
    """

    def __init__(
        self, text: str, then: str | None = None, *others: str, place: Place = None
    ) -> None:
        """Make a fault of the line of the program that has led here, or of `place`.

        That line stands at the end of the message, or, with `then`, between `text` and `then`.
        `others` are the other places of the mistake, which the caller puts into the message.
        """
        super().__init__(text, then, *others)
        place = place or caller()
        self.places: tuple[str, ...] = tuple(sorted({where(place), *others}))
        if then is not None:
            text += f" at {where(place)}{then}"
        elif place is not None:
            text += f"; called at {where(place)}"
        self._message = text

    def __str__(self) -> str:
        return self._message


class Uninitialised(DriverFault):
    """A field was read before anything was written to it.

    The driver's fault: `driver_alloc` does not clear memory.  Write every field before you read it,
    one by one or with `memset`.
    """


class UseAfterFree(DriverFault):
    """A block was used after it had been freed, or a buffer after its callback had returned.

    The driver's fault: the memory may belong to something else by then.  Free a block only after
    its last use.  A frequent case is a job that reads the port's state while `stop` frees it: give
    the job a block of its own with all that it needs.
    """


class DoubleFree(DriverFault):
    """A block was freed twice.

    The driver's fault.  Decide which function frees the block, and let no other do it.  The data of
    a job reaches exactly one of `ready_async` and `async_free`, and that one frees it.
    """


class InvalidFree(DriverFault):
    """Something was freed that this call cannot free.

    The driver's fault: it is another kind of memory, or no memory at all.  Where another call frees
    it, the message names that call.
    """


class OutOfBounds(DriverFault):
    """A place in a block was used that lies outside the block.

    The driver's fault: in C it is other memory.  Compare the length that you have been given with
    the one that you have allocated.
    """


class Leak(DriverFault):
    """The emulator has halted and blocks are still allocated.

    The driver's fault.  `blocks` holds a line per block: what it is, where it was allocated, and,
    if it counts references, where more of them were taken.  Find the path on which nothing frees
    it; often it is a port that closes while a job runs.
    """

    def __init__(self, blocks: Sequence[str], places: Sequence[str] = ()) -> None:
        Exception.__init__(self, blocks, places)
        self.blocks = tuple(blocks)
        self.places = tuple(sorted(set(places)))

    def __str__(self) -> str:
        count = len(self.blocks)
        return "\n  ".join([f"{count} block{'s' * (count != 1)} never freed:", *self.blocks])


class DataRace(DriverFault):
    """Two threads touched the same memory, one of them wrote, and nothing orders the two.

    The driver's fault.  In C the program then has no meaning, even if the two accesses are never
    made at the same time.  Use a mutex or an `Atomic`, or leave the memory to the job from
    `driver_async` until `ready_async`: the pool's queues order these.  Only simulated threads
    detect races.
    """


class Misuse(DriverFault):
    """A call was made on a thread that may not make it, or in a way that C leaves undefined.

    The driver's fault.  The message names the call and what is wrong with it.
    """


class StackOverflow(DriverFault):
    """The calls of the driver have nested until a thread's stack was full.

    The driver's fault: a function calls itself without end, or, where the emulator has no async
    threads, each job submits the next one.  In C the stack overflows and the emulator dies without
    a message.  Use a loop; submit the next job from `timeout`.

    Python's stack is smaller than that of C.  If the driver's recursion has an end and is only
    deep, give Python more room with `sys.setrecursionlimit`.
    """


class Deadlock(DriverFault):
    """Every thread waits and no deadline is left that could wake one.

    The driver's fault, or the scenario's.  `waiting` holds a line per thread: its name, what it
    waits for, and where in the program it stands.  Look for two locks that are taken in both
    orders, or for a message or a signal that nothing sends.  On OS threads the program would hang.
    """

    def __init__(self, waiting: Sequence[str], places: Sequence[str] = ()) -> None:
        Exception.__init__(self, waiting, places)
        self.waiting = tuple(waiting)
        self.places = tuple(sorted(set(places)))

    def __str__(self) -> str:
        return "\n  ".join(["no thread can go on:", *self.waiting])


class Livelock(DriverFault):
    """A run has made more steps than its `step_limit`, and no end is in sight.

    The driver's fault, or the scenario's.  `standing` holds a line per thread: its name, what it
    does, and where in the program it stands.  Look for a loop
    that polls something which never comes, or that a schedule may keep from coming.  If the run is
    only long, give it a higher `step_limit`.
    """

    def __init__(
        self, step_limit: int, standing: Sequence[str], places: Sequence[str] = ()
    ) -> None:
        Exception.__init__(self, step_limit, standing, places)
        self.step_limit = step_limit
        self.standing = tuple(standing)
        self.places = tuple(sorted(set(places)))

    def __str__(self) -> str:
        head = f"the run has made {self.step_limit:,} steps (step_limit) and has not ended:"
        return "\n  ".join([head, *self.standing])


class ErlangError(Exception):
    """What a BIF raises: `reason` is Erlang's word for it, such as `badarg`, `notsup` or `einval`.

    The fault of the Erlang side, or of no side: a port may close between two calls.  The
    explanation, which Erlang does not give, names the argument that is wrong.
    """

    def __init__(self, reason: str, explanation: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {explanation}" if explanation else reason)


class ProcessExit(Exception):
    """The calling process ends with `reason`: it called `exit`, or an exit signal killed it."""

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason


class EmulatorHang(Exception):
    """A call has sent the emulator into a loop that never ends, so no thread can go on.

    The emulator's own fault: `driver_async_cancel` loops until R14B02, unless the job is the newest
    of its queue.  Do not call it there.  On OS threads the error is raised at once, because nothing
    there can tell an endless loop from a long one.  `places` has the line that made the call.
    """

    def __init__(self, text: str, place: Place = None) -> None:
        super().__init__(f"{text}, at {where(place)}" if place else text)
        self.places = (where(place),)


class EmulatorStopped(Exception):
    """The emulator has stopped, halted or crashed, so it takes no more calls.

    The call came too late: the Python program's fault, unless the driver crashed the emulator.
    Start a new one.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C has ended a search.

    `found` is what it had found until then: the `Outcomes` of `explore`, the `Comparison` of
    `compare`.  If a run had gone on for a second, the notes say where each of its threads was.
    """

    def __init__(self, found: Any, by: KeyboardInterrupt) -> None:
        super().__init__(found, by)
        self.found = found
        for note in getattr(by, "__notes__", ()):
            self.add_note(note)

    def __str__(self) -> str:
        return str(self.found.summary())


class Nondeterministic(Exception):
    """A scenario did something else when the same schedule was run again.

    The scenario's fault, and a search of it would prove nothing.  Look for a random number, the
    system's clock, the hash of an object, or something that one run leaves to the next: a driver
    that is made outside the scenario, or a global variable.
    """

    def __str__(self) -> str:
        return (
            f"the scenario is not deterministic: when a schedule was run again, {self.args[0]};"
            " a random number, a clock, or something left over from the run before makes it so"
        )


def wrong_type(call: str, parameter: str, expected: str, got: object) -> TypeError:
    """The `TypeError` for a bad argument: `driver_set_timer: t must be an int, not 'soon'`."""
    return TypeError(f"{call}: {parameter} must be {expected}, not {shown(got, 60)}")


def wrong_value(call: str, parameter: str, expected: str, got: object) -> ValueError:
    """The `ValueError` for an argument of the right type that is out of range."""
    return ValueError(f"{call}: {parameter} must be {expected}, not {shown(got, 60)}")


def null_pointer(call: str, parameter: str) -> Misuse:
    """The `Misuse` for `None` (NULL) where the emulator would crash on it."""
    return Misuse(f"{call}: {parameter} is NULL: the emulator would crash")


def is_int(value: object) -> TypeGuard[int]:
    """Whether `value` is an `int` and no `bool`.

    Python counts a `bool` as an `int`, but `True` for a number of bytes is a mistake.
    """
    return isinstance(value, int) and not isinstance(value, bool)


def check_int(
    call: str,
    parameter: str,
    value: object,
    low: int | None = None,
    high: int | None = None,
    unit: str = "",
) -> None:
    """Raise unless `value` is an `int` from `low` to `high`, both included; `None` is no limit.

    Raises the `TypeError` of `wrong_type` or the `ValueError` of `wrong_value`.  `unit` is what the
    message calls the number: `bytes`, `an errno`.
    """
    if not is_int(value):
        raise wrong_type(call, parameter, f"an int ({unit})" if unit else "an int", value)
    if (low is not None and value < low) or (high is not None and value > high):
        expected = f"{low} or more {unit}" if high is None else f"{unit} from {low} to {high}"
        raise wrong_value(call, parameter, expected.strip(), value)


def badarg(call: str, parameter: str, expected: str, got: object) -> ErlangError:
    """The `ErlangError` `badarg`, with what Erlang does not say: which argument, and why."""
    return ErlangError("badarg", f"{call}: {parameter} must be {expected}, not {shown(got, 60)}")


def errno_name(error: int, unknown: str) -> str:
    """The name of an errno as Erlang has it: `enoent`.

    For a number without a name it is `unknown`, with the number for `{}`: what
    `Release.unknown_errno` says.  Where that has the number, more errnos have names.
    Source: `erl_posix_str.c:erl_errno_id`.
    """
    name = errno.errorcode.get(error, "").lower()
    if not name or (name in _NAMED_LATE and "{" not in unknown):
        return unknown.format(error)
    return "edeadlk" if name == "edeadlock" else name  # Linux has two names for this number


_NAMED_LATE = frozenset(
    "erestart estrpipe eisnam enomedium emediumtype ecanceled enokey ekeyexpired ekeyrevoked"
    " ekeyrejected eownerdead enotrecoverable erfkill".split()
)
"""The names that an errno has only where none is `unknown`: seen on OTP 25, 27 and 29."""
