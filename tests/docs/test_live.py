"""Python in the page, in a browser, from file://: run, edit, stop, play, and nothing from elsewhere.

npm fetches the Python, and the system's Chromium runs it. Where one of them is missing the tests
are skipped; but in CI not if npm can reach its registry, and not for want of Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _ext import live_session, program, pyodide
from book import DOCS, ROOT, WITH_EXAMPLES, page_id, sphinx
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from small_book import TEST, article, build

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 240_000
"""How many milliseconds a step may take, on a machine that has much else to do."""

PAGE = """\
# A page

```{rule} key.order
Jobs begin in order.
```

```python
>>> from driverref import Driver, Emulator, explore
>>> from driverref.erl_driver import driver_async
>>> class Hello(Driver):
...     driver_name = "hello"
...
...     def output(self, port, buf):
...         driver_async(None, None, self.work, None, None)
...
...     def work(self, data):
...         pass
...
>>> print("one")
one
```

```python
>>> 1 + 1
2
```

```python
>>> def scenario(erl):
...     return "told"
...
>>> explore(scenario)
outcome  schedules  witness
'told'           1  first-come
1 way to end; 1 different schedule, 1 run, and there are no others
```

```python
>>> with Emulator() as erl:
...     ref = erl.send(erl.self(), 1)
...
```

```{program}
```

```{toctree}
try-it
reference/rules
```
"""

RACE = """\
from driverref import Driver
from driverref.erl_driver import driver_async

class Hello(Driver):
    driver_name = "hello"

    def start(self, port, command):
        return port

    def output(self, port, buf):
        driver_async(port, None, self.work, None, None)

    def work(self, data):
        pass

    def ready_async(self, port, data):
        pass

def scenario(erl):
    erl.erl_ddll.load_driver(Hello())
    port = erl.open_port(("spawn_driver", "hello"))
    erl.port_command(port, b"7")
    erl.port_close(port)

explore(scenario, observe=["ready_async", "async_return"])
"""

ELSEWHERE = re.compile(
    r"""threads="native"|^\s*(?:import|from) (?:pytest|concurrent)\b""", re.MULTILINE
)
"""What a page does that no browser can: its program says so, and prints what comes before."""


@pytest.fixture(scope="module")
def python() -> Path:
    """The folder with Pyodide."""
    folder = ROOT / "build" / "pyodide"
    try:
        pyodide.fetch(folder)
    except pyodide.Unavailable as error:
        npm = shutil.which("npm")
        if os.environ.get("CI") and npm:
            ping = subprocess.run([npm, "ping"], capture_output=True, check=False, timeout=120)
            if ping.returncode == 0:
                pytest.fail(str(error))
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a book of two pages, without Python."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "docs").mkdir()
    page, _, _ = (DOCS / "try-it.md").read_text("utf-8").partition("[Your first driver]")
    (folder / "docs" / "try-it.md").write_text(page, "utf-8")
    built = build(folder, PAGE, TEST)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def live(book: Path, python: Path) -> Path:
    """The folder of the same book, with Python."""
    options = "-D", f"rule_tests={book / 'tests'}", "-D", f"live_python={python}"
    built = sphinx(book / "docs", book / "live", *options)
    assert built.returncode == 0, built.stderr
    return book / "live"


class Tab:
    """A tab with a page. Errors in it, and what it asks other hosts for, are noted."""

    def __init__(self, browser: Browser, width: int = 1400) -> None:
        context = browser.new_context(viewport={"width": width, "height": 900})
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def status(self, text: str, name: str = "the program") -> None:
        """Wait until the status of a block begins with a text."""
        panel = self.page.locator(".live-tools").filter(has=self.button(f"Run {name}"))
        expect(panel.locator(".live-status")).to_have_text(
            re.compile(f"^{re.escape(text)}"), timeout=PATIENCE
        )

    def run(self, text: str) -> str:
        """Run a text in the editor; return what it prints."""
        self.page.locator(".live-editor").fill(text)
        self.button("Run the program").click()
        self.status("Done.")
        return self.printed()

    def printed(self) -> str:
        return "".join(self.page.locator(".live-out .live-text").all_text_contents())

    def close(self) -> None:
        self.page.context.close()
        assert self.wrong == []
        assert [url for url in self.asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    tab = Tab(browser)
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def editor(browser: Browser, live: Path) -> Iterator[Tab]:
    """The page with the editor, and Python in it: begun once for several tests."""
    tab = Tab(browser)
    tab.page.goto((live / "try-it.html").as_uri())
    yield tab
    tab.close()


def natively(text: str) -> str:
    """Run a program in this Python; return what it prints."""
    code = (
        "import sys; exec(compile(sys.stdin.read(), 'program', 'exec'), {'__name__': '__main__'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=page_id)
def test_a_page_s_program_prints_the_same_in_the_browser(editor: Tab, path: Path) -> None:
    text = program.program(path, page_id(path))
    printed, native = editor.run(text), natively(text)
    if not ELSEWHERE.search(text):
        assert printed == native
    else:
        before, _, after = printed.partition("Traceback (most recent call last):\n")
        assert native.startswith(before)
        assert live_session.OS_THREADS in after or live_session.MODULES in after


def test_the_memory_stays_flat(editor: Tab) -> None:
    text = program.program(DOCS / "questions" / "free" / "index.md", "free")
    sizes = []
    for _ in range(70):
        editor.run(text)
        sizes.append(editor.page.evaluate("window.driverrefHeap"))
    assert sizes[10:] == [sizes[10]] * 60


def test_nothing_is_loaded_before_the_first_click(tab: Tab, live: Path) -> None:
    tab.page.goto((live / "index.html").as_uri())
    expect(tab.button("Run block 1")).to_be_visible()
    assert not any("python.data" in url for url in tab.asked)
    tab.button("Run block 2").click()
    tab.status("Done.", "block 2")
    assert sum("python.data" in url for url in tab.asked) == 1
    assert tab.printed() == "2\n"


def test_a_loop_without_end_is_stopped_and_python_goes_on(editor: Tab) -> None:
    for loop in ("while True: pass", "while True: print(1)"):
        editor.page.locator(".live-editor").fill(f"print('it began', flush=True)\n{loop}")
        editor.button("Run the program").click()
        expect(editor.page.locator(".live-out")).to_contain_text("it began", timeout=PATIENCE)
        editor.button("Stop").click()
        editor.status("Stopped.")
        assert editor.run("print('again')") == "again\n"


def test_after_a_crash_python_is_begun_again(editor: Tab) -> None:
    editor.page.locator(".live-editor").fill("import os\nos.abort()")
    editor.button("Run the program").click()
    editor.status("Python has stopped")
    editor.wrong.clear()  # what Pyodide says of it
    assert editor.run("print('again')") == "again\n"


def test_an_edited_scenario_is_explored_and_played(tab: Tab, live: Path) -> None:
    tab.page.goto((live / "index.html").as_uri())
    tab.button("Edit block 3").click()
    area = tab.page.locator("textarea.live-editor")
    assert area.input_value().startswith("def scenario(erl):\n    return")
    area.fill(RACE)
    area.press("Control+Enter")
    tab.status("Done.", "block 3")
    rows = tab.page.locator(".live-out tbody tr")
    assert rows.count() > 1
    assert "async_return(1)" in rows.all_inner_texts()[0]
    tab.button("Play it").click()
    player = tab.page.locator(".play")
    player.wait_for()
    assert "driver_async" in player.inner_text()
    for _ in range(40):
        able = player.locator(".play-able kbd")
        if not able.count():
            break
        tab.page.keyboard.press(able.first.inner_text())
    assert "The end: " in player.locator(".play-said").inner_text()
    tab.button("Reset block 3").click()
    assert area.count() == 0
    expect(tab.page.locator(".live-block").nth(2)).to_be_visible()
    tab.button("Run block 3").click()
    tab.status("Done.", "block 3")
    assert "'told'" in tab.printed()


def test_a_trace_is_a_timeline_and_an_open_emulator_is_no_hindrance(editor: Tab) -> None:
    text = "from driverref import Emulator\nerl = Emulator().__enter__()\nerl.send(erl.self(), 1)\nerl.trace"
    for _ in range(2):
        editor.run(text)
        assert editor.page.locator(".live-out svg.driverref-timeline").is_visible()
        assert editor.page.locator(".live-out style").count() == 0


def test_of_what_a_program_sends_nothing_is_run(editor: Tab) -> None:
    html = '<table onclick=bad()><tr><td><img src=x onerror=bad()><a href="javascript:bad()">a</a>'
    sent = f"{{kind: 'outcomes', block: 0, parts: ['x', {html + '<script>bad()</script>'!r}, '']}}"
    editor.run(f"from pyodide.code import run_js\nrun_js({f'self.postMessage({sent})'!r})")
    out = editor.page.locator(".live-out")
    assert out.locator("table").count() == 1
    assert out.locator("img, script, a, [onclick]").count() == 0
    asked = editor.run(
        "from pyodide.code import run_js\n"
        "print(run_js('typeof XMLHttpRequest + typeof WebSocket + typeof importScripts'))"
    )
    assert asked == "undefinedundefinedundefined\n"


def test_a_link_carries_the_text_and_runs_nothing(tab: Tab, live: Path) -> None:
    tab.page.goto((live / "try-it.html").as_uri())
    tab.page.locator(".live-editor").fill("print('über')\n")
    tab.button("Link to this text").click()
    link = tab.page.get_by_label("The link with this text")
    link.wait_for()
    address = link.input_value()
    assert address.startswith((live / "try-it.html").as_uri() + "#text=")
    tab.page.goto("about:blank")
    tab.page.goto(address)
    tab.status("This text came with the link.")
    assert tab.page.locator(".live-editor").input_value() == "print('über')\n"
    assert not any("python.data" in url for url in tab.asked)
    tab.button("Run the program").click()
    tab.status("Done.")
    assert tab.printed() == "über\n"


def test_the_editor_is_left_by_keyboard_and_fits_a_phone(browser: Browser, live: Path) -> None:
    tab = Tab(browser, 360)
    for name in ("index", "try-it"):
        tab.page.goto((live / f"{name}.html").as_uri())
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    area = tab.page.locator(".live-editor")
    area.fill("")
    area.press_sequentially("if 1:\n2")
    area.press("Enter")
    area.press("Tab")
    assert area.input_value() == "if 1:\n    2\n        "
    area.press("Escape")
    assert tab.page.evaluate("document.activeElement.textContent") == "Run"
    tab.page.keyboard.press("Enter")
    tab.status("Done.")
    assert tab.printed() == "2\n"
    assert tab.page.locator(".live-status").get_attribute("role") == "status"
    tab.page.goto((live / "index.html").as_uri())
    tab.button("Run it here").click()
    tab.status("Done.", "this page's program")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    tab.close()


def test_a_browser_that_cannot_switch_stacks_says_so(tab: Tab, live: Path) -> None:
    tab.page.add_init_script("delete WebAssembly.Suspending")
    tab.page.goto((live / "index.html").as_uri())
    assert "cannot switch stacks" in tab.page.locator(".live-note").inner_text()
    assert tab.page.locator(".live-tools").count() == 0
    expect(tab.page.locator(".live-block").first).to_be_visible()


def test_a_book_without_python_says_how_to_get_it(book: Path) -> None:
    page = article(book, "try-it")
    assert "make html-live" in page.text
    assert "live.js" not in str(page)
    assert "live-block" not in str(page)
    assert not (book / "html" / "_static" / "python.data.js").exists()


def test_the_licence_lies_beside_python(live: Path) -> None:
    text = (live / "_static" / "python-licences.txt").read_text("utf-8")
    assert pyodide.VERSION in text
    assert "Mozilla Public License Version 2.0" in text
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in text
