"""The directives `{outcomes}` and `{then-and-now}`: what `explore` and `compare` found, as tables.

The argument is a name or another expression. Its value is an `Outcomes` for `{outcomes}`, and a
`Comparison` for `{then-and-now}`.

Each outcome has two rows: what came back or was observed, or the fault with all that it says; and
a row that opens and shows the timeline of the outcome's witness, which is run again for it, and
the call that does so.
`{then-and-now}` puts the emulators with the same outcomes into one group of rows, under their
names and years. The oldest come first, and today's is marked. A witness is run on the first
emulator of its group.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from html import escape
from typing import Literal

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from _ext import pages
from _ext.workshop import (
    SAFE,
    ExampleDirective,
    folded,
    link,
    literal,
    page_link,
    raw,
    scrolling,
    table_start,
    titled,
)
from driverref import timeline
from driverref.explore import Comparison, Fault, Order, Outcomes, System, label
from driverref.explore.outcomes import columns
from driverref.release import ERAS

COLUMNS = {"outcome": "outcome", "schedules": "schedule", "witness": "witness"}
"""The columns, each with the term of the glossary that explains it."""
RELEASES = "reference/releases"
"""The page that says in what the releases differ."""

PLACE = re.compile(r"[^\s/]+\.md:(\d+)")
"""A place in an example, as a fault gives it: the page's file, and the line in the example."""

Row = tuple[str, str, str]


class OutcomesTable(ExampleDirective):
    """What the tables of outcomes share."""

    required_arguments = 1
    final_argument_whitespace = True

    def show(self, run: pages.Run) -> list[nodes.Node]:
        """Return the table of the argument's value."""
        return [self.draw(self.value(run, self.arguments[0]))]

    def draw(self, value: object) -> nodes.Node:
        """Return the table of a value. `TypeError` if the value is not what the table shows."""
        raise NotImplementedError

    def box(
        self,
        kind: str,
        bodies: Sequence[nodes.Node],
        found: Outcomes | Comparison,
        rows: Sequence[str],
    ) -> nodes.Node:
        """Return the table around its rows, and below it the summary and the table as text.

        `rows` are those of the text.
        """
        title = self.options["title"]
        box = titled(kind, title)
        box += raw(f"{table_start(title, self.options['description'])}<thead><tr>")
        for name, term in COLUMNS.items():
            explained = link("term", term, nodes.inline("", name), domain="std")
            box += [raw('<th scope="col">'), nodes.inline("", "", explained), raw("</th>")]
        box += raw("</tr></thead>")
        box += bodies
        box += raw("</table>")
        summary = found.summary()
        box += nodes.paragraph(summary, f"{summary}.", classes=["outcomes-summary"])
        text = [*rows, summary, *map(lines_of_examples, found.below())]
        box += folded("The same as text", [literal("\n".join(text))])
        return box

    def rows(
        self, outcomes: Outcomes, outcome: Hashable, count: str, where: str = ""
    ) -> list[nodes.Node]:
        """Return the two rows of an outcome.

        `count` is the number of schedules that end in it, in words. `where` is put behind titles
        and says on which emulator the witness is run: ` on R7B-3 +A 1`.
        """
        found = outcomes[outcome]
        schedule, _, options = found.witness.partition("/")
        told = in_full(outcome)
        trace = self.chosen(outcomes.replay(outcome).trace, f"the trace of {outcome!r}")
        picture = timeline.svg(
            trace,
            title=f"{self.options['title']}{where}: {told}",
            description=f"The run of witness {schedule}, one of {found.count} schedules"
            " that end so. The same stands below as text.",
        )
        start = scrolling("picture-scroll", f"The run of witness {schedule}{where}")
        summary = f"How it comes about{where}: {escape(schedule)}"
        # The column shows the schedule; a click selects the whole witness, and so does a copy.
        rest = f"<span>/{escape(options)}</span>" if options else ""
        witness = f'<span class="witness">{escape(schedule)}{rest}</span>'
        return [
            raw(
                f'<tr><th scope="row">{as_html(outcome, told)}</th><td>{count}</td>'
                f"<td>{witness}</td></tr>"
                f'<tr class="how"><td colspan="3">'
                f"<details><summary>{summary}</summary>{start}{picture}</div>"
            ),
            literal(timeline.text(trace)),
            nodes.paragraph("", "To run it again:"),
            literal(outcomes.again(outcome)),
            raw("</details></td></tr>"),
        ]


