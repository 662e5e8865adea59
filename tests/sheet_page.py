"""What the page of the cheat sheet has in the tables that are written by hand."""

from __future__ import annotations

import re

from book import DOCS


def rows(section: str) -> list[str]:
    """Return the first cells of a table of the sheet that the page itself has."""
    text = (DOCS / "cheat-sheet.md").read_text().partition(section)[2].partition("\n## ")[0]
    return re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)[1:]
