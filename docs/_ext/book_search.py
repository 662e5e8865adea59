"""The book's own search: its index, and the pages that Sphinx does not make as the book needs them.

Sphinx's search fetches each page that it has found, which a browser refuses to do from file://, and
it counts only whether a word occurs. So Sphinx's is left out (`own_search`). When the build ends,
`write` puts an index into the built book: a script, because a script can be loaded from file://.
`docs/_static/search.js` ranks with it, in the browser and in the tests.

What can be found are *entries* (`Entry`): each section, each object of the reference, each rule,
each term of the glossary. They are read from the pages as Sphinx has parsed them (`entries`).

Words that a reader may search for and that the text does not have stand in a `div` of class
`words`, or in an `index` directive. `Words` puts those of a `div` into the index of subjects too.

A page with `nosearch: true` in its front matter, which is Sphinx's own, is found by titles alone.

`own_pages` makes the search page and `404.html`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata

from _ext.words import plain
from _ext.workshop import LISTED, SAFE

INDEX = "search-index.js"
"""The name of the index, in the folder `_static` of the built book."""

BUILDERS = {"html", "dirhtml"}
"""The builders whose book has a search: a file for each page."""

IDENTIFIER = re.compile(r"[A-Za-z]\w*(?:\.\w+)*")
NAME = re.compile(r"[_.]|[a-z][A-Z]")
"""What an identifier has that is more than a word: code and its comments have many words."""
HIDDEN = (nodes.literal_block, nodes.raw, nodes.comment, nodes.Invisible, addnodes.toctree)
OWN_ENTRY = (nodes.section, addnodes.desc, addnodes.glossary)
"""What is an entry, or consists of entries, so that the section around it has not got its text."""


class Entry(NamedTuple):
    """Something that can be found. The index has a list of these fields for each."""

    anchor: str
    kind: str
    """`page` (the page down to its first section), `section`, `name` (an object of the reference),
    `rule` or `term`.
    """
    title: str
    """The heading; the full name of an object; the id of a rule; the term."""
    words: str
    """Words to search for that the text need not have, with ` · ` between them."""
    text: str
    """Its sentences, one in a line."""
    code: str
    """Names that its code has and its text has not."""


def entries(doctree: nodes.document, docname: str) -> Iterator[Entry]:
    """Yield the entries of a page, in order."""
    top = True
    for node in doctree.findall():
        if isinstance(node, nodes.section) and LISTED not in node["classes"]:
            words = [*own_words(node), *[name_of(docname)] * top]
            kind = "page" if top else "section"
            top = False
            yield entry(node, node["ids"][0], kind, node[0].astext(), words)
        elif isinstance(node, addnodes.desc):
            signatures = [s for s in node.findall(addnodes.desc_signature) if s.parent is node]
            for signature in signatures:
                if signature["ids"]:
                    name = signature.get("fullname") or signature.astext()
                    yield entry(node, signature["ids"][0], "name", name, [])
        elif isinstance(node, nodes.container) and "rule" in node["classes"]:
            rule_id = node["ids"][0]
            yield entry(node, rule_id, "rule", rule_id.removeprefix("rule-"), [])
        elif isinstance(node, addnodes.glossary):
            for item in node.findall(nodes.definition_list_item):
                for term in item.findall(nodes.term):
                    yield entry(item, term["ids"][0], "term", term.astext(), [])


def entry(node: nodes.Element, anchor: str, kind: str, title: str, words: list[str]) -> Entry:
    """Return the entry of a node."""
    text = "\n".join(lines(node))
    known = set(IDENTIFIER.findall(text))
    code = {
        name
        for block in own(node)
        if isinstance(block, nodes.literal_block)
        for name in IDENTIFIER.findall(block.astext())
        if NAME.search(name)
    }
    return Entry(anchor, kind, title, " · ".join(words), text, " ".join(sorted(code - known)))


def own(node: nodes.Element) -> Iterator[nodes.Node]:
    """Yield the nodes below a node that belong to it and to no entry inside it."""
    for child in node.children:
        yield child
        if isinstance(child, nodes.Element) and not isinstance(child, OWN_ENTRY):
            yield from own(child)


def lines(node: nodes.Element) -> Iterator[str]:
    """Yield the lines of a node's own text."""
    for child in node.children:
        if isinstance(child, (*OWN_ENTRY, *HIDDEN, nodes.title, addnodes.desc_signature)):
            continue
        if isinstance(child, nodes.term) and child["ids"]:
            continue  # the title of its own entry
        if isinstance(child, nodes.TextElement):
            if "rule-foot" not in child["classes"]:
                yield from filter(None, map(str.strip, child.astext().splitlines()))
        elif isinstance(child, nodes.Element) and not {"words", LISTED}.intersection(
            child["classes"]
        ):
            yield from lines(child)


