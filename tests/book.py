"""What several audits of the book share: its folder, its pages, and how to run what they show."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from _ext import pages

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = pages.pages(DOCS)
WITH_EXAMPLES = [page for page in PAGES if pages.blocks(page)]


def page_id(page: Path) -> str:
    """Return the name of a page in Sphinx, which is its id in a test's name as well."""
    return pages.docname(page, DOCS)


def shown(page: Path) -> str:
    """Return all the output that a page shows; of a traceback the lines below its stack."""
    found = [pages.parsed(e) for block in pages.blocks(page) for e in block.examples]
    return "".join(example.exc_msg or example.want for example in found)


def run(arguments: list[str], folder: Path, stdin: str = "") -> str:
    """Run a new interpreter, with warnings as errors, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=stdin,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def same(want: str, got: str) -> None:
    """Check the output as the examples of the pages are checked: `...` stands for anything."""
    checker = doctest.OutputChecker()
    assert checker.check_output(want, got, doctest.ELLIPSIS), f"shown:\n{want}\nprinted:\n{got}"


def copied(text: str, settings: dict[str, Any]) -> str:
    """What the copy button of a block with this text copies.

    This is `formatCopyText` of sphinx-copybutton, with what the book sets and what it leaves alone.
    """
    prompt = re.compile(f"^({settings['copybutton_prompt_text']})(.*)")
    lines, prompts, goes_on = [], False, False
    for line in text.split("\n"):
        match = prompt.match(line)
        if match or goes_on:
            prompts = prompts or bool(match)
            lines.append(match[2] if match else line)
            goes_on = line.endswith(settings["copybutton_line_continuation_character"])
    return ("\n".join(lines) if prompts else text).removesuffix("\n")


def sphinx(docs: Path, html: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build a book in a process of its own, with warnings as errors."""
    strict = ["-q", "-n", "-W", "--keep-going", "-c", str(ROOT), *options]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *strict, str(docs), str(html)],
        cwd=html.parent,
        capture_output=True,
        text=True,
        check=False,
    )
