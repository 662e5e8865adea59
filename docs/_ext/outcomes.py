"""The directives `{outcomes}` and `{then-and-now}`: what `explore` and `compare` found, as tables.

The argument is a name or another expression. Its value is an `Outcomes` for `{outcomes}`, and a
`Comparison` for `{then-and-now}`. The body may name the outcomes, a line each (`outcome_names`):

    closed while it ran | surprising | async_invoke < stop < async_return

What stands between backticks in a name is shown as code.

Each outcome has two rows. The first has its name and its grade, if there are any, and what came
back or was observed, or the fault with all that it says. An event that has moved, against the row
above, is marked. The second row opens and shows the rest: how many schedules end so, the timeline
of the witness, which is run again for it, and the call that does so.
`{then-and-now}` puts the emulators with the same outcomes into one group of rows, under their
names and years. The oldest come first, and today's is marked. A witness is run on the first
emulator of its group.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import cached_property
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from _ext import pages
from _ext.games import Examples, game_of
from _ext.outcome_names import Named, moved, named
from _ext.words import coded, listed
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
from driverref.explore.search import PATIENCE
from driverref.release import ERAS

RELEASES = "reference/releases"
"""The page that says in what the releases differ."""

PLACE = re.compile(r"\bat [^\s/]+\.md:(\d+)(?: in ([\w.]+))?")
"""A place in an example, as a fault gives it: the page's file, and the line in the example."""


class OutcomesTable(ExampleDirective):
    """What the tables of outcomes share."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def show(self, run: pages.Run) -> list[nodes.Node]:
        """Return the table of the argument's value."""
        return [self.draw(self.value(run, self.arguments[0]))]

    def draw(self, value: object) -> nodes.Node:
        """Return the table of a value. `TypeError` if the value is not what the table shows."""
        raise NotImplementedError

    def names(self, outcomes: Sequence[Hashable]) -> list[Named]:
        """Return the rows that the body names, or those of the outcomes as they are."""
        return named(self.content, outcomes)

    def box(
        self,
        kind: str,
        bodies: Sequence[nodes.Node],
        found: Outcomes | Comparison,
        games: Sequence[nodes.Node],
    ) -> nodes.Node:
        """Return the table around its rows, and below it the games and the summary."""
        title = self.options["title"]
        box = titled(kind, title)
        box += raw(f"{table_start(title, self.options['description'])}<thead><tr>")
        term = link("term", "outcome", nodes.inline("", "outcome"), domain="std")
        box += [raw('<th scope="col">'), nodes.inline("", "", term), raw("</th>")]
        if self.content:
            box += raw('<th scope="col">what the run shows</th>')
        box += raw("</tr></thead>")
        box += bodies
        box += raw("</table>")
        if any("<b>" in body.astext() for body in bodies):
            box += raw(
                '<p class="outcomes-note">Bold: an event that has another place than in the row'
                " above. A number in brackets is the number of a job.</p>"
            )
        box += games
        summary = in_sum(found)
        box += nodes.paragraph(summary, summary, classes=["outcomes-summary"])
        return box

    def game(
        self, outcomes: Outcomes, rows: Sequence[Named], first: int = 0, label: str = ""
    ) -> nodes.Node:
        """Return the game of the rows from `first` on, for `play`. `label` is its button's."""
        labels = [(r.outcome, r.name or self.shown(r.outcome), r.grade) for r in rows]
        node = raw("")
        node["game"] = game_of(self.examples, outcomes, labels)
        node["first"], node["count"], node["label"] = first, len(rows), label
        return node

    @cached_property
    def examples(self) -> Examples:
        """The page's examples, which are compiled once for all rows."""
        return Examples(self.page)

    def in_full(self, outcome: Hashable) -> str:
        """Return the outcome as text, and a fault with all that it says.

        A fault names lines of the page's examples, which have no numbers on the page. So the line
        itself stands in the place of its number.
        """
        if not isinstance(outcome, Fault):
            return label(outcome)

        def line(place: re.Match[str]) -> str:
            number, function = place.groups()
            code = self.examples.line(int(number), function or "<module>")
            where = f"in {function}" if function else "in the example"
            return f"{where}: `{code}`" if code else where

        return PLACE.sub(line, str(outcome))

    def shown(self, outcome: Hashable) -> str:
        """Return the name of a row that the page does not name: the first line of its outcome."""
        return self.in_full(outcome).partition("\n")[0].removesuffix(":")

    def rows(
        self, outcomes: Outcomes, rows: Sequence[Named], counts: Sequence[str], where: str = ""
    ) -> list[nodes.Node]:
        """Return the two rows of each outcome.

        `counts` are the numbers of schedules that end in it, in words. `where` is put behind titles
        and says on which emulator the witnesses are run: ` on R7B-3 +A 1`.
        """
        found: list[nodes.Node] = []
        above: Order | None = None
        for row, count in zip(rows, counts, strict=True):
            kind = f' class="{row.grade}"' if row.grade else ""
            shows = as_html(row.outcome, above, self.in_full(row.outcome))
            above = order_of(row.outcome) or above
            grade = f' <span class="grade">{row.grade}</span>' if row.grade else ""
            if self.content:
                cells = f'<th scope="row">{coded(row.name)}{grade}</th><td>{shows}</td>'
            else:
                cells = f'<th scope="row">{shows}{grade}</th>'
            how = f"how {row.grade}".rstrip()
            wide = 1 + bool(self.content)
            found += [
                raw(f'<tr{kind}>{cells}</tr><tr class="{how}"><td colspan="{wide}">'),
                *folded(f"How it comes about{where}", self.how(outcomes, row, count, where)),
                raw("</td></tr>"),
            ]
        return found

    def how(self, outcomes: Outcomes, row: Named, count: str, where: str) -> list[nodes.Node]:
        """Return what the second row hides."""
        found = outcomes[row.outcome]
        schedule = found.witness.partition("/")[0]
        name = (row.name or self.shown(row.outcome)).replace("`", "")
        trace = self.chosen(outcomes.replay(row.outcome).trace, f"the trace of {row.outcome!r}")
        picture = timeline.svg(
            trace,
            title=f"{self.options['title']}{where}: {name}",
            description=f"The run of witness {schedule}, one of {found.count} schedules"
            " that end so. The same stands below as text.",
            sources=self.examples,
        )
        start = scrolling("picture-scroll", f"The run of witness {schedule}{where}")
        ends = "schedule ends" if count == "1" else "schedules end"
        return [
            nodes.paragraph("", f"{count} {ends} so. The shortest:"),
            raw(f"{start}{picture}</div>"),
            *folded("The same as text", [literal(timeline.text(trace, notes=True))]),
            nodes.paragraph("", "To run it again:"),
            literal(outcomes.again(row.outcome)),
        ]


