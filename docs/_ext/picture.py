"""The README's picture: the trace of the README's own snippet. `make picture` draws it anew.

The picture stands alone in a file, where a page's style sheet cannot reach it: it gets its two
colours, for a light and a dark ground, from a style of its own.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from . import pages

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/_static/round-trip.svg"
TITLE = "A job's way from port_command to the reply"
DESCRIPTION = (
    "port_command runs output on a scheduler, which hands a job to an async thread with "
    "driver_async. The thread runs it, the scheduler calls ready_async, and the reply goes to "
    "the process."
)
THEME = "svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}"


def snippet(readme: str) -> tuple[str, str]:
    """The README's Python and the output it claims."""
    found = [fence for fence in pages.fences(readme) if fence.info in {"python", "text"}]
    code, output = found[:2]
    return code.content, output.content


def run_snippet() -> tuple[dict[str, Any], str, str]:
    """The snippet's names, what it printed, and what the README says that it prints."""
    code, claimed = snippet((ROOT / "README.md").read_text("utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), namespace)
    return namespace, printed.getvalue(), claimed


def draw() -> str:
    """The picture as it has to be."""
    from driverref import timeline  # the package is the book's subject, not its builder

    trace = run_snippet()[0]["erl"].trace
    picture = timeline.svg(trace, title=TITLE, description=DESCRIPTION)
    return picture.replace("<style>", f"<style>{THEME}", 1) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
