"""`driverref new`: a driver and its test to begin with, copied from the template.

The template is a program like any other: `template/my_driver.py` and `template/test_my_driver.py`
run as they stand, and the project's tests run, explore and type-check them.  A copy differs in two
words alone: `my_driver`, which names the files and the driver, and `MyDriver`, which names its
class.  What to do with the file is read from the template's own head, so that it is written once.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from pathlib import Path

from driverref.command import BadInput

TEMPLATE = Path(__file__).with_name("template")
NAME, CLASS = "my_driver", "MyDriver"

SHADOWED = sys.stdlib_module_names | {"driverref", "greenlet", "pytest"}
"""Modules that a file of that name would hide from itself."""


def files(name: str) -> dict[Path, str]:
    """The text of each file of a new driver, by the file's path in the current folder.

    `BadInput` if no driver can have the name.
    """
    check(name)
    return {
        Path(file.name.replace(NAME, name)): renamed(file.read_text("utf-8"), name)
        for file in sorted(TEMPLATE.glob("*.py"))
    }


def commands(name: str) -> list[str]:
    """What to do with the files: the command lines in the head of the template."""
    head = renamed((TEMPLATE / f"{NAME}.py").read_text("utf-8"), name).split('"""')[1]
    return re.findall(r"^    (\S.*)$", head, re.MULTILINE)


def renamed(text: str, name: str) -> str:
    """A text of the template for a driver called `name`."""
    new = {NAME: name, CLASS: class_name(name)}
    return re.sub("|".join(new), lambda old: new[old[0]], text)


def class_name(name: str) -> str:
    """`file_io` as a class is called: `FileIo`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check(name: str) -> None:
    """Raise `BadInput` if a driver cannot have this name."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise BadInput(f"{name!r} cannot be the name of a module: use letters, digits and _")
    if name in SHADOWED:
        raise BadInput(f"{name}.py would hide the module {name}; choose another name")
    source = (TEMPLATE / f"{NAME}.py").read_text("utf-8")
    taken = {*compile(source, NAME, "exec").co_names, *dir(builtins), *keyword.kwlist} - {CLASS}
    if (new := class_name(name)) in taken:
        raise BadInput(f"{name} would make a class {new}, which is taken; choose another name")
