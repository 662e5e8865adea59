"""What waits for a port: signals that found it locked, and senders that are suspended.

A port may be *busy*, because its driver said so, or its message queue may be full of commands that
wait for its lock.  In both cases a sender stands in line, without holding anything, until it is
woken, and then tries again from the beginning.

A command that was left at a locked port may find it busy when its turn comes.  Then it is *held*
until the port is not, and with it every later signal of the same process, so that they keep their
order.  Signals of other processes pass it.

Most of this is done without the port's lock, because the lock is what is waited for.  So what is
shared is a cell each.

Source: `io.c`, `erl_port_task.c`; the manual page `erl_driver(3)`, `set_busy_port` and
`erl_drv_busy_msgq_limits`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from driverref.runtime import callbacks
from driverref.runtime.port_state import CONNECTED
from driverref.runtime.process import Process
from driverref.terms import Pid, Port
from driverref.threads import Cell, Threads

if TYPE_CHECKING:
    from driverref.runtime.port import ErlDrvPort

Action = Callable[[], object]


class Signal(NamedTuple):
    """What a port is asked to do."""

    action: Action
    sender: Pid | Port | None = None
    """Whose signals keep their order; `None` for the emulator's own."""
    command: bool = False
    """Whether it is held while the port is busy."""
    size: int = 0
    """Bytes of command data."""


class Signals(deque[Signal]):
    """Signals that wait until the port's lock is given back, oldest first."""

    def __init__(self, signals: Iterable[Signal] = ()) -> None:
        super().__init__(signals)
        self.held: list[Signal] = []
        """Commands that wait until the port is not busy, and what their senders sent later."""
        # Not the number of signals: what has to be bounded is the memory that senders fill faster
        # than the driver empties it.
        self.size = 0
        """The bytes of command data of all of them."""


class Senders:
    """The signals and the suspended senders of one port."""

    __slots__ = ("_resource", "_suspended", "busy", "limits", "signals")

    def __init__(self, threads: Threads, limits: tuple[int, int] | None) -> None:
        self.busy = threads.cell(False)
        # Bytes of command data below which senders go on and above which they are suspended;
        # `None`: they never are.  Two numbers, and not one, so that senders are not woken and
        # suspended again for each command.
        self.limits = threads.cell(limits)
        # What found the port locked.  It is looked at before every command.
        self.signals = threads.cell(Signals())
        self._suspended: Cell[list[Process]] = threads.cell([])
        self._resource = threads.new_id()

    def held_up(self) -> bool:
        """Whether a command has to wait: the port is busy, or too much command data waits."""
        # Without the port's lock, so this is a hint.  The caller stands in line first and then asks
        # again, or the `resume` that should wake it might have come before.
        limits = self.limits.value
        return self.busy.value or (limits is not None and self.signals.value.size > limits[1])


def _undivided(port: ErlDrvPort) -> AbstractContextManager[object]:
    """For a change in several operations, by a sender that does not hold the port's lock."""
    # With one scheduler a sender holds the scheduler's mutex, and that is enough.
    if port.lock.mutex is None:
        return nullcontext()
    return port.runtime.threads.atomically(port.senders._resource)


# Signals: what a process has a port do without waiting for it.


def signal(
    port: ErlDrvPort,
    action: Action,
    sender: Pid | Port | None = None,
    *,
    command: bool = False,
    size: int = 0,
) -> None:
    """Have a port carry out `action` under its lock: at once, or when the lock is given back.

    `size` is how many bytes of command data the signal carries.  The caller is on a scheduler and
    holds no port's lock.
    """
    runtime, lock, waiting = port.runtime, port.lock, port.senders.signals.value
    # A signal that waits goes first, even if the lock is free: signals keep their order.
    if waiting or waiting.held or not lock.acquire(blocking=runtime.signals_wait):
        post(port, Signal(action, sender, command, size))
        return
    try:
        with runtime.driver_code:
            action()
    finally:
        port.leave()


