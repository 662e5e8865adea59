"""The plan of the house: who may import whom, and how large a room may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "driverref"

ROOMS = """
    errors terms release event timeline trace threads since atomic races memory instrument posix binary runtime
    scheduler process handles ioq cancelling async_pool driver senders port_state completions port process_bifs
    port_bifs ddll emulator erl_driver explore conformance command __main__
""".split()

SEAM_ONLY = {"threading", "time", "queue", "greenlet", "_thread"}

FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The room a file belongs to: its own name, or its folder's."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    if room(path) == "__init__":
        return  # the package's face hands on names from every room
    here = ROOMS.index(room(path))
    for module in imports(path):
        if module.startswith("driverref."):
            other = module.split(".")[1]
            assert ROOMS.index(other) <= here, f"{room(path)} imports {other}, which is below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_seam_knows_threads_and_clocks(path: Path) -> None:
    if room(path) != "threads":
        assert not SEAM_ONLY & {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_has_a_head_and_at_most_400_lines(path: Path) -> None:
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), "a module opens with how it works"
    assert len(source.splitlines()) <= 400


def test_the_contributor_is_told_the_same_order() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    assert f"`{' '.join(ROOMS)}`" in text
