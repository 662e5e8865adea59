"""Cells, tables and counters made deaf: those of one place do not tell the search.

A *place* is where the package makes what threads share: `threads.cell(...)`, `threads.table()` or
`threads.counter()`.  Its name is the file's and that of what is assigned there, such as
`"runtime/port.py state"`.  The places are read from the source, so that a new one is known.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import driverref
from driverref.threads.simulated import SimulatedThreads

PACKAGE = Path(driverref.__file__).parent
KINDS = ("cell", "table", "counter")


def _makes(node: ast.AST) -> bool:
    """Whether an expression is a call such as `threads.cell(...)` or `self.threads.table()`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="threads"), attr=kind)):
            return kind in KINDS
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="threads"), attr=kind)):
            return kind in KINDS
    return False


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)


def _places(path: Path) -> Iterator[tuple[range, str]]:
    """The lines of each statement of a file that makes something shared, and its place."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not any(map(_makes, ast.walk(node))):
            continue
        match node:
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                yield lines, f"{path.relative_to(PACKAGE).as_posix()} {_name(target)}"
            case ast.Expr() | ast.Return():
                raise AssertionError(f"{path}:{node.lineno} makes something shared without a name")


@cache
def places() -> dict[tuple[str, int], str]:
    """The place of each line that makes something that threads share."""
    return {
        (str(path), line): place
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "threads"
        for lines, place in _places(path)
        for line in lines
    }


def _place(caller: FrameType) -> str | None:
    return places().get((caller.f_code.co_filename, caller.f_lineno))


def _drop(access: object) -> None:
    """Declare nothing."""


def deafen(patch: pytest.MonkeyPatch, place: str) -> None:
    """Have nothing declared of what is made at `place`, from now on."""
    for kind in KINDS:
        patch.setattr(SimulatedThreads, kind, _deaf(getattr(SimulatedThreads, kind), place))


def _deaf(whole: Any, place: str) -> Any:
    def make(threads: SimulatedThreads, *value: object) -> object:
        made = whole(threads, *value)
        if _place(sys._getframe(1)) == place and hasattr(made, "_declare"):
            made._declare = _drop
        return made

    return make
