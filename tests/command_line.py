"""What the tests of the command line share: to give a command, and to read what a person sees."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from driverref.__main__ import main
from driverref.command import status


def given(*words: str | Path) -> Result:
    """What comes of `driverref` with these words; no traceback, whatever they are."""
    result = CliRunner().invoke(main, [str(word) for word in words], prog_name="driverref")
    assert result.exit_code != status.TOOL, result.stderr
    return result


def printed(*words: str | Path) -> str:
    """What a command prints that ends well."""
    result = given(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*words: str | Path) -> str:
    """The one line with which a command refuses."""
    result = given(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")
