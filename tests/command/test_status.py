"""The exit statuses: one meaning each, for every command and every end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from book import ROOT
from click.testing import CliRunner
from command_line import given, printed

from driverref import __main__ as command_line
from driverref.command import running, status

RACE = """\
def s(erl):
    me = erl.self()
    for n in (1, 2):
        erl.spawn(lambda n=n: erl.send(me, n))
    return erl.receive(), erl.receive()

def fails(erl):
    if s(erl) == (1, 2):
        raise ValueError

def stops(erl):
    raise KeyboardInterrupt
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in a folder with one file, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "race.py").write_text(RACE)
    return tmp_path


@pytest.mark.rule("command.status")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("explore race.py:s", 0),
        ("explore race.py:fails", 1),
        ("explore race.py:none", 2),
        ("explore race.py:s --limit 1", 3),
        ("explore race.py:fails --limit 2", 1),
        ("explore race.py:s --strategy random --limit 5", 3),
        ("explore race.py:stops", 130),
        ("compare race.py:s", 0),
        ("compare race.py:fails", 1),
        ("compare race.py:none", 2),
        ("compare race.py:s --limit 1", 3),
        ("compare race.py:stops", 130),
        ("timeline race.py:s", 0),
        ("timeline race.py:s --witness 999:1", 2),
        ("timeline race.py:stops", 130),
        ("releases", 0),
        ("releases race.py", 2),
        ("answers nothing", 2),
        ("--help", 0),
        ("--version", 0),
        ("", 0),
    ],
)
def test_a_status_says_one_thing(words: str, expected: int) -> None:
    result = given(*words.split())
    assert result.exit_code == expected
    assert "Traceback" not in result.output
    if "--json" in printed(*words.split()[:1], "--help") and expected != 2:
        assert given(*words.split(), "--json").exit_code == expected


def test_ctrl_c_keeps_what_was_found_and_writes_no_page(folder: Path) -> None:
    text = "from itertools import count\nruns = count()\n" + RACE
    (folder / "late.py").write_text(
        text
        + "def late(erl):\n    s(erl)\n    if next(runs) == 2:\n        raise KeyboardInterrupt\n"
    )
    result = given("explore", "late.py:late", "--html", "out.html")
    assert result.exit_code == 130
    assert ", then interrupted; there may be others" in result.stdout
    assert result.stderr.strip() == "interrupted"
    assert not (folder / "out.html").exists()


def test_a_failure_of_the_tool_has_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (TypeError("_work() takes 0 arguments"), AttributeError("gone"), OSError("odd")):

        def fails(*words: object, error: Exception = error, **options: object) -> None:
            raise error

        monkeypatch.setattr(running, "explore", fails)
        result = CliRunner().invoke(command_line.main, ["explore", "race.py:s"])
        assert result.exit_code == status.TOOL
        assert f"{type(error).__name__}: {error}\n" in result.stderr
        last = "Error: driverref itself has failed, not your driver: please report the lines above"
        assert result.stderr.splitlines()[-1] == last


def test_ctrl_c_before_a_command_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "scenario_of", interrupted)
    assert given("explore", "race.py").exit_code == 130


@pytest.mark.slow
@pytest.mark.parametrize("words", ["explore race.py:s", "releases", "answers", "explore --help"])
def test_a_real_pipe_and_a_real_disk(words: str) -> None:
    """The reader is gone before the command begins to print; nothing is said but by the status."""
    command = [sys.executable, "-m", "driverref", *words.split()]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ended:
        assert ended.stdout is not None
        assert ended.stderr is not None
        ended.stdout.close()
        assert (ended.stderr.read(), ended.wait()) == ("", 141)
    if not Path("/dev/full").exists():
        pytest.skip("not here: /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    said = "Error: the output cannot be written: No space left on device\n"
    assert (done.stderr, done.returncode) == (said, 74)
