"""The book in other forms than HTML: what its directives wrote as HTML, in docutils' nodes.

The directives draw tables in HTML, because a docutils table has no rows that open. A builder that
is not for HTML (text, man, LaTeX) leaves raw HTML out, so here each of these tables becomes a
docutils table. A row that opens is left out with what it hides: a timeline is nothing for a cell.

A link to a file for download gets its address here as well: it depends on the builder where a
page lies, and an EPUB has no such files.  Nor has it tabs: what they hold stands below each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

from _ext import workshop
from _ext.workshop import DOWNLOADS, SAFE

Cells = list[str]


class TableText(HTMLParser):
    """Reads the text of a table's cells, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.caption = ""
        self.rows: list[Cells] = []
        self.hidden = False
        self.open = ""
        self.spans = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Begin a row or a cell."""
        if tag == "tr":
            self.hidden = "how" in (dict(attrs).get("class") or "").split()
            if not self.hidden:
                self.rows.append([])
        elif tag in {"th", "td"} and not self.hidden:
            self.rows[-1].append("")
            self.open = tag
        elif tag == "caption":
            self.open = tag
        elif tag == "br" or (tag == "span" and not self.spans):
            self.handle_data(" ")
        self.spans += tag == "span"

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        self.spans -= tag == "span"
        if tag == self.open:
            self.open = ""

    def handle_data(self, data: str) -> None:
        """Add to the cell that is open."""
        if self.open == "caption":
            self.caption += data
        elif self.open:
            self.rows[-1][-1] += data


class HtmlTables(SphinxPostTransform):
    """Replaces tables in HTML, for builders that are not for HTML."""

    default_priority = 400

    def run(self, **_: object) -> None:
        """Replace them, and fill up the rows of man's tables, which know no wide cells."""
        if self.app.builder.format == "html":
            return
        for box in list(self.document.findall(nodes.container)):
            children = list(plain(box.children))
            if children != box.children:
                box.children.clear()
                box.extend(children)
        if self.app.builder.name == "man":
            for entry in list(self.document.findall(nodes.entry)):
                for _column in range(int(entry.attributes.pop("morecols", 0))):
                    entry.parent.insert(entry.parent.index(entry) + 1, nodes.entry())


def plain(children: Sequence[nodes.Node]) -> Iterator[nodes.Node]:
    """Yield a box's children, with each table in HTML as a docutils table.

    The table is the raw nodes from `<table` to `</table>`, and the texts between them. Of what
    stands below a table only paragraphs are kept: the folded text says the same once more.
    """
    reader: TableText | None = None
    after = False
    for child in children:
        html = child.astext() if isinstance(child, nodes.raw) else ""
        if html.startswith("<table"):
            reader = TableText()
        if reader is None:
            if not after or isinstance(child, nodes.paragraph):
                yield child
        elif html:
            reader.feed(html)
            if html.endswith("</table>"):
                yield from as_nodes(reader)
                reader, after = None, True
        elif not reader.hidden:
            reader.handle_data(child.astext())


def as_nodes(reader: TableText) -> Iterator[nodes.Node]:
    """Yield the caption, and the table."""
    head, *rows = ([" ".join(cell.split()) for cell in row] for row in reader.rows)
    width = len(head)
    yield nodes.paragraph("", reader.caption)
    table, body = workshop.table("plain", widths(head, rows), row_of(head, width))
    body += [row_of(cells, width) for cells in rows]
    yield table


def widths(head: Cells, rows: Sequence[Cells]) -> list[int]:
    """Return how wide the columns are, relatively: as their longest word, or half of a page."""
    full = [row for row in (head, *rows) if len(row) == len(head)]
    return [max(4, min(40, max(map(len, column)))) for column in zip(*full, strict=True)]


def row_of(cells: Cells, width: int) -> nodes.row:
    """Return a row. Cells that are missing are empty."""
    padded = cells + [""] * (width - len(cells))
    return workshop.row(*(nodes.paragraph("", cell) for cell in padded))


class EpubTabs(SphinxPostTransform):
    """Keeps sphinx-design from making tabs in an EPUB: its buttons are not XHTML."""

    default_priority = 190  # before sphinx-design's own

    def run(self, **_: object) -> None:
        """Take the mark from each set of tabs, so that its labels stay headings."""
        if self.app.builder.name == "epub":
            for box in self.document.findall(nodes.container):
                if box.get("design_component") == "tab-set":
                    del box["design_component"]


class DownloadLinks(SphinxPostTransform):
    """Gives the links to files their addresses."""

    default_priority = 400

    def run(self, **_: object) -> None:
        """Point each link to the folder `DOWNLOADS`; where there is none, leave its text."""
        builder = self.app.builder
        for link in list(self.document.findall(nodes.reference)):
            if (file := link.get("downloaded")) is None:
                continue
            if builder.format == "html" and "epub" not in builder.name:
                page = builder.get_target_uri(self.env.docname).partition("#")[0]
                link["refuri"] = f"{'../' * page.count('/')}{DOWNLOADS}/{file}"
            else:
                link.replace_self(nodes.inline("", file, classes=link["classes"]))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_post_transform(HtmlTables)
    app.add_post_transform(EpubTabs)
    app.add_post_transform(DownloadLinks)
    return SAFE
