"""`driverref new`: a driver and its test to begin with, copied from a template.

There are two templates: a driver in Python in `template/`, and one in C in `template/c/`, with its
scenario in Python.  A template is a program like any other: its files run as they stand, and the
project's tests run, explore and type-check them.  A copy differs in two words alone: the name of
the files and the driver, and the same as the name of a class.  What to do with the files is read
from the head of the template's scenario, so that it is written once.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from driverref.command import BadInput


class Template(NamedTuple):
    """The files of a driver to begin with, all in one folder."""

    folder: Path
    name: str
    """The word that becomes the name of the driver."""

    @property
    def files(self) -> list[Path]:
        """The files, the driver first."""
        return sorted(file for file in self.folder.iterdir() if file.suffix in (".c", ".py"))

    @property
    def scenario(self) -> Path:
        """The file with the scenario, whose head says what to do."""
        return self.folder / f"{self.name}.py"


FOLDER = Path(__file__).with_name("template")
IN_PYTHON, IN_C = Template(FOLDER, "my_driver"), Template(FOLDER / "c", "my_drv")

SHADOWED = sys.stdlib_module_names | {"driverref", "greenlet", "pytest", "test"}
"""Modules that a file of that name would hide from itself."""

COLLECTED = ("test_*", "*_test", "conftest")
"""Files that pytest takes for its own."""


def files(template: Template, name: str) -> dict[Path, str]:
    """The text of each file of a new driver, by the file's path in the current folder.

    `BadInput` if no driver can have the name.
    """
    check(template, name)
    return {
        Path(file.name.replace(template.name, name)): renamed(template, file, name)
        for file in template.files
    }


def commands(template: Template, name: str) -> list[str]:
    """What to do with the files: the command lines in the head of the template."""
    head = renamed(template, template.scenario, name).split('"""')[1]
    return re.findall(r"^    (\S.*)$", head, re.MULTILINE)


def renamed(template: Template, file: Path, name: str) -> str:
    """The text of a file of the template for a driver called `name`."""
    new = {template.name: name, class_name(template.name): class_name(name)}
    return re.sub("|".join(new), lambda old: new[old[0]], file.read_text("utf-8"))


def class_name(name: str) -> str:
    """`file_io` as a class is called: `FileIo`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check(template: Template, name: str) -> None:
    """Raise `BadInput` if a driver cannot have this name."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise BadInput(f"{name!r} cannot be the name of a module: use letters, digits and _")
    if name in SHADOWED:
        raise BadInput(f"{name}.py would hide the module {name}; choose another name")
    if any(fnmatch(name.lower(), pattern) for pattern in COLLECTED):
        raise BadInput(f"pytest would take {name}.py for a file of tests; choose another name")
    taken = {*dir(builtins), *keyword.kwlist}
    for file in template.files:
        if file.suffix == ".py":
            taken.update(compile(file.read_text("utf-8"), file.name, "exec").co_names)
    if (new := class_name(name)) in taken - {class_name(template.name)}:
        raise BadInput(f"{name} would make a class {new}, which is taken; choose another name")
