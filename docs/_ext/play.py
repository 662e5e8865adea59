"""The player below a table of outcomes, and the file with its game.

A directive puts a `game` node below its table (`below`). When the page is written as HTML the node
becomes an element that the player finds, and its data a file of the built book, in the folder
`GAMES`. The player loads the file with a script element when the reader begins, which works from
file:// as well. Every other builder leaves the node out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import CodeType

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

from _ext import pages
from _ext.workshop import SAFE, raw
from driverref.explore import Outcomes
from driverref.player import Labels, from_files, game, script

GAMES = "_games"
"""The folder of the built book for the games."""


class Game(nodes.Element):
    """A game, until the page is written: `data` as JSON, and `rows`, the part of the table."""


def below(page: Path, outcomes: Outcomes, rows: Labels, first: int, label: str = "") -> Game:
    """Return the game of a table's rows from `first` on. `label` is put behind its button."""
    data = game(outcomes, rows, Examples(page))
    return Game(data=script(data), first=first, count=len(rows), label=label)


class Examples:
    """Finds the source of a function among the examples of a page.

    All examples of a page have one file name, and the lines of each are counted from its beginning.
    So the code itself is compared.
    """

    def __init__(self, page: Path) -> None:
        self._found: dict[CodeType, tuple[str, list[str]]] = {}
        for block in pages.blocks(page):
            for example in block.examples:
                source = pages.parsed(example).source
                place = f"{page.name}:{example.line}", source.splitlines()
                self._add(compile(source, "<example>", "single", dont_inherit=True), place)

    def _add(self, code: CodeType, place: tuple[str, list[str]]) -> None:
        self._found[code] = place
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add(constant, place)

    def __call__(self, code: CodeType) -> tuple[str, Sequence[str]] | None:
        """Return the name and the lines of the example that has this code, or else of its file."""
        return self._found.get(code) or from_files(code)


class Games(SphinxPostTransform):
    """Writes the games of a page that is written as HTML, and takes them out of all others."""

    default_priority = 390  # before `forms` makes other tables of those in HTML

    def run(self, **_: object) -> None:
        """Replace the nodes."""
        builder = self.app.builder
        for number, node in enumerate(list(self.document.findall(Game))):
            if builder.format != "html" or "epub" in builder.name:
                node.parent.remove(node)
                continue
            name = f"{self.env.docname.replace('/', '-')}-{number}"
            folder = Path(builder.outdir) / GAMES
            folder.mkdir(exist_ok=True)
            text = f"(window.driverrefGames ??= {{}})[{json.dumps(name)}] = {node['data']};\n"
            (folder / f"{name}.js").write_text(text, "utf-8")
            part = f' data-first="{node["first"]}" data-count="{node["count"]}"'
            label = f' data-label="{escape(node["label"])}"' if node["label"] else ""
            node.replace_self(
                raw(f'<div class="driverref-play" data-play="{name}"{part}{label}></div>')
            )


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_node(Game)
    app.add_post_transform(Games)
    app.add_css_file("player.css")
    app.add_js_file("player.js", loading_method="defer")
    return SAFE
