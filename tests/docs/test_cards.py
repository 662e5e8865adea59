"""What a page says of itself: on its card, where a link to it is shared, and in `llms.txt`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from _ext.cards import PICTURE, describe, listing
from _ext.pages import card
from _ext.words import plain
from book import DOCS, PAGES, page_id
from bs4 import BeautifulSoup


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_page_says_what_it_is_about_in_one_breath(page: Path) -> None:
    assert 10 < len(card(page).summary) < 200


def test_a_card_has_the_title_and_the_summary_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("---\nsummary: >-\n  In what `start`\n  returns.\n---\n\n# Where?\n\nText.\n")
    assert card(page) == ("Where?", "In what `start` returns.")
    page.write_text("# Where?\n")
    assert card(page) == ("Where?", "")


def test_marks_of_markdown_are_left_out_where_they_mean_nothing() -> None:
    assert plain("**Who** calls `stop`?") == "Who calls stop?"


def test_programs_that_read_the_book_get_every_page(tmp_path: Path) -> None:
    text = listing(DOCS)
    assert text.startswith("# Erlang's linked-in drivers")
    for page in PAGES[1:]:
        assert f"]({page_id(page)}.html): {card(page).summary}" in text


@pytest.mark.slow
def test_a_link_that_is_shared_shows_the_summary(built_book: Path) -> None:
    for page in PAGES:
        head = BeautifulSoup(
            (built_book / f"{page_id(page)}.html").read_text("utf-8"), "html.parser"
        )
        (description,) = head.select('meta[name="description"]')
        (shared,) = head.select('meta[property="og:description"]')
        assert description["content"] == shared["content"] == plain(card(page).summary)


@pytest.mark.slow
def test_a_link_that_is_shared_shows_a_picture_of_the_book(built_book: Path) -> None:
    page = BeautifulSoup(
        (built_book / "questions/free/index.html").read_text("utf-8"), "html.parser"
    )
    told = {
        str(tag["property"]): str(tag["content"]) for tag in page.select('meta[property^="og:"]')
    }
    base = "https://driverref.readthedocs.io/en/latest/"
    assert told["og:url"] == f"{base}questions/free/index.html"
    assert told["og:image"] == f"{base}_static/{PICTURE}"
    header = (built_book / "_static" / PICTURE).read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    size = [int.from_bytes(header[at : at + 4]) for at in (16, 20)]
    assert size == [int(told["og:image:width"]), int(told["og:image:height"])] == [1200, 630]


def test_a_book_that_does_not_know_where_it_is_read_has_no_picture(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("---\nsummary: >-\n  In what it returns.\n---\n\n# Where?\n")
    app = SimpleNamespace(
        config=SimpleNamespace(html_baseurl="", html_title="driverref"),
        env=SimpleNamespace(doc2path=lambda _: str(page)),
    )
    context = {"pageurl": None}
    describe(app, "page", "page.html", context, object())  # type: ignore[arg-type]
    assert 'property="og:title" content="Where?"' in str(context["metatags"])
    assert "og:image" not in str(context["metatags"])
