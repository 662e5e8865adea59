"""The options that several commands have in common, and the checks of their values."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from driverref.command import book
from driverref.emulator import DEFAULTS
from driverref.explore.witness import STEP_LIMIT
from driverref.release import ERAS, RELEASES, find
from driverref.trace import NAMES

F = TypeVar("F", bound=Callable[..., object])


def event_names(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the names of events in an option; `None` if it was not given.

    The option may be given several times, with several names each time.

    Raises `click.BadParameter` for a name that is that of no event.
    """
    names = tuple(dict.fromkeys(",".join(given).replace(",", " ").split()))
    for name in names:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.BadParameter(f"no event is called {name!r}{hint}")
    return names or None


def events_beginning(ctx: click.Context, param: click.Parameter, given: str) -> list[str]:
    """Complete the last of some names of events, for a shell."""
    before, comma, last = given.rpartition(",")
    return [f"{before}{comma}{name}" for name in sorted(NAMES) if name.startswith(last)]


def writable(ctx: click.Context, param: click.Parameter, file: Path | None) -> Path | None:
    """Check that a file can be written, before the work is done whose result it will show."""
    # `os.path`, because a `Path` raises where a name is too long.
    if file is not None and not os.path.isdir(file.absolute().parent):  # noqa: PTH112
        raise click.BadParameter(f"there is no folder {str(file.parent)!r}")
    return file


def possible(ctx: click.Context, param: click.Parameter, given: int | None) -> int | None:
    """Check that the release, if it is given as well, can have so many schedulers."""
    release = ctx.params.get("release")
    if given is not None and release is not None and given > RELEASES[release].max_schedulers:
        raise click.BadParameter(f"{release} has one emulator thread")
    return given


class ReleaseName(click.Choice[str]):
    """The name of a release that has a record.  For others, the message names the record to use."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, unchanged."""
        if value not in RELEASES:
            stand = ", ".join(f"{era.name} for {era.covers}" for era in ERAS)
            self.fail(f"there is no record of {value!r}; take {stand}", param, ctx)
        return value


# None of these options has a default here, so that a command can tell what was not given: what it
# calls has the defaults, or a witness has the value.
TODAY = find(DEFAULTS["release"])
RELEASE = click.option(
    "--release",
    type=ReleaseName(list(RELEASES)),
    is_eager=True,
    help=f"The emulator's release, by default {TODAY.name}; see `driverref releases`.",
)
THREADS = click.option(
    "--async-threads",
    metavar="N",
    type=click.IntRange(0, 1024),
    help="How many async threads there are: Erlang's +A.  By default as many as the release has,"
    f" {TODAY.default_async_threads} in {TODAY.name}.",
)
SCHEDULERS = click.option(
    "--schedulers",
    metavar="N",
    type=click.IntRange(1, 1024),
    callback=possible,
    help=f"How many schedulers there are: Erlang's +S.  By default {DEFAULTS['schedulers']}.",
)
OBSERVE = click.option(
    "--observe",
    metavar="NAMES",
    multiple=True,
    callback=event_names,
    shell_complete=events_beginning,
    help="Events whose order belongs to the outcome, with commas between: ready_async,stop.",
)


LIMIT = click.option(
    "--step-limit",
    metavar="N",
    type=click.IntRange(1),
    help=f"How many steps a run may have.  By default {STEP_LIMIT:,}.",
)
FAILING = click.option(
    "--failing-allocations",
    is_flag=True,
    default=None,
    help="Have each allocation of the driver fail, one in each run.",
)


FORCE = click.option("--force", is_flag=True, help="Overwrite a file that no command has written.")
JSON = click.option("--json", "in_json", is_flag=True, help="Print a report for a program.")


def run_options(command: F) -> F:
    """Add the options of a run of a scenario to a command."""
    return THREADS(SCHEDULERS(RELEASE(OBSERVE(LIMIT(FAILING(command))))))


def given(options: Mapping[str, object]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


TARGET = click.argument("target", metavar="[DRIVER.c] FILE[:SCENARIO]", nargs=-1, required=True)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
EVENTS = click.option(
    "--events",
    metavar="NAMES",
    multiple=True,
    callback=event_names,
    shell_complete=events_beginning,
    help="Show only these events.",
)
QUESTION = click.argument(
    "question",
    required=False,
    shell_complete=lambda ctx, param, given: [n for n in book.questions() if n.startswith(given)],
)
