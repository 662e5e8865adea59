"""pytest for drivers: a fixture, two markers and an option.

* The fixture `erl` is an emulator.  It is stopped when the test has returned, so a leak fails the
  test.  `@pytest.mark.emulator(async_threads=2)` gives the arguments of `Emulator`.
* `@pytest.mark.explore(expected, async_threads=1)` has the test, which takes `erl`, run as a
  scenario in every schedule, by `assert_outcomes` and with its arguments.
* `--driverref-html FOLDER` writes a page about each exploration that fails.

This module stands beside the package and imports it only where a test needs it.  pytest imports its
plug-ins in every project, and before pytest-cov begins to measure: what they import is not
measured.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from driverref import Emulator
    from driverref.explore import Outcomes


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("driverref").addoption(
        "--driverref-html",
        metavar="FOLDER",
        help="write a page about each exploration that fails to this folder",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the markers mean."""
    for line in (
        "emulator(**options): the arguments of the Emulator that the fixture erl starts",
        "explore(expected, **options): run the test, which takes the fixture erl, in every"
        " schedule; the arguments are those of driverref.assert_outcomes",
    ):
        config.addinivalue_line("markers", line)


@pytest.fixture
def erl(request: pytest.FixtureRequest) -> Generator[Emulator | None]:
    """An emulator that runs, and is stopped when the test has returned."""
    if request.node.get_closest_marker("explore") is not None:
        yield None  # each schedule has an emulator of its own
        return
    from driverref import Emulator

    marker = request.node.get_closest_marker("emulator")
    with Emulator(**(marker.kwargs if marker else {})) as emulator:
        yield emulator


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a test as a scenario; or stop its emulator while the test can still fail."""
    marker = pyfuncitem.get_closest_marker("explore")
    if marker is not None:
        test, pyfuncitem.obj = pyfuncitem.obj, _explored(pyfuncitem, marker)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = test
    if "erl" not in pyfuncitem.funcargs:
        return (yield)
    from driverref import Emulator
    from driverref.errors import Leak

    erl = pyfuncitem.funcargs["erl"]
    if not isinstance(erl, Emulator):  # a fixture of the project's own
        return (yield)
    try:
        result = yield
    except BaseException as error:
        # Not stopped in good order: what it would find then is no news.
        erl.__exit__(type(error), error, error.__traceback__)
        raise
    try:
        erl.stop()
    except Leak as leak:  # the test has returned, so there is no line of it to show
        pytest.fail(f"Leak: {leak}", pytrace=False)
    return result


def _explored(item: pytest.Function, marker: pytest.Mark) -> Callable[..., None]:
    """Return the function that explores a test."""
    test = item.obj
    if "erl" not in item.funcargs:
        pytest.fail("a test with the marker explore takes the fixture erl", pytrace=False)

    def run(**fixtures: Any) -> None:
        __tracebackhide__ = True
        from driverref import assert_outcomes

        @wraps(test)
        def scenario(erl: Emulator) -> object:
            return test(**{**fixtures, "erl": erl})

        assert_outcomes(scenario, *marker.args, **marker.kwargs)

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what an exploration has found, and write its page."""
    report = yield
    error = call.excinfo and call.excinfo.value
    outcomes: Outcomes | None = getattr(error, "outcomes", None)
    if not isinstance(error, AssertionError) or outcomes is None:
        return report
    if item.get_closest_marker("explore") is not None:
        report.longrepr = str(error)  # the scenario is the test, so there is no line to show
    folder = item.config.getoption("--driverref-html")
    if folder is not None:
        page = item.config.invocation_params.dir / folder / _file_name(item.nodeid)
        _write(page, item, outcomes)
        report.sections.append(("driverref", f"a page with each outcome: {page}"))
    return report


def _file_name(nodeid: str) -> str:
    """Return a file's name that no other test has, whatever characters stand in the test's id."""
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", nodeid).strip("-")
    return f"{words[:100]}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}.html"


def _write(page: Path, item: pytest.Item, outcomes: Outcomes) -> None:
    from driverref.command import report

    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.page(item.name, outcomes), "utf-8")
