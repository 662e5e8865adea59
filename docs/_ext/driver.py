"""The directive `{driver}`: one driver in C, in Python and in Erlang, and as a NIF, in tabs.

    ````{driver} sleeper_drv Sleeper
    ```python
    >>> class Sleeper(Driver): ...
    ```
    ````

C comes from `sleeper_drv.c` in the page's folder, without its head and without its table of
callbacks (`driver_files`). Python is the directive's content, and a part of the page's program as
any other block. Erlang comes from `sleeper_drv.erl`. Below the tabs the reader can open the
commands that compile and run the files, what they print, and the table of callbacks. If there are
`sleeper_nif.c` and `sleeper_nif.erl`, which do such work with a NIF, a last tab has all of that.

A step of a tutorial shows what is new in it. With `:only: Job work` C has these definitions alone,
and there is no Erlang. With `:since: echo_drv` C has the lines that have changed since that file,
with a background, and enough of the others to find their place; the whole file is folded below the
tabs. The file is compiled and checked as any other.

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
    """A driver in its languages, and how to compile and run it."""

    required_arguments = 2
    has_content = True
    option_spec: ClassVar[OptionSpec] = {
        "only": directives.unchanged_required,
        "since": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the tabs and the folded part."""
        c = self.page.parent / f"{self.arguments[0]}.c"
        self.assert_has_content()
        python = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, python)
        try:
            erlang = driver_files.erlang_of(c)
            self.depends_on(c, erlang)
            return self.show(c, erlang, python)
        except (OSError, ValueError) as error:
            raise self.error(f"driver: {self.arguments[0]}: {error}") from error

    def show(self, c: Path, erlang: Path, python: nodes.Element) -> list[nodes.Node]:
        """Return the tabs and, below them, the folded part or a link to the file."""
        text = c.read_text("utf-8")
        code = driver_files.code(text)
        step = "only" in self.options
        if step:
            code = driver_files.parts(text, self.options["only"].split())
        tabs = [tab("C", [self.changed(code)]), tab("Python", python.children)]
        if not step:
            module = driver_files.module(erlang.read_text("utf-8"))
            tabs.append(tab("Erlang", [coloured(module, "erlang")]))
            tabs += self.nif(driver_files.nif_of(c))
        if "since" in self.options:
            below = self.whole_file(c, erlang)
        elif step:
            below = nodes.paragraph("", "", self.file(c), classes=["program-line"])
        else:
            below = self.below(c, erlang, driver_files.table(text))
        return [tab_set(tabs), below]

    def changed(self, code: str) -> nodes.literal_block:
        """Return the C that is shown, or what has changed in it since the file of `:since:`."""
        if "since" not in self.options:
            return coloured(code, "c")
        older = self.page.parent / f"{self.options['since']}.c"
        self.depends_on(older)
        lines, new = driver_files.changes(code, driver_files.code(older.read_text("utf-8")))
        if not new:
            raise ValueError(f"nothing has changed since {older.name}")
        block = coloured(lines, "c")
        block["highlight_args"] = {"hl_lines": new}
        return block

    def whole_file(self, c: Path, erlang: Path) -> nodes.Node:
        """Return the whole C file, folded, and how it is compiled and run."""
        text = c.read_text("utf-8").rstrip()
        session = coloured(self.session(c, erlang), "console")
        title = f"The whole file, {len(text.splitlines())} lines, and how to compile and run it"
        return dropdown(title, [self.files(c, erlang), session, coloured(text, "c")])

    def below(self, c: Path, erlang: Path, table: str) -> nodes.Node:
        """Return the table of callbacks, folded, and how the driver is compiled and run."""
        callbacks = "The table of callbacks:"
        return dropdown(
            "Compile it, load it, run it",
            [
                self.files(c, erlang, " has these lines and the table of callbacks"),
                coloured(self.session(c, erlang), "console"),
                nodes.paragraph(callbacks, callbacks),
                coloured(table, "c"),
            ],
        )

    def nif(self, c: Path) -> list[nodes.Node]:
        """Return the tab of the NIF that does such work, or none if there is no such file."""
        if not c.is_file():
            return []
        erlang = driver_files.erlang_of(c)
        self.depends_on(c, erlang)
        links = self.files(c, erlang, " is the NIF")
        session = coloured(self.session(c, erlang), "console")
        text = driver_files.without_head(c.read_text("utf-8")).rstrip()
        module = driver_files.module(erlang.read_text("utf-8"))
        about = self.parse_text_to_nodes(driver_files.about(c))
        code = [coloured(text, "c"), coloured(module, "erlang")]
        return [tab("NIF", [*about, *code, links, session])]

    def session(self, c: Path, erlang: Path) -> str:
        """Return the commands that compile and run the files, and what is printed."""
        lines = [f"$ {line}" for path in (c, erlang) for line in driver_files.commands(path)]
        return "\n".join([*lines, *driver_files.promised(c)])

    def files(self, c: Path, erlang: Path, has: str = " is the driver") -> nodes.paragraph:
        """Return the line with the links to the files."""
        line = nodes.paragraph()
        line += [self.file(c), nodes.Text(f"{has}; ")]
        line += [self.file(erlang), nodes.Text(" is Erlang's side. On macOS add ")]
        line += [nodes.literal("", "-undefined dynamic_lookup"), nodes.Text(" to the line of ")]
        line += [nodes.literal("", "cc"), nodes.Text(".")]
        return line

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
