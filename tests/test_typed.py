"""What a type checker tells the author of a driver."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

TYPED = Path(__file__).parent / "typed"

MARK = re.compile(r" *# error: ([\w-]+), (\w+)")
"""The line above a mistake: mypy's error code, and pyright's rule."""

Found = set[tuple[str, int, str]]
"""File, line, and what is said of it."""


def expected(column: int) -> Found:
    """The mistakes that the files mark, with mypy's codes (1) or pyright's rules (2)."""
    return {
        (path.name, number, found[column])
        for path in TYPED.glob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 2)
        if (found := MARK.fullmatch(line))
    }


def run(folder: Path, *command: str) -> str:
    """What a checker writes about a copy of the files, which knows nothing of this project."""
    for path in TYPED.glob("*.py"):
        (folder / path.name).write_bytes(path.read_bytes())
    command = (sys.executable, "-m", *command)
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False
    ).stdout


def mypy(folder: Path) -> Found:
    said = run(folder, "mypy", "--strict", "--config-file=", "--no-error-summary", ".")
    return {
        (found[1], int(found[2]), found[3])
        for found in re.finditer(r"(?m)^(\S+):(\d+): error: .*  \[(.*)\]$", said)
    }


def pyright(folder: Path) -> Found:
    said = json.loads(run(folder, "pyright", "--outputjson", "--pythonpath", sys.executable))
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1, found["rule"])
        for found in said["generalDiagnostics"]
        if found["severity"] == "error"
    }


@pytest.mark.slow
def test_mypy_finds_every_mistake_in_a_driver_and_no_other(tmp_path: Path) -> None:
    assert mypy(tmp_path) == expected(1)


@pytest.mark.slow
def test_pyright_finds_every_mistake_in_a_driver_and_no_other(tmp_path: Path) -> None:
    assert pyright(tmp_path) == expected(2)


def test_most_callbacks_are_among_the_mistakes() -> None:
    assert len(expected(1)) == len(expected(2)) > 20


def test_the_driver_without_a_mistake_runs() -> None:
    runpy.run_path(str(TYPED / "right_driver.py"), run_name="__main__")
