"""The directive `{timeline}`: the picture of what the page's examples have just done.

It draws the trace of the emulator as it is at the directive's own place. A second timeline of a
page goes on where the first one stopped: the examples between the two have run in the meantime.

`:trace:` is the Python expression that gives the trace, `erl.trace` if it is not given;
`:events:` chooses events by name, and `:last-block:` draws only what the block of examples right
above has added. For this the length of the trace is noted before that block runs.
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from _ext import pages
from _ext.games import Examples
from _ext.workshop import SAFE, ExampleDirective, figure, literal
from driverref import timeline
from driverref.trace import Trace

Mark = tuple[int, int]
"""Which trace there was before a block ran, by `id`, and its length."""


class Timeline(ExampleDirective):
    """A trace as a picture and as text."""

    option_spec: ClassVar[OptionSpec] = {
        **ExampleDirective.option_spec,
        "trace": directives.unchanged_required,
        "last-block": directives.flag,
    }

    def show(self, run: pages.Run) -> list[nodes.Node]:
        """Return the picture, with the same events as text below it."""
        trace = self.chosen(self.trace(run), "the trace")
        title, description = self.options["title"], self.options["description"]
        sources = Examples(self.page)
        picture = timeline.svg(trace, title=title, description=description, sources=sources)
        text = literal(timeline.text(trace, notes=True))
        return [figure("timeline", picture, title, [text], "The same as text")]

    def trace(self, run: pages.Run) -> Trace:
        """Return the whole trace, or what the last block has added to it."""
        expression = self.options.get("trace", "erl.trace")
        marks = self.marks()
        # Otherwise a timeline at the same place has run the last block, and left its mark.
        if run.before_last(self.lineno):
            marks.clear()
            marks[expression] = mark(run, expression)
        trace = self.value(run, expression)
        if not isinstance(trace, Trace):
            raise TypeError(f"{expression} is not a trace: {trace!r}")
        if "last-block" not in self.options:
            return trace
        identity, length = marks.get(expression, (0, 0))
        # The block may have made a new trace, under the name of an old one.
        return trace[length if identity == id(trace) else 0 :]

    def marks(self) -> dict[str, Mark]:
        """Return the marks from before the last block, by expression."""
        known: dict[str, Mark] | None = self.env.current_document.get("timeline_marks")
        if known is None:
            known = self.env.current_document["timeline_marks"] = {}
        return known


def mark(run: pages.Run, expression: str) -> Mark:
    """Return the mark of the expression's trace; `(0, 0)` if there is no trace yet."""
    try:
        trace = eval(expression, run.namespace)
    except (NameError, AttributeError):
        return 0, 0
    return id(trace), len(trace)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("timeline", Timeline)
    return SAFE
