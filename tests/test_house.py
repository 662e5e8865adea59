"""The plan of the house: which room may import which, and how large a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "driverref"

FLOORS = (
    "diagnostics",
    "errors terms",
    "threads release trace",
    "since posix timeline",
    "memory",
    "runtime instrument",
    "eras erlang erl_driver notebook",
    "emulator",
    "explore",
    "player",
    "conformance hosting",
    "command",
    "__main__",
)
"""The rooms, from the ground up.  A room imports from lower floors only; rooms of one floor do not know each other."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}

LATE = {
    ("trace", "timeline"),
    ("trace", "notebook"),
    ("terms", "notebook"),
    ("runtime", "notebook"),
    ("explore", "player"),
}
"""What a function imports where it is called: a trace, a port and outcomes are shown by what is made of them, and know it no other way."""

SEAM_ONLY = {"threading", "time", "queue", "greenlet", "_thread"}

FILES = sorted(PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


class Import(NamedTuple):
    """One import of one file."""

    module: str
    late: bool
    """Whether it stands in a function."""
    type_only: bool
    """Whether it stands under `if TYPE_CHECKING`."""

    @property
    def room(self) -> str:
        """The room that is imported, for a module of the package."""
        return self.module.split(".")[1]


def room_of(path: Path) -> str:
    """The room a file belongs to: its own name, or its folder's."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> Iterator[Import]:
    """What a file imports, wherever in it."""

    def walk(node: ast.AST, late: bool, type_only: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(alias.name, late, type_only)
            case ast.ImportFrom(module=module, level=level, names=names):
                assert level == 0, f"{path} imports relatively"
                for alias in names:
                    full = f"{module}.{alias.name}"
                    yield Import(full if full in MODULES else module or "", late, type_only)
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                for inner in node.body:
                    yield from walk(inner, late, True)
            case _:
                function = isinstance(node, ast.FunctionDef | ast.Lambda)
                for child in ast.iter_child_nodes(node):
                    yield from walk(child, late or function, type_only)

    yield from walk(ast.parse(path.read_text()), False, False)


MODULES = {module_of(path): path for path in FILES}


@cache
def own_imports(path: Path) -> list[Import]:
    """What a file imports of this package, but for the package's face."""
    return [found for found in imports(path) if found.module.startswith("driverref.")]


def test_every_room_stands_on_a_floor() -> None:
    assert {room_of(path) for path in FILES} - {"__init__"} == FLOOR.keys()


@every_file
def test_a_room_imports_only_rooms_on_lower_floors(path: Path) -> None:
    here = room_of(path)
    if here == "__init__":
        return  # the package's face hands on names from every room
    for found in own_imports(path):
        if found.room != here and not (found.late and (here, found.room) in LATE):
            assert FLOOR[found.room] < FLOOR[here], f"{here} imports {found.module}"


@every_file
def test_only_the_emulator_knows_the_eras(path: Path) -> None:
    if room_of(path) not in ("emulator", "eras"):
        assert "eras" not in {found.room for found in own_imports(path)}


@every_file
def test_only_what_shows_something_knows_the_picture(path: Path) -> None:
    if room_of(path) not in ("timeline", "notebook", "explore", "player", "command", "__main__"):
        assert "timeline" not in {found.room for found in own_imports(path) if not found.late}


@pytest.mark.parametrize("path", sorted((PACKAGE / "runtime").glob("*.py")), ids=lambda p: p.name)
def test_today_s_emulator_asks_for_no_release(path: Path) -> None:
    """But for what a driver's entry may have, which is data and not behaviour."""
    asked = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(
                value=ast.Name("release") | ast.Attribute(attr="release"), attr=field
            ):
                asked.add(field)
    assert asked <= {"callbacks", "driver_flags"}


def test_no_two_files_import_each_other() -> None:
    """Imports for types alone do not count: within a room they are free."""
    graph = {
        module: {f.module for f in own_imports(path) if not (f.type_only or f.late)}
        for module, path in MODULES.items()
    }
    # `a.b` begins with `a`, so a package's face may hand on what stands inside it.
    inner = {m: {o for o in needs if not m.startswith(f"{o}.")} for m, needs in graph.items()}
    assert list(TopologicalSorter(inner).static_order())


@every_file
def test_only_the_seam_knows_threads_and_clocks(path: Path) -> None:
    if room_of(path) != "threads":
        assert not SEAM_ONLY & {found.module.split(".")[0] for found in imports(path)}


PEEKS = {
    "erl_driver/handles.py: Lock.must_not_hold",
    "erl_driver/handles.py: Lock.must_hold",
    "erl_driver/handles.py: ErlDrvPDL.held",
}
"""Where a cell is read without telling the search.

Each asks whether the running thread holds a lock.  No other thread can change the answer.
"""


def calls_of_method(name: str, path: Path) -> Iterator[str]:
    """Where a file calls a method of this name."""

    def walk(node: ast.AST, inside: str) -> Iterator[str]:
        match node:
            case ast.ClassDef(name=own) | ast.FunctionDef(name=own):
                inside = f"{inside}.{own}" if inside else own
            case ast.Call(func=ast.Attribute(attr=attr)) if attr == name:
                yield f"{path.relative_to(PACKAGE).as_posix()}: {inside}"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text()), "")


def test_above_the_seam_nothing_declares_by_hand_and_little_is_kept_from_the_search() -> None:
    above = [path for path in FILES if room_of(path) != "threads"]
    declared = {place for path in above for place in calls_of_method("declare", path)}
    assert {place for place in declared if not place.startswith("hosting/")} == set()
    assert {place for path in above for place in calls_of_method("peek", path)} == PEEKS


@every_file
def test_a_file_has_a_head_and_at_most_400_lines(path: Path) -> None:
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), "a module opens with how it works"
    assert len(source.splitlines()) <= 400


def test_the_contributor_is_told_the_same_floors() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    for floor, rooms in enumerate(FLOORS, 1):
        assert f"{floor}. `{rooms}`" in text


def test_the_tests_lie_in_the_rooms_folders() -> None:
    """`docs` is for the book, `otp` for cases of OTP, `tests/` itself for rooms that are files and the whole."""
    tests = PACKAGE.parent / "tests"
    folders = {path.parent.relative_to(tests).as_posix() for path in tests.rglob("test_*.py")}
    assert folders - {".", "docs", "otp"} <= {
        path.name for path in PACKAGE.iterdir() if path.is_dir()
    }
