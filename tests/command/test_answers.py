"""`driverref answers`: the book's short answers in a terminal, in a checkout and in a wheel."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from book import DOCS, ROOT
from command_line import printed, refused

from driverref.command import book

QUESTIONS = [
    "state",
    "header",
    "memory",
    "free",
    "key",
    "flow",
    "busy",
    "cancel",
    "timeout",
    "wake",
]


def words(text: str) -> list[str]:
    """The words, wherever the lines end."""
    return text.split()


@pytest.mark.parametrize("name", QUESTIONS)
def test_one_answer_is_the_page_s_title_and_its_short_answer(name: str) -> None:
    page = (DOCS / "questions" / name / "index.md").read_text("utf-8")
    title = re.search("(?m)^# (.*)$", page)
    answer = re.search("(?ms)^:::{div} answer\n(.*?)^:::$", page)
    assert title is not None
    assert answer is not None
    # A term or a link with a text of its own shows that text; a page's words have no other marks.
    shown = re.sub(r"\{\w+\}`([^`<]*?) ?(<[^`]*>)?`|\[([^]]*)\]\([^)]*\)", r"\1\3", answer[1])
    assert words(printed("answers", name)) == words(
        f"{name}: {title[1]} {shown}".replace("`", "").replace("**", "")
    )


def test_without_a_question_there_are_all_in_the_book_s_order() -> None:
    shown = printed("answers")
    assert shown == "".join(printed("answers", name) for name in QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_plain_words_in_narrow_lines(name: str) -> None:
    shown = printed("answers", name)
    assert not re.search(r"\{term\}|`|\]\(|\*\*|\x1b", shown)
    assert max(map(len, shown.splitlines())) <= 80


def test_links_and_roles_become_their_words() -> None:
    text = "# Title\n\n:::{div} answer\n{term}`schedulers <scheduler>`, {doc}`this`, [it](x.md).\n:::\n"
    assert book.Page(text).answer == "schedulers, this, it."


def test_a_question_that_nobody_asked() -> None:
    names = ", ".join(QUESTIONS)
    assert refused("answers", "why") == f"there is no question 'why'; there are {names}"


def test_the_help_names_the_questions() -> None:
    assert f"one of {', '.join(QUESTIONS)};" in " ".join(words(printed("answers", "--help")))


def test_every_folder_of_the_book_is_a_question() -> None:
    assert sorted(book.questions()) == sorted(path.name for path in (DOCS / "questions").iterdir())


def test_a_wheel_carries_the_pages_to_where_the_command_looks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {ROOT / source: ROOT / target for source, target in carried.items()} == {
        **{DOCS / name: book.PLACES[0] / name for name in ("index.md", "questions")},
        ROOT / "pytest_driverref.py": ROOT / "pytest_driverref.py",
    }
    assert not book.PLACES[0].exists(), "a checkout has the pages once"


def test_a_wheel_s_pages_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "questions/why/index.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Why?\n\n:::{div} answer\nBecause.\n:::\n")
    (tmp_path / "index.md").write_text("questions/why/index\n")
    monkeypatch.setattr(book, "PLACES", (tmp_path, DOCS))
    assert words(printed("answers")) == ["why:", "Why?", "Because."]


def test_without_the_pages_there_is_nothing_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "PLACES", (tmp_path,))
    assert refused("answers") == "the book's pages were not installed with the package"
