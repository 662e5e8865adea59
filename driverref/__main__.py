"""The command line: `driverref`, or `python -m driverref`.

Each command gives its work to a file of `driverref.command`, prints the result, and ends with a
status: 0 if all is well, 1 if a run broke a rule, 2 if the input cannot be used.  An error in the
input is reported in one line; click would print the usage above its own errors, so they are turned
into such lines.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Unpack, cast

import click
from rich.console import Console, RenderableType
from rich.markdown import Markdown

from driverref.command import BadInput, beginning, book, loading, releases, report, running
from driverref.command.checking import check_command
from driverref.command.checking import scenario as scenario_of
from driverref.command.options import (
    OBSERVE,
    OUT,
    SCHEDULERS,
    TARGET,
    THREADS,
    event_names,
    given,
    run_options,
    writable,
)
from driverref.errors import Nondeterministic
from driverref.explore import compare
from driverref.explore.strategy import ExploreOptions
from driverref.explore.witness import RunOptions
from driverref.hosting.apart import Died


class OneLine(click.Group):
    """Lists its commands in the order of definition, and reports a usage error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names unsorted, unlike click."""
        return list(self.commands)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Report an error in the options before the command's name in one line."""
        with one_line():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Report an error in the command's name, or in what follows it, in one line."""
        with one_line():
            return super().invoke(ctx)


@contextmanager
def one_line() -> Iterator[None]:
    """Turn a usage error in the block into one line."""
    try:
        yield
    except click.UsageError as error:
        raise BadInput(error.format_message()) from None


@contextmanager
def refusing() -> Iterator[None]:
    """Turn an error of `explore` or `replay` in the block into one line about the input."""
    try:
        yield
    except (ValueError, TypeError, Nondeterministic, Died) as error:
        raise BadInput(str(error)) from None
    except SystemExit:
        raise BadInput("the scenario calls sys.exit: let it return") from None


