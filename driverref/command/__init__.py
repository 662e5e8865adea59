"""What the command line is made of; the commands themselves stand in `driverref.__main__`.

Each file here does one thing for the commands.

* `options` are those that several commands have.
* `loading` finds the scenario in a file, `workers` are the processes of `--jobs`.
* `checking` is the command for a driver in C.
* `report` makes a page about what exploring has found, `as_json` the reports for a program.
* `releases` makes the table of releases, `book` reads the book's pages, `beginning` copies the
  template of a new driver.
* `console` prints and writes, `status` ends a command.

Input that they cannot use they refuse in one line, as `BadInput`.
"""

from __future__ import annotations

import click


class BadInput(click.ClickException):
    """The input cannot be used: one line says what is wrong.  The command's exit status is 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
