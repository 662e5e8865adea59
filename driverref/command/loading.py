"""A scenario from a file: `FILE`, or `FILE:SCENARIO` if the file has several.

The file is run once, as a module that is not `__main__`, so a program with a main guard only
defines things.  The program of a page has no guard: it runs its examples, and their output is not
shown.

The module is entered in `sys.modules` under one name for every file.  A file may have the name of
another module, and a worker process has to find the scenario again by its module's name.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

from driverref.command import BadInput
from driverref.explore import Scenario
from driverref.threads import OUTSIDE, running
from driverref.threads.watch import began, watching

MODULE = "driverref_scenario_file"
"""The name of the module that a file becomes."""


def scenario(target: str) -> Scenario:
    """Return the scenario of `FILE` or `FILE:SCENARIO`.  Raises `BadInput` if there is none."""
    file, name = split(target)
    module = run(file)
    found = scenarios(module)
    if name:
        if name in found:
            return found[name]
        raise BadInput(f"{file}: {_why_not(module, name)}{_which(found)}")
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise BadInput(
            f"{file}: several scenarios; name one, as in {file}:{min(found)}{_which(found)}"
        )
    raise BadInput(f"{file}: no scenario: no function whose only required parameter is `erl`")


class Target(NamedTuple):
    """A file, and the name of a scenario in it or `""`."""

    file: Path
    name: str


def split(target: str) -> Target:
    """Take `FILE` or `FILE:SCENARIO` apart.  A file may have a colon in its own name."""
    if os.path.exists(target):  # noqa: PTH110 - a `Path` raises where a name is too long
        return Target(Path(target), "")
    file, colon, name = target.rpartition(":")
    return Target(Path(file), name) if colon else Target(Path(target), "")


def run(file: Path) -> ModuleType:
    """Run `file` as a module, without its output, and return the module.

    Raises `BadInput` if it cannot be read or run, or leaves an emulator running.
    """
    with watching():
        began(f"loading {file.name}")
        return _run(file)


def _run(file: Path) -> ModuleType:
    """Do as `run`, which watches."""
    try:
        code = compile(file.read_bytes(), str(file), "exec")
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{file}:{line}" if line else f"{file}"
        raise BadInput(f"{where}: this is not Python: {getattr(error, 'msg', error)}") from None
    module = ModuleType(MODULE)
    module.__file__ = str(file)
    sys.modules[MODULE] = module
    if (folder := str(file.resolve().parent)) not in sys.path:
        sys.path.insert(0, folder)  # as when Python runs the file: it may import its neighbours
    try:
        with silence():
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise BadInput(_failure(file, error)) from None
    if running() is not OUTSIDE:
        raise BadInput(f"{file}: leaves an emulator running; start it in a `with` block")
    return module


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Discard what is printed in the block: a scenario prints in each of hundreds of runs."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


quiet = contextlib.ExitStack()
"""Keeps a process silent until it ends."""


def begin_worker(file: Path) -> None:
    """Prepare another process: load the scenario's module, and discard what is printed."""
    run(file)
    quiet.enter_context(silence())


def scenarios(module: ModuleType) -> dict[str, Scenario]:
    """Return the functions whose only required parameter is `erl`, by name."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}
    return {name: function for name, function in found.items() if required(function) == ["erl"]}


def required(function: FunctionType) -> list[str]:
    """Return the names of the parameters that a call must give."""
    parameters = inspect.signature(function).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _why_not(module: ModuleType, name: str) -> str:
    """Return why the name is not that of a scenario."""
    there = getattr(module, name, None)
    if there is None:
        return f"there is no {name}"
    if not isinstance(there, FunctionType):
        return f"{name} is not a function"
    needs = ", ".join(required(there)) or "nothing"
    return f"{name} requires {needs}, and a scenario requires `erl` only"


def _which(found: dict[str, Scenario]) -> str:
    """Return the end of a message: the scenarios that there are."""
    return f"; its scenarios: {', '.join(sorted(found))}" if found else "; it has no scenario"


def _failure(file: Path, error: BaseException) -> str:
    """Return the line of the file's own code that failed, and the last line of the traceback."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{file}:{lines[-1]}: {said}"
