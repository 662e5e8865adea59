"""Where the commands explore and replay: here, or for a driver in C in a process apart.

`place` decides which, and returns one of two with the same methods, `Here` and `Apart`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from driverref.command import as_json, loading
from driverref.command.report import picture
from driverref.command.workers import workers
from driverref.explore import Fault, Outcomes, Scenario, explore
from driverref.explore.outcomes import follow
from driverref.explore.witness import RunOptions
from driverref.hosting.apart import Apart, Died
from driverref.timeline import as_file, svg, text
from driverref.trace import Trace

T = TypeVar("T")


class Place(Protocol):
    """Where a scenario is run."""

    def do(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Call a function there, and return what it returns."""
        ...

    def explore(self, scenario: Scenario, options: dict[str, Any], explore: Any, /) -> Outcomes:
        """Explore a scenario, with `explore` as the function that does it."""
        ...

    def follow(
        self, scenario: Scenario, witness: str, options: RunOptions, show: Callable[[Trace], str], /
    ) -> tuple[str, Fault | None]:
        """Make the run of a witness; return its trace as `show` shows it, and its fault."""
        ...


class Here:
    """This process."""

    def do(self, function: Callable[..., T], /, *arguments: Any) -> T:
        return function(*arguments)

    def explore(self, scenario: Scenario, options: dict[str, Any], explore: Any, /) -> Outcomes:
        outcomes: Outcomes = explore(scenario, **options)
        return outcomes

    def follow(
        self, scenario: Scenario, witness: str, options: RunOptions, show: Callable[[Trace], str], /
    ) -> tuple[str, Fault | None]:
        erl, fault = follow(scenario, witness, options)
        return show(erl.trace), fault


def place(target: tuple[str, ...], begin: Callable[[Path], None]) -> AbstractContextManager[Place]:
    """Return where to run the scenario of a command line, `[DRIVER.c] FILE[:SCENARIO]`.

    A process apart calls `begin` with the file first.
    """
    if len(target) == 1:
        return nullcontext(Here())
    return Apart(begin, loading.split(target[-1]).file)


def shared(file: Path, processes: int | None, scenario: Scenario, **options: Any) -> Outcomes:
    """Explore a scenario of a file, with so many worker processes."""
    with workers(file, processes) as executor:
        return explore(scenario, executor=executor, **options)


def begin_aloud(file: Path) -> None:
    """Prepare a process that shows one run: what the scenario prints goes to standard error."""
    loading.run(file)
    sys.stdout = sys.stderr


class Drawn(NamedTuple):
    """What a command shows of a trace, which crosses from one process to another as text."""

    text: str
    picture: str
    """As SVG; `""` if none is asked for."""
    events: list[as_json.Report]

    @classmethod
    def read(cls, shown: str) -> Drawn:
        """Return what `drawn` has returned as text."""
        return cls(*json.loads(shown))


def drawn(events: tuple[str, ...] | None, title: str | None, trace: Trace) -> str:
    """Return a `Drawn` of a trace, or of these events of it, as text.

    It has a picture if there is a title.
    """
    chosen = trace.select(*events) if events else trace
    picture = "" if title is None else as_file(svg(chosen, title=title))
    return json.dumps(Drawn(text(chosen), picture, as_json.events(chosen)))


def pictures(place: Place, scenario: Scenario, outcomes: Outcomes) -> Mapping[Hashable, str]:
    """Return a picture of a run that ends with each outcome."""
    shown = {}
    for outcome, found in outcomes.items():
        show = partial(picture, outcome)
        shown[outcome] = place.follow(scenario, found.witness, {}, show)[0]
    return shown


def table(place: Place, outcomes: Outcomes) -> str:
    """Return the table of outcomes as HTML, which can be played.

    The runs are made again for that.  If a driver in C ends the process of one, it is the table
    alone.
    """
    try:
        return place.do(Outcomes._repr_html_, outcomes)
    except Died:
        return outcomes.table()
