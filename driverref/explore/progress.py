"""A bar for long searches: schedules, outcomes, rate.  Drawn by rich, on the error output."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from driverref.explore.outcomes import Tally

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PATIENCE = 512
"""After how many schedules a search is long."""


class Progress:
    """Called with the tally after each run.  `wanted`: always, never, or if it is long and there is a terminal."""

    def __init__(self, wanted: bool | None) -> None:
        self.after = 0 if wanted else PATIENCE
        self.wanted = sys.stderr.isatty() if wanted is None else wanted
        self.bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __call__(self, tally: Tally) -> None:
        """Show how far it is."""
        if not self.wanted or tally.schedules < self.after:
            return
        if self.bar is None:
            self.bar = _bar()
            self.bar.start()
            self.bar.add_task("exploring", total=None, outcomes=0)
        task = self.bar.task_ids[0]
        self.bar.update(task, completed=tally.schedules, outcomes=len(tally.found))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()


def _bar() -> Bar:
    """The bar, whose length nobody knows: how many schedules there are shows only at the end."""
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
