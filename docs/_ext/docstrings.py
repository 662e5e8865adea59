"""Docstrings in Markdown: autodoc takes them for reStructuredText, and MyST has to parse them.

`wrap` makes each docstring the content of a directive of reStructuredText, `markdown`, and the
directive gives its content to MyST. In a docstring, examples may be without a fence, as `doctest`
has them. Markdown would read their prompts as quotations, so `fenced` puts a fence around them.
"""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from _ext.workshop import SAFE


class Markdown(SphinxDirective):
    """The directive `markdown` of reStructuredText: its content is Markdown."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the nodes that MyST makes of the content."""
        document = new_document(str(self.get_source_info()[0]), self.state.document.settings)
        document.reporter = self.state.document.reporter
        MystParser().parse("\n".join(self.content), document)
        return document.children


def fenced(lines: list[str]) -> Iterator[str]:
    """Yield the lines, with a fence around examples that have none."""
    inside = example = False
    for line in lines:
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and not example and line.startswith(">>> "):
            example = True
            yield "```python"
        elif example and not line.strip():
            example = False
            yield "```"
        yield line
    if example:
        yield "```"


def wrap(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Make a docstring, in place, the content of a `markdown` directive."""
    if any(lines):
        lines[:] = [".. markdown::", "", *(f"   {line}".rstrip() for line in fenced(lines)), ""]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", wrap)
    return SAFE
