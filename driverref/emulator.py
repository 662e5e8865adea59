"""The emulator: what it consists of, how it starts and how it ends.

An `Emulator` is a `Runtime` with schedulers, a pool of async threads, and processes.  This is the
one place where the parts meet: `eras` chooses those that fit the release, and the two classes of
BIFs, which do not know each other, become methods here, as both are of module `erlang`.

The thread that makes an emulator becomes its first process, on scheduler 1.

An emulator ends in one of three ways.  `stop` is orderly and checks for leaks.  `halt` does what
Erlang's `halt` does: jobs and the exit race.  If the driver's code raises, the emulator crashes:
no more callback is called, and the error is raised in the program.

Sources: `erl_init.c`, `erl_process.c:handle_reap_ports`; the manual pages `erl(1)`, `init(3)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, Literal, Self, TypedDict, Unpack

from driverref import diagnostics, eras, notebook
from driverref.diagnostics import where
from driverref.erlang.calling import Calling, caller
from driverref.erlang.commands import Commands
from driverref.erlang.environment import Environment
from driverref.erlang.erl_ddll import ErlDdll
from driverref.erlang.info import Info
from driverref.erlang.monitors import Monitors
from driverref.erlang.names import Registering
from driverref.erlang.ports import Ports
from driverref.erlang.processes import Processes
from driverref.errors import (
    EmulatorStopped,
    Leak,
    Misuse,
    badarg,
    check_int,
    is_int,
    wrong_type,
    wrong_value,
)
from driverref.release import Release, find
from driverref.runtime.core import OVER, Over, Runtime
from driverref.runtime.halting import PortsToClose, close_ports, emergency_close
from driverref.runtime.process import Process
from driverref.since import check_bif
from driverref.terms import KILL
from driverref.threads import Threads, running
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.stalled import look_after
from driverref.trace import Trace


class EmulatorOptions(TypedDict, total=False):
    """The options of `Emulator` that everything takes which starts one."""

    async_threads: int | None
    """`+A`; `None`: as many as the release has if `+A` is not given."""
    schedulers: int
    """`+S`."""
    release: str | Release
    """The era, by its name or as a record."""


DEFAULTS: EmulatorOptions = {"async_threads": None, "schedulers": 1, "release": "25"}
"""What an option is that is not given, for `Emulator`, `explore`, and the command line alike."""


class Emulator(Processes, Monitors, Registering, Ports, Commands, Info, Environment):
    """An emulator with its schedulers and async threads running.

    * `async_threads` is `+A`: 0 or 1 to 1024, by default what the release says.
    * `schedulers` is `+S`, 1 to 1024.  On the eras R11B-5 to R14B04, which had two emulators, 1 is
      the plain emulator, and more are the SMP emulator.
    * `threads` is `"simulated"` (deterministic, in virtual time) or `"native"` (of the operating
      system).
    * `seed`, an int, has simulated threads go on in a random order, the same one for each seed.
    * `trace=False` records nothing.
    * `release` is the era: `"R7B-3"`, `"R11B-5"`, `"R13B"`, `"R14B04"`, `"R16B"`, `"25"` (and
      `"23"` to `"29"`), or a `Release` of your own.

    Raises `TypeError` and `ValueError` for a bad argument, and `Misuse` if the calling thread
    already has an emulator.

    Use it in a `with` block, or call `stop` at the end.  The methods may be called by the thread
    that made it, in any context, and in functions that were given to `spawn`; `Misuse` elsewhere.
    """

    made: str
    """The place in the program where it was made."""

    def __init__(
        self,
        *,
        async_threads: int | None = DEFAULTS["async_threads"],
        schedulers: int = DEFAULTS["schedulers"],
        threads: Literal["simulated", "native"] = "simulated",
        seed: int | None = None,
        trace: bool = True,
        release: str | Release = DEFAULTS["release"],
    ) -> None:
        if not isinstance(trace, bool):
            raise wrong_type("Emulator", "trace", "True or False", trace)
        record = Trace() if trace else None
        self._start(partial(_seam, threads, seed), record, async_threads, schedulers, release)
        if isinstance(self.runtime.threads, SimulatedThreads):
            look_after(self.runtime.threads, f"the emulator made at {self.made}")

    @classmethod
    def _on(cls, threads: Threads, trace: Trace, **options: Unpack[EmulatorOptions]) -> Self:
        """An emulator on threads and with a trace that the caller has made: a search does so."""
        whole: EmulatorOptions = {**DEFAULTS, **options}
        erl = cls.__new__(cls)
        erl._start(lambda: threads, trace, **whole)
        return erl

    def _start(
        self,
        make_threads: Callable[[], Threads],
        trace: Trace | None,
        async_threads: int | None,
        schedulers: int,
        release: str | Release,
    ) -> None:
        # Everything is checked before anything is made: a bad argument leaves no thread behind.
        release = find(release)
        if async_threads is None:
            async_threads = release.default_async_threads
        check_int("Emulator", "async_threads", async_threads, 0, release.max_async_threads)
        check_int("Emulator", "schedulers", schedulers, 1, release.max_schedulers)
        if (other := self.running()) is not None:
            raise Misuse(
                f"Emulator: this thread already runs an emulator, made at {other.made}; stop that"
                " one first; if nothing has kept it: Emulator.running().stop()"
            )
        threads = make_threads()
        thread = threads.adopt("process <0.1.0>")
        self.made = where(diagnostics.caller())
        self.runtime = Runtime(threads, release, trace, eras.ports_for(release, threads))
        self.runtime.emulator = self
        try:
            eras.furnish(self.runtime, schedulers, async_threads)
        except RuntimeError:  # the operating system has no thread left
            threads.close()
            raise
        self._main = Process(self.runtime)
        self._main.carried_by(thread)
        self.trace = self.runtime.trace
        """The events so far; empty with `trace=False`."""
        self._ended = False
        self.erl_ddll = ErlDdll(self.runtime)
        """The functions of Erlang's module `erl_ddll`."""

    @staticmethod
    def running() -> Emulator | None:
        """Return the emulator that the calling thread runs, or `None` if it runs none.

        After an error in a notebook, `Emulator.running().stop()` stops an emulator that no variable
        holds.
        """
        runtime = running().runtime
        return None if runtime is None else runtime.emulator

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.stop()
        else:
            self._abandon("its with block was left by an exception")

    def __repr__(self) -> str:
        size, count = self.runtime.pool.size, len(self.runtime.schedulers)
        state = self.runtime.down or "running"
        return f"<Emulator +A {size} +S {count}, {state}>"

    def _repr_html_(self) -> str:
        return notebook.emulator(self.runtime, f"{self!r}, made at {self.made}")

    # The system.

    def system_info(self, item: str) -> Any:
        """Return one fact about the emulator.  Stands for `erlang:system_info/1`.

        `item` is one of `thread_pool_size`, `schedulers`, `otp_release`, `version`,
        `driver_version`, `port_count`.
        """
        runtime, release = self.runtime, self.runtime.release
        with Calling(runtime, "system_info"):
            version = release.driver_version and ".".join(map(str, release.driver_version))
            items: dict[str, Any] = {
                "thread_pool_size": runtime.pool.size,
                "schedulers": len(runtime.schedulers),
                "otp_release": release.name,
                "version": release.erts,
                "driver_version": version,
                "port_count": len(runtime.ports),
            }
            if not isinstance(item, str) or item not in items:
                raise badarg("system_info", "item", "one of " + ", ".join(items), item)
            return items[item]

    # The end.

    def halt(
        self, status: int | str = 0, *, flush: bool = True, flush_timeout: int | None = None
    ) -> int:
        """Halt the emulator and return its exit status; in Erlang the call does not return.

        With `flush`, every port is closed with reason `killed`, closing ports are waited for, and
        every queued job is run to its end.  Completions race with the exit, so whether the last
        `async_free` is called is not defined.  A port that never empties its driver queue, or a job
        that does not return, keeps this waiting for ever; with `flush_timeout` (milliseconds, since
        OTP 27) the status is then 255.  Without `flush` (an option since R15B01) everything stops
        where it is: no `stop`, no `async_free`.

        Before R15B01 no port is closed.  R7B to R9C exit at once; later releases let the queued
        jobs run first if the status is 0, but hand nothing over.

        A `status` that is a `str` is the slogan of a crash dump: `emergency_close` is called for
        every port, everything stops where it is, and the exit status is 1.  Nothing is written.

        No leak is reported: the memory went with the emulator.  If another process than the first
        calls it, the first gets `EmulatorStopped` from its next BIF.  Stands for `erlang:halt/2`.
        """
        process = Calling(self.runtime, "halt").process
        if not isinstance(status, str):
            check_int("halt", "status", status, 0, 255)
        if not isinstance(flush, bool):
            raise badarg("halt", "flush", "True or False", flush)
        release = self.runtime.release
        deadline = None
        if not flush:
            check_bif(release, "halt's flush", "R15B01")
        if flush_timeout is not None:
            check_int("halt", "flush_timeout", flush_timeout, 0, 2**32 - 1)
            check_bif(release, "halt's flush_timeout", "27.0")
            deadline = self.runtime.threads.read_clock() + flush_timeout * 1_000_000
        halting = self.runtime.halting
        # From here on this scheduler handles no completions, but to flush.
        with process.scheduler.mutex:
            self.runtime.note(process.scheduler.name, "halt", status)
            if isinstance(status, str):
                emergency_close(process)
                status, flush = 1, False
            else:
                halting.jobs_first(process, status)
        if flush and not halting.flush(process, deadline):
            status = 255
        if process is self._main:
            self._abandon("it has halted")
            return status
        # In Erlang the call does not return, and the operating system ends the other processes.
        # Here they end at their next BIF, and the reader's program is told why.
        self.runtime.stop_running("it has halted")
        self.runtime.threads.interrupt(self.runtime.refusal())
        raise EmulatorStopped("the emulator has halted, and this process with it")

    def stop(self) -> None:
        """Stop in good order, as `init:stop/0` does, and raise if something is wrong.

        The other processes are killed, the ports closed, the jobs run to their end, their data
        given back, the drivers finished, the threads joined.  Then `Leak` is raised if anything was
        not freed.  Does nothing if the emulator has stopped or halted, or crashed and said so.
        Only the process that made the emulator may call it.
        """
        if self._ended:
            return
        if running().process is not self._main:
            raise Misuse(
                "stop: only the process that made the emulator may stop it, on the thread that it"
                " was made on"
            )
        if self.runtime.crash_was_seen():
            self._abandon("it crashed")
            return
        try:
            self._stop(caller(self.runtime, "stop"))
        except BaseException:
            self._abandon("it could not be stopped in good order")
            raise
        self._abandon("it has stopped")
        try:
            self.runtime.ledger.check()
        except Leak as leak:
            self.runtime.failed(leak)
            raise

    def _stop(self, main: Process) -> None:
        runtime = self.runtime
        # A process may be linked to the first one, or spawn another before it notices its end.
        main.trap(True)
        while others := runtime.entities.processes()[1:]:
            for process in others:
                process.exit_signal(main.pid, KILL)
            for process in others:
                runtime.threads.join(process.thread)
            main.heed()
        close_ports(main)
        main.wait_until(PortsToClose(runtime), lambda: not runtime.ports)
        # The schedulers last: they have to complete what the other threads have done.
        runtime.pool.stop()
        runtime.check_io.stop()
        for scheduler in runtime.schedulers:
            scheduler.stop()
        for driver in list(runtime.drivers.values()):
            with runtime.driver_code:
                driver.stop()
        main.heed()

    def _abandon(self, why: str) -> None:
        """Leave everything as it is.  On the thread that made the emulator."""
        if not self._ended:
            self._ended = True
            self.trace.freeze()
            if self.runtime.down is None:
                self.runtime.stop_running(why)
            # What runs on OS threads now cannot be stopped.  It goes on without being recorded.
            self.runtime.threads.close()
            if not self.runtime.threads.simulated:
                self.runtime.pool.give_up()


class OverEmulator(Over, Emulator):
    """An `Emulator` whose run is over."""

    def __repr__(self) -> str:
        return f"<Emulator, {OVER}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def _seam(threads: object, seed: object) -> Threads:
    """The implementation of the seam that was asked for."""
    if threads == "simulated":
        if seed is not None and not is_int(seed):
            raise wrong_type("Emulator", "seed", "an int or None", seed)
        return SimulatedThreads(seed)
    if threads == "native":
        if seed is not None:
            raise wrong_value(
                "Emulator", "seed", "None on OS threads, which choose for themselves", seed
            )
        return NativeThreads()
    raise wrong_value("Emulator", "threads", '"simulated" or "native"', threads)
