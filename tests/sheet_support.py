"""What the tests of the cheat sheet share: the tables that are written by hand, and a small driver's start."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from book import DOCS

from driverref import Driver

Function = Callable[..., Any]
"""A callback, or what a callback calls."""


def keeps_port(self: Driver, port: Any, command: str) -> Any:
    """A `start` whose driver data is the port."""
    return port


def rows(section: str) -> list[str]:
    """Return the first cells of a table of the sheet that the page itself has."""
    text = (DOCS / "cheat-sheet.md").read_text().partition(section)[2].partition("\n## ")[0]
    return re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)[1:]
