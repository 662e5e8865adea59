"""Python in the page against native Python: the first output, and schedules a second.

    make bench-live

Both explore the same scenario, in turns, so that a busy machine is as busy for one as for the
other. Native is a process of its own. The page is opened from file:// in the system's Chromium.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests")]

from _ext import pyodide  # noqa: E402
from book import sphinx  # noqa: E402
from chromium import CHROMIUM, launched  # noqa: E402
from playwright.sync_api import Page  # noqa: E402

ROUNDS = 5
LEAST = 0.3
"""How much of native the page has to reach."""

PROGRAM = """\
import time
from driverref import Driver, explore
from driverref.erl_driver import driver_async

class Three(Driver):
    driver_name = "three"

    def start(self, port, command):
        return port

    def output(self, port, buf):
        for _ in range(3):
            driver_async(port, None, self.work, None, None)

    def work(self, data):
        pass

    def ready_async(self, port, data):
        pass

def scenario(erl):
    erl.erl_ddll.load_driver(Three())
    port = erl.open_port(("spawn_driver", "three"))
    erl.port_command(port, b"")
    erl.port_close(port)

began = time.perf_counter()
found = explore(scenario, async_threads=2, limit=600)
print(f"{found.schedules / (time.perf_counter() - began):.0f} schedules a second")
"""

PAGE = """\
---
orphan: true
---
# A page

```{live}
```

```python
>>> print("begun")
begun
```
"""


def rate(printed: str) -> float:
    """Return what a program has measured."""
    found = re.search(r"(\d+) schedules a second", printed)
    assert found, printed
    return float(found[1])


def natively() -> float:
    """Run the program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment
    )
    return rate(done.stdout)


def in_page(page: Page, text: str) -> str:
    """Run a program in the page, and return what it prints."""
    page.locator(".live-editor").fill(text)
    page.get_by_role("button", name="Run the program").click()
    page.locator(".live-status", has_text="Done").wait_for()
    return "".join(page.locator(".live-out .live-text").all_text_contents())


def measure(book: Path) -> float:
    """Measure in turns; return the ratio."""
    ours, theirs = [], []
    with launched() as browser:
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto((book / "index.html").as_uri())
        for first in "the first click", "a new Worker":
            began = time.perf_counter()
            in_page(page, "print('begun')")
            print(f"from {first} to the first output: {time.perf_counter() - began:.1f} s")
            page.locator(".live-editor").fill("while True: pass")
            page.get_by_role("button", name="Run the program").click()
            page.get_by_role("button", name="Stop").click()
        for _ in range(ROUNDS):
            theirs.append(natively())
            ours.append(rate(in_page(page, PROGRAM)))
            print(f"schedules a second: {ours[-1]:5.0f} in the page, {theirs[-1]:5.0f} native")
    return median(own / other for own, other in zip(ours, theirs, strict=True))


def main() -> None:
    """Measure, print, and fail if the page is too slow."""
    if CHROMIUM is None:
        sys.exit("Chromium is needed: apt install chromium")
    pyodide.fetch(ROOT / "build" / "pyodide")
    with tempfile.TemporaryDirectory() as folder:
        docs = Path(folder) / "docs"
        docs.mkdir()
        (docs / "index.md").write_text(PAGE, "utf-8")
        book = Path(folder) / "html"
        built = sphinx(docs, book, "-D", f"live_python={ROOT / 'build' / 'pyodide'}")
        if not (book / "index.html").exists():
            sys.exit(built.stderr)
        ratio = measure(book)
    print(f"ratio: {ratio:.2f} (at least {LEAST})")
    sys.exit(ratio < LEAST)


if __name__ == "__main__":
    main()
