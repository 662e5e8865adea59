"""The system's Chromium, in which what was built is opened.

Python's `playwright` drives it, and downloads none.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
"""The path of the program; `None` if it is not installed."""


@contextmanager
def launched() -> Iterator[Browser]:
    """`with launched() as browser:` it runs without a window during the block."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()
