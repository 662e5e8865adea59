"""What the book's directives share: two base classes, the run of a page, and the nodes they make.

A directive module imports this module, and modules that know nothing of Sphinx, such as `pages`.
It never imports another directive module (`tests/docs/test_workshop.py` checks this). Code that two
directive modules need belongs here. Code that only one of them needs stays there.

The way through the file:

1. `BookDirective` is the base of the directives. It knows the page, and what the page depends on.
2. `ExampleDirective` is the base of those that show a value which the page's own examples made.
   `run_of` gives them the run of the page, and `finish` ends that run.
3. Links, tables, tabs and dropdowns, as docutils and sphinx-design have them.
4. Pictures and tables in HTML. A docutils table can have neither a caption nor rows that open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx_design.shared import create_component

from _ext import pages
from driverref.trace import Trace

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[2] / "driverref"

DOWNLOADS = "_programs"
"""The folder of the built book for files that a reader downloads."""

LISTED = "listed"
"""The class of what repeats other pages, such as the list of rules: no search finds it."""

SAFE: ExtensionMetadata = {"parallel_read_safe": True, "parallel_write_safe": True}
"""What `setup` of every module returns: no directive keeps anything outside the page it is on."""


class BookDirective(SphinxDirective):
    """A directive of the book."""

    @property
    def page(self) -> Path:
        """The source file of the page."""
        return Path(self.env.doc2path(self.env.docname))

    def depends_on(self, *files: Path) -> None:
        """Have Sphinx read the page again when one of the files has changed."""
        for file in files:
            self.env.note_dependency(str(file))

    def depends_on_package(self) -> None:
        """Have Sphinx read the page again when any file of `driverref` or of `_ext` has changed."""
        self.depends_on(*PACKAGE.rglob("*.py"), *Path(__file__).parent.glob("*.py"))

    def download(self, text: str, file: str, css: str) -> nodes.reference:
        """Return a link to `file`, a path below `DOWNLOADS`; `forms` gives it its address."""
        return nodes.reference("", text, refuri=file, downloaded=file, classes=[css])


class ExampleDirective(BookDirective):
    """A directive that shows a value which the examples above it have made.

    The examples of a page run once in a build. Each directive runs those that stand above it and
    have not run yet, so it sees the page's names as they are at its own place.
    """

    option_spec: ClassVar[OptionSpec] = {
        "title": directives.unchanged_required,
        "description": directives.unchanged_required,
        "events": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return what `show` returns, or report why it cannot be shown."""
        self.depends_on_package()
        if missing := {"title", "description"} - set(self.options):
            raise self.error(f"{self.name} needs :{min(missing)}: for readers who do not see it")
        try:
            return self.show(run_of(self.env))
        except pages.Failed as failure:
            report(self.env, failure)
            return []
        except Exception as error:
            raise self.error(f"{self.name} cannot be shown: {error!r}") from error

    def show(self, run: pages.Run) -> list[nodes.Node]:
        """Return the nodes. What it raises stops the build, with the directive's line."""
        raise NotImplementedError

    def value(self, run: pages.Run, expression: str) -> object:
        """Run the page down to here, and return the value of a Python expression."""
        run.until(self.lineno)
        return eval(expression, run.namespace)

    def chosen(self, trace: Trace, what: str) -> Trace:
        """Return a copy of the trace with the events that `:events:` names, or all of them.

        Raises `ValueError`, which calls the trace `what`, if no event is left.
        """
        if "events" in self.options:
            trace = trace.select(*self.options["events"].split())
        if not len(trace):
            raise ValueError(f"{what} is empty")
        # An emulator on OS threads may append to its trace between the picture and the text.
        return trace[:]


def run_of(env: BuildEnvironment) -> pages.Run:
    """Return the run of the page that is being read. A page has one run in a build."""
    known: pages.Run | None = env.current_document.get("page_run")
    if known is None:
        known = env.current_document["page_run"] = pages.Run(Path(env.doc2path(env.docname)))
    return known


def report(env: BuildEnvironment, failure: pages.Failed) -> None:
    """Warn, at the line of the example, that it did not do what the page shows."""
    where = f"{env.doc2path(env.docname)}:{failure.line}"
    logger.warning("%s", failure, type="book", subtype="example", location=where)


def finish(app: Sphinx, _doctree: nodes.document) -> None:
    """Run the examples below the last directive, so that they are checked as well.

    A page of which no directive has run an example is left alone: the tests run every page.
    """
    run: pages.Run | None = app.env.current_document.get("page_run")
    if run is None or run.failed:
        return
    try:
        run.finish()
    except pages.Failed as failure:
        report(app.env, failure)


# Links, tables, tabs and dropdowns, as docutils and sphinx-design have them.


