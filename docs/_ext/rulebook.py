"""The rules of the book and the tests that name them, read from their sources.

A rule is a ```` ```{rule} some.id ```` block of a page. A test names it with
`@pytest.mark.rule("some.id")`. Both are read as text, pages by markdown-it and tests by `ast`,
so that the build of the book and the run of the tests come to the same verdict without
importing each other. A page's examples do not count as tests: they show one run, and a rule
speaks of all.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import pages

ID = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Rule(NamedTuple):
    """A sentence that is claimed to be true."""

    id: str
    text: str
    page: Path
    line: int

    @property
    def anchor(self) -> str:
        """The rule's place on its page."""
        return f"rule-{self.id}"


class Mention(NamedTuple):
    """A test's claim to show that a rule holds."""

    id: str
    test: str
    """The test's name, with its class where it has one."""
    path: Path
    line: int


class Fault(NamedTuple):
    """Something that would make the table of rules untrue."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Rulebook(NamedTuple):
    """Everything claimed, everything tested, and what is wrong with either."""

    rules: list[Rule]
    """In the order of the book."""
    mentions: list[Mention]
    faults: list[Fault]

    def tests(self, rule_id: str) -> list[Mention]:
        """The tests that name a rule."""
        return [mention for mention in self.mentions if mention.id == rule_id]

    def find(self, rule_id: str) -> Rule | None:
        """The rule with this id."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


def read(docs: Path, tests: Path) -> Rulebook:
    """Collect the rules below `docs`, the tests below `tests`, and check one against the other."""
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
    """The rules of one page."""
    return [
        Rule(fence.argument, fence.content.strip(), page, fence.line)
        for fence in pages.fences(page.read_text("utf-8"))
        if fence.directive == "rule"
    ]


def check(rules: list[Rule], mentions: list[Mention]) -> Iterator[Fault]:
    """What is wrong between rules and tests."""
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
    """The rules that the tests of one file name."""
    for name, node, marks in _marked(ast.parse(path.read_text("utf-8"), str(path)).body):
        for mark in marks:
            for argument in mark.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    message = f"{name} must name a rule by a plain string"
                    faults.append(Fault(path, argument.lineno, message))
                elif not re.match(r"test|Test", name.rpartition(".")[2]):
                    message = f"{name} names rule {argument.value} and is no test"
                    faults.append(Fault(path, argument.lineno, message))
                else:
                    yield Mention(argument.value, name, path, node.lineno)


def _marked(
    body: list[ast.stmt], outer: str = ""
) -> Iterator[tuple[str, ast.stmt, list[ast.Call]]]:
    """The functions and classes of `body` that carry rule marks, by name."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{outer}{node.name}"
            marks = [mark for decorator in node.decorator_list for mark in _rule_marks(decorator)]
            if marks:
                yield name, node, marks
            if isinstance(node, ast.ClassDef):
                yield from _marked(node.body, f"{name}.")


def _rule_marks(decorator: ast.expr) -> Iterator[ast.Call]:
    """The calls of `mark.rule` in a decorator, also inside a `parametrize`."""
    for node in ast.walk(decorator):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.rule"):
            yield node


def totals(book: Rulebook) -> str:
    """One line on the state of things."""
    counted = Counter(mention.id for mention in book.mentions)
    tests = len({(mention.path, mention.test) for mention in book.mentions})
    uncovered = sum(not counted[rule.id] for rule in book.rules)
    return f"{many(len(book.rules), 'rule')}, {many(tests, 'test')}, {uncovered} uncovered"


def many(count: int, word: str) -> str:
    """A number with its noun."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
