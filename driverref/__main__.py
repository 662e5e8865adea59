"""The command line: `driverref`, or `python -m driverref`.

Each command gives its work to a file of `driverref.command`, prints the result, and ends with a
status, which `command.status` lists.  An error in the input is reported in one line; click would
print the usage above its own errors, so they are turned into such lines.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar, Unpack, cast

import click
from rich.console import Console, RenderableType
from rich.markdown import Markdown

from driverref.command import (
    BadInput,
    as_json,
    beginning,
    book,
    loading,
    releases,
    report,
    running,
    status,
)
from driverref.command.checking import check_command
from driverref.command.checking import scenario as scenario_of
from driverref.command.console import check_free, complain, put, say, say_json, write, write_result
from driverref.command.options import (
    EVENTS,
    FORCE,
    JSON,
    OBSERVE,
    OUT,
    QUESTION,
    SCHEDULERS,
    TARGET,
    THREADS,
    given,
    run_options,
    writable,
)
from driverref.errors import Interrupted, Nondeterministic
from driverref.explore import Comparison, compare
from driverref.explore.strategy import ExploreOptions
from driverref.explore.witness import RunOptions
from driverref.hosting.apart import Died

T = TypeVar("T")


@contextmanager
def refusing() -> Iterator[None]:
    """Turn an error of `explore` or `replay` in the block into one line about the input.

    Such an error names the call, `explore: ...`; another is a failure of this program.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        if not re.match(r"\w+: ", str(error)):
            raise
        raise BadInput(str(error)) from None
    except (Nondeterministic, RecursionError, Warning, Died) as error:
        raise BadInput(str(error)) from None
    except SystemExit:
        raise BadInput("the scenario calls sys.exit: let it return") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, Exception):
            raise
        raise BadInput(
            f"the scenario raises {type(error).__name__}, which is no Exception: {error}"
        ) from None


def found(search: Callable[[], T]) -> tuple[T, Interrupted | None]:
    """Return what a search has found, and how Ctrl-C has ended it, if it has."""
    try:
        return search(), None
    except Interrupted as error:
        return error.found, error


@click.group(cls=status.Commands, invoke_without_command=True)
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

    \b
    Exit status:
      0    every schedule was run, and none ended in a fault
      1    a run ended in a fault
      2    bad input
      3    no fault, but not every schedule was run
      70   driverref itself has failed
      74   the output could not be written
      130  Ctrl-C
    """
    if version:
        say(f"driverref {installed()}")
        ctx.exit()
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


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
@FORCE
@JSON
@click.pass_context
def explore_command(
    ctx: click.Context,
    /,
    target: tuple[str, ...],
    html: Path | None,
    force: bool,
    in_json: bool,
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

    Exit status: 0 every order was run, and no fault, 1 a fault, 2 bad input, 3 not all were run.
    """
    if options["strategy"] != "all" and options["limit"] is None:
        raise click.UsageError(
            f"--strategy {options['strategy']} needs --limit: how many runs to draw"
        )
    if options["strategy"] != "all" and processes is not None:
        raise click.UsageError(f"--jobs is for --strategy all, not for {options['strategy']}")
    check_free(html, force)
    scenario, file = scenario_of(target), loading.split(target[-1]).file
    again = f"driverref timeline {shlex.join(target)} --witness"
    with refusing(), loading.silence(), running.place(target, loading.begin_worker) as place:
        shared = partial(running.shared, file, processes)
        outcomes, interrupted = found(lambda: place.explore(scenario, given(options), shared))
        if html is not None and not interrupted:
            pictures = running.pictures(place, scenario, outcomes)
            table = running.table(place, outcomes)
    if html is not None and not interrupted:
        page = report.page(" ".join(target), outcomes, pictures, again, table)
        write_result(html, page, force)
    if in_json:
        say_json(as_json.explored(outcomes, again))
    else:
        say(str(outcomes))
        for first in outcomes.faults[:1] or list(outcomes)[:1]:
            what = "fault" if outcomes.faults else "outcome"
            say(f"to see a run of the first {what}: {again} {outcomes[first].witness}")
    if interrupted:
        raise interrupted
    ctx.exit(status.of(bool(outcomes.faults), outcomes.complete))


