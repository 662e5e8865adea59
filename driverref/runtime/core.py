"""What all parts of an emulator share: seam, trace, ledger, tables, and how it goes down.

A `Runtime` does nothing by itself.  `Emulator` fills it when it starts, and every thread of the
emulator leads to it: `running().runtime`.

The emulator is *down* when it has stopped, halted or crashed.  It crashes when the driver's code
raises.  From then on every BIF refuses; the error itself is shown once, to the thread that runs the
reader's program.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

from driverref.diagnostics import Place, raised
from driverref.errors import EmulatorStopped, StackOverflow, UseAfterFree
from driverref.memory import Ledger
from driverref.release import Release
from driverref.runtime.driver_state import FINISHING
from driverref.runtime.entities import Entities, PortTable
from driverref.runtime.overflow import repeated
from driverref.terms import Pid, Port, Ref, Tuple
from driverref.threads import Cell, Threads, running
from driverref.trace import Record, Trace

if TYPE_CHECKING:
    from driverref.runtime.async_pool import AsyncPool
    from driverref.runtime.check_io import CheckIo
    from driverref.runtime.closing import Closing
    from driverref.runtime.completions import Completions
    from driverref.runtime.halting import Halting
    from driverref.runtime.iovec import Vectors
    from driverref.runtime.loaded_driver import LoadedDriver
    from driverref.runtime.port_timer import PortTimer
    from driverref.runtime.process import Process
    from driverref.runtime.scheduler import Scheduler

Identifier = TypeVar("Identifier", Pid, Ref)


class Runtime:
    """One emulator's common ground."""

    # Set once, by `Emulator`, which chooses what fits the release.
    schedulers: list[Scheduler]
    pool: AsyncPool
    check_io: CheckIo
    completions: Completions
    closing: Closing
    halting: Halting
    vectors: Vectors
    timer_type: type[PortTimer]
    driver_type: type[LoadedDriver]
    busy_msgq_limits: tuple[int, int] | None
    signals_wait: bool
    """Whether a signal that finds its port locked waits for the lock; else it is left there."""
    unknown_errno: str
    """The name of an errno that has none, with `{}` for the number."""
    emulator: object
    """The `Emulator`, for who has lost it."""

    def __init__(
        self, threads: Threads, release: Release, trace: Trace | None, ports: PortTable
    ) -> None:
        # The seam.  Everything that waits, and everything that threads share, is made by it.
        self.threads = threads
        # The thread that runs the reader's program, and is told of a crash.
        self.reader = running()
        # Asked by the eras, and by what a release has or lacks; no file of this folder asks for
        # more than the callbacks and flags that a driver's entry may have.
        self.release = release
        self.trace = Trace() if trace is None else trace
        self.record: Record | None = (
            None
            if trace is None
            else trace.begin(threads.now(), threads.now if threads.simulated else None)
        )
        """Appends an event; `None` without a trace.

        The hot path calls it directly, all else calls `note`.
        """
        # The clock for the record.  Nothing may depend on it, so to read it is no step of the
        # search.
        self.now = threads.now
        # What the drivers hold and have to give back.
        self.ledger = Ledger(threads)
        # The ports stand here and among the entities: a BIF on a port knows that it wants one.
        self.ports = ports
        self.entities = Entities(threads, ports)
        self.drivers: MutableMapping[str, LoadedDriver] = threads.table()
        """The drivers that are loaded, by name."""
        # Held while a driver or one of its ports is entered, while it is taken out, and to count
        # what uses it.  So no port is opened of a driver that is being unloaded.
        self.drivers_lock = threads.guard("the table of drivers")
        self.loading = threads.mutex("the loading of drivers")
        """Held while `init` runs: of two processes that load a driver, one finds it loaded."""
        # The processes that wait for something other than a message, in the order in which they
        # began.  A dict for its order: runs that differ in nothing else must not differ in this.
        self.waiters: Cell[dict[Process, None]] = threads.cell({})
        # `with runtime.driver_code:` what the driver's code raises in the block is a crash.
        self.driver_code = DriverCode(self)
        self.environment: MutableMapping[str, str] = threads.table()
        """The environment variables."""
        self.kept_buffers: list[object] = []
        """The buffers that were lent to a callback and that something has kept."""
        # What `driver_get_now` has returned last, in microseconds.
        self.last_now = threads.cell(0)
        self.last_now_lock = threads.guard("the last time of driver_get_now")
        self.down: str | None = None
        """Why nothing can be asked of the emulator any more, or `None` while it runs."""
        # Not a cell.  It changes once, with the end of the run, and `stop_running` puts something
        # into the cell of every process for it to notice.
        self._crash: BaseException | None = None
        """The error that took the emulator down, until the reader has been told."""
        self._failure: tuple[BaseException, Place] | None = None
        """The first crash or leak, and where it was raised."""
        self._numbers: dict[type, Iterator[int]] = {Pid: threads.counter(), Ref: threads.counter()}

    def new(self, kind: type[Identifier]) -> Identifier:
        """A `Pid` or a `Ref` with the next unused number."""
        # From a counter of the seam, because two processes on two schedulers may ask at once, and
        # which of them gets which number is then an outcome.
        return kind(next(self._numbers[kind]))

    def driver(self, name: object) -> LoadedDriver | None:
        """The driver of a name, or `None`.  One that is about to be replaced is waited for."""
        while True:
            loaded = self.drivers.get(name) if isinstance(name, str) else None
            if loaded is None or loaded.state.value is not FINISHING:
                return loaded
            with self.loading:
                pass

    def note(self, lane: str, name: str, detail: object) -> None:
        """Record an event that is no port's."""
        # The two empty places are the port's and the job's.
        if self.record is not None:
            self.record((self.now(), lane, name, None, None, detail))

    def note_exit_signal(self, sender: Pid | Port, receiver: Pid | Port, reason: object) -> None:
        """Record an exit signal, on the lane of the thread that delivers it."""
        self.note(running().lane, "exit_signal", Tuple((sender, receiver, reason)))

    def changed(self) -> None:
        """Wake every process that may wait for this: a port, a job or a driver is gone."""
        # All of them, whatever has changed.  They are few, and each looks for itself.
        for process in list(self.waiters.value):
            process.wake()

    # Going down.

    def crash(self, error: BaseException) -> BaseException | None:
        """Take the emulator down because `error` has left a thread.

        Returns what the reader's program should see, or `None` if it has seen the crash already.
        """
        if self.crash_was_seen():
            return None
        # What leaves a process is the program's own: the driver's code was left before.
        return self._go_down(error) if running().process is not None else self.fault(error)

    def fault(self, error: BaseException) -> BaseException:
        """Take the emulator down because the driver's code raised.

        Returns the error that the caller should raise.
        """
        return self._go_down(_explained(error, self.kept_buffers))

    def _go_down(self, crash: BaseException) -> BaseException:
        """Take the emulator down, and return the error that the caller should raise."""
        # Only the first error counts.  What other threads raise while the emulator goes down may be
        # a consequence of it.
        if self.down is not None:
            return self._crash or crash
        self.failed(crash)
        # The caller raises it.  On another thread than the reader's that is not enough: the
        # reader's program is interrupted, or, on OS threads, gets it from its next BIF.
        if running() is not self.reader and not self.threads.interrupt(crash):
            self._crash = crash
        self.stop_running(f"it crashed with {type(crash).__name__}")
        return crash

    def failed(self, error: BaseException) -> None:
        """Remember a crash or a leak, if it is the first failure."""
        # The place is looked up here, on the thread that has failed.  The reader's program raises
        # the error again, and its own lines are added to the traceback.
        if self.first_failure() is None:
            self._failure = error, raised(error)

    def first_failure(self) -> tuple[BaseException, Place] | None:
        """What went wrong first, and its place; whether or not the program has caught it.

        A failure is a crash, a leak, a fault of memory, or that no thread could go on.  The last
        two know their places.
        """
        if self._failure is None and (known := self.ledger.fault.value or self.threads.stuck):
            self._failure = known, None
        return self._failure

    def stop_running(self, why: str) -> None:
        """Have every BIF refuse from now on, and wake what waits."""
        # Before the processes are woken.  One that finds nothing would go back to sleep.
        self.down = why
        # Ports and drivers are not told.  They wait for nothing, and no callback is called any
        # more.
        for process in self.entities.processes():
            process.emulator_down()

    def crash_was_seen(self) -> bool:
        """Whether the emulator is down and its reader has been told why."""
        return self.down is not None and self._crash is None

    def refusal(self) -> BaseException:
        """What a BIF raises once the emulator is down.

        The reader's program gets the crash itself, the first time.
        """
        # Told once: a program that goes on after the crash should not take it for a new one.
        if running() is self.reader and self._crash is not None:
            crash, self._crash = self._crash, None
            return crash
        return EmulatorStopped(f"the emulator is not running: {self.down}")


