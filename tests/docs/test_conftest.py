"""What `conftest.py` demands: of a page, its order, one failure and no thread left; of a test, its marker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from book import ROOT

pytestmark = pytest.mark.slow


SHUFFLE = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
"""A plug-in that does what pytest-randomly may do."""


def run(tree: Path, page: str, what: str = "docs") -> str:
    """What pytest says about one page, or other tests, in the opposite order."""
    (tree / "docs/questions/free").mkdir(parents=True)
    (tree / "docs/questions/free/index.md").write_text(page, "utf-8")
    (tree / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8"), "utf-8")
    (tree / "shuffle.py").write_text(SHUFFLE, "utf-8")
    path = os.pathsep.join(map(str, (tree, ROOT / "docs", ROOT / "tests", ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "shuffle", "-v", "-rs", "-W", "error", what],
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


TESTS = """
import multiprocessing
import subprocess
import sys

import pytest


def call(): subprocess.run([sys.executable, "-c", ""], check=True)

@pytest.fixture
def called(): call()

def test_itself(): call()
def test_by_a_fixture(called): pass
def test_multiprocessing(): multiprocessing.get_context("spawn").Process(target=print).start()
def test_the_book(built_book): pass
def test_none(): pass

@pytest.mark.slow
def test_that_says_so(called): call()
"""


def test_a_test_that_starts_a_process_has_to_say_that_it_is_slow(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "test_it.py").write_text(TESTS, "utf-8")
    said = run(tmp_path, "", "test_it.py")
    assert said.count("needs the marker slow") >= 4
    assert set(re.findall(r"test_it.py::(\w+) (\w+)", said)) == {
        ("test_itself", "FAILED"),
        ("test_by_a_fixture", "ERROR"),
        ("test_multiprocessing", "FAILED"),
        ("test_the_book", "ERROR"),
        ("test_none", "PASSED"),
        ("test_that_says_so", "PASSED"),
    }