def post(port: ErlDrvPort, signal: Signal) -> None:
    """Leave a signal for when the lock is given back."""
    senders, lock = port.senders, port.lock
    with _undivided(port):
        waiting = senders.signals.change()
        waiting.append(signal)
        waiting.size += signal.size
    # The signal stands in the port's line, and the port in the lock's: where a driver has one lock
    # for all its ports, signals for several of them wait for it.
    lock.wait(partial(serve, port))
    # The holder looks for what waits when it gives the lock back.  It may have looked a moment
    # before the signal was there; then the lock is free now, and this thread looks in its place.
    if lock.acquire(blocking=False):
        port.leave()


def run(port: ErlDrvPort) -> None:
    """Carry out the signals that wait, in order, and a timeout of 0 ms.  With the lock held."""
    senders = port.senders
    while senders.signals.value:
        waiting = senders.signals.change()
        signal = waiting.popleft()
        if _is_held(port, signal):
            waiting.held.append(signal)
            continue
        signal.action()
        # Counted off after the signal was carried out: its data takes up memory until then.
        with _undivided(port):
            waiting = senders.signals.change()
            waiting.size -= signal.size
        limits = senders.limits.value
        room = limits is None or waiting.size < limits[0]
        # A port that is busy holds its senders for that reason too.
        if signal.size and room and not senders.busy.value:
            resume(port)
    # A timeout of 0 ms comes after the signals, because they were there when it was set.
    callbacks.time_out(port, port.timer.due_now())


def _is_held(port: ErlDrvPort, signal: Signal) -> bool:
    """Whether a signal has to wait until the port is not busy.  With the lock held."""
    if port.state.value is not CONNECTED or not port.senders.busy.value:
        return False
    return signal.command or (signal.sender is not None and holds(port, signal.sender))


def holds(port: ErlDrvPort, sender: Pid | Port) -> bool:
    """Whether something that this process has sent is held.  With the lock held."""
    return any(signal.sender == sender for signal in port.senders.signals.value.held)


def _let_go(port: ErlDrvPort) -> None:
    """Put what is held back in line, in front.  With the lock held, whose release looks there."""
    if port.senders.signals.value.held:
        with _undivided(port):
            waiting = port.senders.signals.change()
            waiting.extendleft(reversed(waiting.held))
            waiting.held.clear()
        port.lock.wait(partial(serve, port))


def serve(port: ErlDrvPort) -> None:
    """Work for a scheduler: take the lock and carry out what waits."""
    # A thread that waits for the lock with a finished job goes first.  On OS threads a lock that
    # has just been given back would mostly be taken again here before that thread is awake.
    port.runtime.threads.sleep(0)
    # There may be nothing left to do: a BIF that came first has carried out what waited.
    with port:
        run(port)


# Suspended senders.


def suspend(port: ErlDrvPort, process: Process) -> None:
    """Put a sender in line.  It then calls `wait_in_line`, without any lock."""
    # Without the port's lock where `Port ! Message` is held up, and with it in `port_command`.
    with _undivided(port):
        port.senders._suspended.change().append(process)
    port.note("suspended", detail=process.pid)


def wait_in_line(port: ErlDrvPort, process: Process) -> None:
    """Wait until `resume` has taken the sender out of the line."""
    suspended = port.senders._suspended
    process.wait_until(f"{port.id}, which is busy", lambda: process not in suspended.value)
    # To be woken promises nothing.  Another sender may have been faster, so the caller looks at the
    # port again, from the beginning.
    port.note("resumed", detail=process.pid)


def set_busy(port: ErlDrvPort, on: bool) -> None:
    """Suspend, from now on, the processes that send commands; or let them go on."""
    # A sender looks at this without the port's lock.
    port.senders.busy.value = on
    if not on:
        _let_go(port)
        resume(port)


def resume(port: ErlDrvPort) -> None:
    """Wake every suspended sender.  Which of them goes on first is up to the schedulers."""
    suspended = port.senders._suspended
    # All, and not the first: which of them goes on first is up to the schedulers, as in OTP.
    with _undivided(port):
        waiting, suspended.value = suspended.value, []
    for process in waiting:
        process.wake()