@main.command("timeline", short_help="Run a scenario once and show what ran where.")
@TARGET
@run_options
@click.option("--witness", default="", help="The run to make, as explore names it.")
@EVENTS
@click.option(
    "--svg", metavar="OUT", type=OUT, callback=writable, help="Write a picture, and print nothing."
)
@FORCE
@JSON
@click.pass_context
def timeline_command(
    ctx: click.Context,
    /,
    target: tuple[str, ...],
    witness: str,
    events: tuple[str, ...] | None,
    svg: Path | None,
    force: bool,
    in_json: bool,
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
    check_free(svg, force)
    scenario = scenario_of(target)
    title = None if svg is None else f"A run of {' '.join(target)}"
    show = partial(running.drawn, events, title)
    with (
        refusing(),
        redirect_stdout(sys.stderr),
        running.place(target, running.begin_aloud) as place,
    ):
        shown, fault = place.follow(scenario, witness, cast(RunOptions, given(options)), show)
    drawn = running.Drawn.read(shown)
    if svg is not None:
        write_result(svg, drawn.picture, force)
    if in_json:
        say_json(as_json.run(drawn.events, fault))
    elif svg is None:
        say(drawn.text)
    if fault is not None:
        complain(f"ended in {fault}")
        ctx.exit(status.FAULT)


@main.command("compare", short_help="Run a scenario in every order, on each release.")
@TARGET
@THREADS
@SCHEDULERS
@OBSERVE
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Stop after so many runs each.")
@JSON
@click.pass_context
def compare_command(
    ctx: click.Context, /, target: tuple[str, ...], in_json: bool, **options: Any
) -> None:
    """Run a scenario in every order of events on the emulators of every era, and list what can come
    of it on each.

    Each has the threads that are asked for, by default those of today's emulator, or as many as it
    can have.  Emulators that come to the same stand together, R7B-3 with async threads and without.
    For what differs between the others see `driverref releases`.

    \b
      driverref compare my_driver.py
      driverref compare my_driver.py --async-threads 2 --observe ready_async,stop

    Exit status: 0 every order was run, and no fault, 1 a fault, 2 bad input, 3 not all were run.
    """
    scenario = scenario_of(target)

    def search() -> Comparison:
        with refusing(), loading.silence():
            return compare(scenario, **given(options))

    comparison, interrupted = found(search)
    if in_json:
        say_json(as_json.compared(comparison))
    else:
        say(str(comparison))
    if interrupted:
        raise interrupted
    fault = any(outcomes.faults for outcomes in comparison.values())
    ctx.exit(status.of(fault, all(outcomes.complete for outcomes in comparison.values())))


@main.command("releases", short_help="See what differs between releases of the emulator.")
@JSON
def releases_command(in_json: bool) -> None:
    """See what differs between releases of the emulator, as the model has it.

    Each column is an era, named after the release that stands for it: give that name to --release.

    \b
      driverref releases

    Exit status: 0 the table has been printed, 2 bad input.
    """
    if in_json:
        say_json(as_json.releases())
    else:
        put(rendered(releases.table(), max(Console().width, 100)))


@main.command("answers", short_help="Read the short answers to the questions.")
@QUESTION
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
        put(rendered(answer, min(Console().width, 80)) + "\n")


def rendered(what: RenderableType, width: int) -> str:
    """Return the lines that rich prints, without the blanks at their ends."""
    console = Console(width=width)
    with console.capture() as lines:
        console.print(what)
    return "\n".join(line.rstrip() for line in lines.get().splitlines())


@main.command("new", short_help="Begin a driver of your own.")
@click.argument("name")
@click.option("--c", "in_c", is_flag=True, help="A driver in C, with its scenario in Python.")
def new_command(name: str, in_c: bool) -> None:
    """Write NAME.py, a new driver with a scenario, and test_NAME.py, its test.

    With --c the driver is NAME.c, and NAME.py is its scenario.  The driver runs at once: its jobs
    end early when their port closes.  The test says that no order of events ends in a fault.
    Nothing is overwritten.

    \b
      driverref new my_driver
      driverref new --c my_drv

    Exit status: 0 the files have been written, 2 bad input.
    """
    template = beginning.IN_C if in_c else beginning.IN_PYTHON
    files = beginning.files(template, name)
    for file in filter(os.path.exists, files):  # a `Path` raises where a name is too long
        raise BadInput(f"{file} exists already; choose another name")
    for file, text in files.items():
        write(file, text, "x")
        say(f"wrote {file}")
    say("\nTry:")
    for line in beginning.commands(template, name):
        say(f"  {line}")


main.add_command(check_command)


if __name__ == "__main__":
    main(prog_name="driverref")
