"""A bar for long explorations: schedules, outcomes, rate.  Drawn by rich, on the error output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from driverref.explore.outcomes import Tally

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 512
"""How many schedules are run before a bar is shown that was not asked for."""


@contextmanager
def progress_bar(wanted: bool | None) -> Iterator[Callable[[Tally], None]]:
    """Give a function to call with the tally after each run, which draws the bar.

    `wanted` is whether to show a bar; `None`: if there is a terminal, after `PATIENCE` schedules.
    """
    after = 0 if wanted else PATIENCE
    shown = sys.stderr.isatty() if wanted is None else wanted
    bar: Progress | None = None

    def show(tally: Tally) -> None:
        nonlocal bar
        if not shown or tally.schedules < after:
            return
        if bar is None:
            bar = end.enter_context(_bar())
            bar.add_task("exploring", total=None, outcomes=0)
        bar.update(bar.task_ids[0], completed=tally.schedules, outcomes=len(tally.found))

    with ExitStack() as end:
        yield show


def _bar() -> Progress:
    """Return a bar without a length: how many schedules there are is known only at the end.

    rich's progress is imported here, because most explorations end before a bar is shown.
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
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} schedules, {task.fields[outcomes]} outcomes"),
        Rate(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
