"""Where the commands make their runs, and what they do if a run ends the process apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plays import closes

from driverref import explore
from driverref.command.running import Here, table
from driverref.hosting.apart import Died


class Ends(Here):
    """A place whose process does not survive the first call."""

    def do(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        raise Died(-11, False, None, True)


def test_the_table_of_outcomes_can_be_played() -> None:
    found = explore(closes)
    assert table(Here(), found) == found._repr_html_()


def test_a_driver_that_ends_the_process_of_the_runs_leaves_the_table_alone() -> None:
    found = explore(closes)
    assert table(Ends(), found) == found.table()
