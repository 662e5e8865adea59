"""How a command ends: the exit status, which means the same for every command.

The statuses are for the scripts that run the commands, so each says one thing.  A script that only
asks for 0 is told the truth: 0 is every schedule, and no fault.  1 is a fault of the driver or the
scenario and nothing else, so it is not the status of a crash, as it is elsewhere in Python.

`Commands` gives every end of a command its status, also the ends that the command does not know of:
an error in the input, Ctrl-C, an output that takes no more, and an exception of the tool's own.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from driverref.command import BadInput
from driverref.command.console import LOST, complain

FAULT = 1
"""A run has ended in a fault."""
NOT_ALL = 3
"""No fault was found, but not every schedule was run."""
TOOL = 70
"""The tool itself has failed: EX_SOFTWARE of `sysexits.h`."""
OUTPUT = 74
"""The output could not be written: EX_IOERR of `sysexits.h`."""
INTERRUPTED = 130
"""Ctrl-C: 128 and the number of SIGINT, as a shell has it."""
PIPE = 141
"""What reads the output has closed the pipe: 128 and the number of SIGPIPE."""


def of(fault: bool, complete: bool) -> int:
    """Return the status of a command that has come to its end."""
    if fault:
        return FAULT
    return 0 if complete else NOT_ALL


class Commands(click.Group):
    """Lists its commands in the order of definition, and ends each with a status and one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names unsorted, unlike click."""
        return list(self.commands)

    def main(self, *args: Any, **more: Any) -> Any:
        """Run a command, and end Python with its status."""
        try:
            status = super().main(*args, **{**more, "standalone_mode": False})
        except (Exception, KeyboardInterrupt) as error:
            status = _status(error)
        sys.exit(status)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Print the help, if that is what is asked for."""
        with _written():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _written():
            return super().invoke(ctx)


@contextmanager
def _written() -> Iterator[None]:
    """End the command with a status if the output takes no more; click would with the status 1."""
    try:
        yield
    except OSError as error:
        if error.errno not in LOST:
            raise
        # What is still in the buffer would be written when Python ends, and fail again.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(PIPE) from None
        file = error.filename or "the output"
        complain(f"Error: {file} cannot be written: {error.strerror}")
        raise click.exceptions.Exit(OUTPUT) from None


def _status(error: BaseException) -> int:
    """Return the status for an exception that has ended a command, and say what it was."""
    if isinstance(error, click.Abort):  # click's own word for Ctrl-C
        error = error.__cause__ or error
    match error:
        case click.UsageError():
            complain(f"Error: {BadInput(error.format_message()).message}")
            return BadInput.exit_code
        case click.ClickException():
            complain(f"Error: {error.format_message()}")
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            complain("\n".join(["interrupted", *getattr(error, "__notes__", ())]))
            return INTERRUPTED
    complain("".join(traceback.format_exception(error)).rstrip())
    complain("Error: driverref itself has failed, not your driver: please report the lines above")
    return TOOL
