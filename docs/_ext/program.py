"""The directive `{program}`: a page's examples as one file that runs.

The file has the code of the page's blocks in order, as written, without prompts and without
output. A REPL prints the value of an expression that stands alone, so such an expression is
wrapped in `_show(...)`. An example that ends in a traceback is wrapped in `try`, and prints the
traceback's last line. The file is made by `program`, which the tests use as well.
"""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from . import pages

FOLDER = "_programs"

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
    """The program of a page: text of a Python file, or nothing if the page has no examples."""
    body = "\n".join(
        "".join(runnable(pages.parsed(example)) for example in block.examples)
        for block in pages.blocks(page)
    )
    if not body:
        return ""
    lines = page.read_text("utf-8").splitlines()
    title = next((line[2:].strip() for line in lines if line.startswith("# ")), name)
    parts = [
        f"# {title}\n"
        f"# The program of the page {name} of the driverref book.\n"
        "# Licence: 0BSD. Do with it what you like.\n\n",
    ]
    if "_show_error(" in body:
        parts += ["import traceback\n", SHOW_ERROR]
    if "_show(" in body:
        parts.append(SHOW)
    return "".join([*parts, "\n", body])


def runnable(example: doctest.Example) -> str:
    """One example's code, so that running it prints what the prompt would have printed."""
    code = shown(example.source)
    if not example.exc_msg:
        return code
    lines = code.splitlines(keepends=True)
    body = "".join(f"    {line}" if line.strip() else line for line in lines)
    return f"try:\n{body}except Exception as error:\n    _show_error(error)\n"


def shown(source: str) -> str:
    """Code in which an expression that stands alone is wrapped in `_show(...)`."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    for node in sorted(bare(ast.parse(source).body), key=place, reverse=True):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        end, start = node.end_lineno - 1, node.lineno - 1
        lines[end] = lines[end][: node.end_col_offset] + b")" + lines[end][node.end_col_offset :]
        lines[start] = lines[start][: node.col_offset] + b"_show(" + lines[start][node.col_offset :]
    return b"".join(lines).decode()


def place(node: ast.expr) -> tuple[int, int]:
    """Where a node begins."""
    return node.lineno, node.col_offset


def bare(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """The expressions whose value the prompt prints: not those inside functions and classes."""
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
    """The name of a page's program: `free.py` for `questions/free/index`."""
    return docname.removesuffix("/index").rpartition("/")[2].replace("-", "_") + ".py"


class Program(SphinxDirective):
    """A link to the page's program."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Note the page, and link to what will be written for it."""
        docname = self.env.docname
        if not program(Path(self.env.doc2path(docname)), docname):
            raise self.error("program: this page has no examples")
        name = filename(docname)
        up = "../" * docname.count("/")
        text = "Download this page's program"
        link = nodes.reference("", text, refuri=f"{up}{FOLDER}/{name}", classes=["program"])
        note = nodes.inline("", f" ({name}: every block of this page, in order)")
        return [nodes.paragraph("", "", link, note, classes=["program-line"])]


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the programs beside the pages."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / FOLDER
    folder.mkdir(exist_ok=True)
    for docname in sorted(app.env.all_docs):
        if text := program(Path(app.env.doc2path(docname)), docname):
            (folder / filename(docname)).write_text(text, "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    # Sphinx has a directive of this name, for the options of a command, in the domain that wins.
    app.add_directive_to_domain("std", "program", Program, override=True)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
