"""What every driver has to survive: a battery of small scenarios, for a driver that is not known.

Each row of the battery is a scenario: a port is opened, perhaps sent something, and then one thing
happens that may come at any time.  What the driver answers does not matter.  A BIF that fails
because the port is gone is no fault.

The data is the caller's: what follows the driver's name at `open_port`, and what a command and a
control send.  So the battery knows what a driver takes, and not what it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from driverref.emulator import Emulator
from driverref.errors import ErlangError, Interrupted
from driverref.explore import Fault, Outcomes
from driverref.explore.outcomes import follow
from driverref.explore.witness import RUN_DEFAULTS, RunOptions
from driverref.hosting.apart import Apart, Died
from driverref.hosting.driver import CDriver
from driverref.hosting.lines import Line
from driverref.runtime.driver import Driver
from driverref.terms import Port

LIMIT = 1000
"""How many schedules of a row are run, at most."""

FIRST = 3
"""How many schedules of a row are run before the others."""

PLACE = re.compile(r"(\S+):(\d+) in (\S+)")
"""A place of a fault, such as `drv.c:12 in work`."""


@dataclass(frozen=True)
class Data:
    """What is sent to the driver."""

    open: str = ""
    """What follows the driver's name in the command given to `open_port`."""
    command: bytes = b""
    control: bytes = b""
    operation: int = 1
    """The number that `port_control` gets."""
    time: int = 0
    """How many milliseconds pass, for the row with a timer."""


class LoadError(Exception):
    """The emulator does not load the driver; the text has what `erl_ddll:load_driver` returns."""


def load(erl: Emulator, driver: Driver) -> None:
    """Load a driver, or raise `LoadError`: a port of it could not be opened."""
    answer: Any = erl.erl_ddll.load_driver(driver)
    if answer == "ok":
        return
    reason = str(answer[1])
    if erl.runtime.ledger.failed:  # `init` may refuse where an allocation has failed
        raise ErlangError(reason, "erl_ddll.load_driver: an allocation has failed")
    raise LoadError(f"{driver.driver_name}: {reason}: {erl.erl_ddll.format_error(reason)}")


class Playing:
    """The emulator, the driver and the data, in the words of the rows."""

    def __init__(self, erl: Emulator, driver: CDriver, data: Data) -> None:
        self.erl, self.data = erl, data
        made = driver()
        self.name = made.driver_name
        erl.process_flag("trap_exit", True)
        load(erl, made)

    def open(self, arguments: str | None = None) -> Port:
        """Open a port; in this process."""
        text = self.data.open if arguments is None else arguments
        return self.erl.open_port(("spawn_driver", f"{self.name} {text}".rstrip()), ("binary",))

    def command(self, port: Port) -> None:
        """Send the command."""
        self.erl.port_command(port, self.data.command)

    def control(self, port: Port) -> None:
        """Call `port_control`.  That the driver refuses it is no fault."""
        with suppress(ErlangError):
            self.erl.port_control(port, self.data.operation, self.data.control)


def _open_and_close(play: Playing) -> None:
    play.erl.port_close(play.open())


def _command_and_close(play: Playing) -> None:
    port = play.open()
    play.command(port)
    play.erl.port_close(port)


def _command_and_kill(play: Playing) -> None:
    def owner() -> None:
        play.command(play.open())
        play.erl.receive()  # until it is killed

    pid = play.erl.spawn(owner)
    play.erl.link(pid)
    play.erl.exit(pid, "kill")
    play.erl.receive()


def _two_commands_and_close(play: Playing) -> None:
    port = play.open()
    play.command(port)
    play.command(port)
    play.erl.port_close(port)


def _command_and_unload(play: Playing) -> None:
    play.command(play.open())
    play.erl.erl_ddll.unload_driver(play.name)


def _command_and_halt(play: Playing) -> None:
    play.command(play.open())
    play.erl.halt()


def _control_and_close(play: Playing) -> None:
    port = play.open()
    play.control(port)
    play.erl.port_close(port)


def _command_control_and_close(play: Playing) -> None:
    port = play.open()
    play.command(port)
    play.control(port)
    play.erl.port_close(port)


def _command_and_timer(play: Playing) -> None:
    port = play.open()
    play.command(port)
    play.erl.receive(timeout=play.data.time)
    play.erl.port_close(port)


def _refused(play: Playing) -> None:
    play.erl.port_close(play.open(""))


ROWS: dict[str, Callable[[Playing], None]] = {
    "open and close": _open_and_close,
    "a command and close": _command_and_close,
    "a command and the owner killed": _command_and_kill,
    "two commands and close": _two_commands_and_close,
    "a command and unload": _command_and_unload,
    "a command and halt": _command_and_halt,
    "a control and close": _control_and_close,
    "a command, a control and close": _command_control_and_close,
    "a command and a timeout": _command_and_timer,
    "open without arguments": _refused,
    "no memory": _command_and_close,
}
"""The rows, by name.  Those with a control, a timer or an argument have a condition.

In the last one allocations fail, one in each run, in every row if the caller wants that.
"""


