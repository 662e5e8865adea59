"""The directives `{rule}` and `{rule-table}`, and the role {rule}`...`.

A rule shows its sentence, its id and the number of its tests. The id is the rule's address; the
number leads to the page with the table, where each test stands with file and line. The table is
made of what `rulebook` read when the build began, so each page can be written without waiting
for the others. A fault of the rulebook is a warning of the build, which `-W` turns into a
failure.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

from . import pages, rulebook

logger = logging.getLogger(__name__)

TABLE = "reference/rules"
"""The page that has the table."""


def book_of(app: Sphinx) -> rulebook.Rulebook:
    """What was read when the build began."""
    book: rulebook.Rulebook = app.book_rules  # type: ignore[attr-defined]
    return book


def reference(target: str, kind: str, text: str, css: str) -> nodes.Node:
    """A link to a rule (`kind` is `rule`) or to its tests (`rule-tests`)."""
    shown = nodes.inline(text, text, classes=[css])
    return addnodes.pending_xref(
        "", shown, reftype=kind, refdomain="", reftarget=target, refexplicit=True, refwarn=True
    )


class RuleDirective(SphinxDirective):
    """A sentence that is claimed to be true, and tested."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """A box with the sentence and its id."""
        rule_id = self.arguments[0]
        for path in Path(self.config.rule_tests).rglob("test_*.py"):
            self.env.note_dependency(str(path))
        rule = nodes.container(classes=["rule"], ids=[f"rule-{rule_id}"])
        self.set_source_info(rule)
        rule += self.parse_content_to_nodes()
        foot = nodes.paragraph(classes=["rule-foot"])
        foot += reference(rule_id, "rule", rule_id, "rule-id")
        tests = book_of(self.env.app).tests(rule_id)
        if tests:
            foot += nodes.Text(" ")
            foot += reference(
                rule_id, "rule-tests", rulebook.many(len(tests), "test"), "rule-tests"
            )
        rule += foot
        return [rule]


class RuleTable(SphinxDirective):
    """Every rule of the book, then every test that names one."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """The totals, the table, the tests."""
        self.env.note_reread()  # it is made of other pages and of the tests
        book = book_of(self.env.app)
        totals = nodes.paragraph("", rulebook.totals(book) + ".", classes=["rule-totals"])
        return [totals, self._table(book), *self._tests(book)]

    def _table(self, book: rulebook.Rulebook) -> nodes.Node:
        table = nodes.table(classes=["rule-table"])
        group = nodes.tgroup(cols=4)
        table += group
        group += [nodes.colspec(colwidth=width) for width in (26, 50, 14, 10)]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        head += row(*(nodes.paragraph("", text) for text in ("rule", "says", "page", "tests")))
        for rule in book.rules:
            page = pages.docname(rule.page, Path(self.env.srcdir))
            link = addnodes.pending_xref(
                "",
                nodes.inline("", page.removesuffix("/index").rpartition("/")[2]),
                reftype="doc",
                refdomain="std",
                reftarget=f"/{page}",
                refexplicit=True,
                refwarn=True,
            )
            count = len(book.tests(rule.id))
            tests = reference(rule.id, "rule-tests", str(count), "rule-tests") if count else "none"
            body += row(
                nodes.paragraph("", "", reference(rule.id, "rule", rule.id, "rule-id")),
                self.parse_text_to_nodes(rule.text),
                nodes.paragraph("", "", link),
                nodes.paragraph("", "", nodes.Text(tests) if isinstance(tests, str) else tests),
            )
        return table

    def _tests(self, book: rulebook.Rulebook) -> list[nodes.Node]:
        top = book_root(self.env.app)
        terms = nodes.definition_list(classes=["rule-mentions"])
        for rule in book.rules:
            tests = book.tests(rule.id)
            if not tests:
                continue
            item = nodes.definition_list_item()
            name = reference(rule.id, "rule", rule.id, "rule-id")
            item += nodes.term("", "", name, ids=[f"tests-{rule.id}"])
            listed = nodes.bullet_list()
            for test in tests:
                name = nodes.literal(test.test, test.test)
                place = f" {test.path.relative_to(top).as_posix()}:{test.line}"
                entry = nodes.list_item("", nodes.paragraph("", "", name, nodes.Text(place)))
                listed += entry
            item += nodes.definition("", listed)
            terms += item
        return [nodes.rubric("", "The tests"), terms] if terms.children else []


def row(*cells: list[nodes.Node] | nodes.Node) -> nodes.row:
    """A row of a table."""
    contents = (cell if isinstance(cell, list) else [cell] for cell in cells)
    return nodes.row("", *(nodes.entry("", *content) for content in contents))


def book_root(app: Sphinx) -> Path:
    """The folder that has `docs` and `tests`."""
    return Path(app.srcdir).resolve().parent


def read_rules(app: Sphinx) -> None:
    """Read pages and tests; tell what is wrong."""
    book = rulebook.read(Path(app.srcdir), Path(app.config.rule_tests))
    app.book_rules = book  # type: ignore[attr-defined]
    for fault in book.faults:
        logger.warning(
            fault.message, type="book", subtype="rule", location=f"{fault.path}:{fault.line}"
        )


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """The address of a rule or of its tests."""
    rule_id = node["reftarget"]
    kind = node["reftype"]
    rule = book_of(app).find(rule_id) if kind in {"rule", "rule-tests"} else None
    if rule is None:
        return None
    if kind == "rule":
        page, anchor = pages.docname(rule.page, Path(app.srcdir)), rule.anchor
    else:
        page, anchor = TABLE, f"tests-{rule_id}"
    return make_refnode(app.builder, node["refdoc"], page, anchor, content, rule.text)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_config_value("rule_tests", "tests", "env", [str])
    app.add_directive("rule", RuleDirective)
    app.add_directive("rule-table", RuleTable)
    app.add_role("rule", XRefRole(warn_dangling=True, innernodeclass=nodes.inline))
    app.connect("builder-inited", read_rules)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
