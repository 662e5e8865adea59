"""The marks that tests carry, read from their sources with `ast`.

`@pytest.mark.rule("key.order")` names a rule of the book, and `@pytest.mark.otp("driver_SUITE",
"caller")` a case of OTP's test suites. `read_marks` finds those of one kind in a file. Nothing is
imported or run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """One mark of a test."""

    arguments: list[ast.expr]
    test: str
    """The test's name, with its class where it has one."""
    path: Path
    line: int
    """Where the test begins."""

    @property
    def is_test(self) -> bool:
        """Whether pytest takes what carries the mark for a test."""
        return re.match(r"test|Test", self.test.rpartition(".")[2]) is not None


def string(argument: ast.expr) -> str | None:
    """Return the plain string that an argument of a mark is, or None."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return None


def read_marks(path: Path, name: str) -> Iterator[Mark]:
    """Yield each mark called `name` in one test file, in order."""
    yield from _marks(ast.parse(path.read_text("utf-8"), str(path)).body, name, path)


def _marks(body: list[ast.stmt], name: str, path: Path, outer: str = "") -> Iterator[Mark]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            test = f"{outer}{node.name}"
            for call in (call for it in node.decorator_list for call in _calls(it, name)):
                yield Mark(call.args, test, path, node.lineno)
            if isinstance(node, ast.ClassDef):
                yield from _marks(node.body, name, path, f"{test}.")


def _calls(decorator: ast.expr, name: str) -> Iterator[ast.Call]:
    """Yield the calls of the mark in a decorator, also those inside a `parametrize`."""
    for node in ast.walk(decorator):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(f"mark.{name}"):
            yield node