def write(file: Path, text: str, mode: str = "w") -> None:
    """Write a file; with mode `"x"` only if there is none.

    Raises `BadInput` if it cannot be written.
    """
    try:
        with file.open(mode, encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None


def say(text: str) -> None:
    """Print a text, with escapes for what the output cannot encode."""
    encoding = sys.stdout.encoding or "utf-8"  # none where the output is a string
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


@click.group(cls=OneLine, invoke_without_command=True)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def main(ctx: click.Context, version: bool) -> None:
    """Run Erlang's linked-in drivers, in every order of events if need be.

    driverref is a model of the emulator behind erl_driver.h.  A scenario is a Python function with
    one parameter, erl, the running emulator; `driverref new` writes a file that has one.

    \b
      driverref answers free            when is the free callback called?
      driverref new my_driver           begin a driver of your own
      driverref explore my_driver.py    run its scenario in every order
      driverref timeline my_driver.py   see one run

    Exit status: 0 all is well, 1 a run ended in a fault, 2 bad input.
    """
    if version:
        click.echo(f"driverref {installed()}")
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def installed() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("driverref")
    except metadata.PackageNotFoundError:
        return "from a checkout that is not installed"


@main.command("explore", short_help="Run a scenario in every order of events.")
@TARGET
@run_options
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Stop after so many runs.")
@click.option(
    "--strategy",
    type=click.Choice(["all", "random", "pct"]),
    default="all",
    show_default=True,
    help="Every order, or --limit runs at random, or --limit runs with random priorities.",
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="For random and pct."
)
@click.option(
    "--jobs",
    "processes",
    metavar="N",
    type=click.IntRange(1),
    help="Share the work out to N processes.",
)
@click.option(
    "--html",
    metavar="OUT",
    type=OUT,
    callback=writable,
    help="Also write a page with a timeline for each outcome.",
)
@click.pass_context
def explore_command(
    ctx: click.Context,
    /,
    target: tuple[str, ...],
    html: Path | None,
    processes: int | None,
    **options: Unpack[ExploreOptions],
) -> None:
    """Run a scenario in every order of events and list what can come of it.

    FILE is a Python file, SCENARIO a function in it whose only required parameter is erl; it may be
    left out if there is one only.  The outcome of a run is what the scenario returns, the order of
    the events that --observe names, or the fault in which the run ends.  Each outcome has a
    witness, which names a run: give it to `driverref timeline`.

    \b
      driverref explore my_driver.py
      driverref explore my_driver.py --observe ready_async,stop --html out.html

    Exit status: 0 no fault, 1 a fault is among the outcomes, 2 bad input.
    """
    if options["strategy"] != "all" and options["limit"] is None:
        raise click.UsageError(
            f"--strategy {options['strategy']} needs --limit: how many runs to draw"
        )
    if options["strategy"] != "all" and processes is not None:
        raise click.UsageError(f"--jobs is for --strategy all, not for {options['strategy']}")
    scenario, file = scenario_of(target), loading.split(target[-1]).file
    again = f"driverref timeline {shlex.join(target)} --witness"
    with refusing(), loading.silence(), running.place(target, loading.begin_worker) as place:
        shared = partial(running.shared, file, processes)
        outcomes = place.explore(scenario, given(options), shared)
        if html is not None:
            pictures = running.pictures(place, scenario, outcomes)
            name, here = " ".join(target), isinstance(place, running.Here)
    say(str(outcomes))
    for first in outcomes.faults[:1] or list(outcomes)[:1]:
        what = "fault" if outcomes.faults else "outcome"
        say(f"to see a run of the first {what}: {again} {outcomes[first].witness}")
    if html is not None:
        write(html, report.page(name, outcomes, pictures, again, here))
    ctx.exit(1 if outcomes.faults else 0)


@main.command("timeline", short_help="Run a scenario once and show what ran where.")
@TARGET
@run_options
@click.option("--witness", default="", help="The run to make, as explore names it.")
@click.option(
    "--events", metavar="NAMES", multiple=True, callback=event_names, help="Show only these events."
)
@click.option(
    "--svg", metavar="OUT", type=OUT, callback=writable, help="Write a picture, and print nothing."
)
@click.pass_context
def timeline_command(
    ctx: click.Context,
    /,
    target: tuple[str, ...],
    witness: str,
    events: tuple[str, ...] | None,
    svg: Path | None,
    **options: Unpack[RunOptions],
) -> None:
    """Run a scenario once and print what ran where, in order.

    Without --witness the run is the one that a plain Emulator takes.  A witness, as `driverref
    explore` or a test prints it, has the options of its run in it; they need not be given again.
    What the scenario prints, and the fault in which it ends, go to standard error.

    \b
      driverref timeline my_driver.py
      driverref timeline my_driver.py --witness W --svg out.svg

    Exit status: 0 the run ended well, 1 it ended in a fault, 2 bad input.
    """
    scenario = scenario_of(target)
    title = None if svg is None else f"A run of {' '.join(target)}"
    show = partial(running.drawn, events, title)
    with (
        refusing(),
        redirect_stdout(sys.stderr),
        running.place(target, running.begin_aloud) as place,
    ):
        shown, fault = place.follow(scenario, witness, cast(RunOptions, given(options)), show)
    if svg is None:
        say(shown)
    else:
        write(svg, shown)
    if fault is not None:
        click.echo(f"ended in {fault}", err=True)
        ctx.exit(1)


@main.command("compare", short_help="Run a scenario in every order, on each release.")
@TARGET
@THREADS
@SCHEDULERS
@OBSERVE
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Stop after so many runs each.")
def compare_command(target: tuple[str, ...], **options: Any) -> None:
    """Run a scenario in every order of events on the emulators of every era, and list what can come
    of it on each.

    Each has the threads that are asked for, by default those of today's emulator, or as many as it
    can have.  Emulators that come to the same stand together, R7B-3 with async threads and without.
    For what differs between the others see `driverref releases`.

    \b
      driverref compare my_driver.py
      driverref compare my_driver.py --async-threads 2 --observe ready_async,stop

    Exit status: 0 the table has been printed, 2 bad input.
    """
    scenario = scenario_of(target)
    with refusing(), loading.silence():
        found = compare(scenario, **given(options))
    say(str(found))


@main.command("releases", short_help="See what differs between releases of the emulator.")
def releases_command() -> None:
    """See what differs between releases of the emulator, as the model has it.

    Each column is an era, named after the release that stands for it: give that name to --release.

    \b
      driverref releases

    Exit status: 0 the table has been printed, 2 bad input.
    """
    click.echo(rendered(releases.table(), max(Console().width, 100)), nl=False)


@main.command("answers", short_help="Read the short answers to the questions.")
@click.argument("question", required=False)
def answers_command(question: str | None) -> None:
    """Read the short answers to the questions of the book.

    QUESTION is one of state, header, memory, free, key, flow, busy, cancel, timeout, wake; without
    it, all are shown.

    \b
      driverref answers
      driverref answers free

    Exit status: 0 the answer has been shown, 2 bad input.
    """
    for name in [question] if question else book.questions():
        page = book.page(name)
        answer = Markdown(f"`{name}`: **{page.title}**\n\n{page.answer}")
        click.echo(rendered(answer, min(Console().width, 80)))


def rendered(what: RenderableType, width: int) -> str:
    """Return the lines that rich prints, without the blanks at their ends."""
    console = Console(width=width)
    with console.capture() as lines:
        console.print(what)
    return "".join(f"{line.rstrip()}\n" for line in lines.get().splitlines())


@main.command("new", short_help="Begin a driver of your own.")
@click.argument("name")
def new_command(name: str) -> None:
    """Write NAME.py, a new driver with a scenario, and test_NAME.py, its test.

    The driver runs at once: its jobs end early when their port closes.  The test says that no
    order of events ends in a fault.  Nothing is overwritten.

    \b
      driverref new my_driver

    Exit status: 0 both files have been written, 2 bad input.
    """
    files = beginning.files(name)
    for file in filter(os.path.exists, files):  # a `Path` raises where a name is too long
        raise BadInput(f"{file} exists already; choose another name")
    for file, text in files.items():
        write(file, text, "x")
        click.echo(f"wrote {file}")
    click.echo("\nTry:")
    for line in beginning.commands(name):
        click.echo(f"  {line}")


main.add_command(check_command)


if __name__ == "__main__":
    main(prog_name="driverref")
