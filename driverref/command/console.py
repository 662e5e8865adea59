"""What the commands print and write: a terminal, a pipe, a file.

* `say` prints a text, and `say_json` what a program reads.  Of a text that comes from a driver or a
  scenario a terminal gets no control character, which could change its colours or its title.
* `write` makes a file, and `write_result` a page or a picture.  A result begins with a mark, and
  only a file with this mark is overwritten.

What fails because a pipe is closed or a disk is full, with an errno of `LOST`, is left to `status`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from driverref.command import BadInput
from driverref.diagnostics import printable

LOST = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""The errors of an output that takes no more."""

MARK = "<!-- Written by driverref, which may overwrite this file. -->\n"
"""The first line of a page or a picture, which both are languages with such comments."""


def put(text: str) -> None:
    """Print a text as it is, with escapes only for what the output cannot encode."""
    # Not `click.echo`, which writes UTF-8 to an output that says it takes ASCII.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a text, with escapes for control characters."""
    put(printable(text))


def say_json(report: dict[str, Any]) -> None:
    """Print a report for a program, in ASCII."""
    put(json.dumps(report, indent=2))


def complain(text: str) -> None:
    """Print a text on the error output, if it takes one."""
    with suppress(OSError):
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()


def write(file: Path, text: str, mode: str = "w") -> None:
    """Write a file; with mode `"x"` only if there is none.

    Raises `BadInput` if it cannot be written, and the `OSError` if the disk is full.
    """
    try:
        with file.open(mode, encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        if error.errno in LOST:
            error.filename = str(file)
            raise
        raise BadInput(f"{file}: {error.strerror}") from None


def write_result(file: Path, text: str, force: bool) -> None:
    """Write a page or a picture, if `check_free` has nothing against it."""
    check_free(file, force)
    write(file, MARK + text)


def check_free(file: Path | None, force: bool) -> None:
    """Raise `BadInput` if there is a file that no command has written, unless `force` is given."""
    # `os.path`, because a `Path` raises where a name is too long.
    if file is None or force or not os.path.isfile(file):  # noqa: PTH113
        return
    try:
        with file.open("rb") as stream:
            ours = stream.read(len(MARK)) == MARK.encode()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    if not ours:
        raise BadInput(f"{file} exists, and driverref has not written it; --force overwrites it")
