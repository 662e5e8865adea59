"""The player below a table of outcomes, and the file with its game.

`{outcomes}` puts raw HTML with the attribute `game`, which is the data, below its table. When the
page is written as HTML it becomes an element that the player finds, and the data a file of the
built book, in the folder `GAMES`. The player loads the file with a script element when the reader
begins, which works from file:// as well. Every other builder leaves the node out.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

from _ext.workshop import SAFE, raw

GAMES = "_games"
"""The folder of the built book for the games."""


class Games(SphinxPostTransform):
    """Writes the games of a page that is written as HTML, and takes them out of all others."""

    default_priority = 390  # before `forms` makes other tables of those in HTML

    def run(self, **_: object) -> None:
        """Replace the nodes."""
        builder = self.app.builder
        games = [node for node in self.document.findall(nodes.raw) if "game" in node]
        for number, node in enumerate(games):
            if builder.format != "html" or "epub" in builder.name:
                node.parent.remove(node)
                continue
            name = f"{self.env.docname.replace('/', '-')}-{number}"
            folder = Path(builder.outdir) / GAMES
            folder.mkdir(exist_ok=True)
            text = f"(window.driverrefGames ??= {{}})[{json.dumps(name)}] = {node['game']};\n"
            (folder / f"{name}.js").write_text(text, "utf-8")
            part = f' data-first="{node["first"]}" data-count="{node["count"]}"'
            label = f' data-label="{escape(node["label"])}"' if node["label"] else ""
            node.replace_self(
                raw(f'<div class="driverref-play" data-play="{name}"{part}{label}></div>')
            )


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_post_transform(Games)
    app.add_css_file("player.css")
    app.add_js_file("player.js", loading_method="defer")
    return SAFE
