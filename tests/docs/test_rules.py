"""Every rule of the book has a test, every rule that a test names exists, and what is wrong is
found."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from _ext import rulebook
from book import DOCS, ROOT


def test_the_book_and_the_tests_agree() -> None:
    book = rulebook.read(DOCS, ROOT / "tests")
    assert "\n".join(map(str, book.faults)) == ""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A book with two rules, and a test file that names both."""
    write(tmp_path, "docs/index.md", "# Book\n\n```{toctree}\nsecond\nfirst\n```\n")
    write(tmp_path, "docs/first.md", rule("key.order", "Jobs with one key begin in order."))
    write(tmp_path, "docs/second.md", rule("free.once", "Free is called once."))
    write(
        tmp_path,
        "tests/test_key.py",
        """
        import pytest

        @pytest.mark.rule("key.order", "free.once")
        def test_order(): ...

        class TestFree:
            @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.rule("free.once"))])
            def test_once(self, n): ...
        """,
    )
    return tmp_path


def write(tree: Path, path: str, text: str) -> None:
    (tree / path).parent.mkdir(exist_ok=True)
    (tree / path).write_text(dedent(text).lstrip("\n"), "utf-8")


def rule(rule_id: str, text: str) -> str:
    return f"# Page\n\n```{{rule}} {rule_id}\n{text}\n```\n"


def read(tree: Path) -> rulebook.Rulebook:
    return rulebook.read(tree / "docs", tree / "tests")


def faults(tree: Path) -> list[str]:
    return [str(fault).replace(f"{tree}/", "") for fault in read(tree).faults]


def test_a_sound_tree_has_no_fault(tree: Path) -> None:
    book = read(tree)
    assert book.faults == []
    assert rulebook.totals(book) == "2 rules, 2 tests, 0 uncovered"


def test_rules_stand_in_the_order_of_the_book(tree: Path) -> None:
    assert [rule.id for rule in read(tree).rules] == ["free.once", "key.order"]


def test_a_mention_knows_its_test_and_its_line(tree: Path) -> None:
    found = [(m.test, m.line) for m in read(tree).tests("free.once")]
    assert found == [("test_order", 4), ("TestFree.test_once", 8)]


def test_a_rule_inside_another_directive_counts(tree: Path) -> None:
    inner = rule("busy.accepted", "It is accepted.").removeprefix("# Page\n\n")
    write(tree, "docs/third.md", f"# Page\n\n:::{{tip}}\n{inner}:::\n")
    assert faults(tree) == ["docs/third.md:4: rule busy.accepted has no test: none names it"]


def test_a_rule_without_a_test_is_a_fault(tree: Path) -> None:
    write(tree, "docs/third.md", rule("busy.accepted", "It is accepted."))
    assert faults(tree) == ["docs/third.md:3: rule busy.accepted has no test: none names it"]
    assert rulebook.totals(read(tree)) == "3 rules, 2 tests, 1 uncovered"


def test_an_unknown_rule_is_a_fault(tree: Path) -> None:
    write(
        tree,
        "tests/test_busy.py",
        """
        import pytest

        @pytest.mark.rule("busy.accepted")
        def test_busy(): ...
        """,
    )
    assert faults(tree) == [
        "tests/test_busy.py:4: test_busy names rule busy.accepted, which no page has"
    ]


def test_a_rule_that_stands_twice_is_a_fault(tree: Path) -> None:
    write(tree, "docs/third.md", rule("key.order", "Said again."))
    assert faults(tree) == [
        "docs/third.md:3: rule key.order stands twice, first at docs/first.md:3"
    ]


@pytest.mark.parametrize("bad", ["order", "key.", "Key.order", "key order", ""])
def test_an_id_that_is_none_is_a_fault(tree: Path, bad: str) -> None:
    write(tree, "docs/third.md", rule(bad, "Said."))
    assert faults(tree) == [
        f"docs/third.md:3: rule id {bad!r} must be lower-case words joined by dots, as in key.order"
    ]


def test_a_rule_that_says_nothing_is_a_fault(tree: Path) -> None:
    write(tree, "docs/first.md", rule("key.order", ""))
    assert faults(tree) == ["docs/first.md:3: rule key.order says nothing"]


def test_a_mark_on_something_that_is_no_test_is_a_fault(tree: Path) -> None:
    write(
        tree,
        "tests/test_busy.py",
        """
        import pytest

        @pytest.mark.rule("key.order")
        def helper(): ...
        """,
    )
    assert faults(tree) == ["tests/test_busy.py:3: helper names rule key.order and is no test"]


def test_a_computed_id_is_a_fault(tree: Path) -> None:
    write(
        tree,
        "tests/test_busy.py",
        """
        import pytest

        @pytest.mark.rule("key." + "order")
        def test_busy(): ...
        """,
    )
    assert faults(tree) == ["tests/test_busy.py:3: test_busy must name a rule by a plain string"]


@pytest.mark.parametrize(
    "page", sorted((DOCS / "questions").glob("*/index.md")), ids=lambda page: page.parent.name
)
def test_the_title_above_folded_rules_says_how_many_there_are(page: Path) -> None:
    text = page.read_text("utf-8")
    (said,) = re.findall(r"\{dropdown\} (\d+) rules, each with its tests", text)
    assert int(said) == text.count("```{rule} ")


@pytest.mark.parametrize(
    "name",
    [
        "life",
        "sharing",
        "how-it-works",
        "every-outcome",
        "testing",
        "cheat-sheet",
        "reference/releases",
    ],
)
def test_each_title_above_folded_rules_says_how_many_there_are(name: str) -> None:
    text = (DOCS / f"{name}.md").read_text("utf-8")
    pieces = re.split(r"\{dropdown\} (\d+) rules?, (?:each )?with its tests", text)
    assert len(pieces) > 1
    assert "```{rule} " not in pieces[0]
    for said, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        assert int(said) == piece.count("```{rule} ")


@pytest.mark.parametrize(
    "page", sorted((DOCS / "questions").glob("*/index.md")), ids=lambda page: page.parent.name
)
def test_the_title_above_folded_scenarios_says_how_many_there_are(page: Path) -> None:
    text = page.read_text("utf-8")
    (said,) = re.findall(r"\{dropdown\} (\d+) scenarios?, played", text)
    (names,) = re.findall(r"\{real-thing\} \w+\n:others:\n([^`]*)```", text)
    assert int(said) == len(names.split())