class OneEmulator(OutcomesTable):
    """`{outcomes}`: the outcomes of a scenario."""

    def draw(self, value: object) -> nodes.Node:
        """Return the table of an `Outcomes`."""
        if not isinstance(value, Outcomes):
            raise TypeError(f"{self.arguments[0]} is not what explore returns: {value!r}")
        rows = self.names(list(value))
        counts = [f"{value[row.outcome].count:,}" for row in rows]
        bodies = [raw("<tbody>"), *self.rows(value, rows, counts), raw("</tbody>")]
        return self.box("outcomes", bodies, value, [self.game(value, rows)])


class ThenAndNow(OutcomesTable):
    """`{then-and-now}`: the outcomes of a scenario on the emulator of each era."""

    def draw(self, value: object) -> nodes.Node:
        """Return the table of a `Comparison`."""
        if not isinstance(value, Comparison):
            raise TypeError(f"{self.arguments[0]} is not what compare returns: {value!r}")
        every = self.names(list(dict.fromkeys(o for found in value.values() for o in found)))
        bodies: list[nodes.Node] = []
        games: list[nodes.Node] = []
        first = 0
        wide = 1 + bool(self.content)
        for group in value.groups():
            bodies.append(raw(f'<tbody><tr class="era"><th scope="rowgroup" colspan="{wide}">'))
            bodies += [emulator(system) for system in group]
            bodies.append(raw("</th></tr>"))
            outcomes = value[group[0]]
            # Without names each group has the most frequent first.
            rows = [row for row in every if row.outcome in outcomes]
            if not self.content:
                rows = self.names(list(outcomes))
            counts = [value.count(group, row.outcome) for row in rows]
            bodies += [*self.rows(outcomes, rows, counts, f" on {group[0]}"), raw("</tbody>")]
            games.append(self.game(outcomes, rows, first, f"on {group[0]}"))
            first += len(rows)
        return self.box("outcomes eras", bodies, value, games)


def in_sum(found: Outcomes | Comparison) -> str:
    """Return whether there are other outcomes than those of the table, in a sentence."""
    every = "every order of events that makes a difference was run"
    if isinstance(found, Comparison):
        stopped = [f"{system} ({one.stopped})" for system, one in found.items() if one.stopped]
        if stopped:
            return f"There may be other outcomes of {listed(stopped)}."
        return f"There are no other outcomes: {every} on each emulator."
    if found.strategy != "all":
        return f"There may be other outcomes: the {found.schedules:,} runs were drawn at random."
    if found.stopped is not None:
        return f"There may be other outcomes: the search was {found.stopped}."
    if found.took_turns:
        every += f", as long as no thread polls for more than {PATIENCE} steps in a row"
    return f"There are no other outcomes: {every}."


def emulator(system: System) -> nodes.paragraph:
    """Return the line of an emulator: its release, its options, what it stands for, and when."""
    release = system.release
    options = str(system).removeprefix(release.name)
    line = nodes.paragraph("", "", page_link(RELEASES, release.name), nodes.Text(f"{options} "))
    if release == ERAS[-1]:
        line += [nodes.inline("", "today", classes=["today"]), nodes.Text(" ")]
    line += nodes.inline("", f"{release.covers}, {release.years}", classes=["years"])
    return line


def order_of(outcome: Hashable) -> Order | None:
    """Return the order of the observed events in an outcome, if it has one."""
    match outcome:
        case Order() as order:
            return order
        case (_, Order() as order):
            return order
    return None


def as_html(outcome: Hashable, above: Order | None, whole: str) -> str:
    """Return the outcome as HTML, with the events in bold that have moved against those `above`.

    `whole` is the text of a fault.
    """
    if isinstance(outcome, Fault):
        name, _, text = whole.partition(": ")
        text = re.sub(r"\n\s*", "<br/>", coded(text))
        return f"<strong>{escape(name)}</strong><span>{text}</span>"
    order = order_of(outcome)
    if not order:  # none is observed, or none has happened
        return f"<code>{escape(label(outcome))}</code>"
    marks = [False] * len(order) if above is None else moved(order, above)
    events = (
        f"<b>{escape(e)}</b>" if mark else escape(e) for e, mark in zip(order, marks, strict=True)
    )
    shown = f"<code>{' '.join(events)}</code>"
    if isinstance(outcome, Order):
        return shown
    assert isinstance(outcome, tuple)
    return f"<code>{escape(label(outcome[0]))}</code> {shown}"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.setup_extension("_ext.play")
    app.add_directive("outcomes", OneEmulator)
    app.add_directive("then-and-now", ThenAndNow)
    return SAFE