OVER = "it belonged to one run of a scenario, which is over"


class Over:
    """What is left of an object whose run is over: it has nothing, and says so when it is asked.

    `explore` empties the emulator of a run at its end (`explore.run`), and a scenario may have kept
    a part of it.
    """

    def __getattr__(self, name: str) -> NoReturn:
        # What Python and a notebook ask of any object.
        if name.startswith(("__", "_repr_", "_ipython_")):
            raise AttributeError(name)
        raise EmulatorStopped(
            f"the emulator is not running: {OVER}; have the scenario return what is to be kept,"
            " such as a message, or look at the emulator that replay returns"
        )


class OverRuntime(Over, Runtime):
    """A `Runtime` whose run is over."""

    down = OVER


# Around every call that may run a callback.  One object serves all blocks: it holds no state.
class DriverCode:
    """The block in which an exception takes the emulator down."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # Not a BaseException: Ctrl-C is no fault of the driver, and a simulated thread is unwound
        # by an exception of that kind.
        if isinstance(error, Exception) and (fault := self._runtime.fault(error)) is not error:
            raise fault from None


LENT = "it is lent for the call only: copy it with bytes(buf)"


def _explained(error: BaseException, kept: Sequence[object]) -> BaseException:
    """The driver's fault behind an error of Python's that names neither."""
    if isinstance(error, RecursionError) and (nesting := repeated(error)):
        then = f"{nesting.until}; in C, unless they end, the emulator dies of it"
        return StackOverflow(nesting.what, then, place=nesting.place)
    if isinstance(error, StackOverflow):
        # It may have come through a thousand frames.  The message names the one that matters.
        return error.with_traceback(None)
    # A `memoryview` was released, and used then.  If it is one that a callback was lent, it is the
    # emulator's memory in C, and this would be a use after free.
    released = isinstance(error, ValueError) and "released memoryview" in str(error)
    if released and _uses_lent(error, kept):
        then = f", after the callback had returned; {LENT}"
        fault = UseAfterFree("a callback's buffer was used", then, place=raised(error))
        return fault.with_traceback(error.__traceback__)
    return error


def _uses_lent(error: BaseException, kept: Sequence[object]) -> bool:
    """Whether an error of a released `memoryview` is about one of those that were lent and kept.

    The error does not name it.  It may be a variable of the function that has raised; a driver that
    has released one of its own there has made another mistake.
    """
    traceback, views = error.__traceback__, []
    while traceback is not None:
        found = traceback.tb_frame.f_locals.values()
        views = [view for view in found if isinstance(view, memoryview) and _is_released(view)]
        traceback = traceback.tb_next
    return any(view is one for view in views for one in kept) if views else bool(kept)


def _is_released(view: memoryview) -> bool:
    try:
        return view.nbytes < 0
    except ValueError:
        return True