def link(kind: str, target: str, shown: nodes.Node, domain: str = "") -> addnodes.pending_xref:
    """Return a link of a role's kind (`doc`, `func`, `rule`). A wrong target is a warning."""
    return addnodes.pending_xref(
        "",
        shown,
        reftype=kind,
        refdomain=domain,
        reftarget=target,
        refexplicit=True,
        refwarn=True,
    )


def page_link(page: str, text: str) -> addnodes.pending_xref:
    """Return a link to a page of the book, such as `reference/rules`."""
    return link("doc", f"/{page}", nodes.inline("", text), domain="std")


def table(
    css: str, widths: Sequence[int], head: nodes.row, *, row_heads: bool = True
) -> tuple[nodes.table, nodes.tbody]:
    """Return a table and its body, which is still empty.

    `widths` are relative. With `row_heads` the first cell of a row is the row's head.
    """
    body = nodes.tbody()
    group = nodes.tgroup(cols=len(widths))
    group += [
        nodes.colspec(colwidth=width, stub=int(row_heads and number == 0))
        for number, width in enumerate(widths)
    ]
    group += [nodes.thead("", head), body]
    return nodes.table("", group, classes=[css]), body


def row(*cells: nodes.Node | Sequence[nodes.Node]) -> nodes.row:
    """Return a row of a table. A cell is one node, or several."""
    contents = (cell if isinstance(cell, Sequence) else [cell] for cell in cells)
    return nodes.row("", *(nodes.entry("", *content) for content in contents))


def texts(*words: str) -> list[nodes.Node]:
    """Return a paragraph for each text."""
    return [nodes.paragraph("", text) for text in words]


def tab_set(tabs: Sequence[nodes.Node]) -> nodes.Node:
    """Return tabs, as sphinx-design makes them."""
    return create_component("tab-set", classes=["sd-tab-set"], children=tabs)


def tab(label: str, content: Sequence[nodes.Node]) -> nodes.Node:
    """Return one tab."""
    return create_component(
        "tab-item",
        classes=["sd-tab-item"],
        children=[
            nodes.rubric(
                label,
                "",
                nodes.Text(label),
                classes=["sd-tab-label"],
                sync_id=label.lower(),
                sync_group="language",
            ),
            create_component("tab-content", classes=["sd-tab-content"], children=content),
        ],
    )


def dropdown(title: str, content: Sequence[nodes.Node]) -> nodes.Node:
    """Return a part that is folded, as sphinx-design makes it."""
    return create_component(
        "dropdown",
        children=[nodes.rubric(title, title), *content],
        opened=False,
        type="dropdown",
        has_title=True,
        icon=None,
        chevron=None,
        container_classes=["sd-mb-3"],
        title_classes=[],
        body_classes=[],
    )


# Pictures and tables in HTML.


def raw(html: str) -> nodes.raw:
    """Return HTML that goes into the page as it is."""
    return nodes.raw("", html, format="html")


def literal(text: str) -> nodes.literal_block:
    """Return text in a monospaced block, without colours."""
    block = nodes.literal_block(text, text, classes=["as-text"])
    block["language"] = "text"
    return block


def titled(kind: str, title: str) -> nodes.container:
    """Return the box around a picture or a table, with its title in it. `kind` is for the CSS."""
    box = nodes.container(classes=["picture", *kind.split()])
    box += nodes.paragraph(title, title, classes=["picture-title"])
    return box


def folded(summary: str, content: Sequence[nodes.Node]) -> list[nodes.Node]:
    """Return content that is hidden until the reader opens `summary`. It needs no JavaScript."""
    return [raw(f"<details><summary>{summary}</summary>"), *content, raw("</details>")]


def scrolling(css: str, label: str) -> str:
    """Return the start tag of a `<div>` that scrolls. It takes the focus, so keys scroll it too."""
    return f'<div class="{css}" tabindex="0" role="group" aria-label="{escape(label)}">'


def figure(
    kind: str, svg: str, title: str, below: Sequence[nodes.Node], summary: str
) -> nodes.container:
    """Return an inline picture with its title and, folded under it, the same in words."""
    box = titled(kind, title)
    box += raw(f"{scrolling('picture-scroll', title)}{svg}</div>")
    box += folded(summary, below)
    return box


def table_start(label: str, caption: str) -> str:
    """Return the start tag of a table, and its caption.

    `label` is what a screen reader calls the table.
    """
    return f'<table aria-label="{escape(label)}"><caption>{escape(caption)}</caption>'


def html_table(label: str, caption: str, columns: Iterable[str]) -> str:
    """Return the start of a table with its head. `columns` are HTML."""
    cells = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return f"{table_start(label, caption)}<thead><tr>{cells}</tr></thead>"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.connect("doctree-read", finish)
    return SAFE
