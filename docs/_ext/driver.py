"""The directive `{driver}`: one driver in C, in Python and in Erlang, in tabs.

    ````{driver} sleeper_drv Sleeper
    ```python
    >>> class Sleeper(Driver): ...
    ```
    ````

C comes from `sleeper_drv.c` in the page's folder, without its head and without its table of
callbacks (`driver_files`). Python is the directive's content, and a part of the page's program as
any other block. Erlang comes from `sleeper_drv.erl`. Below the tabs the reader can open the
commands that compile and run the files, what they print, and the table of callbacks.

A step of a tutorial shows what is new in it: with `:only: Job work` C has these definitions alone,
and there is no Erlang. A link leads to the whole file, which is compiled and checked as any other.

`tests/docs/test_twins.py` checks that C and Python have the same functions and the same calls.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from _ext import driver_files
from _ext.workshop import SAFE, BookDirective, dropdown, tab, tab_set


class DriverInTabs(BookDirective):
    """A driver in three languages, and how to compile and run it."""

    required_arguments = 2
    has_content = True
    option_spec: ClassVar[OptionSpec] = {"only": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the tabs and the folded part."""
        c = self.page.parent / f"{self.arguments[0]}.c"
        self.depends_on(c, c.with_suffix(".erl"))
        self.assert_has_content()
        python = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, python)
        try:
            return self.step(c, python) if "only" in self.options else self.whole(c, python)
        except (OSError, ValueError) as error:
            raise self.error(f"driver: {self.arguments[0]}: {error}") from error

    def step(self, c: Path, python: nodes.Element) -> list[nodes.Node]:
        """Return what is new in a step, and a link to the whole file."""
        code = driver_files.parts(c.read_text("utf-8"), self.options["only"].split())
        tabs = tab_set([tab("C", [coloured(code, "c")]), tab("Python", python.children)])
        return [tabs, nodes.paragraph("", "", self.file(c), classes=["program-line"])]

    def whole(self, c: Path, python: nodes.Element) -> list[nodes.Node]:
        """Return the tabs of a whole driver, and the folded part."""
        text, erlang = c.read_text("utf-8"), c.with_suffix(".erl")
        module = driver_files.module(erlang.read_text("utf-8"))
        tabs = [
            tab("C", [coloured(driver_files.code(text), "c")]),
            tab("Python", python.children),
            tab("Erlang", [coloured(module, "erlang")]),
        ]
        return [tab_set(tabs), self.below(c, erlang, driver_files.table(text))]

    def below(self, c: Path, erlang: Path, table: str) -> nodes.Node:
        """Return the folded part."""
        session = [f"$ {line}" for path in (c, erlang) for line in driver_files.commands(path)]
        files = nodes.paragraph()
        files += [self.file(c), nodes.Text(" has these lines and the table of callbacks; ")]
        files += [self.file(erlang), nodes.Text(" is Erlang's side. On macOS add ")]
        files += [nodes.literal("", "-undefined dynamic_lookup"), nodes.Text(" to the line of ")]
        files += [nodes.literal("", "cc"), nodes.Text(".")]
        callbacks = "The table of callbacks:"
        return dropdown(
            "Compile it, load it, run it",
            [
                files,
                coloured("\n".join([*session, *driver_files.promised(c)]), "console"),
                nodes.paragraph(callbacks, callbacks),
                coloured(table, "c"),
            ],
        )

    def file(self, path: Path) -> nodes.reference:
        """Return a link to a file."""
        return self.download(path.name, f"{path.parent.name}/{path.name}", "file-link")


def coloured(text: str, language: str) -> nodes.literal_block:
    """Return a block of code."""
    return nodes.literal_block(text, text, language=language)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("driver", DriverInTabs)
    return SAFE
