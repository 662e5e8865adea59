"""A process of its own for what a driver in C may end, and how that end is told.

Most faults of a driver in C are found before they do harm.  But a library that the driver calls is
not watched: it may write into the memory of Python, end the process, or never return.  So the
command line runs a driver in C in a process apart.

    this process                          the process apart
    do(explore, scenario) --------------> explore(scenario)        keeps a journal
    Outcomes <--------------------------- the result
    or Died  <--------------------------- (it has ended)           the journal is still there

`Apart.do` has a function called there.  The process is started for the first, and serves until it
ends; after that another one is started.

`Apart.explore` is `explore`, done there.  If the process ends in the middle, its journal names the
run that was under way (`explore.journal`), and where the driver's code was (`Note` in `host.h`).
That end becomes a fault like any other.  The run is made once more, in a new process, since the
driver may not be to blame: the system, too, ends a process when memory is short.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import pickle
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any, TypeVar

from driverref.errors import Interrupted
from driverref.explore import Fault, Outcomes, Scenario
from driverref.explore import explore as plain
from driverref.explore.journal import Journal, Kept, events, read
from driverref.explore.outcomes import Tally, follow
from driverref.explore.run import experiment_of
from driverref.explore.witness import RunOptions
from driverref.hosting.host import Module, host
from driverref.hosting.lines import Line, Table
from driverref.threads.parent import end_with_parent
from driverref.trace import Trace

T = TypeVar("T")

PATIENCE = 3.0
"""How many seconds the process has to end its work when it is interrupted."""

ENDED = "stopped by the end of its process"
"""Why an exploration has not come to its end."""

_NOTE = mmap.PAGESIZE


DAMAGE = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE, -signal.SIGABRT}
"""The exit codes of a process that finds its own memory damaged."""


class Died(Exception):
    """The process apart has ended, or was stuck and was ended, before its work was done."""

    def __init__(self, code: int, stuck: bool, place: Line | None, running: bool) -> None:
        super().__init__("the process that was to run the driver has ended")
        self.code, self.stuck = code, stuck
        self.place = "" if place is None else str(place)
        """The last of the driver's lines that is known to have run; "" if none is."""
        self.running = running
        """Whether the driver's code ran, or a library that it had called."""

    @property
    def how(self) -> str:
        """The end, in words: `SIGSEGV`, `exit with status 3`."""
        if self.code < 0:
            return signal.Signals(-self.code).name
        return f"exit with status {self.code}"

    def fault(self, again: bool) -> Fault:
        """The fault that this end is.  `again`: whether the run alone ends in the same way."""
        at = f", which was last seen at {self.place}" if self.place else ""
        places = (self.place,) if self.place else ()
        if self.stuck:
            text = f"the driver's code does not come back{at}; a library that it calls may wait"
            return Fault("Endless", text, places)
        text = f"{self.how} ended the process that ran the driver{at}"
        if not self.running and self.code in DAMAGE:
            text += "; Python ran then, so its memory had been written to"
        if not again:
            text += "; that run alone does not end so: a run before it has done the harm"
            if self.code == -signal.SIGKILL:
                text += ", or the system has ended the process, as it does when memory is short"
        return Fault("Crash", text, places, self.how)


