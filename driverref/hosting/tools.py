"""What a driver in C needs on this machine: a compiler, binutils, and `erl_driver.h`.

Each function finds one of them, or says in one sentence what is missing and how to install it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

INSTALL = "on Debian and Ubuntu: apt install gcc erlang-dev"


class CompileError(Exception):
    """The driver cannot be compiled: what the compiler said, or what is missing."""


def compiler(wanted: str | None, plusplus: bool) -> str:
    """The compiler's path: the one asked for, that of `CC` or `CXX`, or the first that is found."""
    if wanted is None:
        wanted = os.environ.get("CXX" if plusplus else "CC")
    names = [wanted] if wanted else ["g++", "clang++"] if plusplus else ["gcc", "clang", "cc"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        what = f"no {wanted}" if wanted else f"no {'C++' if plusplus else 'C'} compiler"
        raise CompileError(f"a driver in C needs a compiler, and there is {what}: {INSTALL}")
    return found


def header_folder(flags: Sequence[str] = ()) -> Path:
    """The folder of `erl_driver.h`: one that a flag names, or that of the emulator that is here."""
    named = [Path(flag[2:]) for flag in flags if flag.startswith("-I")]
    erl = shutil.which("erl")
    beside = [Path(erl).resolve().parents[n] / "usr/include" for n in (1, 2)] if erl else []
    usual = map(Path, ("/usr/lib/erlang/usr/include", "/usr/local/lib/erlang/usr/include"))
    for folder in (*named, *beside, *usual, Path("/usr/include")):
        if (folder / "erl_driver.h").is_file():
            return folder
    raise CompileError(
        f"a driver in C needs erl_driver.h, and there is none: {INSTALL}; or name it with -I"
    )


def call(command: Sequence[str]) -> str:
    """What a command prints; `CompileError` with what it said if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        what = f"a driver in C needs {command[0]}, of the package binutils, and it is not there"
        raise CompileError(f"{what}: {INSTALL}") from None
    if done.returncode:
        raise CompileError(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout
