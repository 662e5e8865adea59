"""The plug-in for pytest, in sessions of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel

import driverref.command.report  # noqa: F401  # once, and not anew in each session

ROOT = Path(__file__).parents[1]

pytest_plugins = ["pytester"]

DRIVER = """
import pytest
from driverref import Driver, Emulator, Struct, assert_outcomes
from driverref.erl_driver import driver_alloc, driver_async, driver_free
from driverref.errors import DataRace, DriverFault, Leak

class Note(Struct):
    text: bytes

class Forgets(Driver):
    driver_name = "forgets"

    def start(self, port, command):
        return port

    def output(self, port, buf):
        note = driver_alloc(Note)
        note.text = bytes(buf)
        driver_async(port, None, self.work, note, None)

    def work(self, note):
        pass

    def ready_async(self, port, note):
        driver_free(note)

def close_early(erl):
    erl.erl_ddll.load_driver(Forgets())
    port = erl.open_port(("spawn_driver", "forgets"))
    erl.port_command(port, b"x")
    erl.port_close(port)
    return "closed"
"""


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run these tests in this process, below the driver."""
    pytester.makepyfile(test_forgets=DRIVER + tests)
    plain = ("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "pytest_driverref")
    # Ctrl-C would end this session as well.
    return pytester.runpytest_inprocess(*plain, "--strict-markers", *options, no_reraise_ctrlc=True)


def test_erl_runs_and_is_stopped(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
kept = []

def test_one(erl):
    kept.append(erl)
    assert erl.system_info("schedulers") == 1

@pytest.mark.emulator(schedulers=2, async_threads=3)
def test_two(erl):
    assert "it has stopped" in repr(kept[0])
    assert erl.system_info("schedulers") == 2
    assert erl.system_info("thread_pool_size") == 3

def test_without():
    assert Emulator.running() is None
""",
    )
    result.assert_outcomes(passed=3)


def test_a_leak_fails_the_test_and_not_its_end(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_leak(erl):\n    close_early(erl)\n")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        ["Leak: 1 block never freed:", r"  Note allocated at test_forgets.py:\d+ in"]
    )
    result.stdout.no_fnmatch_line("*pytest_driverref.py*")


def test_a_test_that_fails_shows_its_own_failure_alone(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_fails(erl):
    assert close_early(erl) == "open"

def test_next(erl):
    assert erl.trace is not None
""",
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["E       AssertionError: assert 'closed' == 'open'"])
    result.stdout.no_fnmatch_line("*Leak*")


def test_a_fixture_of_the_projects_own_is_left_alone(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.fixture
def erl():
    return "mine"

def test_mine(erl):
    assert erl == "mine"
""",
    )
    result.assert_outcomes(passed=1)


def test_a_test_with_the_marker_runs_in_every_schedule(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
runs = []

@pytest.mark.parametrize("data", [b"x", b"y"])
@pytest.mark.explore({("closed", b"x"), ("closed", b"y"), Leak}, async_threads=1)
def test_any(erl, data, tmp_path):
    assert tmp_path.exists()
    runs.append(1)
    return close_early(erl), data

@pytest.mark.explore({"closed", DriverFault}, async_threads=1)
def test_expected(erl):
    runs.append(1)
    return close_early(erl)

def test_several():
    assert len(runs) > 3
""",
    )
    # Each of the first two never sees the outcome of the other.
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["never seen: ('closed', b'y')", "never seen: ('closed', b'x')"])


def test_its_failure_shows_table_witness_and_timeline(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.explore({"closed"}, async_threads=1)
def test_close(erl):
    return close_early(erl)
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            "a fault: Leak: 1 block never freed:",
            "outcome +schedules  witness",
            "Leak: 1 block never freed: Note allocated at .* first-come",
            "'closed' ",
            "2 ways to end; .* and there are no others",
            "how Leak: .* came about:",
            "time  thread       event",
            "   0  async 1      async_invoke job 1",
            'to run it again: replay\\(test_close, "first-come"\\)',
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_driverref.py*")


def test_a_fault_that_is_expected_by_its_class_has_to_come(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.explore({"closed", Leak, DataRace}, async_threads=1)
def test_close(erl):
    return close_early(erl)
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["never seen: DataRace"])


def test_the_marker_needs_the_fixture(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.explore()\ndef test_nothing():\n    pass\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["a test with the marker explore takes the fixture erl"])


def test_a_page_of_each_exploration_that_fails_is_written(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.mark.parametrize("name", ["a b", "a-b"])
@pytest.mark.explore(async_threads=1)
def test_close(erl, name):
    return close_early(erl)

def test_call():
    assert_outcomes(close_early, async_threads=1)

def test_good():
    assert_outcomes(close_early, {"closed", Leak}, async_threads=1)

def test_other():
    assert False
"""
    result = run(pytester, tests, "--driverref-html", "found/pages")
    result.assert_outcomes(failed=4, passed=1)
    pages = sorted((pytester.path / "found" / "pages").iterdir())
    names = [re.sub("-[0-9a-f]{8}.html$", "", page.name) for page in pages]
    assert names == [
        "test_forgets.py-test_call",
        "test_forgets.py-test_close-a-b",
        "test_forgets.py-test_close-a-b",
    ]
    for page in pages:
        text = page.read_text("utf-8")
        assert "<svg" in text
        assert "Leak: 1 block never freed" in text
        assert "replay(" in text
        result.stdout.fnmatch_lines([f"a page with each outcome: {page}"])


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.explore()\ndef test_endless(erl):\n    raise KeyboardInterrupt\n",
        """
def ctrl_c(erl):
    raise KeyboardInterrupt

def test_endless():
    assert_outcomes(ctrl_c)
""",
    ],
)
def test_ctrl_c_ends_the_session(pytester: pytest.Pytester, test: str) -> None:
    result = run(pytester, test + "\ndef test_next():\n    pass\n")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes()


@pytest.mark.slow
def test_the_plug_in_brings_nothing_that_is_to_be_measured() -> None:
    """pytest loads it before pytest-cov begins, also in a project that has no driver."""
    code = "import sys, pytest_driverref; sys.exit('driverref' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.slow
def test_pytest_finds_it_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        assert "pytest_driverref.py" in wheel.namelist()
        (entries,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert "[pytest11]\npytest_driverref = pytest_driverref" in wheel.read(entries).decode()
