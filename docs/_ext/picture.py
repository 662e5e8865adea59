"""The README's picture: the trace of the README's own snippet. `make picture` draws it anew."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from _ext import pages
from driverref import Emulator, timeline

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/_static/round-trip.svg"
TITLE = "A job's way from port_command to the reply"
DESCRIPTION = (
    "port_command runs output on a scheduler, which hands a job to an async thread with "
    "driver_async. The thread runs it, the scheduler calls ready_async, and the reply goes to "
    "the process."
)


def snippet(readme: str) -> tuple[str, str]:
    """Return the Python code of the README's text, and the output that is shown for it."""
    found = [fence for fence in pages.fences(readme) if fence.info in {"python", "text"}]
    code, output = found[:2]
    return code.content, output.content


def draw() -> str:
    """Run the snippet, and return the picture as a file of its own."""
    code, _ = snippet((ROOT / "README.md").read_text("utf-8"))
    namespace: dict[str, object] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "README.md", "exec"), namespace)
    erl = namespace["erl"]
    assert isinstance(erl, Emulator)
    picture = timeline.svg(
        erl.trace,
        title=TITLE,
        description=DESCRIPTION,
        sources=lambda _: ("README.md", code.splitlines()),
    )
    return timeline.as_file(picture)


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
