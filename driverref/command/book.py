"""The book's pages, as far as the commands show them: in a checkout, or as the wheel carries them.

The pages are the one source.  Two parts of a page are read: its title and the box with its answer.
The order of the questions is that of the book's table of contents.
"""

from __future__ import annotations

import re
from pathlib import Path

from driverref.command import BadInput

PACKAGE = Path(__file__).parents[1]

PLACES = (PACKAGE / "book", PACKAGE.parent / "docs")
"""Where the pages are: in an installed wheel, in a checkout."""

ROLE = re.compile(r"\{[\w:-]+\}`([^`<]+?)(?: <[^`]*>)?`")
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
TITLE = re.compile(r"^# (.*)$", re.MULTILINE)
ANSWER = re.compile(r"^:::\{div\} answer\n(.*?)^:::$", re.MULTILINE | re.DOTALL)
"""The box at the head of a page."""
ENTRY = re.compile(r"^questions/(\w+)/index$", re.MULTILINE)


class Page:
    """The page of one question."""

    def __init__(self, text: str) -> None:
        self.title = TITLE.search(text)[1]  # type: ignore[index]  # every page has one
        self._answer: str = ANSWER.search(text)[1]  # type: ignore[index]  # and the other

    @property
    def answer(self) -> str:
        """The answer, in plain Markdown: Sphinx's terms and links become words."""
        return LINK.sub(r"\1", ROLE.sub(r"\1", self._answer.strip()))


def questions() -> list[str]:
    """Return the names of the questions, in the book's order."""
    # The front page names them twice, on its cards and in its table of contents.
    return list(dict.fromkeys(ENTRY.findall((_folder() / "index.md").read_text("utf-8"))))


def page(name: str) -> Page:
    """Return the page of a question.  Raises `BadInput` if there is no such question."""
    if name not in (names := questions()):
        raise BadInput(f"there is no question {name!r}; there are {', '.join(names)}")
    return Page((_folder() / "questions" / name / "index.md").read_text("utf-8"))


def _folder() -> Path:
    """Return the folder of the pages.  Raises `BadInput` if there is none."""
    for place in PLACES:
        if (place / "questions").is_dir():
            return place
    raise BadInput("the book's pages were not installed with the package")
