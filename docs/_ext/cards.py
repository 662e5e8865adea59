"""What a page says of itself in a sentence, and the directive `{cards}` that shows it.

The front matter of a page has a `summary`.  It stands on the page's card, in the description that
is shown where a link to the page is shared, and in `llms.txt`, the list of the pages for programs
that read the book.

    ```{cards}
    questions/state/index
    questions/header/index
    ```

shows a card for each page: its title, which is the link, and its summary.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from _ext import pages
from _ext.words import plain
from _ext.workshop import SAFE, BookDirective, link

PICTURE = "shared.png"
"""The picture that is shown where a link to a page is shared, in the book's static files."""
PICTURE_SHOWS = (
    "The title of the book, and a job's way from a scheduler to an async thread and back."
)


class Cards(BookDirective):
    """The cards of some pages."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the cards.  It is an error if there is no such page, or if it has no summary."""
        box = nodes.container(classes=["cards"])
        for name in filter(None, map(str.strip, self.content)):
            page = Path(self.env.srcdir) / f"{name}.md"
            if not page.is_file():
                raise self.error(f"cards: there is no page {name}")
            self.depends_on(page)
            found = pages.card(page)
            if not found.summary:
                raise self.error(f"cards: the front matter of {name} has no summary")
            box += self.item(name, found)
        return [box]

    def item(self, name: str, found: pages.Card) -> nodes.Node:
        """Return one card."""
        title, _ = self.parse_inline(found.title)
        summary, _ = self.parse_inline(found.summary)
        heading = link("doc", f"/{name}", nodes.inline("", "", *title), domain="std")
        item = nodes.container(classes=["card"])
        item += nodes.paragraph("", "", heading, classes=["card-title"])
        item += nodes.paragraph("", "", *summary)
        return item


def describe(
    app: Sphinx, docname: str, _template: str, context: dict[str, Any], doctree: object
) -> None:
    """Put the summary into the head of the page's HTML, for where a link to it is shared.

    The picture beside it has to have an address of its own, so there is one only in a book that
    knows where it will be read.
    """
    if doctree is None:
        return
    found = pages.card(Path(app.env.doc2path(docname)))
    if not found.summary:
        return
    texts = {"description": plain(found.summary)}
    shared = {
        "title": plain(found.title),
        "description": plain(found.summary),
        "type": "article",
        "site_name": app.config.html_title,
    }
    if base := app.config.html_baseurl:
        shared |= {"url": context["pageurl"], "image": f"{base.rstrip('/')}/_static/{PICTURE}"}
        shared |= {"image:width": "1200", "image:height": "630", "image:alt": PICTURE_SHOWS}
        texts["twitter:card"] = "summary_large_image"
    tags = [f'<meta name="{name}" content="{escape(text)}"/>' for name, text in texts.items()]
    tags += [
        f'<meta property="og:{key}" content="{escape(text)}"/>' for key, text in shared.items()
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def listing(docs: Path) -> str:
    """Return `llms.txt`: the book in a sentence, and its pages with their summaries."""
    front, *others = pages.pages(docs)
    title, summary = pages.card(front)
    lines = [f"# {plain(title)}", "", f"> {summary}", "", "## Pages", ""]
    for page in others:
        found = pages.card(page)
        ending = f": {found.summary}" if found.summary else ""
        lines.append(f"- [{plain(found.title)}]({pages.docname(page, docs)}.html){ending}")
    return "\n".join(lines) + "\n"


def write(app: Sphinx, error: Exception | None) -> None:
    """Write `llms.txt` beside the front page."""
    if error is None and app.builder.name == "html":
        (Path(app.outdir) / "llms.txt").write_text(listing(Path(app.srcdir)), "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("cards", Cards)
    app.connect("html-page-context", describe)
    app.connect("build-finished", write)
    return SAFE
