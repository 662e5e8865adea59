"""A scenario from a file: `FILE`, or `FILE:SCENARIO` if the file has several.

The file is run once, as a module that is not `__main__`, so a program with a main guard only defines things.  A
page's program has no guard: it runs its examples first, and what they print is of no interest here.

The module is entered in `sys.modules` under one name for every file, because a file may be called what another
module is called already, and because a worker process has to find the scenario again by its module's name.
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

from driverref.command import BadInput
from driverref.explore import Scenario
from driverref.threads import NOBODY, running

MODULE = "driverref_scenario_file"
"""The name of the module that a file becomes."""


def scenario(target: str) -> Scenario:
    """The scenario that `FILE` or `FILE:SCENARIO` means.  Raises `BadInput` if there is none."""
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


def split(target: str) -> tuple[Path, str]:
    """`FILE` and `SCENARIO`, or nothing for it: a file's name may have a colon in it."""
    if os.path.exists(target):  # noqa: PTH110 - a `Path` raises where a name is too long
        return Path(target), ""
    file, colon, name = target.rpartition(":")
    return (Path(file), name) if colon else (Path(target), "")


def run(file: Path) -> ModuleType:
    """The module that `file` becomes when it is run, with its standard output swallowed."""
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
        sys.path.insert(0, folder)  # where Python looks for what a program imports
    try:
        with silence():
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise BadInput(_failure(file, error)) from None
    if running() is not NOBODY:
        raise BadInput(f"{file}: leaves an emulator running; start it in a `with` block")
    return module


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Swallows what is printed: of one run nobody asked for it, of a thousand nobody could read it."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


quiet = contextlib.ExitStack()
"""What a worker process leaves when it ends."""


def begin_worker(file: Path) -> None:
    """In a worker process: let the scenario be found, and keep quiet."""
    run(file)
    quiet.enter_context(silence())


def scenarios(module: ModuleType) -> dict[str, Scenario]:
    """The functions whose only required parameter is `erl`, by name."""
    found = {name: it for name, it in vars(module).items() if isinstance(it, FunctionType)}
    return {name: function for name, function in found.items() if required(function) == ["erl"]}


def required(function: FunctionType) -> list[str]:
    """The names of the parameters that a call must give."""
    parameters = inspect.signature(function).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _why_not(module: ModuleType, name: str) -> str:
    there = getattr(module, name, None)
    if there is None:
        return f"there is no {name}"
    if not isinstance(there, FunctionType):
        return f"{name} is not a function"
    needs = ", ".join(required(there)) or "nothing"
    return f"{name} requires {needs}, and a scenario requires `erl` only"


def _which(found: dict[str, Scenario]) -> str:
    return f"; its scenarios: {', '.join(sorted(found))}" if found else "; it has no scenario"


def _failure(file: Path, error: BaseException) -> str:
    """Where the file's own code stood when it failed, and the last line of the traceback."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{file}:{lines[-1]}: {said}"
