"""The directive `{otp-suites}`: which test retells which case of OTP's test suites.

It shows the counts of each suite, and then a folded table for each: the case, and the tests that
retell it or the reason why none does. A fault of the list of cases is a warning of the build.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

from _ext import otp_cases
from _ext.marks import Mark
from _ext.words import counted
from _ext.workshop import SAFE, BookDirective, dropdown, row, table, texts

logger = logging.getLogger(__name__)


class OtpSuites(BookDirective):
    """Every case of the suites."""

    def run(self) -> list[nodes.Node]:
        """Return the totals, the counts of each suite, and a table for each."""
        tests = Path(self.config.rule_tests)
        self.depends_on(tests / otp_cases.FILE, *(tests / otp_cases.FILE).parent.glob("test_*.py"))
        suites = otp_cases.read(tests)
        for fault in suites.faults:
            logger.warning("%s", fault, type="book", subtype="otp", location=self.get_location())
        shown: list[nodes.Node] = [nodes.paragraph("", otp_cases.in_words(suites))]
        shown.append(self.counts(suites))
        for name, cases in suites.cases.items():
            shown.append(self.suite(name, cases))
        return shown

    def counts(self, suites: otp_cases.Suites) -> nodes.Node:
        """Return the table of counts, which leads to each suite."""
        whole, body = table("", (40, 20, 20, 20), row(*texts("suite", "retold", "not", "tests")))
        for name, cases in suites.cases.items():
            numbers = texts(*map(str, otp_cases.totals(cases)))
            to = nodes.reference("", "", nodes.literal(name, name), refid=nodes.make_id(name))
            body += row(nodes.paragraph("", "", to), *numbers)
        return whole

    def suite(self, name: str, cases: list[otp_cases.Case]) -> nodes.section:
        """Return the section of one suite, with its table folded."""
        section = nodes.section("", ids=[nodes.make_id(name)], names=[name.lower()])
        section += nodes.title("", "", nodes.literal(name, name))
        whole, body = table("otp-cases", (30, 70), row(*texts("case", "test, or why not")))
        for case in cases:
            said: list[nodes.Node] = [*map(self.test, case.tests)]
            if case.remark or case.why_not:
                said.append(self.parse_text_to_nodes(case.remark or case.why_not)[0])
            body += row(nodes.paragraph("", "", nodes.literal(case.name, case.name)), said)
        title = f"{counted(len(cases), 'case')}, each with its tests or a reason"
        section += dropdown(title, [whole])
        return section

    def test(self, mark: Mark) -> nodes.paragraph:
        """Return the line of a test: its name, its file and its line."""
        top = Path(self.env.srcdir).resolve().parent
        place = nodes.Text(f" {mark.path.relative_to(top).as_posix()}:{mark.line}")
        return nodes.paragraph("", "", nodes.literal(mark.test, mark.test), place)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.rules")
    app.add_directive("otp-suites", OtpSuites)
    return SAFE
