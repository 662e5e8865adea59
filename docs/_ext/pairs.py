"""Wrong lines beside right ones, in one file that is compiled both ways; what `{pair}` shows.

The lines stand in the file between `/* wrong: */` and `/* wrong. */`, and between `/* right: */`
and `/* right. */`; those of a part, in Erlang, between `%% wrong owner:` and `%% wrong owner.`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from _ext import driver_files, pages


class Shown(NamedTuple):
    """A `{pair}` of a page."""

    file: Path
    part: str
    finds: tuple[str, ...]
    """The classes of the faults that the wrong lines have."""


def shown(page: Path) -> list[Shown]:
    """Return the pairs of a page, in order, for the tests."""
    found = []
    for fence in pages.fences(page.read_text("utf-8")):
        if fence.directive == "pair":
            options = dict(re.findall(r"^:(\w+): *(.*)$", fence.content, re.MULTILINE))
            file = page.parent / fence.argument
            finds = tuple(options.get("finds", "").split())
            found.append(Shown(file, options.get("part", ""), finds))
    return found


def words_of(fault: str) -> str:
    """Return the words for the class of a fault: `a use after free` for `UseAfterFree`."""
    words = " ".join(re.findall(r"[A-Z][a-z]+", fault)).lower()
    return f"an {words}" if re.match(r"[aeio]|un", words) else f"a {words}"


def lines(text: str, side: str, part: str = "") -> str:
    """Return the lines of a side.  `ValueError` if the file does not have them exactly once."""
    name = f"{side} {part}".strip()
    mark = re.compile(
        rf"^[ \t]*(?:/\*|%%) {name}:(?: \*/)?\n(.*?)^[ \t]*(?:/\*|%%) {name}\.(?: \*/)?$",
        re.MULTILINE | re.DOTALL,
    )
    found = mark.findall(text)
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} places between '{name}:' and '{name}.'")
    body = str(found[0]).rstrip().splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in body if line.strip())
    return "\n".join(line[margin:] for line in body)


def files(page: Path) -> list[Path]:
    """Return the C and Erlang files that a page shows: those beside it, of its pairs and steps."""
    beside = [*page.parent.glob("*_drv.*"), *page.parent.glob("*_nif.*")]
    folders = {pair.file.parent for pair in shown(page)}
    folders |= {driver.c.parent for driver in driver_files.shown(page)} - {page.parent}
    return beside + [path for folder in folders for path in folder.glob("*.[che]*")]