class Apart:
    """A process apart.  `with Apart() as apart:` ends it with the block.

    `begin` is called there first, with its arguments: `Apart(begin_worker, file)`.
    """

    def __init__(self, *begin: Any) -> None:
        self._begin = begin
        self._process: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="driverref-")
        self.files = Files(Path(self._folder.name))

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._end()
        self._folder.cleanup()

    def _start(self) -> None:
        self.files.clear()
        spawn = get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs, self.files, self._begin))
        self._process.start()
        theirs.close()

    def _end(self) -> int:
        """Forget the process, which ends, and return its exit code."""
        self._process.join()
        code: int = self._process.exitcode
        self._process.close()
        self._pipe.close()
        self._process = None
        return code

    def do(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Call a function there, and return what it returns or raise what it raises.

        All of that has to be picklable.  Ctrl-C is handed on.  Raises `Died`.
        """
        if self._process is None:
            self._start()
        ends = [self._pipe, self._process.sentinel]
        stuck = interrupted = False
        try:
            with suppress(BrokenPipeError):  # it has ended already
                self._pipe.send((function, arguments))
            connection.wait(ends)
        except KeyboardInterrupt:
            interrupted = True
            self._process.terminate()
            stuck = not connection.wait(ends, PATIENCE)
            if stuck:
                self._process.kill()
        try:
            good, value = self._pipe.recv()
        except (EOFError, OSError):
            code = self._end()
            if interrupted and not stuck:  # it had not begun
                raise KeyboardInterrupt from None
            raise Died(code, stuck, *self.files.last_seen()) from None
        if not good:
            raise value
        result: T = value
        return result

    def explore(
        self, scenario: Scenario, options: dict[str, Any], explore: Any = plain
    ) -> Outcomes:
        """Explore a scenario there; the end of the process is a fault among the outcomes.

        `explore` is `driverref.explore`, or a function with its arguments that calls it.  Raises
        `Interrupted` as that does; what is stuck then is a fault among what was found.
        """
        try:
            return self.do(_explored, explore, scenario, options)
        except Died as error:
            died = error
        noted = read(self.files.journal)
        if noted is None:  # no run has begun
            raise died
        fault = died.fault(died.stuck or self._again(scenario, noted.witness, died))
        # What had been found before is lost with the process.  The search makes the same runs in
        # the same order, so as many of them are made again, without the last.
        tally, runs = Tally(), noted.run - 2
        if runs > 0 and not died.stuck:
            limit = min(runs, options.get("limit") or runs)
            try:
                before = self.do(_explored, explore, scenario, {**options, "limit": limit})
            except Died:
                pass
            else:
                tally = before.tally()
        tally.schedules += 1
        tally.count(fault, noted.witness)
        stopped = "interrupted" if died.stuck else ENDED
        experiment = experiment_of("explore", scenario, options)  # type: ignore[arg-type]
        found = Outcomes(tally, stopped, experiment, options.get("strategy", "all"))
        if died.stuck:
            raise Interrupted(found, KeyboardInterrupt())
        return found

    def follow(
        self, scenario: Scenario, witness: str, options: RunOptions, show: Callable[[Trace], str]
    ) -> tuple[str, Fault | None]:
        """Make the run of a witness there; return its trace as `show` shows it, and its fault."""
        try:
            return self.do(_followed, scenario, witness, options, show)
        except Died as died:
            if read(self.files.journal) is None:  # no run has begun
                raise
            return show(events(self.files.journal)), died.fault(True)

    def _again(self, scenario: Scenario, witness: str, died: Died) -> bool:
        """Whether a run alone ends its process in the same way."""
        try:
            self.do(_followed, scenario, witness, {}, repr)
        except Died as again:
            return again.code == died.code
        except ValueError:  # another run altogether
            pass
        return False


class Files:
    """What the process apart leaves behind: its journal, its note, and where its drivers lie."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self._note = folder / "note"
        self._drivers = folder / "drivers"

    def clear(self) -> None:
        """Begin anew."""
        self.journal.unlink(missing_ok=True)
        self._note.write_bytes(bytes(_NOTE))
        self._drivers.write_text("")

    # There.

    def keep(self) -> None:
        """Have this process keep these files from now on, until it ends."""
        Kept.journal = Journal(self.journal)
        with self._note.open("r+b") as file:
            page = ctypes.c_char.from_buffer(mmap.mmap(file.fileno(), _NOTE))
        served = host()
        served.note(page)
        served.on_load = self._loaded

    def _loaded(self, module: Module) -> None:
        with self._drivers.open("a") as file:
            file.write(json.dumps([module.base, str(module.build.object)]) + "\n")

    # Here.

    def last_seen(self) -> tuple[Line | None, bool]:
        """The last of the driver's lines that is known to have run, and whether its code ran."""
        words = memoryview(self._note.read_bytes()).cast("q")
        running, function, site = words[:3]
        for line in self._drivers.read_text().splitlines():
            base, file = json.loads(line)
            with suppress(OSError):  # it is kept no longer
                table = Table.load(Path(file).with_name("lines.json"))
                # Where no request has been made yet, the function's beginning is known.
                place = table.line(site - base) or table.start(function + 1 - base)
                if place is not None:
                    return place, bool(running)
        return None, bool(running)


# What runs there.


def serve(pipe: Any, files: Files, begin: tuple[Any, ...]) -> None:
    """Do what is asked for, until nothing is any more."""
    # Ctrl-C at a terminal is for both processes.  Only the other one takes it, and hands it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_with_parent()
    if begin:
        begin[0](*begin[1:])
    files.keep()
    while True:
        try:
            asked = pipe.recv_bytes()
        except EOFError:
            return
        try:
            function, arguments = pickle.loads(asked)
            pipe.send((True, function(*arguments)))
        except BaseException as error:  # Ctrl-C, too: it is raised in the other process
            pipe.send((False, error))


def _explored(explore: Any, scenario: Scenario, options: dict[str, Any]) -> Outcomes:
    assert Kept.journal is not None
    Kept.journal.anew()
    outcomes: Outcomes = explore(scenario, **options)
    return outcomes


def _followed(
    scenario: Scenario, witness: str, options: RunOptions, show: Callable[[Trace], str]
) -> tuple[str, Fault | None]:
    erl, fault = follow(scenario, witness, options)
    return show(erl.trace), fault
