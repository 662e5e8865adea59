"""The directive `{names}`: what is described, by section, as a list of links.

On a page that is split, the list has the pages below it: under the title of each page of the table
of contents stand the page's sections, and the names of each. What was an address on this page
before it was split is one still: in the HTML, the list has the ids that it links to.

On any other page the list has this page: a line for each section, with the functions and rules that
the section has. A method stands there without its class.

The list is made when all pages have been read (`resolve`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

from _ext.workshop import SAFE, BookDirective

NUMBERED = re.compile(r"id\d+")
"""An id that docutils has made up, which is no address."""


MEMBERS = {"method", "attribute", "property", "classmethod", "staticmethod"}


class Place(nodes.General, nodes.Element):
    """Where the list will stand."""


class Names(BookDirective):
    """The list of names."""

    def run(self) -> list[nodes.Node]:
        """Return the place of the list."""
        self.env.note_reread()  # made of other pages, so made anew in each build
        return [Place()]


class Page:
    """The list of one page that is described."""

    def __init__(self, builder: Builder, here: str, docname: str, taken: set[str]) -> None:
        self.builder = builder
        self.here = here
        self.docname = docname
        self.taken = taken
        """The ids that stand on this page already; for the HTML only, where addresses were used."""
        self.doctree = builder.env.get_doctree(docname)

    def listing(self) -> Iterator[nodes.Node]:
        """Yield the title, then the sections with their names."""
        top = next(self.doctree.findall(nodes.section))
        link = self.link("", nodes.strong("", top[0].astext()))
        yield nodes.paragraph("", "", *self.places(top), *self.names(top), link)
        whole = nodes.definition_list(classes=["names"])
        for section in top.findall(nodes.section):
            if section is not top:
                link = self.link(section["ids"][0], nodes.inline("", section[0].astext()))
                term = nodes.term("", "", *self.places(section), link)
                names = nodes.paragraph("", "", *self.names(section))
                whole += nodes.definition_list_item("", term, nodes.definition("", names))
        yield whole

    def names(self, section: nodes.section) -> Iterator[nodes.Node]:
        """Yield a link to each object that a section describes, after the ids at its place."""
        for node in own(section):
            if isinstance(node, addnodes.desc_signature):
                for anchor in node["ids"][:1]:
                    yield from self.places(node)
                    yield self.link(anchor, nodes.literal("", self.name(node)))
                    yield nodes.Text(" ")
            elif isinstance(node, nodes.Element):
                yield from self.places(node)

    def name(self, signature: addnodes.desc_signature) -> str:
        """Return the name of what a signature describes."""
        return str(signature.get("fullname") or signature.astext())

    def link(self, anchor: str, shown: nodes.Node) -> nodes.reference:
        """Return a link to a place of the page."""
        return make_refnode(self.builder, self.here, self.docname, anchor, shown)

    def places(self, node: nodes.Element) -> list[nodes.Node]:
        """Return the ids of a node as places of this page."""
        if self.builder.name not in {"html", "dirhtml"}:
            return []
        ids = [one for one in node["ids"] if one not in self.taken and not NUMBERED.fullmatch(one)]
        self.taken.update(ids)
        return [nodes.inline("", "", ids=[one]) for one in ids]


class ThisPage(Page):
    """The list of the page on which it stands: a line for each section, and no places."""

    def __init__(self, builder: Builder, here: str) -> None:
        super().__init__(builder, here, here, set())

    def listing(self) -> Iterator[nodes.Node]:
        """Yield the sections with their names. A section that has only sections has no line."""
        whole = nodes.definition_list(classes=["names", "names-here"])
        _, *sections = self.doctree.findall(nodes.section)
        for section in sections:
            names = [*self.names(section), *self.rules(section)]
            if names or not any(isinstance(child, nodes.section) for child in section.children):
                link = self.link(section["ids"][0], nodes.Text(section[0].astext()))
                listed = nodes.definition("", nodes.paragraph("", "", *names))
                whole += nodes.definition_list_item("", nodes.term("", "", link), listed)
        yield whole

    def rules(self, section: nodes.section) -> Iterator[nodes.Node]:
        """Yield a link to each rule of a section."""
        for node in own(section):
            if isinstance(node, nodes.container) and "rule" in node["classes"]:
                (anchor,) = node["ids"]
                yield self.link(anchor, nodes.literal("", anchor.removeprefix("rule-")))
                yield nodes.Text(" ")

    def name(self, signature: addnodes.desc_signature) -> str:
        """Return the name; that of a method or an attribute begins with its dot."""
        name = super().name(signature)
        member = signature.parent["objtype"] in MEMBERS
        return f".{name.rpartition('.')[2]}" if member else name

    def places(self, node: nodes.Element) -> list[nodes.Node]:
        """Return nothing: the ids stand at what the list leads to."""
        return []


def own(section: nodes.Element) -> Iterator[nodes.Node]:
    """Yield the nodes below a section that are in no section inside it."""
    for child in section.children:
        if not isinstance(child, nodes.section):
            yield child
            if isinstance(child, nodes.Element):
                yield from own(child)


def resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the list where its place is."""
    for place in list(doctree.findall(Place)):
        taken = {one for node in doctree.findall(nodes.Element) for one in node["ids"]}
        below = app.env.toctree_includes.get(docname, [])
        pages = [Page(app.builder, docname, name, taken) for name in below]
        listed = pages or [ThisPage(app.builder, docname)]
        place.replace_self([node for page in listed for node in page.listing()])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("names", Names)
    app.add_node(Place)
    app.connect("doctree-resolved", resolve)
    return SAFE
