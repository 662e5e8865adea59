"""The plan of `docs/_ext`: the directives share one workshop, and do not import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from book import DOCS

FILES = sorted((DOCS / "_ext").glob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it; those of `_ext` by their own name."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                found += [alias.name for alias in names]
            case ast.ImportFrom(module="_ext", names=names):
                found += [alias.name for alias in names]
            case ast.ImportFrom(module=module, level=level):
                assert level == 0, f"{path} imports relatively"
                found.append(module or "")
    return {name.removeprefix("_ext.") for name in found}


def is_extension(path: Path) -> bool:
    """Whether Sphinx can load the file as an extension: it has a function `setup`."""
    body = ast.parse(path.read_text("utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "setup" for node in body)


EXTENSIONS = {path.stem for path in FILES if is_extension(path)}
SPHINX = ("sphinx", "docutils", "myst_parser")


def test_the_workshop_and_the_directives_are_found() -> None:
    assert {"workshop", "rules", "timeline", "outcomes", "real_thing"} <= EXTENSIONS
    assert not {"pages", "rulebook", "program"} & EXTENSIONS


@every_file
def test_no_module_imports_a_directive_and_only_directives_import_the_workshop(path: Path) -> None:
    allowed = {"workshop"} if path.stem in EXTENSIONS - {"workshop"} else set[str]()
    assert imports(path) & EXTENSIONS <= allowed


@every_file
def test_only_the_workshop_and_the_directives_know_sphinx(path: Path) -> None:
    known = {module for module in imports(path) if module.startswith(SPHINX)}
    assert bool(known) == (path.stem in EXTENSIONS)


@every_file
def test_the_map_names_every_module(path: Path) -> None:
    text = (DOCS / "_ext" / "__init__.py").read_text("utf-8")
    assert path.stem == "__init__" or f"`{path.stem}`" in text


@every_file
def test_a_module_has_a_head_and_at_most_400_lines(path: Path) -> None:
    source = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(source)), "a module opens with how it works"
    assert len(source.splitlines()) <= 400
