"""The page about debugging: each of its console blocks is run, and prints what the page shows.

The blocks are one session of a shell, in a folder that has the drivers.  `...` on the page stands
for anything, and a line that is only `...` for any lines.  A block whose tool is not installed is
left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from _ext import pages
from book import DOCS

pytestmark = pytest.mark.slow

ROOT = DOCS.parent
FILES = (
    "docs/debugging/caps_drv.c",
    "docs/debugging/caps_drv.erl",
    "docs/symptoms/counted.c",
    "docs/symptoms/symptom.h",
    "docs/symptoms/symptoms.erl",
    "tests/benchmarks/tell_tsan.h",
)
PATIENCE = 300
"""Seconds for the whole session."""


class Command(NamedTuple):
    """A command of the page, and the lines below it."""

    words: str
    shown: list[str]
    block: int


def commands() -> Iterator[Command]:
    """Return the page's commands, in order; one that goes on in the next line is joined."""
    page = (DOCS / "debugging.md").read_text("utf-8")
    blocks = [fence.content for fence in pages.fences(page) if fence.info == "console"]
    for block, content in enumerate(blocks):
        for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
            first, *shown = part.replace("\\\n", "").splitlines()
            yield Command(first, shown, block)


COMMANDS = list(commands())
BLOCKS = sorted({command.block for command in COMMANDS})


def lacks(block: int) -> str:
    """Return what a block needs that is not here, or nothing."""
    words = " ".join(command.words for command in COMMANDS if command.block == block)
    for tool in "erl", "erlc", "cc", "gdb", "valgrind", "setarch", "addr2line":
        if re.search(rf"\b{tool}\b", words) and shutil.which(tool) is None:
            return f"not installed: {tool}"
    for library in re.findall(r"lib[at]san\.so", words):
        found = subprocess.run(
            ["cc", f"-print-file-name={library}"], capture_output=True, text=True, check=True
        )
        if found.stdout.strip() == library:
            return f"cc has no {library}"
    if "core" in words and Path("/proc/sys/kernel/core_pattern").read_text().strip() != "core":
        return "a core file goes elsewhere"
    return ""


@cache
def printed(folder: Path) -> list[str]:
    """Return what each command printed, in order; nothing for one that was left out."""
    for file in FILES:
        shutil.copy(ROOT / file, folder)
    here = folder / "driverref"
    here.write_text(f'#!/bin/sh\nexec {sys.executable} -m driverref "$@"\n')
    here.chmod(0o755)
    script = [f"PATH={folder}:$PATH", "exec 2>&1"]
    for number, command in enumerate(COMMANDS):
        script += [f"echo '@@ {number}'"] + ([] if lacks(command.block) else [command.words])
    with subprocess.Popen(
        ["sh", "-c", "\n".join(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as shell:
        try:
            written, _ = shell.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, 9)
            raise
    return re.split(r"^@@ \d+\n", written, flags=re.MULTILINE)[1:]


def pattern(shown: list[str]) -> str:
    """Return what the shown lines stand for, as a regular expression."""
    return "".join(
        r"(?:.*\n)*?"
        if line == "..."
        else ".*".join(map(re.escape, line.rstrip().split("..."))) + r"[ \t]*\n"
        for line in shown
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not sys.platform.startswith("linux"):
        pytest.skip("the page is about Linux")
    return tmp_path_factory.mktemp("debugging")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_prints_what_the_page_shows(block: int, folder: Path) -> None:
    if lack := lacks(block):
        pytest.skip(lack)
    for command, output in zip(COMMANDS, printed(folder), strict=True):
        if command.block == block:
            if "Operation not permitted" in output:
                pytest.skip("this machine does not let gdb look into a process")
            assert re.fullmatch(pattern(command.shown), output), f"$ {command.words}\n{output}"