def own_words(node: nodes.Element) -> Iterator[str]:
    """Yield the words that a section is to be found by."""
    for child in own(node):
        if isinstance(child, nodes.container) and "words" in child["classes"]:
            yield from listed_words(child)
        elif isinstance(child, addnodes.index):
            # Those of objects of the reference have the object's own id.
            yield from (e[1] for e in child["entries"] if re.fullmatch(r"index-\d+", e[2]))


def listed_words(box: nodes.Element) -> Iterator[str]:
    """Yield the words in a `div` of class `words`: ` · ` stands between them."""
    yield from filter(None, (word.strip() for word in box.astext().split("·")))


def name_of(docname: str) -> str:
    """Return the last part of a page's name, which is the folder's if the page is its index."""
    return docname.removesuffix("/index").rpartition("/")[2]


class Words(SphinxTransform):
    """Puts the words of a section into the index of subjects."""

    default_priority = 800  # before the index is collected

    def apply(self, **_: Any) -> None:
        """Give each `div` of class `words` its entries."""
        for box in list(self.document.findall(nodes.container)):
            if "words" not in box["classes"]:
                continue
            section = box.parent
            while not isinstance(section, nodes.section):
                section = section.parent
            found = [("single", word, section["ids"][0], "", None) for word in listed_words(box)]
            box.parent.insert(box.parent.index(box), addnodes.index(entries=found))


def own_search(app: Sphinx) -> None:
    """Leave out Sphinx's search: its index, its page, and what it marks on the page that is found.

    Its script marks words also inside of an SVG, where it fails.
    """
    if app.builder.name in BUILDERS:
        app.builder.search = False  # type: ignore[attr-defined]


def without_marks(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Leave out the script that marks words, which Sphinx gives each page."""
    if app.builder.name in BUILDERS:
        scripts = context.get("script_files", [])
        context["script_files"] = [s for s in scripts if "sphinx_highlight" not in str(s)]


def own_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the pages that are made of no source: name, context, template."""
    if app.builder.name in BUILDERS:
        context = {"ways": list(ways(app)), "html_baseurl": app.config.html_baseurl}
        yield "search", context | {"title": "Search"}, "search.html"
        yield "404", context | {"title": "This page does not exist"}, "404.html"


def ways(app: Sphinx) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the parts of the book: the caption, and of each page its address and title."""
    root = app.config.root_doc
    for tree in app.env.get_doctree(root).findall(addnodes.toctree):
        yield tree.get("caption") or "", [page_of(app, name) for name in tree["includefiles"]]


def page_of(app: Sphinx, docname: str) -> tuple[str, str]:
    """Return the address of a page, from the top of the book, and its title."""
    return app.builder.get_target_uri(docname), app.env.titles[docname].astext()


def write(app: Sphinx, failed: Exception | None) -> None:
    """Write the index into the built book."""
    if failed is None and app.builder.name in BUILDERS:
        script = f"const BOOK = {json.dumps(index(app), ensure_ascii=False)};\n"
        script = script.replace("\u2028", " ").replace("\u2029", " ")
        (Path(app.outdir) / "_static" / INDEX).write_text(script, "utf-8")


def index(app: Sphinx) -> dict[str, list[list[Any]]]:
    """Return the index: of each page its address and title, of each entry its page and fields."""
    found: list[list[Any]] = []
    shown: list[list[Any]] = []
    for docname in sorted(app.env.found_docs):
        metadata = app.env.metadata[docname]
        titles_alone = metadata.get("nosearch")
        for one in entries(app.env.get_doctree(docname), docname):
            summary = metadata.get("summary", "") if one.kind == "page" else ""
            kept = one._replace(text="", code="") if titles_alone else one
            text = "\n".join(filter(None, [plain(summary), kept.text]))
            found.append([len(shown), *kept._replace(text=text)])
        shown.append(list(page_of(app, docname)))
    return {"pages": shown, "entries": found}


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_transform(Words)
    app.connect("builder-inited", own_search)
    app.connect("html-collect-pages", own_pages)
    app.connect("html-page-context", without_marks)
    app.connect("build-finished", write)
    return SAFE
