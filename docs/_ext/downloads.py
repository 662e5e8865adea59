"""The directive `{program}`: a link to a page's examples as one file.

The file is written when the build ends, into the folder `DOWNLOADS` of the built book. The C and
Erlang files that the pages show are copied into the same folder, so that a page can link to them
(`real_thing`, `pairs`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from _ext import pairs
from _ext.program import filename, program
from _ext.workshop import DOWNLOADS, SAFE, BookDirective


class Program(BookDirective):
    """A link to the page's program."""

    def run(self) -> list[nodes.Node]:
        """Return a line with the link. It is an error if the page has no examples."""
        docname = self.env.docname
        if not program(self.page, docname):
            raise self.error("program: this page has no examples")
        name = filename(docname)
        link = self.download(f"Download {name}", name, "program")
        note = nodes.inline("", ", this page's program: every block, in order")
        return [nodes.paragraph("", "", link, note, classes=["program-line"])]


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the programs, and copy the drivers and NIFs into a folder for each page."""
    if error or app.builder.format != "html":
        return
    downloads = Path(app.outdir) / DOWNLOADS
    downloads.mkdir(exist_ok=True)
    for docname in app.env.all_docs:
        page = Path(app.env.doc2path(docname))
        if text := program(page, docname):
            (downloads / filename(docname)).write_text(text, "utf-8")
        for path in pairs.files(page):
            target = downloads / path.parent.name
            target.mkdir(exist_ok=True)
            shutil.copyfile(path, target / path.name)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    # Sphinx has a directive of this name in its standard domain, for the options of a command.
    app.add_directive_to_domain("std", "program", Program, override=True)
    app.connect("build-finished", write)
    return SAFE