class OneEmulator(OutcomesTable):
    """`{outcomes}`: the outcomes of a scenario."""

    def draw(self, value: object) -> nodes.Node:
        """Return the table of an `Outcomes`."""
        if not isinstance(value, Outcomes):
            raise TypeError(f"{self.arguments[0]} is not what explore returns: {value!r}")
        bodies: list[nodes.Node] = []
        for outcome in value:
            count = f"{value[outcome].count:,}"
            bodies += [raw("<tbody>"), *self.rows(value, outcome, count), raw("</tbody>")]
        head: Row = ("outcome", "schedules", "witness")
        text = [*as_text([head, *value.rows()], ">"), *value.legend()]
        return self.box("outcomes", bodies, value, text)


class ThenAndNow(OutcomesTable):
    """`{then-and-now}`: the outcomes of a scenario on the emulator of each era."""

    def draw(self, value: object) -> nodes.Node:
        """Return the table of a `Comparison`."""
        if not isinstance(value, Comparison):
            raise TypeError(f"{self.arguments[0]} is not what compare returns: {value!r}")
        bodies: list[nodes.Node] = []
        for group in value.groups():
            bodies.append(raw('<tbody><tr class="era"><th scope="rowgroup" colspan="3">'))
            bodies += [emulator(system) for system in group]
            bodies.append(raw("</th></tr>"))
            outcomes = value[group[0]]
            for outcome in outcomes:
                count = value.count(group, outcome)
                bodies += self.rows(outcomes, outcome, count, f" on {group[0]}")
            bodies.append(raw("</tbody>"))
        head: Row = ("emulator", "outcome", "schedules")
        return self.box("outcomes eras", bodies, value, as_text([head, *value.rows()], "<"))


def emulator(system: System) -> nodes.paragraph:
    """Return the line of an emulator: its release, its options, what it stands for, and when."""
    release = system.release
    options = str(system).removeprefix(release.name)
    line = nodes.paragraph("", "", page_link(RELEASES, release.name), nodes.Text(f"{options} "))
    if release == ERAS[-1]:
        line += [nodes.inline("", "today", classes=["today"]), nodes.Text(" ")]
    line += nodes.inline("", f"{release.covers}, {release.years}", classes=["years"])
    return line


def in_full(outcome: Hashable) -> str:
    """Return the outcome as text, and a fault with all that it says."""
    return lines_of_examples(str(outcome)) if isinstance(outcome, Fault) else label(outcome)


def lines_of_examples(text: str) -> str:
    """Return the text with `index.md:6` as `line 6`: it is the sixth line of an example."""
    return PLACE.sub(r"line \1", text)


def as_text(rows: Sequence[Row], align: Literal["<", ">"]) -> list[str]:
    """Return the lines that `print` shows, but for the places in examples."""
    placed = [(lines_of_examples(a), lines_of_examples(b), c) for a, b, c in rows]
    return columns(placed, align)


def as_html(outcome: Hashable, told: str) -> str:
    """Return the outcome as HTML. `told` is the same as text; a fault has several lines of it."""
    if isinstance(outcome, Fault):
        name, _, text = told.partition(": ")
        text = re.sub(r"\n\s*", "<br/>", escape(text))
        return f'<strong class="fault">Fault: {escape(name)}</strong><span>{text}</span>'
    match outcome:
        case (value, Order() as order):
            return f"<code>{escape(repr(value))}</code> <code>{escape(str(order))}</code>"
    return f"<code>{escape(told)}</code>"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("outcomes", OneEmulator)
    app.add_directive("then-and-now", ThenAndNow)
    return SAFE
