"""The process that calls a BIF, and what it finds before and after.

Each process has a thread of its own, and the thread knows its process.  A thread that runs the
driver's code carries no process meanwhile, so it cannot call a BIF.

A BIF is the block of a `Calling`, or of a `Waiting` if it may wait:

    the emulator must run, the thread must be a process -> a step -> notice
        -> the block: what the BIF does
        -> heed, in a `Waiting`

The step lets other threads come between this BIF and the one before.  Python cannot stop a thread
from outside, so a process ends at its next BIF.  A real process notices an exit signal when it is
taken off its scheduler.  That may be anywhere, so `notice` has both ways (`Process`).  A BIF that
may wait always notices it: after its effect, and before it returns.

A BIF about a port goes on with `find_port`, which takes a name as well, with `turn`, which takes
the port's lock, and with `check_state`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from driverref.errors import ErlangError, Misuse, badarg
from driverref.runtime import senders
from driverref.runtime.core import Runtime
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import State
from driverref.runtime.process import Process
from driverref.terms import Atom, Port
from driverref.threads import OUTSIDE, running


class Heeding:
    """`with Heeding(process):` the process heeds an exit signal at the end of the block."""

    __slots__ = ("process",)

    def __init__(self, process: Process) -> None:
        self.process = process

    def __enter__(self) -> Process:
        return self.process

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A BIF that fails has waited as well, and a process that has to end does not see the
        # failure.  What has taken the emulator down is on its way to where it is told.
        failed = kind is not None and issubclass(kind, ErlangError)
        if kind is None or (failed and self.process.runtime.down is None):
            self.process.heed()


class Calling:
    """`with Calling(runtime, "link") as process:` the BIF `link`, called by `process`.

    Raises what the process has to notice: the emulator is down, or an exit signal has come.  Raises
    `Misuse` if the thread is no process of this emulator, or runs the driver's code.
    """

    __slots__ = ("process",)

    def __init__(self, runtime: Runtime, call: str) -> None:
        self.process = caller(runtime, call)
        runtime.threads.step()
        self.process.notice()

    def __enter__(self) -> Process:
        return self.process

    def __exit__(self, *error: object) -> None:
        pass


class Waiting(Heeding):
    """The same for a BIF that may wait: the process heeds an exit signal before it returns."""

    __slots__ = ()

    def __init__(self, runtime: Runtime, call: str) -> None:
        super().__init__(Calling(runtime, call).process)


def caller(runtime: Runtime, call: str) -> Process:
    """The process that calls the BIF `call`.  Raises as `Calling` does, but notices no exit signal.

    For a BIF that makes its step by itself.
    """
    # First, because every BIF of an emulator that is down raises this, on any thread.
    if runtime.down is not None:
        raise runtime.refusal()
    thread = running()
    if thread is OUTSIDE:
        raise Misuse(
            f"{call}: this thread is no process of this emulator; call it on the thread that made"
            " the emulator, or in a function that was given to spawn, and not by asyncio.to_thread,"
            " an executor or a threading.Thread"
        )
    if thread.runtime is not runtime:
        raise Misuse(f"{call}: this thread is no process of this emulator; it runs another one")
    process: Process | None = thread.process
    if process is None:
        raise Misuse(f"{call} is Erlang's side; a driver's code, on {thread.name}, cannot call it")
    return process


def check_options(call: str, options: object, allowed: Sequence[object]) -> None:
    """Raise `badarg` unless `options` is a list of some of those that are `allowed`."""
    if not isinstance(options, list | tuple) or any(option not in allowed for option in options):
        expected = "a list of " + " and ".join(repr(option).replace("'", '"') for option in allowed)
        raise badarg(call, "options", expected, options)


NODE = Atom("nonode@nohost")
"""The name of a node that is not distributed."""


def find_port(runtime: Runtime, call: str, port: object) -> ErlDrvPort:
    """The port that an argument identifies, or that is registered under it.  `badarg` if none."""
    found = runtime.entities.names.find(port) if isinstance(port, str) else port
    if not isinstance(found, Port):
        raise badarg(call, "port", "a Port, or the name of one", port)
    handle = runtime.ports.find(found)
    if handle is None:
        raise _not_open(call, found)
    return handle


def name_here(item: object) -> str | None:
    """The name in `Name` or `{Name, Node}`, where the node is this one; else `None`."""
    match item:
        case str(name) | (str(name), "nonode@nohost"):
            return name
    return None


@contextmanager
def turn(process: Process, port: ErlDrvPort) -> Iterator[None]:
    """Hold a port's lock once it has done what the process has asked of it before.

    What others have asked of it is done too, but for commands that wait because it is busy.
    """
    while True:
        with process.scheduler.mutex, port:
            with port.runtime.driver_code:
                senders.run(port)
            if not senders.holds(port, process.pid):
                yield
                return
            senders.suspend(port, process)
        senders.wait_in_line(port, process)


def check_state(call: str, port: ErlDrvPort, *states: State) -> None:
    """Raise `badarg` unless the port's state is one of `states`.  Its lock is held."""
    if port.state.value not in states:
        raise _not_open(call, port.id)


def _not_open(call: str, port: Port) -> ErlangError:
    return ErlangError("badarg", f"{call}: {port} is closing or closed, or never was")
