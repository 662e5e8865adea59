"""The rules of the book and the tests that name them, read from their sources.

A rule is a ```` ```{rule} some.id ```` block of a page. A test names it with
`@pytest.mark.rule("some.id")`. `page_rules` finds the first with markdown-it, `file_mentions` the
second with `marks`, and `check` compares the two. Nothing is imported or run, so the build of the
book and the test of the rules (`tests/docs/test_rules.py`) can use the same functions.

A page's examples are not counted as tests: an example shows one run, and a rule is about every run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from _ext import pages
from _ext.marks import read_marks, string
from _ext.words import counted

ID = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Rule(NamedTuple):
    """A sentence that the book claims to be true."""

    id: str
    text: str
    page: Path
    line: int

    @property
    def anchor(self) -> str:
        """The id of the rule's box in the HTML of its page."""
        return f"rule-{self.id}"


class Mention(NamedTuple):
    """A test that names a rule."""

    id: str
    test: str
    """The test's name, with its class where it has one."""
    path: Path
    line: int


class Fault(NamedTuple):
    """Something that makes the table of rules wrong."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Rulebook(NamedTuple):
    """All rules, all tests that name one, and what is wrong with them."""

    rules: list[Rule]
    """In the order of the book."""
    mentions: list[Mention]
    faults: list[Fault]

    def tests(self, rule_id: str) -> list[Mention]:
        """Return the tests that name a rule."""
        return [mention for mention in self.mentions if mention.id == rule_id]

    def find(self, rule_id: str) -> Rule | None:
        """Return the rule with this id, or None."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


def read(docs: Path, tests: Path) -> Rulebook:
    """Read the rules below `docs` and the tests below `tests`, and compare them."""
    faults: list[Fault] = []
    rules = [rule for page in pages.pages(docs) for rule in page_rules(page)]
    mentions = [
        mention
        for path in sorted(tests.rglob("test_*.py"))
        for mention in file_mentions(path, faults)
    ]
    faults += check(rules, mentions)
    return Rulebook(rules, mentions, sorted(faults))


def page_rules(page: Path) -> list[Rule]:
    """Return the rules of one page, in order."""
    return [
        Rule(fence.argument, fence.content.strip(), page, fence.line)
        for fence in pages.fences(page.read_text("utf-8"))
        if fence.directive == "rule"
    ]


def check(rules: list[Rule], mentions: list[Mention]) -> Iterator[Fault]:
    """Yield what is wrong: bad ids, ids used twice, rules without a test, tests without a rule."""
    tested = {mention.id for mention in mentions}
    first: dict[str, Rule] = {}
    for rule in rules:
        if not ID.fullmatch(rule.id):
            message = (
                f"rule id {rule.id!r} must be lower-case words joined by dots, as in key.order"
            )
            yield Fault(rule.page, rule.line, message)
        elif rule.id in first:
            there = first[rule.id]
            message = f"rule {rule.id} stands twice, first at {there.page}:{there.line}"
            yield Fault(rule.page, rule.line, message)
        elif rule.id not in tested:
            yield Fault(rule.page, rule.line, f"rule {rule.id} has no test: none names it")
        if not rule.text:
            yield Fault(rule.page, rule.line, f"rule {rule.id} says nothing")
        first.setdefault(rule.id, rule)
    for mention in mentions:
        if mention.id not in first:
            message = f"{mention.test} names rule {mention.id}, which no page has"
            yield Fault(mention.path, mention.line, message)


def file_mentions(path: Path, faults: list[Fault]) -> Iterator[Mention]:
    """Yield each naming of a rule in one test file, and append what is wrong to `faults`."""
    for mark in read_marks(path, "rule"):
        for argument in mark.arguments:
            rule_id = string(argument)
            if rule_id is None:
                message = f"{mark.test} must name a rule by a plain string"
                faults.append(Fault(path, argument.lineno, message))
            elif not mark.is_test:
                message = f"{mark.test} names rule {rule_id} and is no test"
                faults.append(Fault(path, argument.lineno, message))
            else:
                yield Mention(rule_id, mark.test, path, mark.line)


def title(rules: int) -> str:
    """Return the title of a folded part that has so many rules and nothing else."""
    return f"{counted(rules, 'rule')}, {'each ' if rules > 1 else ''}with its tests"


def totals(book: Rulebook) -> str:
    """Return the numbers of rules, of tests and of rules without a test, in one line."""
    named = Counter(mention.id for mention in book.mentions)
    tests = len({(mention.path, mention.test) for mention in book.mentions})
    uncovered = sum(not named[rule.id] for rule in book.rules)
    return f"{counted(len(book.rules), 'rule')}, {counted(tests, 'test')}, {uncovered} uncovered"
