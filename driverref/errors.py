"""What can go wrong, and whose fault it is.

Three parties meet in a running emulator, and an error names the one that has to change something.

* **The driver** broke a rule of `erl_driver.h`: a `DriverFault`.  In C most of these are undefined
  behaviour; here each one stops the emulator and says where both halves of the mistake are.
* **The Erlang side** called a BIF wrongly, or too late: an `ErlangError`, as `erlang:error/1`
  raises it.
* **The caller's program** passed something that is not what the parameter takes: a plain
  `TypeError` or `ValueError`, with the call, the parameter, what it takes and what came.

`ProcessExit` is no error: it is how a process ends.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TypeGuard


class DriverFault(Exception):
    """The driver broke a rule.  The emulator stops: in C, this run would now be undefined."""


class Uninitialised(DriverFault):
    """A field was read before anything was written to it.

    `driver_alloc` does not clear memory.  Write every field before you read it, as `memset` would.
    """


class UseAfterFree(DriverFault):
    """A block was used after it had been freed, or a buffer after its callback had returned.

    Find out what owns the block at that moment.  A job must carry what it needs; it may not reach
    into the port's state, which `stop` frees while the job runs.
    """


class DoubleFree(DriverFault):
    """A block was freed twice.

    Exactly one of `ready_async` and `async_free` gets the data of a job, and that one frees it.
    """


class InvalidFree(DriverFault):
    """Something was freed that this call cannot free.

    It is another kind of memory, or no memory at all.  Use the call that the message names.
    """


class Leak(DriverFault):
    """The emulator has halted and blocks are still allocated.

    `blocks` holds a line per block: what it is and where it was allocated.
    """

    def __init__(self, blocks: Sequence[str]) -> None:
        super().__init__(blocks)
        self.blocks = tuple(blocks)

    def __str__(self) -> str:
        count = len(self.blocks)
        return "\n  ".join([f"{count} block{'s' * (count != 1)} never freed:", *self.blocks])


class DataRace(DriverFault):
    """Two threads touched the same memory, one of them wrote, and nothing orders the two.

    In C the program then has no meaning, even if they never meet.  Use a mutex, an `Atomic`, or let
    the job own the memory from `driver_async` until `ready_async`: the pool's queues order those.
    Found on simulated threads.
    """


class Misuse(DriverFault):
    """A call was made by a thread that may not make it, or in a way that C leaves undefined."""


class Deadlock(DriverFault):
    """Every thread waits and no deadline is left that could wake one.

    `waiting` holds a line per thread: its name, and what it waits for.  On OS threads the program
    would hang.
    """

    def __init__(self, waiting: Sequence[str]) -> None:
        super().__init__(waiting)
        self.waiting = tuple(waiting)

    def __str__(self) -> str:
        return "\n  ".join(["nobody can go on:", *self.waiting])


class ErlangError(Exception):
    """What a BIF raises: `reason` is Erlang's word for it, such as `badarg`, `notsup` or `einval`.

    The caller's fault, or bad luck in time: a port may close between two calls.
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
    """A call has sent the emulator into a loop that never ends, and no thread can go on any more.

    The emulator's own fault: `driver_async_cancel` does so until R14B02, unless the job is the
    newest of its queue.  On OS threads it is raised at once, because there nothing could tell the
    loop from a long one.
    """


class EmulatorStopped(Exception):
    """The emulator has stopped, halted or crashed, so nothing can be asked of it.

    Start a new one.
    """


class Nondeterministic(Exception):
    """A scenario did something else when the same schedule was run again.

    Nothing can be said of such a scenario.  Look for a random number, a clock of the system, a hash
    of an object, or something that one run leaves to the next: a driver that is made outside the
    scenario, a global variable.
    """

    def __str__(self) -> str:
        return (
            f"the scenario is not deterministic: when a schedule was run again, {self.args[0]};"
            " a random number, a clock, or something left over from the run before makes it so"
        )


def wrong_type(call: str, parameter: str, expected: str, got: object) -> TypeError:
    """The `TypeError` for a bad argument: `driver_set_timer: t must be an int, not 'soon'`."""
    return TypeError(f"{call}: {parameter} must be {expected}, not {_shown(got)}")


def wrong_value(call: str, parameter: str, expected: str, got: object) -> ValueError:
    """The `ValueError` for an argument of the right type that is out of range."""
    return ValueError(f"{call}: {parameter} must be {expected}, not {_shown(got)}")


def is_int(value: object) -> TypeGuard[int]:
    """Whether `value` is an `int`.  A `bool`, which is one to Python, is a mistake as a number."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_int(
    call: str,
    parameter: str,
    value: object,
    low: int | None = None,
    high: int | None = None,
    unit: str = "",
) -> None:
    """Raise unless `value` is an `int` from `low` to `high`; `None` is no limit.

    `TypeError` and `ValueError`, as `wrong_type` and `wrong_value` make them.  `unit` is what the
    message calls the number: `bytes`, `an errno`.
    """
    if not is_int(value):
        raise wrong_type(call, parameter, f"an int ({unit})" if unit else "an int", value)
    if (low is not None and value < low) or (high is not None and value > high):
        expected = f"{low} or more {unit}" if high is None else f"{unit} from {low} to {high}"
        raise wrong_value(call, parameter, expected.strip(), value)


def badarg(call: str, parameter: str, expected: str, got: object) -> ErlangError:
    """The `badarg` that Erlang raises, with what Erlang does not say: which argument, and why."""
    return ErlangError("badarg", f"{call}: {parameter} must be {expected}, not {_shown(got)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def errno_name(error: int) -> str:
    """The name of an errno as Erlang has it: `enoent`, or `unknown`.

    Source: `erl_posix_str.c:erl_errno_id`.
    """
    return errno.errorcode.get(error, "unknown").lower()
