"""The directive `{sheet}`: a table of the cheat sheet, made of what `sheet_calls` knows.

    ```{sheet} threads
    ```

`threads` lists every call of the header by the thread on which it may be made; `results` tells what
calls return. The page of that name has a style sheet of its own, with which it is printed on one
page.
"""

from __future__ import annotations

from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from _ext import sheet_calls
from _ext.workshop import SAFE, BookDirective

PAGE = "cheat-sheet"


def code(names: Iterable[str]) -> str:
    """Return names as code, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


def threads() -> str:
    """Return the table of threads, in Markdown."""
    rows = [
        f"| {where} | {code(names)} |" for where, names in sheet_calls.by_thread().items() if names
    ]
    return "\n".join(["| Where | Calls |", "|---|---|", *rows])


def results() -> str:
    """Return the table of results, in Markdown."""
    rows = [f"| {code(one.calls.split())} | {one.text} |" for one in sheet_calls.RESULTS]
    return "\n".join(["| Call | What it returns |", "|---|---|", *rows])


TABLES = {"threads": threads, "results": results}


class Sheet(BookDirective):
    """A table of the cheat sheet."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.depends_on_package()
        if self.arguments[0] not in TABLES:
            raise self.error(f"sheet: no table {self.arguments[0]!r}, only {', '.join(TABLES)}")
        return self.parse_text_to_nodes(TABLES[self.arguments[0]]())


def style(app: Sphinx, pagename: str, *_: object) -> None:
    """Give the page its style sheet."""
    if pagename == PAGE:
        app.add_css_file("sheet.css")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("sheet", Sheet)
    app.connect("html-page-context", style)
    return SAFE
