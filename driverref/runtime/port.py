"""A port: its callbacks, the lock they run under, and what becomes of it.

Which state follows which is the table in `port_state`.  Here is what is done on the way: what Erlang asks of a
port, and how it ends.  Who waits for it is in `senders`.

Every method that changes the port is called with the port's lock held, and by somebody on a scheduler.
Sources: `io.c:erts_deliver_port_exit`, `terminate_port`, `erts_port_driver_callback_epilogue`;
`erl_async.c:call_async_ready`.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Any

from driverref.errors import Misuse
from driverref.runtime.completions import Completions
from driverref.runtime.core import PORTS, Runtime
from driverref.runtime.driver import ERL_DRV_FLAG_NO_BUSY_MSGQ
from driverref.runtime.ioq import DriverQueue, ErlIOVec, taken_over
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port_lock import PortLock
from driverref.runtime.port_state import CLOSED, CLOSING, CONNECTED, OPENING, TRANSITIONS, State
from driverref.runtime.process import Process
from driverref.runtime.scheduler import Scheduler, Timer
from driverref.terms import (
    DOWN,
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    Atom,
    Pid,
    Port,
    Ref,
    Tuple,
    iolist_to_binary,
    iolist_to_iovec,
)
from driverref.threads import READ, WRITE, running

PORT_CONTROL_FLAG_BINARY = 1 << 0


def errno_name(error: int) -> str:
    """`enoent`, or `unknown`.  Source: `erl_posix_str.c:erl_errno_id`."""
    return errno.errorcode.get(error, "unknown").lower()


class ErlDrvPort(Completions):
    """A port, as the driver holds it: the handle given to `start` and to every call on the port."""

    __slots__ = (
        "_stopping", "binary", "caller", "close_reply", "control_flags", "eof", "id", "links", "monitors", "number",
        "output", "owner", "pdl", "queue", "queue_thing", "telling_exit", "thing", "timer",
    )  # fmt: skip

    def __init__(self, runtime: Runtime, driver: LoadedDriver, owner: Process, number: int) -> None:
        self.runtime = runtime
        self.number = number
        self.id = Port(self.number)
        self.slot = number % (runtime.release.slots or 1)
        self.thing = ("port", self.number)
        self.driver = driver
        self.lock: PortLock = driver.lock_for_port(self.id)
        self.state = OPENING
        self.drv_data: Any = None
        entry = driver.entry
        self.output = entry.output if entry.outputv is None else None
        """What a command comes to, in the ordinary case: `output`, if the driver has no `outputv`."""
        self.ready_async = entry.ready_async
        self.owner = owner
        """The connected process: who gets the port's messages."""
        self.caller: Pid | None = None
        self.links: set[Pid | Port] = set()
        self.monitors: dict[Ref, Process] = {}
        self.queue = DriverQueue()
        self.queue_thing = ("driver queue", self.number)
        """The queue to those who look at it with one lock or the other, for `touch`."""
        self.timer: Timer | None = None
        self.telling_exit = False
        """Whether `process_exit` runs."""
        self.busy = False
        self.suspended: list[Process] = []
        self.signals: deque[tuple[Callable[[], None], int]] = deque()
        self.msgq_size = 0
        self.msgq_limits: tuple[int, int] | None = None
        if not driver.flag(ERL_DRV_FLAG_NO_BUSY_MSGQ):
            self.msgq_limits = runtime.release.busy_msgq_limits
        self.pdl: Any = None
        self.binary = self.eof = False
        """The options of `open_port`."""
        self.control_flags = 0
        self.jobs = 0
        self.close_reply: Process | None = None
        """Who asked with `Port ! {Owner, close}` and is owed `{Port, closed}`."""
        self._stopping = False

    def __repr__(self) -> str:
        return f"<ErlDrvPort {self.id} of {self.driver.name}, {self.state.value}>"

    def transit(self, event: str) -> None:
        """Go to the next state; an event that the state does not know raises and changes nothing."""
        self.runtime.also(self.thing, WRITE)
        try:
            self.state = TRANSITIONS[self.state][event]
        except KeyError:
            raise AssertionError(f"{self!r} cannot follow {event!r}") from None

    # Callbacks.

    def __enter__(self) -> None:
        """Take the port's lock, for callbacks and for anything that changes the port."""
        self.lock.acquire()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Unlock; before that, close the port if that was waiting for the driver queue."""
        try:
            if error is None and self.state is not CONNECTED:
                self.epilogue()
        except Exception as crash:  # in `stop` or `finish`
            raise self.runtime.fault(crash) from None
        finally:
            self.lock.release()

    def callback(self, name: str, *args: Any, detail: object = None) -> Any:
        """Run a callback of the entry with the lock held.  A callback that is NULL does nothing."""
        function = getattr(self.driver.entry, name)
        if function is None:
            return None
        self.note(name, detail=detail)
        return function(*args)

    def note(self, name: str, job: int | None = None, detail: object = None) -> None:
        """Record an event of this port, on the running thread's lane."""
        record, now = self.runtime.record, self.runtime.now
        if record is not None:
            record((now(), running().lane, name, self.number, job, detail))

    def epilogue(self) -> None:
        """After a callback or a job: close the port if its driver queue is empty, let the driver go if it can.

        Source: `io.c:erts_port_driver_callback_epilogue`.
        """
        if self.state is CLOSING and not self.queue_size():
            self.terminate()
        if self.state is CLOSED and not self.jobs:
            self.runtime.also(self.driver.thing, WRITE)
            self.driver.lingering.discard(self.id)
            self.driver.finish_if_idle()

    # What Erlang asks, each with the lock held.

    def start(self, command: str, caller: Pid) -> str | None:
        """Run `start`.  `None` if the port is open, else the reason for which `open_port` fails."""
        thread = running()
        thread.errno = 0
        self.caller = caller
        result = self.callback("start", self, command, detail=command)
        self.caller = None
        if type(result) is int and result in (-1, -2, -3):
            self.transit("start failed")
            self.part(NOPROC)  # as OTP 25 answers who linked or monitored it while `start` ran
            self.gone()
            if result == -2:
                return errno_name(thread.errno)
            return "einval" if result == -1 else "badarg"
        self.drv_data = result
        self.transit("start returned")
        self.runtime.link(self.id, self.owner.pid)
        return None

    def command(self, data: object, caller: Pid) -> None:
        """Give iodata to `outputv`, else to `output`, else to nobody."""
        self.caller = caller
        if self.driver.entry.outputv is not None:
            ev = ErlIOVec.lend(iolist_to_iovec(data))
            sent = None if self.runtime.record is None else b"".join(ev.iov)
            self.callback("outputv", self.drv_data, ev, detail=sent)
            ev.take_back()
        else:
            sent = iolist_to_binary(data)
            with memoryview(sent) as buf:
                self.callback("output", self.drv_data, buf, detail=sent)
        self.caller = None

    def control(self, operation: int, data: bytes, caller: Pid) -> object:
        """Run `control`.  The reply as Erlang gets it, or `None` for `badarg`."""
        self.caller = caller
        reply: object = -1
        if self.driver.entry.control is not None:
            with memoryview(data) as buf:
                reply = self.callback("control", self.drv_data, operation, buf, detail=operation)
        self.caller = None
        if type(reply) is int and reply < 0:
            return None
        answer = b"" if reply is None else taken_over("control", "the reply", reply)
        return answer if self.control_flags & PORT_CONTROL_FLAG_BINARY else list(answer)

    def call(self, operation: int, term: object, caller: Pid) -> object:
        """Run `call`.  The term it replies, or `None` for `badarg`."""
        self.caller = caller
        reply = self.callback("call", self.drv_data, operation, term, detail=operation)
        self.caller = None
        return Tuple(reply) if isinstance(reply, tuple) else reply

    # The end.

    def lives(self) -> bool:
        self.runtime.also(self.thing, READ)
        return self.state in (OPENING, CONNECTED)

    def exit_signal(self, sender: Pid | Port, reason: object, *, broken_link: bool = False) -> None:
        """An exit signal from a process, which is on a scheduler and holds no port's lock."""
        if broken_link and reason == NORMAL and sender != self.owner.pid:
            return  # a linked process that is not the owner may end normally
        with self:
            self.exit(reason, kill=reason == KILL and not broken_link)

    def exit(self, reason: object, *, kill: bool = False) -> None:
        """Close the port.  Ignored once it is on its way.  The jobs are not asked."""
        if self.state is not CONNECTED:
            return
        self.transit("told to exit")
        reason = KILLED if kill else reason
        self.note("exit", detail=reason)
        self.busy = False
        self.resume()
        self.part(reason)
        if self.queue_size() and not kill:
            self.transit("driver queue not empty")
            self.callback("flush", self.drv_data)
        else:
            self.terminate()

    def part(self, reason: object) -> None:
        """Tell those who are linked to the port or monitor it that it ends."""
        linked, watching = self.runtime.let_go(self.id)
        for entity in linked:
            entity.exit_signal(self.id, reason, broken_link=True)
        for ref, process in watching:
            process.deliver(Tuple((DOWN, ref, Atom("port"), self.id, reason)))

    def fail(self, reason: object) -> int:
        """What `driver_failure` does: drop the driver queue, run `stop` before returning.  0, or -1 if too late."""
        if self.telling_exit:
            raise Misuse("driver_failure was called in process_exit, which crashes the emulator")
        match self.state:
            case State.OPENING:
                hint = "return ERL_DRV_ERROR_GENERAL instead"
                raise Misuse(
                    f"driver_failure was called in start, which crashes the emulator: {hint}"
                )
            case State.CLOSED:
                return -1
            case State.CLOSING:
                self.clear_queue()
                self.terminate()
            case _:
                self.clear_queue()
                self.exit(reason)
        return 0

    def terminate(self) -> None:
        """Run `stop` and give up the port.  From *exiting* or *closing*."""
        if self._stopping:
            return
        self._stopping = True
        if self.runtime.release.closed_before_stop:
            self._say_closed()
        self.cancel_timer()
        self.callback("stop", self.drv_data)
        self.transit("stop returned")
        self.gone()
        self._say_closed()

    def _say_closed(self) -> None:
        """Send `{Port, closed}` to whoever is owed it."""
        if self.close_reply is not None:
            self.close_reply.deliver(Tuple((self.id, Atom("closed"))))
            self.close_reply = None

    def queue_size(self) -> int:
        """The bytes in the driver queue."""
        self.runtime.also(self.queue_thing, READ)
        return self.queue.size

    def clear_queue(self) -> None:
        """Empty the driver queue, which other threads may be at if there is a port data lock."""
        if self.pdl is None or self.pdl.holder is running():
            self.runtime.also(self.queue_thing, WRITE)
            self.queue.clear()
        else:
            with self.pdl.mutex:
                self.runtime.also(self.queue_thing, WRITE)
                self.queue.clear()

    def gone(self) -> None:
        """Take from the port what `start` or `stop` left behind, and the port out of every table."""
        self.drv_data = None
        self.cancel_timer()
        self.clear_queue()
        if self.pdl is not None:
            self.pdl.release()
        self.runtime.also(PORTS, READ)
        del self.runtime.ports[self.number]
        self.runtime.take_slot(self.slot, None)
        self.runtime.remove(self.id)
        if self.jobs:
            self.driver.lingering.add(self.id)
        self.driver.ports.discard(self.id)  # not before, or another scheduler finds the driver idle
        self.driver.finish_if_idle()
        self.runtime.changed()

    def emulator_down(self) -> None:
        """A port waits for nothing."""

    # The timer.

    def set_timer(self, milliseconds: int) -> None:
        """Start the port's one timer, in place of the one that runs; in old releases that one stands."""
        if self.timer is not None and not self.runtime.release.resets_timer:
            return
        self.cancel_timer()
        scheduler: Scheduler = running().scheduler
        self.timer = scheduler.start_timer(milliseconds * 1_000_000, self._timer_due)

    def cancel_timer(self) -> None:
        """Stop the timer, if one runs."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def run_signals(self) -> None:
        """Carry out what waits, in order; a timeout of 0 ms too, which who has set it does not overtake (OTP-15472)."""
        super().run_signals()
        if self.timer is not None and self.timer.due_for is running():
            self._time_out(self.timer)

    def _timer_due(self, timer: Timer) -> None:
        with self:
            self._time_out(timer)

    def _time_out(self, timer: Timer) -> None:
        if self.timer is timer:  # else it was cancelled or replaced meanwhile
            self.cancel_timer()
            self.callback("timeout", self.drv_data)
