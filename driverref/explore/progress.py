"""A bar for explorations: schedules, outcomes, rate.  Drawn by rich, on the error output.

It is there from the beginning, because the first run may be the one that has no end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from driverref.explore.outcomes import Tally

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def progress_bar(wanted: bool | None, name: str) -> Iterator[Callable[[Tally], object]]:
    """Give a function to call with the tally after each run, which moves the bar.

    `wanted` is whether to show a bar; `None`: if there is a terminal.  `name` is what is explored.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda tally: None
        return
    with _bar() as bar:
        task = bar.add_task(name, total=None, outcomes=0)
        yield lambda tally: bar.update(task, completed=tally.schedules, outcomes=len(tally.found))


def _bar() -> Progress:
    """Return a bar without a length: how many schedules there are is known only at the end.

    rich's progress is imported here, because most explorations show no bar.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f}/s")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} schedules, {task.fields[outcomes]} outcomes"),
        Rate(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
