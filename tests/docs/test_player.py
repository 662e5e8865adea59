"""A table played in a browser, by keyboard: what the reader sees and what is said aloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from book import ROOT
from plays import closes
from small_book import TEST, build

from driverref import explore
from driverref.command.report import page as report
from driverref.explore.schedules import Replay

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.slow

PAGE = f"""\
# A page

```{{rule}} key.order
Jobs begin in order.
```

```python
>>> import sys
>>> sys.path.append({str(ROOT / "tests")!r})
>>> from driverref import explore
>>> from plays import closes
>>> outcomes = explore(closes)
```

```{{outcomes}} outcomes
:title: A job and a close
:description: A leak, or none.

never freed | Leak
the `Word` is freed | '<closed>'
```

```{{toctree}}
reference/rules
```
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a book of one page."""
    folder = tmp_path_factory.mktemp("played")
    built = build(folder, PAGE, TEST)
    assert built.returncode == 0, built.stderr
    return (folder / "html" / "index.html").as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, on a telephone; no error may be left in its console, and no other host be asked."""
    page = browser.new_page(viewport={"width": 360, "height": 780})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on(
        "request", lambda asked: wrong.append(asked.url) if asked.url.startswith("http") else None
    )
    page.goto(address)
    yield page
    assert wrong == []
    page.close()


def focused(page: Page) -> str:
    """Return the text of the element that has the focus."""
    return str(page.evaluate("document.activeElement.innerText")).strip()


def able(page: Page) -> list[str]:
    """Return the keys of the threads that can go on."""
    return [kbd.inner_text() for kbd in page.locator(".play-able kbd").all()]


def begin(page: Page) -> Locator:
    page.locator(".play-begin").focus()
    page.keyboard.press("Enter")
    player = page.locator(".play")
    player.wait_for()
    return player


def test_a_game_is_played_to_each_end_by_keyboard(page: Page) -> None:
    player = begin(page)
    said, score = player.locator(".play-said"), player.locator(".play-score")
    assert score.inner_text() == "0 of 2 found"
    assert said.get_attribute("aria-live") == "polite"
    assert len(able(page)) >= 2, "it begins where there is a choice"
    for _ in range(30):  # the process first, which closes the port
        if not (keys := able(page)):
            break
        page.keyboard.press(keys[0])
    assert "The end: never freed." in said.inner_text()
    assert score.inner_text() == "1 of 2 found"
    page.keyboard.press("Home")
    for _ in range(30):  # the job and the scheduler first
        if not (keys := able(page)):
            break
        page.keyboard.press(keys[-1])
    assert "The end: the Word is freed." in said.inner_text()
    assert score.inner_text() == "2 of 2 found"
    assert said.locator("strong code").inner_text() == "Word"
    witness = said.locator("code.play-call").inner_text().split('"')[1]
    assert explore(closes).experiment.run(Replay(witness)) == "<closed>"


@pytest.mark.parametrize(("row", "name"), [(0, "never freed"), (1, "the Word is freed")])
def test_the_way_to_each_row_leads_to_it(page: Page, row: int, name: str) -> None:
    page.locator(".play-lead").nth(row).click()
    said = page.locator(".play-said")
    page.locator(".play").wait_for()
    assert f"The way to “{name}”" in said.inner_text()
    assert said.locator("code").all_inner_texts() == ["Word"] * row
    assert focused(page) == "on →"
    for _ in range(30):
        if page.locator(".play-tools button", has_text="on →").is_disabled():
            break
        page.keyboard.press("ArrowRight")
    assert f"The end: {name}." in said.inner_text()
    assert page.locator("tr.play-here").inner_text().startswith("✓ found")


def test_back_takes_a_choice_back(page: Page) -> None:
    begin(page)
    before = page.locator(".play-cards").inner_text()
    page.keyboard.press(able(page)[0])
    assert page.locator(".play-cards").inner_text() != before
    page.keyboard.press("ArrowLeft")
    assert page.locator(".play-cards").inner_text() == before
    page.keyboard.press("ArrowRight")
    page.locator(".play-to").first.click()
    assert page.locator(".play-cards").inner_text() == before


def test_a_thread_shows_what_it_would_do_its_lines_and_what_it_waits_for(page: Page) -> None:
    begin(page)
    process, job, scheduler = (page.locator(".play-card").nth(n) for n in range(3))
    assert "process <0.1.0>" in process.inner_text()
    assert "erl.port_close(" in process.locator(".play-code .play-line").inner_text()
    assert "async_invoke job 1" in job.inner_text()
    assert "waits for work\n" in scheduler.inner_text() + "\n"
    assert scheduler.locator(".play-go").get_attribute("aria-disabled") == "true"
    assert "Word" in page.locator(".play-state").inner_text()
    page.keyboard.press("2")
    assert "async 1: async_invoke job 1." in page.locator(".play-said").inner_text()
    assert "running" in page.locator(".play-state .play-changed").all_inner_texts()[-1]


def test_what_can_only_end_so_is_run_on_to_the_end(page: Page) -> None:
    page.locator(".play-lead").nth(0).click()
    end = page.locator(".play-tools button", has_text="Run on")
    page.locator(".play").wait_for()
    for _ in range(30):
        if end.is_enabled():
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    assert "The end: never freed." in page.locator(".play-said").inner_text()


def test_close_gives_the_focus_back_and_the_page_does_not_scroll_sideways(page: Page) -> None:
    player = begin(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    player.get_by_role("button", name="Close", exact=True).click()
    assert player.is_hidden()
    assert focused(page) == "Play it"


def test_a_keystroke_with_a_modifier_is_the_browser_s(page: Page) -> None:
    begin(page)
    before = page.locator(".play-cards").inner_text()
    page.keyboard.press("Alt+1")
    assert page.locator(".play-cards").inner_text() == before


def test_a_report_can_be_played_as_well(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text(report("closes", explore(closes)), "utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "out.html").as_uri())
    begin(page)
    assert page.locator(".play-score").inner_text() == "0 of 2 found"
    page.close()


def test_without_javascript_there_is_the_table_alone(browser: Browser, address: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    assert page.locator("button.play-begin, button.play-lead").count() == 0
    assert page.locator(".outcomes table").is_visible()
    page.close()
