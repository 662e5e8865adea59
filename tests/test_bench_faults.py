"""The table of what other tools find: each scene can be played in Erlang, and the page has every broken driver."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent / folder) for folder in ("benchmarks", "hosting")]
import faults
from broken import CASES

pytestmark = pytest.mark.slow


def test_a_scene_is_written_down_in_erlang(tmp_path: Path) -> None:
    if shutil.which("erlc") is None:
        pytest.skip("there is no erlc")
    for number, text in enumerate({faults.script(case) for case in CASES}):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "scene.erl").write_text(text)
        subprocess.run(["erlc", "+no_auto_import_warnings", "scene.erl"], cwd=folder, check=True)


def test_the_page_has_each_broken_driver_with_its_line() -> None:
    rows = [line for line in faults.PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    found = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1] for row in rows}
    assert [*found] == [case.name for case in CASES]
    for case in CASES:
        assert found[case.name].startswith(f"`{case.fault}`")
