"""The directive `{state-diagram}`: a port's states, drawn from the table that the runtime obeys.

The states stand below each other in the order of the enumeration. What leads to the next state
is written beside the arrow between the two. Everything else (a step over a state, a step back,
a step to the same state) leaves its state to the right, below its labels, and comes down or up
in a lane of its own. A label therefore has a line to itself, whatever the table says, and the
picture is narrow enough for a telephone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from enum import Enum
from html import escape
from typing import Any, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from .timeline import figure

Table = Mapping[Any, Mapping[str, Enum]]
"""A state, an event, the next state."""

LINE = 17
"""The height of a line of text."""
LETTER = 6.9
"""The width of a letter, at most."""
BOX = 104
BOX_HEIGHT = 34
LANE = 13
"""The distance between two vertical lines."""
LABEL = 26
"""The letters of a label's line, at most."""


class Edge(NamedTuple):
    """All that leads from one state to another."""

    source: int
    target: int
    labels: list[str]
    """Lines of text."""


def states_of(table: Table) -> list[Enum]:
    """The states, in the order of their enumeration."""
    kind: type[Enum] = type(next(iter(table)))
    return list(kind)


def edges(table: Table) -> list[Edge]:
    """The arrows of a table, one for each pair of states."""
    order = states_of(table)
    pairs: dict[tuple[int, int], list[str]] = {}
    for source, steps in table.items():
        for event, target in steps.items():
            lines = textwrap.wrap(event.replace("_", "_\0"), LABEL, subsequent_indent="  ")
            key = order.index(source), order.index(target)
            pairs.setdefault(key, []).extend(line.replace("\0", "") for line in lines)
    return [Edge(source, target, labels) for (source, target), labels in sorted(pairs.items())]


def draw(table: Table, title: str, description: str) -> str:
    """The picture."""
    return Drawing(table).svg(title, description)


class Drawing:
    """Where everything stands."""

    def __init__(self, table: Table) -> None:
        self.names = [state.value for state in states_of(table)]
        found = edges(table)
        self.down = {edge.source: edge for edge in found if edge.target == edge.source + 1}
        self.beside = [edge for edge in found if edge.target != edge.source + 1]
        # The longest way takes the outermost lane, so that ways cross as little as may be.
        self.beside.sort(key=lambda edge: abs(edge.target - edge.source))
        widest = max((len(label) for edge in found for label in edge.labels), default=0)
        self.lanes = BOX + 16 + widest * LETTER + 10
        self.width = self.lanes + len(self.beside) * LANE + 6
        self.tops: list[float] = []
        self.heights: list[float] = []
        self.height = self._place()

    def _place(self) -> float:
        y = 4.0
        for index in range(len(self.names)):
            self.tops.append(y)
            leaving = sum(
                len(edge.labels) * LINE + 8 for edge in self.beside if edge.source == index
            )
            arriving = sum(12 for edge in self.beside if edge.target == index)
            self.heights.append(max(BOX_HEIGHT, leaving + arriving + 10))
            y += self.heights[-1]
            if index + 1 < len(self.names):
                edge = self.down.get(index)
                y += max(26, len(edge.labels) * LINE + 18) if edge else 18
        return y + 4

    def svg(self, title: str, description: str) -> str:
        """The whole as one element."""
        parts = [
            f'<svg class="states" role="img" viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}" '
            'xmlns="http://www.w3.org/2000/svg">',
            f"<title>{escape(title)}</title><desc>{escape(description)}</desc>",
        ]
        parts += self._ways()
        for index, name in enumerate(self.names):
            parts += self._box(index, name)
        return "".join([*parts, "</svg>"])

    def _box(self, index: int, name: str) -> list[str]:
        top, height = self.tops[index], self.heights[index]
        last = ' class="last"' if index == len(self.names) - 1 else ""
        parts = [
            f'<rect{last} x="1" y="{top}" width="{BOX}" height="{height}" rx="7"/>',
            f'<text class="state" x="{1 + BOX / 2}" y="{top + height / 2 + 5}">'
            f"{escape(name)}</text>",
        ]
        if edge := self.down.get(index):
            bottom, end = top + height, self.tops[index + 1]
            x = 1 + BOX / 2
            parts.append(f'<path d="M{x} {bottom}V{end - 7}"/>{arrow(x, end, "down")}')
            parts += labels(
                edge.labels, x + 12, bottom + (end - bottom - len(edge.labels) * LINE) / 2
            )
        return parts

    def _ways(self) -> list[str]:
        parts = []
        below = {index: top + 4 for index, top in enumerate(self.tops)}
        left = 1 + BOX
        out: dict[int, float] = {}
        for number, edge in enumerate(self.beside):
            y = below[edge.source] + len(edge.labels) * LINE + 4
            parts += labels(edge.labels, left + 8, y - 4 - len(edge.labels) * LINE)
            below[edge.source] = y + 4
            out[number] = y
        for number, edge in enumerate(self.beside):
            lane = self.lanes + number * LANE
            below[edge.target] += 10
            y, end = out[number], below[edge.target]
            parts.append(
                f'<path d="M{left} {y}H{lane}V{end}H{left + 7}"/>{arrow(left, end, "left")}'
            )
            below[edge.target] += 2
        return parts


def arrow(x: float, y: float, way: str) -> str:
    """A head whose point is at x, y."""
    shape = {"down": "l-4.5 -8h9z", "left": "l8 -4.5v9z"}[way]
    return f'<path class="head" d="M{x} {y}{shape}"/>'


def labels(lines: list[str], x: float, y: float) -> list[str]:
    """Lines of text whose first line's upper edge is at y."""
    return [
        f'<text x="{x:.1f}" y="{y + number * LINE + 12.5:.1f}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]


def as_table(table: Table) -> str:
    """The same in words, as Markdown."""
    rows = [
        f"| {source.value} | {event} | {target.value} |"
        for source, steps in table.items()
        for event, target in steps.items()
    ]
    return "\n".join(["| in | on | to |", "|---|---|---|", *rows])


class StateDiagram(SphinxDirective):
    """The picture of the table, and the table."""

    has_content = False
    option_spec = {  # noqa: RUF012 - docutils declares it so
        "title": directives.unchanged,
        "description": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Read the table when the page is read: it may have changed."""
        from driverref.runtime import (
            port_state,  # the package is the book's subject, not its builder
        )

        assert port_state.__file__ is not None
        self.env.note_dependency(port_state.__file__)
        table: Table = port_state.TRANSITIONS
        title = self.options.get("title", "The states of a port")
        description = self.options.get(
            "description", "The states below each other, with an arrow for each step between them."
        )
        picture = draw(table, title, description)
        below = self.parse_text_to_nodes(as_table(table))
        return figure("states-figure", picture, title, below, "The same as a table")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("state-diagram", StateDiagram)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
