"""The book in a browser: each page as it is opened from a folder, and what a reader does there.

The browser is the system's Chromium, which Python's `playwright` drives. Where none is installed
the tests are skipped, but not in CI: there a missing browser is a failure.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from book import ROOT, copied
from page_lengths import MADE, screens
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

pytestmark = pytest.mark.slow

WIDTHS = (1400, 390)

OVER_THE_EDGE = """\
() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (e) => /auto|scroll|hidden/.test(getComputedStyle(e).overflowX);
  const held = (e) => e && e.tagName !== "BODY" && (scrolls(e) && e.className !== "content" || held(e.parentElement));
  const found = [...document.querySelectorAll("article *")].filter((e) =>
    e.getBoundingClientRect().right > wide + 1 && e.getBoundingClientRect().width > 1 &&
    getComputedStyle(e).position !== "absolute" && !held(e.parentElement) && !held(e));
  if (document.documentElement.scrollWidth > wide) found.unshift(document.documentElement);
  return found.slice(0, 3).map((e) => e.outerHTML.slice(0, 80));
}
"""
"""What stands over the right edge of the page, and in nothing that scrolls."""

LOST_HEADS = """\
() => {
  const lost = [];
  for (const table of document.querySelectorAll("article table")) {
    let box = table.parentElement;
    while (box && !/auto|scroll/.test(getComputedStyle(box).overflowX)) box = box.parentElement;
    if (!box || box.scrollWidth <= box.clientWidth + 1 || !table.getClientRects().length) continue;
    box.scrollLeft = box.scrollWidth;
    const left = box.getBoundingClientRect().left;
    for (const row of table.rows) {
      const [first, second] = row.cells;
      if (!second || first.rowSpan > 1) continue;
      if (first.getBoundingClientRect().left < left - 6) { lost.push(first.textContent.slice(0, 40)); break; }
    }
  }
  return lost;
}
"""
"""The first cell of each table that goes out of sight when the table is scrolled."""

FAINT = """\
() => {
  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? numbers.map((n, i) => (i < 3 ? n * 255 : n)) : numbers;
  };
  const part = (n) => (n / 255 <= 0.04045 ? n / 255 / 12.92 : ((n / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const found = {};
  for (const span of document.querySelectorAll(".highlight pre, .highlight pre span, mark, code.literal")) {
    if (!span.textContent.trim() || !span.getClientRects().length) continue;
    const style = getComputedStyle(span);
    let behind = span;
    const colour = (e) => parse(getComputedStyle(e).backgroundColor);
    while (behind.parentElement && colour(behind)[3] === 0) behind = behind.parentElement;
    const [dark, bright] = [light(parse(style.color)), light(colour(behind))].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found[`${span.tagName}.${span.className}: ${ratio.toFixed(2)}`] = span.textContent.slice(0, 20);
  }
  return found;
}
"""
"""The words of code that have too little contrast on what is behind them."""


@pytest.fixture
def troubles() -> list[str]:
    """What went wrong in the browser."""
    return []


def watch(tab: Page, troubles: list[str]) -> None:
    """Note what goes wrong in a tab."""

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            troubles.append(f"{tab.url}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            troubles.append(f"{tab.url}: asks for {request.url}")

    tab.on("console", said)
    tab.on("request", asked)
    tab.on("requestfailed", lambda lost: troubles.append(f"{tab.url}: {lost.url} failed"))
    tab.on("pageerror", lambda error: troubles.append(f"{tab.url}: {error}"))


@pytest.fixture
def page(browser: Browser, troubles: list[str]) -> Iterator[Page]:
    """A tab. Errors in its console and requests to other hosts fail the test."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900})
    context.set_default_timeout(20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    watch(tab, troubles)
    yield tab
    context.close()
    assert troubles == []


def every_page(book: Path) -> list[Path]:
    found = sorted(book.rglob("*.html"))
    assert len(found) > 30
    return found


def search_for(tab: Page, query: str) -> list[str]:
    """Type a query into the field of the sidebar; return the addresses that are found."""
    field = tab.get_by_role("textbox", name="Search").first
    field.fill(query)
    field.press("Enter")
    tab.wait_for_url("**/search.html?*")
    links = tab.locator("#search-results h2 a")
    return [str(link.get_attribute("href")) for link in links.all()]


def test_every_page_opens_without_errors_and_fits_a_screen_and_a_phone(
    page: Page, built_book: Path
) -> None:
    over = []
    for path in every_page(built_book):
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        page.goto(path.as_uri())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            over += [f"{path} at {width}: {what}" for what in page.evaluate(OVER_THE_EDGE)]
            over += [f"{path} at {width}: lost {what}" for what in page.evaluate(LOST_HEADS)]
    assert "\n".join(over) == ""


def test_a_page_has_about_eight_screens_with_everything_folded(
    page: Page, built_book: Path
) -> None:
    most = 8.5  # eight, and what the fonts of another machine may need
    lengths = {
        name: screens(page, path)
        for path in every_page(built_book)
        if not (name := path.relative_to(built_book).as_posix()).startswith((*MADE, "reference/"))
    }
    assert {name: found for name, found in lengths.items() if found > most} == {}


def test_code_can_be_read_in_both_themes(page: Page, built_book: Path) -> None:
    page.emulate_media(reduced_motion="reduce")
    found = []
    for path in every_page(built_book):
        page.goto(path.as_uri())
        for theme in ("light", "dark"):
            page.evaluate("theme => { document.body.dataset.theme = theme; }", theme)
            found += [f"{path}, {theme}: {what}" for what in page.evaluate(FAINT).items()]
    assert "\n".join(found) == ""


def test_a_search_leads_to_the_place(page: Page, built_book: Path) -> None:
    page.goto((built_book / "testing.html").as_uri())
    assert search_for(page, "driver_select")[0].endswith("#driverref.erl_driver.driver_select")
    assert "pages found" in str(page.locator("#search-status").text_content())
    assert "driver_select" in page.locator("#search-results mark").all_text_contents()
    page.locator("#search-results a").first.press("Enter")
    page.wait_for_url("**/reference/api-port.html#driverref.erl_driver.driver_select")


def test_what_is_found_changes_while_one_types(page: Page, built_book: Path) -> None:
    page.goto((built_book / "search.html").as_uri())
    assert page.locator("#book-query").evaluate("field => field === document.activeElement")
    assert page.locator("#search-ways").is_visible()
    page.keyboard.type("key.modulo")
    first = page.locator("#search-results h2 a").first
    assert first.get_attribute("href") == "questions/key/index.html#rule-key.modulo"
    assert not page.locator("#search-ways").is_visible()
    assert page.url.endswith("?q=key.modulo")
    page.keyboard.type("zzzz zzzz")
    assert "No page has" in str(page.locator("#search-status").text_content())
    assert page.locator("#search-ways").is_visible()


def test_what_is_searched_for_is_text_and_no_markup(page: Page, built_book: Path) -> None:
    page.goto((built_book / "index.html").as_uri())
    search_for(page, "<img src=x onerror=alert(1)>")
    assert page.locator("article img").count() == 0


def test_the_copy_button_copies_what_one_types(page: Page, built_book: Path) -> None:
    settings: dict[str, Any] = runpy.run_path(str(ROOT / "conf.py"))
    page.goto((built_book / "first-driver.html").as_uri())
    page.evaluate("document.body.append(document.createElement('textarea'))")
    blocks = page.locator("div.highlight:has(button.copybtn):visible")
    for block in blocks.all()[:6]:
        block.hover()
        block.locator("button.copybtn").click()
        paste = page.locator("textarea")
        paste.fill("")
        paste.press("Control+v")
        text = str(block.locator("pre").text_content())
        assert paste.input_value().rstrip("\n") == copied(text, settings).rstrip("\n")


def test_folded_parts_open_by_keyboard(page: Page, built_book: Path) -> None:
    page.goto((built_book / "questions" / "free" / "index.html").as_uri())
    summaries = page.locator("article details:not([open]) > summary:visible")
    assert summaries.count() > 3
    summary = summaries.first
    part = summary.element_handle().evaluate_handle("summary => summary.parentElement")
    for key, is_open in ("Enter", True), ("Space", False), ("Space", True):
        page.evaluate("([part, key]) => part.firstElementChild.focus()", [part, key])
        page.keyboard.press(key)
        assert part.evaluate("part => part.open") is is_open


def test_on_paper_what_a_page_folds_is_open_and_what_a_row_folds_is_not(
    page: Page, built_book: Path
) -> None:
    page.goto((built_book / "questions/free/index.html").as_uri())
    rule = page.locator("#rule-free.null-leaks, [id='rule-free.null-leaks']").first
    assert not rule.is_visible()
    page.emulate_media(media="print")
    assert rule.is_visible()
    row = page.locator("tr.how details").first
    assert not row.is_visible()


def test_the_list_of_rules_is_filtered(page: Page, built_book: Path) -> None:
    page.goto((built_book / "reference" / "rules.html").as_uri())
    rules = page.locator("dl.rules > dt:visible")
    every = page.locator("dl.rules > dt").count()
    pages = page.locator("article section > h2:visible")
    folded = pages.count()
    assert rules.count() == 0
    page.get_by_label("Filter the rules").fill("key. thread")
    assert 0 < rules.count() < every / 4
    assert 0 < pages.count() < folded
    assert f"{rules.count()} of {every} rules" in str(page.locator(".rule-filter").text_content())
    page.get_by_label("Filter the rules").fill("")
    assert rules.count() == 0
    assert pages.count() == folded


@pytest.mark.parametrize(
    "place",
    [
        "reference/rules.html#tests-key.modulo",
        "reference/releases.html#rule-era.slot",
        "questions/key/index.html#rule-key.modulo",
    ],
)
def test_a_link_to_a_rule_opens_what_folds_it(page: Page, built_book: Path, place: str) -> None:
    path, _, anchor = place.partition("#")
    page.emulate_media(reduced_motion="reduce")  # it scrolls at once
    page.goto(f"{(built_book / path).as_uri()}#{anchor}")
    page.wait_for_function("id => document.getElementById(id).checkVisibility()", arg=anchor)
    box = page.locator(f"[id='{anchor}']").bounding_box()
    assert box
    assert 0 <= box["y"] < 900


def test_a_page_that_does_not_exist_is_answered_at_any_depth(
    page: Page, built_book: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "en" / "latest" / "questions" / "deadlock.html"
    deep.parent.mkdir(parents=True)
    deep.write_bytes((built_book / "404.html").read_bytes())
    page.goto(deep.as_uri())
    link = page.get_by_role("link", name="Search the book for “deadlock”")
    assert str(link.get_attribute("href")).endswith("/en/latest/search.html?q=deadlock")


def test_the_cheat_sheet_is_one_sheet_of_paper(page: Page, built_book: Path) -> None:
    page.goto((built_book / "cheat-sheet.html").as_uri())
    paper = page.pdf(prefer_css_page_size=True)
    assert re.findall(rb"/MediaBox \[0 0 594\.\d+ 84[12]\.\d+\]", paper)
    assert len(re.findall(rb"/Type /Page\b", paper)) == 1
