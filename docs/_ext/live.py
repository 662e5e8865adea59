"""Python in the page: what `make html-live` adds to the book.

The configuration value `live_python` is the folder with Pyodide's files (`pyodide.fetch`). Without
it the book is as it is. With it

* each block of a page's program gets the class `live-block`: `live.js` puts its buttons below it;
* `{live}` becomes the place for which `live.js` makes an editor with the block below it, and a line
  about how to get it otherwise;
* the pages load `live.js` and `live.css`. Python itself, which is packed into `python.data.js`, is
  loaded when the reader runs something.

Nothing of it is in the environment: it is added when a page is written. So a book with Python is
written from the same reading as one without.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

from _ext import pages, pyodide
from _ext.workshop import SAFE, BookDirective, raw
from driverref.timeline.picture import STYLE

LIVE = Path(__file__).parents[1] / "_live"
"""The folder of what the built book loads: the script, its looks, the Worker."""

MARK = "live-block"

ELSEWHERE = "This copy of the book has no Python in it. In a checkout, "
BUILDS = "make html-live"


class Live(BookDirective):
    """The place of an editor for the block that follows."""

    def run(self) -> list[nodes.Node]:
        """Return a node that is replaced when the page is written."""
        node = raw("")
        node["live"] = True
        return [node]


class Blocks(SphinxPostTransform):
    """Marks the blocks of a page's program."""

    default_priority = 390  # before `forms`, which leaves raw HTML out

    def run(self, **_: object) -> None:
        """Mark them, and replace each `{live}`."""
        builder = self.app.builder
        html = builder.format == "html" and "epub" not in builder.name
        lives = html and bool(self.config.live_python)
        for node in list(self.document.findall(nodes.raw)):
            if "live" in node:
                node.replace_self(raw('<div class="live-here"></div>') if lives else elsewhere())
        if not lives:
            return
        page = Path(self.env.doc2path(self.env.docname))
        fences = pages.fences(page.read_text("utf-8"))
        programs = {fence.content.rstrip("\n") for fence in fences if fence.info == "python"}
        for block in self.document.findall(nodes.literal_block):
            if block.astext().rstrip("\n") in programs:
                block["classes"].append(MARK)


def elsewhere() -> nodes.paragraph:
    """Return the line for a book without Python."""
    return nodes.paragraph(
        "",
        "",
        nodes.Text(ELSEWHERE),
        nodes.literal("", BUILDS),
        nodes.Text(" builds one in which the program can be changed and run."),
        classes=["live-elsewhere"],
    )


def configure(app: Sphinx, config: Config) -> None:
    """Have the pages load the script, if there is a Python for it."""
    if config.live_python:
        app.add_css_file("live.css")
        app.add_js_file("live.js", loading_method="defer")


def write(app: Sphinx) -> None:
    """Write what the pages load."""
    if not app.config.live_python or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    for name in ("live.js", "python-licences.txt"):
        shutil.copyfile(LIVE / name, static / name)
    # A timeline that is drawn in the page comes without its looks.
    looks = (LIVE / "live.css").read_text("utf-8")
    (static / "live.css").write_text(f"{looks}\n{STYLE}", "utf-8")
    worker = (LIVE / "worker.js").read_text("utf-8")
    session = (Path(__file__).parent / "live_session.py").read_text("utf-8")
    python = pyodide.packed(Path(app.confdir) / app.config.live_python, worker, session)
    (static / "python.data.js").write_text(python, "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_config_value("live_python", "", "html", str)
    app.add_directive("live", Live)
    app.add_post_transform(Blocks)
    app.connect("config-inited", configure)
    app.connect("builder-inited", write)
    return SAFE
