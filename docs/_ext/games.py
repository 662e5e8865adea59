"""The game of a table of outcomes, whose program stands in the examples of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import CodeType

from _ext import pages
from driverref.explore import Outcomes
from driverref.player import Labels, from_files, game, script


def game_of(examples: Examples, outcomes: Outcomes, rows: Labels) -> str:
    """Return the game of a table's rows, as JSON."""
    return script(game(outcomes, rows, examples))


class Examples:
    """Finds the source of a function among the examples of a page.

    All examples of a page have one file name, and the lines of each are counted from its beginning.
    So the code itself is compared.
    """

    def __init__(self, page: Path) -> None:
        self._found: dict[CodeType, tuple[str, list[str]]] = {}
        for block in pages.blocks(page):
            for example in block.examples:
                source = pages.parsed(example).source
                place = f"{page.name}:{example.line}", source.splitlines()
                self._add(compile(source, "<example>", "single", dont_inherit=True), place)

    def _add(self, code: CodeType, place: tuple[str, list[str]]) -> None:
        self._found[code] = place
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add(constant, place)

    def line(self, number: int, function: str) -> str:
        """Return the line of a function of that name, without its margin.

        It is empty if there is none, and if two examples have different lines there.
        """
        found = {
            lines[number - 1].strip()
            for code, (_, lines) in self._found.items()
            if code.co_name == function and number in {line for *_, line in code.co_lines()}
        }
        return found.pop() if len(found) == 1 else ""

    def __call__(self, code: CodeType) -> tuple[str, Sequence[str]] | None:
        """Return the name and the lines of the example that has this code, or else of its file."""
        return self._found.get(code) or from_files(code)
