"""The directives `{era-map}` and `{lives}`: what differs between releases.

`{era-map}` is a table with a column for each era of `driverref.release.ERAS` and a row for each
property. `era_rows` has the rows. Neighbouring cells with the same words are drawn as one cell,
so a border inside a row is a change.

`{lives}` lists the functions that came and went, oldest first. It has two sources: the functions
of the driver interface that are marked with `@since`, and the calls of `check_bif` and `lacks` in
the package, which check Erlang's side. The second are read in the source text.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

import driverref.erl_driver
import driverref.instrument
from _ext.era_rows import IN_HEAD, MAP, Cell
from _ext.workshop import PACKAGE, SAFE, BookDirective, link, raw, row, table, texts
from driverref.release import ERAS, OTP_25, RELEASES, Release
from driverref.since import LIVES


class Life(NamedTuple):
    """A function or an option, with the release it came with and the one it went with, if any."""

    name: str
    since: str
    until: str | None = None


def functions() -> list[Life]:
    """Return the functions that are marked with `@since`, in the order of the sources.

    `LIVES` is filled when the modules of the interface are imported, `driverref.instrument` too.
    """
    return [Life(name, *lived) for name, lived in LIVES.items()]


def erlangs() -> list[Life]:
    """Return what is checked on Erlang's side, in the order of the sources."""
    found: list[Life] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                found += checked(node)
    return list(dict.fromkeys(found))


def checked(call: ast.Call) -> Iterator[Life]:
    """Yield what a call of `check_bif(release, name, ...)` or `release.lacks(name, ...)` checks.

    A call with computed arguments is passed over: it is inside one of the two functions.
    """
    skipped = {"check_bif": 1, "lacks": 0}.get(ast.unparse(call.func).rpartition(".")[2])
    arguments = [] if skipped is None else call.args[skipped:]
    constants = [a.value for a in arguments if isinstance(a, ast.Constant)]
    if arguments and len(constants) == len(arguments):
        yield Life(*map(str, constants))


def changes(lives: Iterable[Life]) -> Iterator[tuple[str, str, list[Life]]]:
    """Yield `(release, "came" or "went", what)`, oldest first."""
    at: dict[tuple[str, str], list[Life]] = defaultdict(list)
    for life in lives:
        at[life.since, "came"].append(life)
        if life.until is not None:
            at[life.until, "went"].append(life)
    # Only `Release.lacks` compares versions, so a release is placed by how many are before it.
    earlier = {one: sum(is_in(other, one) for other, _ in at) for one, _ in at}
    for version, what in sorted(at, key=lambda key: (earlier[key[0]], key[1])):
        yield version, what, at[version, what]


def is_in(since: str, version: str) -> bool:
    """Whether what came with `since` is in the release `version`."""
    return replace(OTP_25, version=version).lacks("", since) is None


def first_era(version: str) -> str:
    """Return the name of the first record that describes this release or a later one."""
    return next(r.name for r in RELEASES.values() if is_in(version, r.version))


def in_words(text: str) -> list[nodes.Node]:
    """Return a text with `code` in it."""
    parts = enumerate(text.split("`"))
    return [code(part) if n % 2 else nodes.Text(part) for n, part in parts if part]


def code(name: str) -> nodes.literal:
    """Return a name that a narrow column can break after an underscore.

    `<wbr/>` only allows the break, so the name is copied without it.
    """
    first, *others = name.split("_")
    found = nodes.literal(name, first)
    for other in others:
        found += [nodes.Text("_"), raw("<wbr/>"), nodes.Text(other)]
    return found


def linked(cell: Cell) -> nodes.paragraph:
    """Return a cell's words, as a link to its rule."""
    words: nodes.Node = nodes.inline("", "", *in_words(cell.words))
    return nodes.paragraph("", "", words if cell.rule is None else link("rule", cell.rule, words))


class EraMap(BookDirective):
    """The table of eras."""

    def run(self) -> list[nodes.Node]:
        """Return the table: a head, then rows under their headings."""
        self.depends_on_package()
        head = row(*texts("era"), *map(column, ERAS))
        whole, body = table("era-map", [15, *(12 for _ in ERAS)], head)
        for heading, rows in MAP.items():
            title = nodes.paragraph("", "", *in_words(heading))
            body += nodes.row("", nodes.entry("", title, morecols=len(ERAS)), classes=["heading"])
            for one in rows:
                cells = row(nodes.paragraph("", "", *in_words(one.title)))
                for cell, alike in groupby(map(one.read, ERAS)):
                    wide = len(list(alike)) - 1
                    cells += nodes.entry("", linked(cell), **({"morecols": wide} if wide else {}))
                body += cells
        return [whole]


def column(era: Release) -> list[nodes.Node]:
    """Return the head of an era's column: its name, its releases, its years."""
    return texts(*(getattr(era, name) for name in IN_HEAD))


class Lives(BookDirective):
    """What came and went."""

    def run(self) -> list[nodes.Node]:
        """Return the table: a row for each release that something came or went with."""
        self.depends_on_package()
        whole, body = table("lives", (10, 10, 60), row(*texts("release", "seen from", "what")))
        own = functions()
        for version, what, lives in changes(own + erlangs()):
            told = nodes.paragraph("", f"{what}: ")
            for number, life in enumerate(lives):
                told += [nodes.Text(", ")] * bool(number) + [term(life, life in own)]
            body += row(*texts(version, first_era(version)), told)
        return [whole]


def term(life: Life, function: bool) -> nodes.Node:
    """Return the name: a function of the driver interface as a link to its entry."""
    if not function:
        return nodes.inline("", life.name) if " " in life.name else nodes.literal("", life.name)
    module = "erl_driver" if hasattr(driverref.erl_driver, life.name) else "instrument"
    target = f"driverref.{module}.{life.name}"
    return link("func", target, nodes.literal("", life.name), domain="py")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("era-map", EraMap)
    app.add_directive("lives", Lives)
    return SAFE
