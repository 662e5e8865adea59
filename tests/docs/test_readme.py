"""The README's snippet prints what the README says, and its picture is the snippet's trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from _ext import picture
from book import ROOT, run

pytestmark = pytest.mark.slow


def test_the_snippet_prints_what_the_readme_says(tmp_path: Path) -> None:
    code, claimed = picture.snippet((ROOT / "README.md").read_text("utf-8"))
    (tmp_path / "pasted.py").write_text(code, "utf-8")
    assert run(["pasted.py"], tmp_path) == claimed


def test_the_picture_is_up_to_date() -> None:
    assert picture.PICTURE.read_text("utf-8") == picture.draw(), "run `make picture`"


def test_the_commands_are_targets_of_the_makefile() -> None:
    targets = (ROOT / "Makefile").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    for line in readme.splitlines():
        if line.startswith("$ make "):
            assert f"\n{line.removeprefix('$ make ')}:" in targets
