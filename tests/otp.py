"""The real emulator's tools: where they are, or what is missing, and how to call one."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

COMPILERS = ("cc", "gcc", "clang")
CFLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
if sys.platform == "darwin":
    CFLAGS += ["-undefined", "dynamic_lookup"]
INSTALL = "Debian, Ubuntu: apt install erlang-base erlang-dev gcc; macOS: brew install erlang"
PATIENCE = 120
"""Seconds after which a tool that has not ended is given up."""
WHO = """
    io:format("~s~n~s~n~s~n", [code:root_dir() | [erlang:system_info(I) || I <- [otp_release, version]]]), halt().
"""


class Missing(Exception):
    """The emulator cannot be asked: one line with what is missing and how to install it."""

    def __init__(self, done: str, *what: str) -> None:
        super().__init__(f"the real emulator was not {done}: no {', no '.join(what)} ({INSTALL})")


class Tools(NamedTuple):
    """The commands, the folder of `erl_driver.h`, and which emulator it is."""

    erl: str
    erlc: str
    cc: str
    include: Path
    release: str
    erts: str

    def compile_c(self, *arguments: str) -> list[str]:
        """The command that compiles a driver."""
        return [self.cc, *CFLAGS, "-isystem", str(self.include), *arguments]

    def compile_erlang(self, source: Path) -> list[str]:
        """The command that compiles a module."""
        return [self.erlc, "+warnings_as_errors", str(source)]


def tools(done: str, directory: Path) -> Tools:
    """Find the tools.

    `Missing` if one, or `erl_driver.h`, is not there: then the emulator was not `done`.
    """
    erl, erlc = shutil.which("erl"), shutil.which("erlc")
    cc = next(filter(None, map(shutil.which, COMPILERS)), None)
    if erl is None or erlc is None or cc is None:
        found = {"erl": erl, "erlc": erlc, "C compiler": cc}
        raise Missing(done, *(name for name, path in found.items() if path is None))
    root, *who = call([erl, "-noinput", "-eval", WHO], directory).splitlines()
    include = Path(root, "usr", "include")
    if not (include / "erl_driver.h").is_file():
        raise Missing(done, f"erl_driver.h in {include}")
    release, erts = who
    return Tools(erl, erlc, cc, include, release, erts)


def call(command: list[str], directory: Path) -> str:
    """What a command prints; `RuntimeError` with what it said if it fails."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout
