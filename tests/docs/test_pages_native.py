"""The pages on OS threads: `threads="native"` is the default, and the text stays as it is.

A block whose order or time only simulated threads define, or that shows a `Deadlock`, says so in
the line above it, with the reason: `% simulated: the timer races with the job`.  MyST takes such a
line for a comment.  The block runs on simulated threads here as well, so that the blocks below find
what it has defined.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from _ext import pages
from book import PAGES, WITH_EXAMPLES, page_id

from driverref import Emulator

pytestmark = pytest.mark.slow


MARK = re.compile(r"% simulated: \S")


def marked(page: Path) -> set[int]:
    """The lines, counted from 1, that stand below a mark."""
    lines = page.read_text("utf-8").splitlines()
    return {number + 1 for number, line in enumerate(lines, 1) if MARK.match(line)}


@pytest.mark.native
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=page_id)
def test_a_page_runs_on_os_threads(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Emulator.__init__.__kwdefaults__
    assert defaults is not None
    before = set(threading.enumerate())
    simulated = marked(page)
    for block in pages.blocks(page):
        threads = "simulated" if block.line in simulated else "native"
        monkeypatch.setitem(defaults, "threads", threads)
        for example in block.examples:
            example.evaluate()
    for thread in (
        set(threading.enumerate()) - before
    ):  # after an error the emulator does not wait for its threads
        thread.join(10)
        assert not thread.is_alive(), thread.name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_each_mark_stands_above_a_block_that_starts_an_emulator(page: Path) -> None:
    starts = {
        block.line
        for block in pages.blocks(page)
        if any("Emulator(" in pages.parsed(example).source for example in block.examples)
    }
    assert marked(page) <= starts


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_whatever_looks_like_a_mark_is_one(page: Path) -> None:
    comments = [line for line in page.read_text("utf-8").splitlines() if line.startswith("%")]
    # Between two such lines stands what another page includes.
    pieces = {
        piece
        for other in PAGES
        for piece in re.findall(r':(?:start-after|end-before): "(%.*)"', other.read_text("utf-8"))
    }
    assert [line for line in comments if not MARK.match(line) and line not in pieces] == []


def test_the_mark_decides_which_threads_a_block_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = "```python\n>>> seam = Emulator().runtime.threads.simulated\n```\n"
    page = tmp_path / "page.md"
    page.write_text(f"{block}\n% simulated: to see it\n{block}", "utf-8")
    assert marked(page) == {6}
    assert [found.line for found in pages.blocks(page)] == [1, 6]
