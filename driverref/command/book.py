"""The book's pages, as far as the commands show them: in a checkout, or as the wheel carries them.

The pages are the one source.  Two parts of a page are read: its title and its short answer.  The
order of the questions is that of the book's table of contents.
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
BELOW = re.compile(r": \[[^]]*\]\(#[^)]*\)")
"""A link to a section of the same page, which the command does not show."""
ENTRY = re.compile(r"^questions/(\w+)/index$", re.MULTILINE)


class Page:
    """The page of one question."""

    def __init__(self, text: str) -> None:
        head, *sections = text.split("\n## ")
        self.title = head.splitlines()[0].removeprefix("# ")
        bodies = (section.partition("\n") for section in sections)
        self._sections = {heading: body for heading, _, body in bodies}

    @property
    def answer(self) -> str:
        """The short answer, in plain Markdown: Sphinx's terms and links become words."""
        text = BELOW.sub("", self._sections["The short answer"].strip())
        return LINK.sub(r"\1", ROLE.sub(r"\1", text))


def questions() -> list[str]:
    """Return the names of the questions, in the book's order."""
    return ENTRY.findall((_folder() / "index.md").read_text("utf-8"))


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