@dataclass(frozen=True)
class Row:
    """A row of the battery, as a scenario."""

    name: str
    driver: CDriver
    data: Data

    @property
    def __name__(self) -> str:
        """The name, for messages about its runs."""
        return self.name

    def __call__(self, erl: Emulator) -> None:
        """Play the row.  A BIF that fails ends it."""
        with suppress(ErlangError):
            ROWS[self.name](Playing(erl, self.driver, self.data))


@dataclass(frozen=True)
class Mistake:
    """One mistake of a driver: a fault, and where it shows."""

    fault: Fault
    row: str
    witness: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Checked:
    """What a row has come to."""

    name: str
    outcomes: Outcomes
    mistakes: list[Mistake]
    """Those that no row before it has shown."""


def times(driver: CDriver, data: Data, options: RunOptions) -> list[int]:
    """The times, in milliseconds, to which the driver sets a timer when it gets a command."""
    row = Row("a command and close", driver, data)
    trace = follow(row, "", options)[0].trace
    return [cast(int, event.detail) for event in trace.select("driver_set_timer")]


def callbacks(driver: CDriver, data: Data, options: RunOptions) -> set[str]:
    """The callbacks that the driver's entry has."""
    follow(Row("open and close", driver, data), "", options)
    return driver.callbacks


def rows(apart: Apart, driver: CDriver, data: Data, options: RunOptions) -> Iterator[Row]:
    """The rows for a driver.  Some depend on its callbacks, and on what it does in a run."""
    of_entry: set[str] = set()
    with suppress(Died):
        of_entry = apart.do(callbacks, driver, data, options)
    for name in ROWS:
        time = 0
        if "control" in name and "control" not in of_entry:
            continue
        if name == "a command and a timeout":
            set_to: list[int] = []
            with suppress(Died):  # a row before this is the same run, and has told it
                set_to = apart.do(times, driver, data, options)
            if not set_to:
                continue
            # So long that the timer is set again, if the driver does that, and not much longer.
            time = 2 * max(set_to) + 1
        if name == "open without arguments" and not data.open:
            continue
        yield Row(name, driver, replace(data, time=time))


def check(driver: CDriver, data: Data, limit: int = LIMIT, **options: Any) -> Iterator[Checked]:
    """Explore each row of the battery, and tell the mistakes of each that are new.

    `options` are those of `explore`, which shows its progress.  Equal faults are one mistake.  The
    driver runs in a process apart; if that ends, the next row goes on in another.  `Interrupted` is
    raised after the row that Ctrl-C has ended.
    """
    with Apart() as apart:
        yield from _checked(apart, driver, data, {**options, "limit": limit})


def _checked(
    apart: Apart, driver: CDriver, data: Data, options: dict[str, Any]
) -> Iterator[Checked]:
    known: set[Fault] = set()
    run = {name: options[name] for name in RUN_DEFAULTS.keys() & options.keys()}
    for row in rows(apart, driver, data, cast(RunOptions, run)):
        asked = {**options, "failing_allocations": True} if row.name == "no memory" else options
        interrupted = None
        try:
            outcomes = _explored(apart, row, asked)
        except Interrupted as error:
            outcomes, interrupted = error.found, error
        driver.learn(cast(Row, outcomes.scenario).driver)
        mistakes = []
        for fault in outcomes.faults:
            if fault not in known:
                known.add(fault)
                lines = lines_of(fault, driver)
                mistakes.append(Mistake(fault, row.name, outcomes[fault].witness, lines))
        yield Checked(row.name, outcomes, mistakes)
        if interrupted:
            raise interrupted


def _explored(apart: Apart, row: Row, options: dict[str, Any]) -> Outcomes:
    """Explore a row, unless the first runs of it end as a `Livelock`.

    A loop that polls can be left in so many ways that the search would go on for hours, through
    runs that are as long as a run may be, and would show that loop again.
    """
    few = apart.explore(row, {**options, "limit": min(FIRST, options["limit"])})
    if few.complete or any(fault.name == "Livelock" for fault in few.faults):
        return few
    return apart.explore(row, options)


def lines_of(fault: Fault, driver: CDriver) -> tuple[Line, ...]:
    """The driver's lines that a fault names.

    They come in the order in which they stand in its text: the use first, then what led to it.
    """
    paths, places = driver.paths, sorted(fault.places, key=fault.text.find)
    found = (match.groups() for place in places if (match := PLACE.fullmatch(place)))
    return tuple(Line(paths[name], int(line), at) for name, line, at in found if name in paths)


def around(line: Line, more: int = 1) -> str:
    """A line with those around it, as they stand in the file; "" if there is no such file."""
    try:
        text = Path(line.file).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    first = max(line.number - more, 1)
    shown = text[first - 1 : line.number + more]
    return "\n".join(
        f"{'>' if number == line.number else ' '} {number:4}  {words}".rstrip()
        for number, words in enumerate(shown, first)
    )
