"""The directives `{rule}` and `{rule-list}`, and the role {rule}`...`.

A rule shows its sentence, its id, and the number of its tests. The id links to the rule itself.
The number links to the page with all rules, which lists each test with its file and line.

The rules and the tests are read once, when the build begins (`read_rules`), so a page can name a
rule of a page that Sphinx has not read yet. What is wrong with them is a warning of the build,
which `-W` turns into an error. Links are resolved when all pages have been read (`resolve`).
"""

from __future__ import annotations

from collections.abc import Sequence
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
from _ext.words import counted, plain
from _ext.workshop import LISTED, SAFE, BookDirective, dropdown, folded, link, page_link, raw

logger = logging.getLogger(__name__)

TABLE = "reference/rules"
"""The page with all rules."""

FILTER = """\
<p class="rule-filter" hidden="hidden"><input type="search" id="rule-filter"
placeholder="Filter: words, or a part of an id" aria-label="Filter the rules"/>
<span role="status"></span></p>"""
"""A field that `rules.js` shows. Without JavaScript it does nothing, so it is hidden."""


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


class RuleList(BookDirective):
    """Every rule of the book, folded page by page, each with its tests folded under it."""

    def run(self) -> list[nodes.Node]:
        """Return the totals, the field that filters, and a section for each page."""
        self.env.note_reread()  # made of other pages and of the tests, so made anew in each build
        book = book_of(self.env.app)
        totals = nodes.paragraph("", rulebook.totals(book) + ".", classes=["rule-totals"])
        found: dict[Path, list[rulebook.Rule]] = {}
        for rule in sorted(book.rules, key=lambda rule: "questions" not in rule.page.parts):
            found.setdefault(rule.page, []).append(rule)
        return [totals, raw(FILTER), *(self.rules_of(page, found[page]) for page in found)]

    def rules_of(self, page: Path, rules: Sequence[rulebook.Rule]) -> nodes.Node:
        """Return the section of a page, whose title links to the page: its rules, folded."""
        name = pages.docname(page, Path(self.env.srcdir))
        anchor = f"rules-of-{name.removesuffix('/index').replace('/', '-')}"
        section = nodes.section(ids=[anchor], classes=[LISTED])
        self.set_source_info(section)
        title = plain(pages.card(page).title)
        section += nodes.title(title, "", page_link(name, title))
        listed = nodes.definition_list("", *map(self.item, rules), classes=["rules", LISTED])
        section += dropdown(rulebook.title(len(rules)), [listed])
        return section

    def item(self, rule: rulebook.Rule) -> nodes.definition_list_item:
        """Return a rule: its id, its sentence and its tests."""
        tests = book_of(self.env.app).tests(rule.id)
        term = nodes.term("", "", rule_link(rule.id), ids=[f"tests-{rule.id}"])
        says = nodes.definition("", *self.parse_text_to_nodes(rule.text))
        if tests:
            listed = nodes.bullet_list("", *map(self.test, tests))
            says += folded(counted(len(tests), "test"), [listed])
        return nodes.definition_list_item("", term, says)

    def test(self, test: rulebook.Mention) -> nodes.list_item:
        """Return the line of a test: its name, its file and its line."""
        top = Path(self.env.srcdir).resolve().parent
        place = nodes.Text(f" {test.path.relative_to(top).as_posix()}:{test.line}")
        return nodes.list_item(
            "", nodes.paragraph("", "", nodes.literal(test.test, test.test), place)
        )


def filtered(
    app: Sphinx, page: str, _template: str, _context: dict[str, object], _doctree: object
) -> None:
    """Load the script that filters, on the page that has all rules."""
    if page == TABLE:
        app.add_js_file("rules.js")


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
    app.add_directive("rule-list", RuleList)
    app.add_role("rule", XRefRole(warn_dangling=True, innernodeclass=nodes.inline))
    app.connect("builder-inited", read_rules)
    app.connect("missing-reference", resolve)
    app.connect("html-page-context", filtered)
    return SAFE
