"""What the command line is made of; the commands themselves stand in `driverref.__main__`.

Each file here does one thing for the commands and prints nothing.  `options` are those that several
commands have.  `running` decides in which process they run a scenario.  `loading` finds the
scenario in a file.  `report` makes a page about what exploring it has found.  `releases` makes the
table of releases.  `book` reads the book's pages.  `beginning` copies the template of a new driver.
Input that they cannot use they refuse in one line, as `BadInput`.
"""

from __future__ import annotations

import click


class BadInput(click.ClickException):
    """The input cannot be used: one line says what is wrong.  The command's exit status is 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
