"""The directive `{timeline}`: the picture of what the page's own code just did.

It runs the page's blocks down to its own place, in order and in one namespace, and draws the
trace as it is at that moment. Each block runs once a build: a second timeline goes on where the
first one stopped, and what no timeline asked for runs when the page has been read, so that
every page with a timeline is run to its end. An example whose output is not what the page shows
fails the build, with its line.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from . import pages

if TYPE_CHECKING:
    from driverref.trace import Trace

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[2] / "driverref"


class Timeline(SphinxDirective):
    """A trace as a picture and as text."""

    has_content = False
    option_spec = {  # noqa: RUF012 - docutils declares it so
        "title": directives.unchanged_required,
        "description": directives.unchanged_required,
        "trace": directives.unchanged_required,
        "events": directives.unchanged_required,
        "last-block": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """The picture, and the same events below it."""
        for path in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(path))
        if missing := {"title", "description"} - set(self.options):
            raise self.error(f"timeline needs :{min(missing)}: for those who do not see it")
        try:
            trace = self._trace()
        except pages.Failed as failure:
            where = f"{self.env.doc2path(self.env.docname)}:{failure.line}"
            logger.warning("%s", failure, type="book", subtype="example", location=where)
            return []
        except Exception as error:
            raise self.error(f"timeline cannot be drawn: {error!r}") from error
        return self._draw(trace)

    def _trace(self) -> Trace:
        run = run_of(self.env.temp_data, Path(self.env.doc2path(self.env.docname)))
        expression = self.options.get("trace", "erl.trace")
        temp: Any = self.env.temp_data
        marks: dict[str, tuple[int, int]] = temp.setdefault("timeline_marks", {})
        if run.before_last(self.lineno):
            marks.clear()
            marks[expression] = mark(run, expression)
        run.until(self.lineno)
        trace = cast("Trace", eval(expression, run.namespace))
        if "last-block" in self.options:
            of, length = marks.get(expression, (0, 0))
            trace = trace[length if of == id(trace) else 0 :]
        if "events" in self.options:
            trace = trace.select(*self.options["events"].split())
        if not len(trace):
            raise ValueError("the trace is empty")
        return trace[:]

    def _draw(self, trace: Trace) -> list[nodes.Node]:
        from driverref import timeline  # the package is the book's subject, not its builder

        title, description = self.options["title"], self.options["description"]
        picture = timeline.svg(trace, title=title, description=description)
        return figure(
            "timeline", picture, title, [literal(timeline.text(trace))], "The same as text"
        )


def mark(run: pages.Run, expression: str) -> tuple[int, int]:
    """Which trace there is and how long it is, before a block runs."""
    try:
        trace = eval(expression, run.namespace)
    except (NameError, AttributeError):
        return 0, 0
    return id(trace), len(trace)


def run_of(temp_data: Any, page: Path) -> pages.Run:  # Sphinx: a dict or a class like one
    """The page's only run of this build."""
    if "timeline_run" not in temp_data:
        temp_data["timeline_run"] = pages.Run(page)
    return cast("pages.Run", temp_data["timeline_run"])


def literal(text: str) -> nodes.literal_block:
    """Text as it is, without colours."""
    block = nodes.literal_block(text, text, classes=["as-text"])
    block["language"] = "text"
    return block


def figure(
    kind: str, svg: str, title: str, below: list[nodes.Node], summary: str
) -> list[nodes.Node]:
    """An inline picture with its title and, folded under it, the same in words."""
    if not re.search(r"<svg[^>]*>", svg):
        raise ValueError(f"{kind}: not a picture: {svg[:60]!r}")
    focusable = f'tabindex="0" role="group" aria-label="{escape(title)}"'
    box = nodes.container(classes=["picture", kind])
    box += nodes.paragraph(title, title, classes=["picture-title"])
    box += nodes.raw("", f'<div class="picture-scroll" {focusable}>{svg}</div>', format="html")
    box += nodes.raw("", f"<details><summary>{summary}</summary>", format="html")
    box += below
    box += nodes.raw("", "</details>", format="html")
    return [box]


def finish(app: Sphinx, doctree: nodes.document) -> None:
    """Run what no timeline asked for."""
    run: pages.Run | None = app.env.temp_data.get("timeline_run")
    if run is None or run.failed:
        return
    try:
        run.finish()
    except pages.Failed as failure:
        where = f"{app.env.doc2path(app.env.docname)}:{failure.line}"
        logger.warning("%s", failure, type="book", subtype="example", location=where)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("timeline", Timeline)
    app.connect("doctree-read", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
