"""How pages run as tests: in order, no further than their first failure, and leaving no thread behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from book import ROOT

SHUFFLE = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
"""A plug-in that does what pytest-randomly may do."""


def run(tree: Path, page: str) -> str:
    """What pytest says about one page whose examples were shuffled."""
    (tree / "docs/questions/free").mkdir(parents=True)
    (tree / "docs/questions/free/index.md").write_text(page, "utf-8")
    (tree / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8"), "utf-8")
    (tree / "shuffle.py").write_text(SHUFFLE, "utf-8")
    path = os.pathsep.join(map(str, (tree, ROOT / "docs", ROOT / "tests", ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "shuffle", "-v", "-rs", "-W", "error", "docs"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def block(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```", ""])


def test_a_page_s_examples_keep_their_order_and_share_their_names(tmp_path: Path) -> None:
    page = (
        block(">>> x = 1") + block(">>> x += 1", ">>> x", "2") + block(">>> __name__", "'__main__'")
    )
    assert " 4 passed" in run(tmp_path, page)


def test_after_a_failure_the_rest_of_the_page_is_skipped(tmp_path: Path) -> None:
    said = run(tmp_path, block(">>> 1", "1", ">>> 1", "2") + block(">>> 3", "4", ">>> 5", "6"))
    assert "1 failed, 1 passed, 2 skipped" in said
    assert "the page failed at line 4" in said


def test_a_page_that_leaves_a_thread_fails(tmp_path: Path) -> None:
    page = block(
        ">>> import threading",
        ">>> never = threading.Event()",
        ">>> t = threading.Thread(target=never.wait, name='left', daemon=True)",
        ">>> t.start()",
    )
    assert re.search(r"threads still alive at the end of the page: \['left'\]", run(tmp_path, page))


def test_a_page_whose_thread_dies_fails(tmp_path: Path) -> None:
    page = block(
        ">>> import threading",
        ">>> def die():",
        "...     raise RuntimeError('died')",
        ">>> t = threading.Thread(target=die)",
        ">>> t.start(); t.join()",
        ">>> 'the last example'",
        "'the last example'",
    )
    assert "RuntimeError: died" in run(tmp_path, page)
