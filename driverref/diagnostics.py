"""What a message says of a place in the program and of a value: the same in every run.

A message is compared: a search runs a schedule twice and expects the same, and a test asserts on
the text.  So a place is the file's name without its folder, the line and the function; and a value
is shown without the address of any object and without the order of a set.

A place is always the program's, the driver's or the scenario's: it is the innermost frame that is
neither this package's nor the standard library's.  There are four ways to come by one, and `where`
makes the text of it:

* `caller`: where the running stack stands;
* `standing`: where another stack stands, which waits;
* `raised`: where an exception was raised, or, after `called`, what could not be called;
* `defined`: where a function is defined.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TypeAlias

# Places.

Place: TypeAlias = tuple[CodeType, int] | None
"""A code object and an instruction in it; `None`: no line of the program has led there."""

_PACKAGE = f"{Path(__file__).parent}{os.sep}"
_LIBRARY = f"{Path(os.__file__).parent}{os.sep}"
_INSTALLED = tuple(f"{_LIBRARY}{folder}-packages" for folder in ("site", "dist"))
# What runs a scenario for a program that is not the one explored: a test, say, or a command.
_EXPLORERS = tuple(
    _PACKAGE + room for room in ("explore", "player", "conformance", "command", "__main__")
)

_DOCTEST = re.compile(r"<doctest (.*)\[\d+\]>")  # the file name that `doctest` gives an example


@cache
def is_program(file: str) -> bool:
    """Whether the code of a file is neither this package's nor the standard library's."""
    if file.startswith(_PACKAGE):
        return False
    return not file.startswith(_LIBRARY) or file.startswith(_INSTALLED)


def standing(frame: FrameType | None) -> Place:
    """Return the place at which a stack stands.  `frame` is its top."""
    # Every access to a driver's memory asks for its place, and hardly any place is ever printed.
    # So this keeps two words and no frame, which would keep all the caller's variables alive.
    inner = ""
    while frame is not None:
        file = frame.f_code.co_filename
        if is_program(file):
            return None if inner.startswith(_EXPLORERS) else (frame.f_code, frame.f_lasti)
        inner, frame = file, frame.f_back
    return None


def caller() -> Place:
    """Return the place at which the running stack stands."""
    return standing(sys._getframe(1))


def raised(error: BaseException) -> Place:
    """Return the place at which an exception was raised."""
    found, traceback = None, error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if is_program(code.co_filename):
            found = code, traceback.tb_lasti
        traceback = traceback.tb_next
    return found or getattr(error, "_called", None)


def called(error: Exception, function: object) -> None:
    """Note which function a call of it that has raised `error` was for, for `raised`.

    If the function takes other arguments, none of its lines has run.
    """
    error._called = defined(function)  # type: ignore[attr-defined]


def defined(function: object) -> Place:
    """Return the place at which a function is defined; `None` if it is not written in Python."""
    while wrapped := _within(function):
        function = wrapped
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return None if code is None else (code, 0)


def _within(function: object) -> object:
    """Return the function that is called by one that stands for it."""
    if isinstance(function, partial):
        return function.func
    return vars(function).get("__wrapped__") if isinstance(function, FunctionType) else None


def line(place: tuple[CodeType, int]) -> int | None:
    """Return the number of the line of a place."""
    code, at = place
    # The instruction, and not the line, was kept: the line is a search in this table.
    return next(number for start, end, number in code.co_lines() if start <= at < end)


Sources: TypeAlias = Callable[[CodeType], tuple[str, Sequence[str]] | None]
"""Finds the name and the lines of the file that has some code."""


def from_files(code: CodeType) -> tuple[str, Sequence[str]] | None:
    """Find the source of a function in its file, or among what was typed in a notebook."""
    lines = linecache.getlines(code.co_filename)
    return (Path(code.co_filename).name, lines) if lines else None


def where(place: Place) -> str:
    """Return the text of a place: `drv.py:12 in work`."""
    if place is None:
        return "the emulator's own doing"
    code, _ = place
    # Code outside any function has no name to give.
    within = "" if code.co_name == "<module>" else f" in {code.co_name}"
    name = Path(_DOCTEST.sub(r"\1", code.co_filename)).name
    return f"{name}:{line(place)}{within}"


# Values.

# Control characters but for the tab and the newline; and those that turn a line's direction round.
_CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]"
)


def printable(text: str) -> str:
    """Return a text with escapes, such as `\\x1b`, for what a terminal would not show but obey."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


# As `repr` of an object ends that has none of its own, or goes on where there is more to say.
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+(?=[>,;])")

_BRACKETS: dict[type, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def message(error: BaseException) -> str:
    """Return what `str` returns of an exception, but for addresses, and with sets in order.

    Of control characters it has tabs and newlines only.
    """
    told, args = type(error).__str__, error.args
    # Python shows the arguments, unless there is only one, a text; and that of a `KeyError`, too.
    if told is KeyError.__str__ and len(args) == 1:
        return shown(args[0])
    plain = not args or (len(args) == 1 and isinstance(args[0], str))
    if told in (BaseException.__str__, KeyError.__str__) and not plain:
        return shown(args[0] if len(args) == 1 else args)
    try:
        return printable(_ADDRESS.sub("", str(error)))
    except Exception:  # its `__str__` is the program's, which may fail
        return f"<{type(error).__name__}>"


def shown(value: object, most: int | None = None) -> str:
    """Return what `repr` shows of a value, but for addresses, and with sets in order.

    A text of more than `most` characters is cut.
    """
    try:
        text = printable(_shown(value, ()))
    except Exception:  # the `repr` is the program's, which may fail
        text = f"<{type(value).__name__}>"
    return text if most is None or len(text) <= most else text[: most - 3] + "..."


def _shown(value: object, around: tuple[int, ...]) -> str:
    """Return the text of a value that stands in the containers `around`, given by their ids."""
    kind = type(value)
    if kind in (str, bytes):
        return repr(value)
    if kind not in _BRACKETS or not value:
        return _ADDRESS.sub("", repr(value))
    opening, closing = _BRACKETS[kind]
    if id(value) in around:
        return f"{opening}...{closing}"
    around = (*around, id(value))
    if isinstance(value, dict):
        items = [f"{_shown(k, around)}: {_shown(v, around)}" for k, v in value.items()]
    else:
        assert isinstance(value, tuple | list | set | frozenset)
        items = [_shown(item, around) for item in value]
    if kind in (set, frozenset):
        items.sort()
    comma = "," if kind is tuple and len(items) == 1 else ""
    return f"{opening}{', '.join(items)}{comma}{closing}"
