"""A driver of a page: its C file, its Erlang file, and the same driver in Python; for `{driver}`.

The C file begins with a comment, its head. Then come the code and, last, the table of callbacks
below a comment that begins with `/* The table of callbacks`. The page shows both, so all lines that
a compiler reads are on it. The heads of the two files say how they are compiled and run, and the
Erlang file's head says what is printed then.

A page names the driver and its class in Python: ```` ````{driver} sleeper_drv Sleeper ````. `shown`
finds these drivers, for the tests and for `{real-thing}`, which leaves them out. With
`:only: Job work` only these definitions of the C file are shown (`parts`), and with
`:since: echo_drv` only what has changed since that file (`changes`).

Several drivers can share an Erlang file: the heads of their C files name it (`erlang_of`).
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from _ext import pages

COMMAND = re.compile(r" +(cc |erlc |erl |[A-Z_]+=)")
"""How the line of a command begins in a head."""
TABLE = "/* The table of callbacks"
REMARK = re.compile(r"\s*/\*.*?\*/$")
"""A comment at the end of a line."""
LEFT_OUT = "/* ... */"
"""What stands for lines that are left out."""


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
            names = " ".join(only).split()
            found.append(Shown(name, python_class, python, c, erlang_of(c), names))
    return found


def code(text: str) -> str:
    """Return the lines of a C file from its head to its table of callbacks."""
    code, found, _ = without_head(text).partition(TABLE)
    if not found or not code.strip():
        raise ValueError(f"there is no '{TABLE}', or nothing before it")
    return code.strip()


def without_head(text: str) -> str:
    """Return the lines of a C file behind its head."""
    return re.sub(r"\A/\*.*?\*/\n", "", text, flags=re.DOTALL)


def parts(text: str, names: Iterable[str]) -> str:
    """Return some definitions of a C file, functions and structures, in the order of the names."""
    found = []
    for name in names:
        defined = [part for known, part in definitions(code(text)) if known == name]
        if len(defined) != 1:
            raise ValueError(f"{name} is defined {len(defined)} times")
        found += defined
    return "\n\n".join(found)


def definitions(lines: str) -> Iterator[tuple[str, str]]:
    """Yield each part of some lines of C and its name; the includes have an empty one."""
    for part in re.split(r"\n\n(?=\S)", lines):
        found = re.search(r"\A[^{]*?\b(\w+)\(|^\} (\w+);\Z", part, re.MULTILINE)
        yield (found[1] or found[2] if found else ""), part


def changes(lines: str, before: str) -> tuple[str, list[int]]:
    """Return what lines of C have that those of an older file do not, definition by definition.

    The includes are left out. The numbers say which of the lines that are returned are new; the
    first line is 1. `LEFT_OUT` stands for other lines that are not needed to find the place.
    """
    older = dict(definitions(before))
    found: list[str] = []
    new: list[int] = []
    for name, part in definitions(lines):
        short = list(shortened(part.splitlines(), older.get(name, "").splitlines()))
        if not name or not any(is_new for _, is_new in short):
            continue
        found += [""] if found else []
        for line, is_new in short:
            found.append(line)
            new += [len(found)] if is_new else []
    return "\n".join(found), new


def shortened(lines: list[str], before: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield the lines of one definition, and whether they are new.

    A line is not new if only its comment is. A run of lines that are not new is left out if it has
    more than two lines, and as many braces close in it as open. The line above a new line stays,
    and so do the name of the definition and its braces.
    """
    old, now = ([REMARK.sub("", line) for line in both] for both in (before, lines))
    for step, _, _, start, end in SequenceMatcher(None, old, now, autojunk=False).get_opcodes():
        first, last = (2 if start == 0 else start), end - 1
        while last > first and (text := "".join(lines[first:last])).count("{") != text.count("}"):
            last -= 1
        if step != "equal" or last - first <= 2:
            first = last = end
        for number in range(start, end):
            if not first <= number < last:
                yield lines[number], step != "equal"
            elif number == first:
                margin = len(lines[number]) - len(lines[number].lstrip())
                yield f"{' ' * margin}{LEFT_OUT}", False


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


def erlang_of(c: Path) -> Path:
    """Return the Erlang file that plays a driver: the one that its head compiles, or its own."""
    named = re.search(r"^ \* +erlc .*?(\w+\.erl)$", c.read_text("utf-8"), re.MULTILINE)
    return c.with_name(named[1]) if named else c.with_suffix(".erl")


def nif_of(c: Path) -> Path:
    """Return the C file of the NIF that does the work of a driver. It need not exist."""
    return c.with_name(f"{c.stem.removesuffix('_drv')}_nif.c")


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


def about(path: Path) -> str:
    """Return what a head says between its first paragraph and how the file is compiled."""
    paragraphs = "\n".join(head(path)).split("\n\n")
    return "\n\n".join(takewhile(lambda words: not words.startswith("Compile"), paragraphs[2:]))


def commands(path: Path) -> list[str]:
    """Return the commands that a head gives."""
    return [line.strip() for line in head(path) if COMMAND.match(line)]


def promised(source: Path) -> list[str]:
    """Return the lines that the heads of a C file and its Erlang file say that `main/0` prints."""
    found: list[str] = []
    for path in source, erlang_of(source):
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
