"""The options that several commands have in common, and the checks of their values."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from driverref.release import ERAS, RELEASES
from driverref.trace import NAMES

F = TypeVar("F", bound=Callable[..., object])


def event_names(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the names of events in an option, which may be given several times.

    Each time it may have several names.

    Raises `click.BadParameter` for a name that is that of no event.
    """
    names = tuple(dict.fromkeys(",".join(given).replace(",", " ").split()))
    for name in names:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.BadParameter(f"no event is called {name!r}{hint}")
    return names


def writable(ctx: click.Context, param: click.Parameter, file: Path | None) -> Path | None:
    """Check that a file can be written, before the work is done whose result it will show."""
    # `os.path`, because a `Path` raises where a name is too long.
    if file is not None and not os.path.isdir(file.absolute().parent):  # noqa: PTH112
        raise click.BadParameter(f"there is no folder {str(file.parent)!r}")
    return file


def several(ctx: click.Context, param: click.Parameter, given: int | None) -> int:
    """Return the number of schedulers: by default two, or as many as the release can have."""
    release = RELEASES[ctx.params["release"]]
    most = release.max_schedulers
    if given is not None and given > most:
        raise click.BadParameter(f"{release.name} has one emulator thread")
    return min(2, most) if given is None else given


class ReleaseName(click.Choice[str]):
    """The name of a release that has a record.  For others, the message names the record to use."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, unchanged."""
        if value not in RELEASES:
            stand = ", ".join(f"{era.name} for {era.covers}" for era in ERAS)
            self.fail(f"there is no record of {value!r}; take {stand}", param, ctx)
        return value


RELEASE = click.option(
    "--release",
    type=ReleaseName(list(RELEASES)),
    default="25",
    show_default=True,
    is_eager=True,
    help="The emulator's release; see `driverref releases`.",
)
THREADS = click.option(
    "--async-threads",
    metavar="N",
    type=click.IntRange(0, 1024),
    default=1,
    show_default=True,
    help="How many async threads there are: Erlang's +A.",
)
SCHEDULERS = click.option(
    "--schedulers",
    metavar="N",
    type=click.IntRange(1, 1024),
    callback=several,
    show_default="2, in R7B-3 1",
    help="How many schedulers there are: Erlang's +S.",
)
OBSERVE = click.option(
    "--observe",
    metavar="NAMES",
    multiple=True,
    callback=event_names,
    help="Events whose order belongs to the outcome, with commas between: ready_async,stop.",
)


def emulator_options(command: F) -> F:
    """Add the options of the emulator in which a scenario runs to a command."""
    return THREADS(SCHEDULERS(RELEASE(command)))


TARGET = click.argument("target", metavar="[DRIVER.c] FILE[:SCENARIO]", nargs=-1, required=True)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
