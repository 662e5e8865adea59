"""The directive `{pair}`: wrong lines beside right ones, from one file that is compiled both ways.

    ```{pair} symptoms/closes.c
    :finds: UseAfterFree
    ```

`pairs` says where the lines stand in the file.  `:part: owner` chooses one of several pairs of a
file, and `:finds:` names the faults that `driverref check` has for the wrong lines.  They stand
behind *Wrong*, and the file behind *Right*.  The tests
compile each file both ways, play the symptom on the real emulator, and hold what `:finds:` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from _ext import pairs
from _ext.words import listed
from _ext.workshop import SAFE, BookDirective

LANGUAGES = {".c": "c", ".erl": "erlang"}
SIDES = {"wrong": "Wrong", "right": "Right"}


class Pair(BookDirective):
    """Wrong beside right; on a phone below each other.

    Below a `div` of class `beside` the text of the entry stands beside both, on a wide screen.
    """

    required_arguments = 1
    option_spec: ClassVar[OptionSpec] = {
        "part": directives.unchanged_required,
        "finds": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the two sides."""
        file = self.page.parent / self.arguments[0]
        self.depends_on(file)
        try:
            text = file.read_text("utf-8")
            box = nodes.container(classes=["pair"])
            box += [self.side(file, text, side) for side in SIDES]
        except (OSError, ValueError) as error:
            raise self.error(f"pair: {file.name}: {error}") from error
        return [box]

    def side(self, file: Path, text: str, side: str) -> nodes.Node:
        """Return one side: its name, with what belongs to it, and its lines."""
        code = pairs.lines(text, side, self.options.get("part", ""))
        block = nodes.literal_block(code, code, language=LANGUAGES[file.suffix])
        title = nodes.paragraph(SIDES[side], SIDES[side], classes=["side"])
        title += self.found() if side == "wrong" else self.file(file)
        return nodes.container("", title, block, classes=[side])

    def found(self) -> list[nodes.Node]:
        """Return what is found in the wrong lines; nothing if it is nothing."""
        if not (finds := self.options.get("finds", "").split()):
            return []
        line = nodes.inline("", " · ", classes=["finds"])
        line += nodes.literal("", "driverref check")
        line += nodes.Text(f" finds {listed([pairs.words_of(fault) for fault in finds])}")
        return [line]

    def file(self, file: Path) -> list[nodes.Node]:
        """Return the link to the file."""
        link = self.download(file.name, f"{file.parent.name}/{file.name}", "file-link")
        return [nodes.inline("", " · ", link, classes=["finds"])]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("pair", Pair)
    return SAFE
