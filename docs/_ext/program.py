"""A page's examples as one Python file that runs and prints what the page shows.

The file has the code of the page's blocks in order, without prompts and without output. Two kinds
of examples need more than that:

* The prompt prints the value of an expression that stands alone; a program does not. So such an
  expression is wrapped in `_show(...)` (`shown`).
* An example that ends in a traceback is wrapped in `try`, and prints the traceback's last line
  (`runnable`).
"""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from pathlib import Path

from _ext import pages

SHOW = '''
def _show(value):
    """Print a value as the Python prompt does."""
    if value is not None:
        print(repr(value))

'''
SHOW_ERROR = '''
def _show_error(error):
    """Print the last line of a traceback."""
    print("".join(traceback.format_exception_only(error)), end="")

'''


def program(page: Path, name: str) -> str:
    """Return the program of a page as text; an empty string if the page has no examples."""
    body = "\n".join(
        "".join(runnable(pages.parsed(example)) for example in block.examples)
        for block in pages.blocks(page)
    )
    if not body:
        return ""
    parts = [
        f"# {pages.card(page).title}\n"
        f"# The program of the page {name} of the driverref book.\n"
        "# Licence: 0BSD. Do with it what you like.\n\n",
    ]
    if "_show_error(" in body:
        parts += ["import traceback\n", SHOW_ERROR]
    if "_show(" in body:
        parts.append(SHOW)
    return "".join([*parts, "\n", body])


def runnable(example: doctest.Example) -> str:
    """Return an example's code, changed so that it prints what the prompt would have printed."""
    code = shown(example.source)
    if not example.exc_msg:
        return code
    lines = code.splitlines(keepends=True)
    body = "".join(f"    {line}" if line.strip() else line for line in lines)
    return f"try:\n{body}except Exception as error:\n    _show_error(error)\n"


def shown(source: str) -> str:
    """Return the code with each expression that stands alone wrapped in `_show(...)`."""
    # `ast` counts columns in bytes, and a change in a line moves what is right of it.
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    for node in sorted(bare(ast.parse(source).body), key=place, reverse=True):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        end, start = node.end_lineno - 1, node.lineno - 1
        lines[end] = lines[end][: node.end_col_offset] + b")" + lines[end][node.end_col_offset :]
        lines[start] = lines[start][: node.col_offset] + b"_show(" + lines[start][node.col_offset :]
    return b"".join(lines).decode()


def place(node: ast.expr) -> tuple[int, int]:
    """Return the line and the column at which a node begins."""
    return node.lineno, node.col_offset


def bare(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """Yield the expressions whose value the prompt prints.

    A call of `print` is left out: its value is None. So is the body of a function or of a class,
    where the prompt prints nothing.
    """
    for statement in body:
        if isinstance(statement, ast.Expr):
            call = statement.value
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "print"):
                yield statement.value
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for child in ast.iter_child_nodes(statement):
                if isinstance(child, ast.stmt):
                    yield from bare([child])
                elif isinstance(child, ast.ExceptHandler | ast.match_case):
                    yield from bare(child.body)


def filename(docname: str) -> str:
    """Return the file name of a page's program: `free.py` for `questions/free/index`."""
    return docname.removesuffix("/index").rpartition("/")[2].replace("-", "_") + ".py"
