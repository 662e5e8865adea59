"""How long the pages of the built book are, in screens of 1400 by 900, with everything folded.

`python tests/docs/page_lengths.py [build/html]` prints a line for each page, the longest first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from chromium import launched
from playwright.sync_api import Page

SCREEN = 900
MADE = ("_", "404", "genindex", "py-modindex", "search")
"""How the names begin of files that are no pages of the book."""


def screens(page: Page, file: Path) -> float:
    """Return how many screens a page has."""
    page.set_viewport_size({"width": 1400, "height": SCREEN})
    page.goto(file.as_uri())
    height: int = page.evaluate("document.documentElement.scrollHeight")
    return height / SCREEN


def lengths(html: Path) -> Iterator[tuple[float, str]]:
    """Yield the length and the name of each page."""
    with launched() as browser:
        page = browser.new_page()
        for file in sorted(html.rglob("*.html")):
            name = file.relative_to(html).as_posix()
            if not name.startswith(MADE):
                yield screens(page, file), name


if __name__ == "__main__":
    for length, name in sorted(
        lengths(Path(sys.argv[1] if sys.argv[1:] else "build/html").resolve())
    )[::-1]:
        print(f"{length:5.1f}  {name}")
