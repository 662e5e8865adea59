"""A page of the book: its fences, its examples, and a run of them.

Two parsers read the same text. Sybil collects the examples (`blocks`), because the tests run the
pages with Sybil, and the build has to run what the tests run. markdown-it, which MyST uses, finds
every fence that a reader sees (`fences`). Sybil takes only fences with the language `python` and
skips others without a word, so `silent` compares the two and finds examples that are never run.

The way through the file: fences; the order of the pages, and what a page says of itself; blocks
and their examples; `silent`; and `Run`, which runs a page block by block.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import yaml
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
"""The info line of a fence that is a directive: its name and its argument."""
LITERAL = set("code code-block code-cell sourcecode doctest testcode testoutput eval-rst".split())
"""Directives whose content is not Markdown."""
PYTHON = set("python python3 py py3 pycon pycon3 ipython ipython3 doctest testcode".split())
"""The names under which an info line may mean Python."""
PROMPT = re.compile(r"^[ \t>]*>>> ", re.MULTILINE)


class Fence(NamedTuple):
    """A fenced or indented block."""

    info: str
    """The text after the backticks: `python`, `{rule} key.order`; empty for an indented block."""
    content: str
    line: int
    """The line of the opening fence, counted from 1."""
    markup: str
    """The characters of the fence."""

    @property
    def directive(self) -> str:
        """The directive's name; empty if the block is not a directive."""
        match = DIRECTIVE.match(self.info)
        return match[1] if match else ""

    @property
    def argument(self) -> str:
        """The text behind the directive's name."""
        match = DIRECTIVE.match(self.info)
        return match[2].strip() if match else ""


def fences(text: str, line: int = 0) -> Iterator[Fence]:
    """Yield every block of `text`, also those inside directives.

    `line` is the number of the line before the first one of `text`.
    """
    for token in _tokens(MARKDOWN.parse(text)):
        start = line + (token.map or [0])[0] + 1
        fence = Fence(token.info.strip(), token.content, start, token.markup)
        yield fence
        if fence.directive and fence.directive not in LITERAL:
            yield from fences(token.content, start)


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    return (token for token in tokens if token.type in {"fence", "colon_fence", "code_block"})


def pages(docs: Path) -> list[Path]:
    """Return every page below `docs`, in the order of the tables of contents.

    Pages that are in no table of contents come last.
    """
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
    """Return the page's name in Sphinx: its path below `docs`, without the ending."""
    return page.resolve().relative_to(docs.resolve()).with_suffix("").as_posix()


class Card(NamedTuple):
    """What a page says of itself, in Markdown."""

    title: str
    summary: str
    """The `summary` of its front matter; empty if there is none."""


def card(page: Path) -> Card:
    """Return a page's card."""
    head, text = "", page.read_text("utf-8")
    if text.startswith("---\n"):
        head, _, text = text.removeprefix("---\n").partition("\n---\n")
    titles = (line[2:].strip() for line in text.splitlines() if line.startswith("# "))
    summary = (yaml.safe_load(head) or {}).get("summary", "")
    return Card(next(titles, page.stem), " ".join(summary.split()))


class Block(NamedTuple):
    """A fence of examples."""

    line: int
    """The line of the opening fence, counted from 1."""
    examples: list[Example]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order. Their examples share one new namespace."""
    document = Document.parse(str(page), PARSER)
    prepare(document.namespace)
    starts = [f.line for f in fences(document.text) if f.info == "python"]
    found: dict[int, list[Example]] = {}
    for example in document.examples():
        start = max((line for line in starts if line < example.line + 1), default=example.line)
        found.setdefault(start, []).append(example)
    return [Block(line, examples) for line, examples in found.items()]


def prepare(namespace: dict[str, object]) -> None:
    """Put into a page's namespace what the namespace of a Python prompt has."""
    namespace["__name__"] = "__main__"


def parsed(example: Example) -> doctest.Example:
    """Return the example's source and expected output."""
    return cast("doctest.Example", example.parsed)


def silent(text: str, collected: set[int]) -> Iterator[tuple[int, str]]:
    """Yield the line of each example that is never run, and the reason.

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
    """An example did not do what the page shows. `line` is its line on the page."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class Run:
    """One run of a page. It goes on block by block, as far as it is asked to.

    When an example fails, the call raises `Failed`, and so does every later call that has blocks to
    run.
    """

    def __init__(self, page: Path) -> None:
        self._blocks = blocks(page)
        self._next = 0
        self.failed: Failed | None = None
        self.namespace: dict[str, object] = (
            self._blocks[0].examples[0].namespace if self._blocks else {}
        )

    def until(self, line: int) -> None:
        """Run the blocks that begin before `line` and have not run yet."""
        while self.pending(line):
            self._step()

    def before_last(self, line: int) -> bool:
        """Run the blocks before `line` but the last. Return False if the last has run already."""
        while self.pending(line) > 1:
            self._step()
        return self.pending(line) == 1

    def pending(self, line: int) -> int:
        """Return how many blocks before `line` have not run yet."""
        return sum(block.line < line for block in self._blocks[self._next :])

    def finish(self) -> None:
        """Run the blocks that are left. The page closes there what it opened above."""
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
