"""The page about choosing: its port program does what its head promises, beside the driver and the NIF.

`test_real_code.py` runs the driver and the NIF; a program is neither, so it is run here.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from _ext import driver_files
from book import DOCS

pytestmark = pytest.mark.slow

SOURCE = DOCS / "square_port.c"
MISSING = [tool for tool in ("erl", "erlc", "cc") if shutil.which(tool) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_the_program_prints_what_the_head_says(tmp_path: Path) -> None:
    files = [SOURCE, SOURCE.with_suffix(".erl")]
    for file in files:
        shutil.copy(file, tmp_path)
    commands = [command for file in files for command in driver_files.commands(file)]
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            command.split(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == driver_files.promised(SOURCE)
