"""The directive `{state-diagram}`: a port's states, drawn from the table that the runtime uses.

The states are drawn below each other, in the order of their enumeration. A step to the next state
is an arrow between the two, with its events beside it. Every other step (over a state, back, or to
the same state) leaves its state to the right, under its events, and goes down or up in a lane of
its own. So each event has a line to itself whatever the table contains, and the picture is narrow
enough for a phone.

The way through the file: `edges` collects the arrows of a table, `Drawing` places the boxes and
the lanes and writes the SVG, and `as_table` gives the same steps as a Markdown table.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from enum import Enum
from html import escape
from typing import ClassVar, NamedTuple, TypeVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from _ext.workshop import SAFE, BookDirective, figure
from driverref.runtime.port_state import TRANSITIONS

State = TypeVar("State", bound=Enum)
Table = Mapping[State, Mapping[str, State]]
"""For each state, the next state for each event."""

# Lengths in pixels.
LINE = 17
"""The height of a line of text."""
LETTER = 6.9
"""The width of a letter, at most."""
BOX = 104
"""The width of a state's box."""
BOX_HEIGHT = 34
"""The height of a state's box, at least."""
LANE = 13
"""The distance between two lanes."""

LABEL = 26
"""The letters in a line of a label, at most."""


class Edge(NamedTuple):
    """The arrow from one state to another, for all events that lead there."""

    source: int
    """A state's place in the enumeration, from 0."""
    target: int
    labels: list[str]
    """The names of the events, as lines of text."""


def states_of(table: Table[State]) -> list[State]:
    """Return the states, in the order of their enumeration."""
    return list(type(next(iter(table))))


def edges(table: Table[State]) -> list[Edge]:
    """Return the arrows of a table, one for each pair of states."""
    order = states_of(table)
    pairs: dict[tuple[int, int], list[str]] = {}
    for source, steps in table.items():
        for event, target in steps.items():
            lines = textwrap.wrap(event, LABEL, subsequent_indent="  ")
            pairs.setdefault((order.index(source), order.index(target)), []).extend(lines)
    return [Edge(source, target, labels) for (source, target), labels in sorted(pairs.items())]


def draw(table: Table[State], title: str, description: str) -> str:
    """Return the picture as an `<svg>` element, with what a screen reader says of it."""
    return Drawing(table).svg(title, description)


class Drawing:
    """A picture: first every place is computed, then `svg` writes the elements."""

    def __init__(self, table: Table[State]) -> None:
        self.names = [state.value for state in states_of(table)]
        found = edges(table)
        self.down = {edge.source: edge for edge in found if edge.target == edge.source + 1}
        self.beside = [edge for edge in found if edge.target != edge.source + 1]
        # The longest step gets the outermost lane, so that few lines cross.
        self.beside.sort(key=lambda edge: abs(edge.target - edge.source))
        widest = max((len(label) for edge in found for label in edge.labels), default=0)
        self.lanes = BOX + 16 + widest * LETTER + 10
        self.width = self.lanes + len(self.beside) * LANE + 6
        self.tops: list[float] = []
        self.heights: list[float] = []
        self.height = self._place()

    def _place(self) -> float:
        """Set the top and the height of each box, and return the height of the picture.

        A box is as high as the labels and the arrows at its right side need.
        """
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
        """Return the picture."""
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
        """Return a state's box, and the arrow down to the next one if there is such a step."""
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
        """Return the other arrows. At a box, those that leave come above those that arrive."""
        parts = []
        # For each box, down to where its right side is taken.
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
    """Return the head of an arrow, with its point at x, y."""
    shape = {"down": "l-4.5 -8h9z", "left": "l8 -4.5v9z"}[way]
    return f'<path class="head" d="M{x} {y}{shape}"/>'


def labels(lines: list[str], x: float, y: float) -> list[str]:
    """Return lines of text; the upper edge of the first line is at y."""
    return [
        f'<text x="{x:.1f}" y="{y + number * LINE + 12.5:.1f}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]


def as_table(table: Table[State]) -> str:
    """Return the steps as a Markdown table."""
    rows = [
        f"| {source.value} | {event} | {target.value} |"
        for source, steps in table.items()
        for event, target in steps.items()
    ]
    return "\n".join(["| in | on | to |", "|---|---|---|", *rows])


class StateDiagram(BookDirective):
    """The picture of the port's states, and the table of its steps."""

    option_spec: ClassVar[OptionSpec] = {
        "title": directives.unchanged,
        "description": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Return the picture, with the table folded below it."""
        self.depends_on_package()
        title = self.options.get("title", "The states of a port")
        description = self.options.get(
            "description", "The states below each other, with an arrow for each step between them."
        )
        picture = draw(TRANSITIONS, title, description)
        below = self.parse_text_to_nodes(as_table(TRANSITIONS))
        return [figure("states-figure", picture, title, below, "The same as a table")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("state-diagram", StateDiagram)
    return SAFE
