"""A driver of a page: its C file, its Erlang file, and the same driver in Python; for `{driver}`.

The C file begins with a comment, its head. Then come the code and, last, the table of callbacks
below a comment that begins with `/* The table of callbacks`. The page shows both, so all lines that
a compiler reads are on it. The heads of the two files say how they are compiled and run, and the
Erlang file's head says what is printed then.

A page names the driver and its class in Python: ```` ````{driver} sleeper_drv Sleeper ````. `shown`
finds these drivers, for the tests and for `{real-thing}`, which leaves them out. With
`:only: Job work` only these definitions of the C file are shown (`parts`).
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from _ext import pages

COMMAND = re.compile(r" +(cc |erlc |erl |[A-Z_]+=)")
"""How the line of a command begins in a head."""
TABLE = "/* The table of callbacks"


class Shown(NamedTuple):
    """A driver that a page shows in C and in Python."""

    name: str
    """The name of its files, such as `sleeper_drv`, with their folder if they have another one."""
    python_class: str
    python: str
    """Its Python, without prompts."""
    c: Path
    erlang: Path
    only: list[str]
    """The definitions that are shown; if there are none, all are."""


def shown(page: Path) -> list[Shown]:
    """Return the drivers that a page shows with `{driver}`, in order."""
    found = []
    for fence in pages.fences(page.read_text("utf-8")):
        if fence.directive == "driver":
            name, _, python_class = fence.argument.partition(" ")
            inner = (f.content for f in pages.fences(fence.content) if f.info == "python")
            examples = doctest.DocTestParser().get_examples("\n".join(inner))
            python = "".join(example.source for example in examples)
            only = re.findall(r"^:only: *(.*)$", fence.content, re.MULTILINE)
            c = page.parent / f"{name}.c"
            erlang = c.with_suffix(".erl")
            names = " ".join(only).split()
            found.append(Shown(name, python_class, python, c, erlang, names))
    return found


def code(text: str) -> str:
    """Return the lines of a C file from its head to its table of callbacks."""
    lines = re.sub(r"\A/\*.*?\*/\n", "", text, flags=re.DOTALL)
    code, found, _ = lines.partition(TABLE)
    if not found or not code.strip():
        raise ValueError(f"there is no '{TABLE}', or nothing before it")
    return code.strip()


def parts(text: str, names: Iterable[str]) -> str:
    """Return some definitions of a C file, functions and structures, in the order of the names."""
    every = re.split(r"\n\n(?=\S)", code(text))
    found = []
    for name in names:
        mark = re.compile(rf"\A[^{{]*\b{name}\(|^\}} {name};\Z", re.MULTILINE)
        defined = [part for part in every if mark.search(part)]
        if len(defined) != 1:
            raise ValueError(f"{name} is defined {len(defined)} times")
        found += defined
    return "\n\n".join(found)


def table(text: str) -> str:
    """Return the lines of a C file from its table of callbacks to its end."""
    _, found, rest = text.partition("static ErlDrvEntry")
    if not found:
        raise ValueError("there is no 'static ErlDrvEntry'")
    return (found + rest).rstrip()


def module(text: str) -> str:
    """Return the lines of an Erlang file behind its head."""
    start = re.search(r"^-module", text, re.MULTILINE)
    if start is None:
        raise ValueError("there is no '-module'")
    return text[start.start() :].rstrip()


def head(path: Path) -> list[str]:
    """Return the lines of the comment that opens a file, without its marks."""
    text = path.read_text("utf-8")
    if path.suffix == ".c":
        if not text.startswith("/*"):
            raise ValueError(f"{path.name}: no comment at the head")
        lines = text[2 : text.index("*/")].splitlines()
        return [re.sub(r"^ \* ?", "", line).rstrip() for line in lines]
    lines = []
    for line in text.splitlines():
        if not line.startswith("%%"):
            break
        lines.append(line.removeprefix("%%").removeprefix(" ").rstrip())
    return lines


def commands(path: Path) -> list[str]:
    """Return the commands that a head gives."""
    return [line.strip() for line in head(path) if COMMAND.match(line)]


def promised(source: Path) -> list[str]:
    """Return the lines that the heads of a C file and its Erlang file say that `main/0` prints."""
    found: list[str] = []
    for path in source, source.with_suffix(".erl"):
        lines = iter(head(path))
        for line in lines:
            if line.lower().endswith("prints:"):
                break
        for line in lines:
            if line.startswith("  "):
                found.append(line.strip())
            elif found and line:
                break
    return found
