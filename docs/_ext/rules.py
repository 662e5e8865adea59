"""The directives `{rule}` and `{rule-table}`, and the role {rule}`...`.

A rule shows its sentence, its id, and the number of its tests. The id links to the rule itself.
The number links to the page with the table, which lists each test with its file and line.

The rules and the tests are read once, when the build begins (`read_rules`), so a page can name a
rule of a page that Sphinx has not read yet. What is wrong with them is a warning of the build,
which `-W` turns into an error. Links are resolved when all pages have been read (`resolve`).
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util import logging
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

from _ext import pages, rulebook
from _ext.words import counted
from _ext.workshop import SAFE, BookDirective, link, page_link, row, table, texts

logger = logging.getLogger(__name__)

TABLE = "reference/rules"
"""The page with the table."""


def book_of(app: Sphinx) -> rulebook.Rulebook:
    """Return what was read when the build began."""
    book: rulebook.Rulebook = app.book_rules  # type: ignore[attr-defined]
    return book


def rule_link(rule_id: str) -> nodes.Node:
    """Return a link to a rule."""
    return link("rule", rule_id, nodes.inline(rule_id, rule_id, classes=["rule-id"]))


def tests_link(rule_id: str, text: str) -> nodes.Node:
    """Return a link to the list of a rule's tests."""
    return link("rule-tests", rule_id, nodes.inline(text, text, classes=["rule-tests"]))


class RuleDirective(BookDirective):
    """A sentence that the book claims to be true, and that tests check."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a box with the sentence, the id and the number of tests."""
        rule_id = self.arguments[0]
        self.depends_on(*Path(self.config.rule_tests).rglob("test_*.py"))
        rule = nodes.container(classes=["rule"], ids=[f"rule-{rule_id}"])
        self.set_source_info(rule)
        rule += self.parse_content_to_nodes()
        foot = nodes.paragraph(classes=["rule-foot"])
        foot += rule_link(rule_id)
        tests = book_of(self.env.app).tests(rule_id)
        if tests:
            foot += [nodes.Text(" "), tests_link(rule_id, counted(len(tests), "test"))]
        rule += foot
        return [rule]


class RuleTable(BookDirective):
    """Every rule of the book, then the tests of each."""

    def run(self) -> list[nodes.Node]:
        """Return the totals, the table of rules, and the list of tests."""
        self.env.note_reread()  # made of other pages and of the tests, so made anew in each build
        book = book_of(self.env.app)
        totals = nodes.paragraph("", rulebook.totals(book) + ".", classes=["rule-totals"])
        return [totals, self.table(book), *self.tests(book)]

    def table(self, book: rulebook.Rulebook) -> nodes.Node:
        """Return the table: id, sentence, page and number of tests of each rule."""
        head = row(*texts("rule", "says", "page", "tests"))
        whole, body = table("rule-table", (26, 50, 14, 10), head, row_heads=False)
        for rule in book.rules:
            page = pages.docname(rule.page, Path(self.env.srcdir))
            name = page.removesuffix("/index").rpartition("/")[2]
            count = len(book.tests(rule.id))
            tests = tests_link(rule.id, str(count)) if count else nodes.Text("none")
            body += row(
                nodes.paragraph("", "", rule_link(rule.id)),
                self.parse_text_to_nodes(rule.text),
                nodes.paragraph("", "", page_link(page, name)),
                nodes.paragraph("", "", tests),
            )
        return whole

    def tests(self, book: rulebook.Rulebook) -> list[nodes.Node]:
        """Return the list of tests, by rule; nothing if there are none."""
        terms = nodes.definition_list(classes=["rule-mentions"])
        for rule in book.rules:
            tests = book.tests(rule.id)
            if not tests:
                continue
            item = nodes.definition_list_item()
            item += nodes.term("", "", rule_link(rule.id), ids=[f"tests-{rule.id}"])
            item += nodes.definition("", nodes.bullet_list("", *map(self.test, tests)))
            terms += item
        return [nodes.rubric("", "The tests"), terms] if terms.children else []

    def test(self, test: rulebook.Mention) -> nodes.list_item:
        """Return the line of a test: its name, its file and its line."""
        top = Path(self.env.srcdir).resolve().parent
        place = nodes.Text(f" {test.path.relative_to(top).as_posix()}:{test.line}")
        return nodes.list_item(
            "", nodes.paragraph("", "", nodes.literal(test.test, test.test), place)
        )


def read_rules(app: Sphinx) -> None:
    """Read the rules and the tests that name them, and warn of every fault."""
    book = rulebook.read(Path(app.srcdir), Path(app.config.rule_tests))
    app.book_rules = book  # type: ignore[attr-defined]
    for fault in book.faults:
        where = f"{fault.path}:{fault.line}"
        logger.warning(fault.message, type="book", subtype="rule", location=where)


def resolve(
    app: Sphinx, _env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Return the reference to a rule or to its tests; None for a link of another kind."""
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
    app.setup_extension("_ext.workshop")
    app.add_config_value("rule_tests", "tests", "env", [str])
    app.add_directive("rule", RuleDirective)
    app.add_directive("rule-table", RuleTable)
    app.add_role("rule", XRefRole(warn_dangling=True, innernodeclass=nodes.inline))
    app.connect("builder-inited", read_rules)
    app.connect("missing-reference", resolve)
    return SAFE
