"""Sybil runs the examples of the book's pages and of the docstrings as tests.

A page is one program: its examples share a namespace and run in the page's order, even if a plug-in
shuffles the tests or shares them out to several processes. When an example fails, the rest of its
page is skipped, because it would fail for the same reason. A page fails if a thread is alive at
its end.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import threading
from collections.abc import Generator, Iterable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import book
import pytest
from _ext import pages
from filelock import FileLock
from hypothesis import settings
from sybil import Document, Region, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.integration.pytest import SybilItem
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.myst import PythonCodeBlockParser
from sybil.sybil import SybilCollection

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No deadline: on a slow or busy machine an example of Hypothesis may take long.
settings.register_profile("driverref", deadline=None)
settings.load_profile("driverref")

# The package's own plug-in, also where the package is not installed.
pytest_plugins = ["pytest_driverref"]
collect_ignore = ["driverref/command/template/c"]
"""Needs a C compiler: `tests/command/test_beginning.py` runs it."""

FAILED = pytest.StashKey[int]()
"""Key of a page's collector: the line at which the page failed."""

threads_before: dict[int, set[threading.Thread]] = {}
"""The threads that were alive when a page began, by the `id` of the page's namespace."""


def begin(namespace: dict[str, object]) -> None:
    """Prepare the namespace, before a page's first example."""
    pages.prepare(namespace)
    threads_before[id(namespace)] = set(threading.enumerate())


def end(namespace: dict[str, object]) -> None:
    """Check that no thread is left, after a page's last example."""
    left = set(threading.enumerate()) - threads_before.pop(id(namespace))
    # It looks at every emulator, and ends by itself soon after the last of them.
    left = {thread for thread in left if thread.name != "onlooker"}
    assert not left, f"threads still alive at the end of the page: {sorted(t.name for t in left)}"


def docstring_examples(document: Document) -> Iterable[Region]:
    """Return the `>>>` examples of docstrings, in fences or not.

    For `doctest` an empty line ends an example's output. Here a fence has to end it as well.
    """
    text = re.sub(r"^[ \t]*```.*$", lambda m: " " * len(m[0]), document.text, flags=re.MULTILINE)
    return DocTestStringParser(DocTestEvaluator(doctest.ELLIPSIS))(text, document.path)


PAGES = [PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)]

pytest_collect_file = SybilCollection(
    [
        Sybil(PAGES, path="docs", pattern="*.md", setup=begin, teardown=end),
        Sybil(PAGES, pattern="README.md", exclude="*/README.md", setup=begin, teardown=end),
        Sybil(
            [docstring_examples],
            path="driverref",
            pattern="*.py",
            document_types={".py": PythonDocStringDocument},
            setup=begin,
            teardown=end,
        ),
    ]
).pytest()


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist keep the examples of a page in one process."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each page's examples back into the page's order, after a plug-in has shuffled them."""
    places: dict[Path, list[int]] = {}
    for place, item in enumerate(items):
        if isinstance(item, SybilItem):
            places.setdefault(item.path, []).append(place)
    for found in places.values():
        ordered = sorted((items[place] for place in found), key=line_of)
        for place, item in zip(found, ordered, strict=True):
            items[place] = item


def line_of(item: pytest.Item) -> int:
    """Return the line of an example."""
    assert isinstance(item, SybilItem)
    return int(item.example.line)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip an example if one above it on the page has failed; keep the book for slow tests."""
    if "built_book" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("slow"):
        refuse_process()  # also where another test has had it built
    if isinstance(item, SybilItem) and item.parent is not None:
        line = item.parent.stash.get(FAILED, None)
        if line is not None:
            pytest.skip(f"the page failed at line {line}")


def refuse_process(*_: object, **__: object) -> NoReturn:
    """Fail: `make quick` leaves out what starts a process, so the test has to say that it does."""
    raise AssertionError("a test that starts a process, or uses built_book, needs the marker slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let only a test with the marker `slow` start a process."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("slow") is None and not isinstance(item, SybilItem):
            patch.setattr(subprocess.Popen, "__init__", refuse_process)
            patch.setattr(BaseProcess, "start", refuse_process)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the line at which a page fails."""
    report = yield
    is_page = isinstance(item, SybilItem) and item.path.suffix == ".md"
    if is_page and report.failed and report.when == "call" and item.parent is not None:
        item.parent.stash[FAILED] = line_of(item)
    return report


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder with the book's HTML. One process builds it, and the others wait for that."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # which the processes of a run share
    html = folder / "html"
    with FileLock(folder / "html.lock"):
        if not (folder / "html.built").exists():
            built = book.sphinx(book.DOCS, html)
            assert built.returncode == 0, built.stdout + built.stderr
            (folder / "html.built").touch()
    return html


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Where none is installed the test is skipped, but in CI it fails."""
    from chromium import CHROMIUM, launched

    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no Chromium: .ci/run installs it")
        pytest.skip("no Chromium is installed: apt install chromium")
    with launched() as browser:
        yield browser
