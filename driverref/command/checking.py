"""`driverref check`: a driver in C, its battery (`hosting.battery`), and the report."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from driverref import timeline
from driverref.command import BadInput, as_json, loading, status
from driverref.command.console import complain, say, say_json
from driverref.command.options import JSON, given, run_options
from driverref.emulator import Emulator
from driverref.explore import Scenario
from driverref.explore.witness import RunOptions
from driverref.hosting import CDriver, CompileError
from driverref.hosting.apart import ENDED, Apart
from driverref.hosting.battery import LIMIT, Checked, Data, Mistake, around, check, load, rows
from driverref.hosting.driver import c_driver_unloaded

LIBRARIES = (".o", ".a", ".so")


def compiled(arguments: tuple[str, ...]) -> CDriver:
    """The driver of the command line's arguments: its sources, then flags and libraries.

    Prints what the compiler says, and ends with status 2, if it cannot be compiled.
    """
    sources = [
        word for word in arguments if not word.startswith("-") and not word.endswith(LIBRARIES)
    ]
    others = [word for word in arguments if word not in sources]
    libs = [word for word in others if word.startswith(("-l", "-L")) or word.endswith(LIBRARIES)]
    flags = [word for word in others if word not in libs]
    if not sources:
        raise click.UsageError("Missing argument 'FILE.c'.")
    try:
        return c_driver_unloaded(sources, flags, libs)
    except CompileError as error:
        complain(str(error))
        raise click.exceptions.Exit(BadInput.exit_code) from None


@dataclass(frozen=True)
class WithDriver:
    """A scenario, to which the driver in C is loaded first."""

    play: Scenario
    driver: CDriver

    @property
    def __name__(self) -> str:
        """The name of the scenario, for messages about its runs."""
        return getattr(self.play, "__name__", "")

    def __call__(self, erl: Emulator) -> object:
        """Load the driver, and play the scenario."""
        load(erl, self.driver())
        return self.play(erl)


def scenario(target: tuple[str, ...]) -> Scenario:
    """The scenario of a command line: `FILE[:SCENARIO]`, with a driver in C before it or without.

    Raises `BadInput` if there is none.
    """
    *sources, file = target
    play = loading.scenario(file)
    if not sources:
        return play
    return WithDriver(play, compiled(tuple(sources)))


def as_bytes(ctx: click.Context, parameter: click.Parameter, text: str) -> bytes:
    """The bytes of an option, in which `\\x00` and the like stand for bytes as in C."""
    try:
        return text.encode().decode("unicode_escape").encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise click.BadParameter(f"{text!r} has an escape that is none of C's") from None


@click.command("check", short_help="Check a driver in C in every order of events.")
@click.argument("arguments", metavar="FILE.c [FILE.c ...] [-- FLAGS]", nargs=-1)
@run_options
@click.option("--open", "opened", default="", help="What follows the driver's name at open_port.")
@click.option(
    "--command", default="", callback=as_bytes, help="The bytes of a command; \\x01 is one."
)
@click.option("--control", default="", callback=as_bytes, help="The bytes that port_control sends.")
@click.option("--operation", default=1, show_default=True, help="The number that it sends.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=LIMIT,
    show_default=True,
    help="Stop each row after so many runs.",
)
@click.option("--row", default="", help="Run one row once, and show what ran where.")
@click.option("--witness", default="", help="With --row: the run to make.")
@JSON
@click.pass_context
def check_command(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    opened: str,
    command: bytes,
    control: bytes,
    operation: int,
    limit: int,
    row: str,
    witness: str,
    in_json: bool,
    **options: Any,
) -> None:
    """Compile a linked-in driver in C or C++, and run it in every order of events.

    FILE.c is the driver, unchanged.  It is put through a battery that every driver must survive: a
    command and close, the owner killed, unloading, halt, no memory, and more.  A fault is a use
    after free, a race, a leak, a deadlock, a crash; it is named with its lines and with how to see
    the run again.  For scenarios of your own, see the page Testing your own driver.

    \b
      driverref check my_drv.c --command 'hello'
      driverref check my_drv.c more.c -- -DDEBUG -Iinclude -lz

    Exit status: 0 every order was run, and no fault, 1 a fault, 2 bad input, 3 not all were run.
    """
    driver = compiled(arguments)
    data = Data(opened, command, control, operation)
    again = _again(arguments, data)
    if row:
        _once(ctx, driver, data, row, witness, cast(RunOptions, given(options)))
        return
    report: list[Checked] = []
    interrupted = None
    try:
        for checked in check(driver, data, limit, **given(options)):
            report.append(checked)
            if not in_json:
                _tell(checked, again)
    except KeyboardInterrupt as error:
        interrupted = error
        if not report and not in_json:  # nothing has begun
            raise
    mistakes = [mistake for checked in report for mistake in checked.mistakes]
    if in_json:
        say_json(_as_json(report, again, driver))
    else:
        runs = sum(checked.outcomes.schedules for checked in report)
        found = f"{counted(len(mistakes), 'mistake')} in {counted(len(report), 'row')}"
        say(f"{found}; {counted(runs, 'schedule')} run")
        lost = any(checked.outcomes.stopped == ENDED for checked in report)
        if driver.never_called and not lost:
            say(
                f"never called: {', '.join(driver.never_called)}; --open, --command and --control "
                "give the data that leads there"
            )
    if interrupted:
        raise interrupted
    ctx.exit(status.of(bool(mistakes), all(checked.outcomes.complete for checked in report)))


def _once(
    ctx: click.Context,
    driver: CDriver,
    data: Data,
    row: str,
    witness: str,
    options: RunOptions,
) -> None:
    """Run one row under one schedule, and print what ran where."""
    with Apart() as apart:
        # One after the other: a row that ends its process is not run here unless it is the one.
        passed = []
        for found in rows(apart, driver, data, options):
            passed.append(found.name)
            if found.name == row:
                break
        else:
            raise BadInput(f"no row is called {row!r}; the rows: {', '.join(passed)}")
        try:
            shown, fault = apart.follow(found, witness, options, timeline.text)
        except ValueError as error:
            raise BadInput(str(error)) from None
    say(shown)
    if fault is not None:
        complain(f"ended in {fault}")
        ctx.exit(status.FAULT)


def _again(arguments: tuple[str, ...], data: Data) -> str:
    """The command that shows a row, without the row and the witness, which has the options."""
    words = ["driverref", "check"]
    for name, value, default in (
        ("--open", data.open, ""),
        ("--command", _escaped(data.command), ""),
        ("--control", _escaped(data.control), ""),
        ("--operation", str(data.operation), "1"),
    ):
        if value != default:
            words += [name, value]
    return shlex.join([*words, "--", *arguments])


def _escaped(data: bytes) -> str:
    """The text of an option for these bytes."""
    return data.decode("latin-1").encode("unicode_escape").decode()


def _shown_again(again: str, mistake: Mistake) -> str:
    """The command that shows a mistake."""
    option = f"--row {shlex.quote(mistake.row)} --witness {mistake.witness}"
    head, _, rest = again.partition(" -- ")
    return f"{head} {option} -- {rest}"


def counted(count: int, what: str) -> str:
    """A number of things: `1 schedule`, `1,000 schedules`."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def _tell(checked: Checked, again: str) -> None:
    """Print what a row has come to."""
    outcomes = checked.outcomes
    whole = "" if outcomes.complete else f", {outcomes.stopped}"
    say(f"{checked.name}: {counted(outcomes.schedules, 'schedule')}{whole}")
    for mistake in checked.mistakes:
        say(f"\n  {str(mistake.fault).replace(chr(10), chr(10) + '  ')}")
        for line in mistake.lines:
            say(f"\n    {Path(line.file).name}, {line.function}:")
            say("\n".join(f"    {words}" for words in around(line).splitlines()))
        say(f"\n  see it: {_shown_again(again, mistake)}\n")


def _as_json(report: list[Checked], again: str, driver: CDriver) -> dict[str, object]:
    """The report, for a program."""
    return as_json.report(
        "check",
        rows=[
            {
                "row": checked.name,
                "schedules": checked.outcomes.schedules,
                "complete": checked.outcomes.complete,
                "stopped": checked.outcomes.stopped,
            }
            for checked in report
        ],
        mistakes=[
            {
                "fault": mistake.fault.name,
                "text": mistake.fault.text,
                "places": [
                    {"file": file, "line": line, "function": function}
                    for file, line, function in mistake.lines
                ],
                "row": mistake.row,
                "witness": mistake.witness,
                "see": _shown_again(again, mistake),
            }
            for checked in report
            for mistake in checked.mistakes
        ],
        never_called=driver.never_called,
    )
