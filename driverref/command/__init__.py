"""What the command line is made of; the commands themselves stand in `driverref.__main__`.

Each room here does one thing for them and prints nothing: `options` are those that several commands have, `loading`
finds the scenario in a file, `report` is a page about what exploring it has found, `releases` the table of releases,
`book` reads the book's pages, `beginning` makes a new driver of one.  What they cannot use they refuse in one line,
as `BadInput`.
"""

from __future__ import annotations

import click


class BadInput(click.ClickException):
    """What somebody gave cannot be used: one line that says what and why.  The command's exit status is 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
