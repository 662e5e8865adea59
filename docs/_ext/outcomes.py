"""The directive `{outcomes}`: what `explore` found, as a table in which every row can be opened.

Its argument is a name, or another expression, that is an `Outcomes` in the page's namespace when
the blocks above have run. Each outcome has two rows: what it is, and a `<details>` with the
timeline of its witness, which is run again for it. So the table needs no JavaScript, and the
keyboard opens what a pointer opens. A fault says that it is one and what it says, in full.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from . import pages
from .timeline import PACKAGE, literal, run_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from driverref.explore import Outcomes
    from driverref.trace import Trace

logger = logging.getLogger(__name__)

PLACE = re.compile(r"[^\s/]+\.md:(\d+)")
"""How a place in an example is called: the page, and the line in the example."""

HEAD = '<thead><tr><th scope="col">outcome</th><th scope="col">schedules</th><th scope="col">witness</th></tr></thead>'


class OutcomesTable(SphinxDirective):
    """The outcomes of a scenario, and how each of them comes about."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = False
    option_spec = {  # noqa: RUF012 - docutils declares it so
        "title": directives.unchanged_required,
        "description": directives.unchanged_required,
        "events": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """The table, the summary, and the same as text."""
        for path in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(path))
        if missing := {"title", "description"} - set(self.options):
            raise self.error(f"outcomes needs :{min(missing)}: for those who do not see it")
        try:
            return self._draw(self._outcomes())
        except pages.Failed as failure:
            where = f"{self.env.doc2path(self.env.docname)}:{failure.line}"
            logger.warning("%s", failure, type="book", subtype="example", location=where)
            return []
        except Exception as error:
            raise self.error(f"outcomes cannot be shown: {error!r}") from error

    def _outcomes(self) -> Outcomes:
        from driverref.explore import Outcomes  # the package is the book's subject

        run = run_of(self.env.temp_data, Path(self.env.doc2path(self.env.docname)))
        run.until(self.lineno)
        outcomes = eval(self.arguments[0], run.namespace)
        if not isinstance(outcomes, Outcomes):
            raise TypeError(f"{self.arguments[0]} is not what explore returns: {outcomes!r}")
        return outcomes

    def _draw(self, outcomes: Outcomes) -> list[nodes.Node]:
        title, description = self.options["title"], self.options["description"]
        box = nodes.container(classes=["picture", "outcomes"])
        box += nodes.paragraph(title, title, classes=["picture-title"])
        caption = f'<table aria-label="{escape(title)}"><caption>{escape(description)}</caption>'
        box += raw(caption + HEAD)
        for outcome in outcomes:
            box += self._rows(outcomes, outcome)
        box += raw("</table>")
        summary = outcomes.summary()
        box += nodes.paragraph(summary, f"{summary}.", classes=["outcomes-summary"])
        box += raw("<details><summary>The same as text</summary>")
        box += literal(as_text(outcomes))
        box += raw("</details>")
        return [box]

    def _rows(self, outcomes: Outcomes, outcome: Hashable) -> list[nodes.Node]:
        """What the outcome is, and the timeline of its witness."""
        from driverref import timeline

        found = outcomes[outcome]
        witness = found.witness or "first come"
        told = told_in_full(outcome)
        trace = self._trace(outcomes, outcome)
        picture = timeline.svg(
            trace,
            title=f"{self.options['title']}: {told}",
            description=f"The run of witness {witness}, one of {found.count} schedules"
            " that end so. The same stands below as text.",
        )
        group = f'role="group" aria-label="The run of witness {witness}"'
        return [
            raw(
                f'<tbody><tr><th scope="row">{shown(outcome, told)}</th><td>{found.count:,}</td>'
                f"<td>{escape(witness)}</td></tr>"
                f'<tr class="how"><td colspan="3"><details><summary>How it comes about: '
                f'{escape(witness)}</summary><div class="picture-scroll" tabindex="0" {group}>{picture}</div>'
            ),
            literal(timeline.text(trace)),
            raw("</details></td></tr></tbody>"),
        ]

    def _trace(self, outcomes: Outcomes, outcome: Hashable) -> Trace:
        trace = outcomes.replay(outcome).trace
        if "events" in self.options:
            trace = trace.select(*self.options["events"].split())
        if not len(trace):
            raise ValueError(f"the trace of {outcome!r} is empty")
        return trace[:]


def told_in_full(outcome: Hashable) -> str:
    """The outcome as text, a fault with all that it says."""
    from driverref.explore import Fault, label

    return placed(str(outcome)) if isinstance(outcome, Fault) else label(outcome)


def placed(text: str) -> str:
    """The text with each place in an example as what it is: a line of a block, not of a file."""
    return PLACE.sub(r"line \1", text)


def as_text(outcomes: Outcomes) -> str:
    """The table as `print` shows it."""
    head = ("outcome", "schedules", "witness")
    rows = [head, *((placed(cell), *more) for cell, *more in outcomes.rows())]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{a:<{first}}  {b:>{second}}  {c}" for a, b, c in rows]
    return "\n".join([*lines, outcomes.summary()])


def shown(outcome: Hashable, told: str) -> str:
    """The outcome as HTML: what came back, what was observed; or the fault, with its lines."""
    from driverref.explore import Fault, Order

    if isinstance(outcome, Fault):
        name, _, text = told.partition(": ")
        text = re.sub(r"\n\s*", "<br>", escape(text))
        return f'<strong class="fault">Fault: {escape(name)}</strong><span>{text}</span>'
    if isinstance(outcome, tuple) and len(outcome) == 2 and isinstance(outcome[1], Order):
        value, order = outcome
        return f"<code>{escape(repr(value))}</code> <code>{escape(str(order))}</code>"
    return f"<code>{escape(told)}</code>"


def raw(html: str) -> nodes.raw:
    """HTML as it is."""
    return nodes.raw("", html, format="html")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.timeline")  # which runs what is left of a page
    app.add_directive("outcomes", OutcomesTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
