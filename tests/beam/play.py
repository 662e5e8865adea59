"""`make beam`: every judge, on every emulator that is at hand.

    play.py            the installed one, and those that are unpacked in build/
    play.py FOLDER...  those that `newer-otp` has unpacked in these folders

`run.py` judges orders of callbacks, `run_values.py` what BIFs and calls return, `vectors.py` what
`outputv` is lent, and `nulls.py` what NULL does.  Each adds what it saw to its record.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
import nulls
import run
import run_values
import vectors

BUILD = Path(__file__).resolve().parents[2] / "build"


def main(folders: list[str]) -> int:
    """Play on each emulator.  1 if the model differs, or if there is no emulator."""
    chosen: list[Path | None] = [Path(folder) for folder in folders]
    chosen = chosen or [None, *sorted(BUILD.glob("otp-*"))]
    wrong = False
    for folder in chosen:
        with first_on_path(folder):
            for judge in (run, run_values):
                wrong |= judge.main([]) != 0
            for judge in (vectors, nulls):
                wrong |= judge.main() != 0
    return 1 if wrong else 0


@contextlib.contextmanager
def first_on_path(folder: Path | None) -> Iterator[None]:
    """With the emulator of a folder before any other; without one, the installed."""
    before = os.environ["PATH"]
    if folder is not None:
        os.environ["PATH"] = os.pathsep.join([str(folder.resolve() / "bin"), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
