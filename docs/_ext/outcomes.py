"""The directive `{outcomes}`: what `explore` found, as a table in which every row can be opened.

Its argument is a name, or another expression, that is an `Outcomes` in the page's namespace when
the blocks above have run. Each outcome has two rows: what it is, and a `<details>` with the
timeline of its witness, which is run again for it. So the table needs no JavaScript, and the
keyboard opens what a pointer opens. A fault says that it is one and what it says, in full.

`Table` is what `{then-and-now}` shares with it.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from . import pages
from .timeline import PACKAGE, literal, run_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from driverref.explore import Outcomes
    from driverref.trace import Trace

logger = logging.getLogger(__name__)

PLACE = re.compile(r"[^\s/]+\.md:(\d+)")
"""How a place in an example is called: the page, and the line in the example."""

COLUMNS = ("outcome", "schedules", "witness")
GLOSSARY = "reference/glossary"
"""The page that explains the words in the head."""


class Table(SphinxDirective):
    """A table of outcomes, and how each of them comes about."""

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
            raise self.error(f"{self.name} needs :{min(missing)}: for those who do not see it")
        try:
            run = run_of(self.env.temp_data, Path(self.env.doc2path(self.env.docname)))
            run.until(self.lineno)
            return [self.draw(eval(self.arguments[0], run.namespace))]
        except pages.Failed as failure:
            where = f"{self.env.doc2path(self.env.docname)}:{failure.line}"
            logger.warning("%s", failure, type="book", subtype="example", location=where)
            return []
        except Exception as error:
            raise self.error(f"{self.name} cannot be shown: {error!r}") from error

    def draw(self, value: object) -> nodes.Node:
        """The table of what the argument is; `TypeError` if that is something else."""
        raise NotImplementedError

    def box(self, kind: str, bodies: list[nodes.Node], summary: str, text: str) -> nodes.Node:
        """The whole table around the groups of its rows."""
        title, description = self.options["title"], self.options["description"]
        box = nodes.container(classes=["picture", *kind.split()])
        box += nodes.paragraph(title, title, classes=["picture-title"])
        caption = f'<table aria-label="{escape(title)}"><caption>{escape(description)}</caption>'
        box += raw(caption + self.head())
        box += bodies
        box += raw("</table>")
        box += nodes.paragraph(summary, f"{summary}.", classes=["outcomes-summary"])
        box += raw("<details><summary>The same as text</summary>")
        box += literal(text)
        box += raw("</details>")
        return box

    def head(self) -> str:
        """The names of the columns, each leading to what it means."""
        glossary = self.env.app.builder.get_relative_uri(self.env.docname, GLOSSARY)
        cells = "".join(
            f'<th scope="col"><a href="{glossary}#term-{term}">{name}</a></th>'
            for name, term in zip(COLUMNS, ("outcome", "schedule", "witness"), strict=True)
        )
        return f"<thead><tr>{cells}</tr></thead>"

    def rows(
        self, outcomes: Outcomes, outcome: Hashable, count: str, where: str = ""
    ) -> list[nodes.Node]:
        """What the outcome is, how many schedules lead there, and the timeline of its witness, `where` that was run."""
        from driverref import timeline  # the package is the book's subject

        found = outcomes[outcome]
        witness = found.witness or "first come"
        told = told_in_full(outcome)
        trace = self._trace(outcomes, outcome)
        picture = timeline.svg(
            trace,
            title=f"{self.options['title']}{where}: {told}",
            description=f"The run of witness {witness}, one of {found.count} schedules"
            " that end so. The same stands below as text.",
        )
        group = f'role="group" aria-label="The run of witness {witness}{where}"'
        return [
            raw(
                f'<tr><th scope="row">{shown(outcome, told)}</th><td>{count}</td>'
                f"<td>{escape(witness)}</td></tr>"
                f'<tr class="how"><td colspan="3"><details><summary>How it comes about{where}: '
                f'{escape(witness)}</summary><div class="picture-scroll" tabindex="0" {group}>{picture}</div>'
            ),
            literal(timeline.text(trace)),
            raw("</details></td></tr>"),
        ]

    def _trace(self, outcomes: Outcomes, outcome: Hashable) -> Trace:
        trace = outcomes.replay(outcome).trace
        if "events" in self.options:
            trace = trace.select(*self.options["events"].split())
        if not len(trace):
            raise ValueError(f"the trace of {outcome!r} is empty")
        return trace[:]


class OutcomesTable(Table):
    """The outcomes of a scenario."""

    def draw(self, value: object) -> nodes.Node:
        """A group of rows an outcome."""
        from driverref.explore import Outcomes

        if not isinstance(value, Outcomes):
            raise TypeError(f"{self.arguments[0]} is not what explore returns: {value!r}")
        bodies: list[nodes.Node] = []
        for outcome in value:
            count = f"{value[outcome].count:,}"
            bodies += [raw("<tbody>"), *self.rows(value, outcome, count), raw("</tbody>")]
        return self.box("outcomes", bodies, value.summary(), as_text(value))


def told_in_full(outcome: Hashable) -> str:
    """The outcome as text, a fault with all that it says."""
    from driverref.explore import Fault, label

    return placed(str(outcome)) if isinstance(outcome, Fault) else label(outcome)


def placed(text: str) -> str:
    """The text with each place in an example as what it is: a line of a block, not of a file."""
    return PLACE.sub(r"line \1", text)


def as_text(outcomes: Outcomes) -> str:
    """The table as `print` shows it."""
    return "\n".join([*columns([COLUMNS, *outcomes.rows()], ">"), outcomes.summary()])


def columns(rows: Sequence[tuple[str, str, str]], align: Literal["<", ">"]) -> list[str]:
    """The lines that `print` would show, with each place as what it is."""
    from driverref.explore import outcomes

    return outcomes.columns([(placed(a), placed(b), c) for a, b, c in rows], align)


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
