"""What a page is made of: its fences, and its examples, which can be run.

Two readers look at the same text. Sybil collects the examples, because Sybil also tests them:
what the build runs and what the tests run are then the same. markdown-it, the parser under
MyST, finds every fence that a reader sees. `silent` compares the two: an example that a reader
sees and that Sybil skips would never be run, and nobody would be told.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from sybil import Document
from sybil.example import Example, SybilFailure
from sybil.parsers.myst import PythonCodeBlockParser

PARSER = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)
MARKDOWN = MarkdownIt("commonmark").use(front_matter_plugin).use(colon_fence_plugin).enable("table")

DIRECTIVE = re.compile(r"\{([\w:-]+)\}\s*(.*)")
"""A fence's info line that makes it a directive: its name and its argument."""
LITERAL = {
    "code",
    "code-block",
    "code-cell",
    "sourcecode",
    "doctest",
    "testcode",
    "testoutput",
    "eval-rst",
}
"""Directives whose content is not Markdown."""
PYTHON = {
    "python",
    "python3",
    "py",
    "py3",
    "pycon",
    "pycon3",
    "ipython",
    "ipython3",
    "doctest",
    "testcode",
}
"""What people call Python in an info line."""
PROMPT = re.compile(r"^[ \t>]*>>> ", re.MULTILINE)


class Fence(NamedTuple):
    """A fenced or indented block."""

    info: str
    """The line after the backticks: `python`, `{rule} key.order`; empty for an indented block."""
    content: str
    line: int
    """The line of the opening fence, counted from 1."""
    markup: str
    """The characters of the fence."""

    @property
    def directive(self) -> str:
        """The directive's name, or nothing."""
        match = DIRECTIVE.match(self.info)
        return match[1] if match else ""

    @property
    def argument(self) -> str:
        """What follows the directive's name."""
        match = DIRECTIVE.match(self.info)
        return match[2].strip() if match else ""


def fences(text: str, line: int = 0) -> Iterator[Fence]:
    """Every block of `text`, also those inside directives; `line` is the line before its first."""
    for token in _tokens(MARKDOWN.parse(text)):
        start = line + (token.map or [0])[0] + 1
        fence = Fence(token.info.strip(), token.content, start, token.markup)
        yield fence
        if fence.directive and fence.directive not in LITERAL:
            yield from fences(token.content, start)


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    return (token for token in tokens if token.type in {"fence", "colon_fence", "code_block"})


def pages(docs: Path) -> list[Path]:
    """Every page below `docs`, in the book's order: the order of the tables of contents."""
    found: list[Path] = []

    def visit(page: Path) -> None:
        if page in found or not page.is_file():
            return
        found.append(page)
        for fence in fences(page.read_text("utf-8")):
            if fence.directive == "toctree":
                for entry in fence.content.splitlines():
                    if entry.strip() and not entry.startswith(":"):
                        target = re.sub(r".*<(.+)>", r"\1", entry.strip()).removesuffix(".md")
                        visit((page.parent / f"{target}.md").resolve())

    docs = docs.resolve()
    visit(docs / "index.md")
    return found + sorted(set(docs.rglob("*.md")) - set(found))


def docname(page: Path, docs: Path) -> str:
    """The page's name in Sphinx: its path below `docs`, without the ending."""
    return page.resolve().relative_to(docs.resolve()).with_suffix("").as_posix()


class Block(NamedTuple):
    """A fence that is run, with its examples."""

    line: int
    examples: list[Example]


def blocks(page: Path) -> list[Block]:
    """The blocks that are run, in order; their examples share one namespace, which is new."""
    document = Document.parse(str(page), PARSER)
    prepare(document.namespace)
    starts = [f.line for f in fences(document.text) if f.info == "python"]
    found: dict[int, list[Example]] = {}
    for example in document.examples():
        start = max((line for line in starts if line < example.line + 1), default=example.line)
        found.setdefault(start, []).append(example)
    return [Block(line, examples) for line, examples in found.items()]


def prepare(namespace: dict[str, Any]) -> None:
    """What a page's namespace holds before its first example, as a REPL's would."""
    namespace["__name__"] = "__main__"


def parsed(example: Example) -> doctest.Example:
    """The example's source and expected output."""
    return cast("doctest.Example", example.parsed)


def silent(text: str, collected: set[int]) -> Iterator[tuple[int, str]]:
    """The fences of a page that look like Python and are not run: their line and why.

    `collected` are the lines of the examples that Sybil found.
    """
    for fence in fences(text):
        if fence.directive and fence.directive not in LITERAL:
            continue
        language = (
            (fence.argument if fence.directive else fence.info).split(" ")[0].lower().strip("{}")
        )
        prompts = [
            fence.line + number
            for number, line in enumerate(fence.content.splitlines(), 1)
            if PROMPT.match(line) and not line.split(">>>", 1)[1].lstrip().startswith("#")
        ]
        if not prompts and language not in PYTHON and fence.directive not in PYTHON:
            continue
        if fence.info != "python" or not fence.markup.startswith("`"):
            shown = f"{fence.markup}{fence.info}" if fence.markup else "an indented block"
            yield fence.line, f"{shown} looks like Python and is never run: write ```python"
        elif not fence.content.startswith(">>> "):
            yield fence.line, "a ```python fence begins with >>>"
        else:
            for number in prompts:
                if number not in collected:
                    yield number, "Sybil did not collect this example"


class Failed(Exception):
    """An example of a page did not do what the page says."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class Run:
    """One run of a page, a block at a time, as far as somebody wants to look."""

    def __init__(self, page: Path) -> None:
        self._blocks = blocks(page)
        self._next = 0
        self.failed: Failed | None = None
        self.namespace: dict[str, Any] = (
            self._blocks[0].examples[0].namespace if self._blocks else {}
        )

    def until(self, line: int) -> None:
        """Run the blocks that begin before `line` and were not run yet."""
        while self.pending(line):
            self._step()

    def before_last(self, line: int) -> bool:
        """Run the blocks before `line` but the last; false if the last was run already."""
        while self.pending(line) > 1:
            self._step()
        return self.pending(line) == 1

    def pending(self, line: int) -> int:
        """How many blocks before `line` wait to be run."""
        return sum(block.line < line for block in self._blocks[self._next :])

    def finish(self) -> None:
        """Run what is left, so that the page ends what it began."""
        while self._next < len(self._blocks):
            self._step()

    def _step(self) -> None:
        block = self._blocks[self._next]
        self._next += 1
        if self.failed:
            raise self.failed
        for example in block.examples:
            try:
                example.evaluate()
            except SybilFailure as failure:
                self.failed = Failed(
                    example.line, f"not what the page shows\n{failure.result.rstrip()}"
                )
                raise self.failed from None
