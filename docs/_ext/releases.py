"""The directives `{era-map}` and `{lives}`: what differs between releases, from the model's own records.

`{era-map}` is a table: a column an era of `driverref.release.ERAS`, a row a property. What is in a
row is told by `era_rows`. Cells that say the same side by side are one, so each border inside a
row is a change.

`{lives}` lists what came and went, oldest first: the functions that are marked with `@since`, and
what of Erlang's side is checked with `check_bif`, which is read in the sources.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from .era_rows import IN_HEAD, MAP, Cell
from .outcomes import raw
from .timeline import PACKAGE

if TYPE_CHECKING:
    from driverref.release import Release


class Life(NamedTuple):
    """Something that came, and perhaps went."""

    name: str
    since: str
    until: str | None = None


def functions() -> list[Life]:
    """The functions that are marked with `@since`, in the order of the sources."""
    import driverref.erl_driver
    import driverref.instrument  # noqa: F401 - it marks functions as well
    from driverref.since import LIVES

    return [Life(name, *lived) for name, lived in LIVES.items()]


def erlangs() -> list[Life]:
    """What of Erlang's side is checked against the release, in the order of the sources."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rpartition(".")[2]
                skipped = {"check_bif": 1, "lacks": 0}.get(called)
                arguments = [] if skipped is None else node.args[skipped:]
                texts = [a.value for a in arguments if isinstance(a, ast.Constant)]
                if arguments and len(texts) == len(arguments):
                    found.append(Life(*map(str, texts)))
    return list(dict.fromkeys(found))


def changes(lives: list[Life]) -> Iterator[tuple[str, str, list[Life]]]:
    """`(release, "came" or "went", what)`, oldest first."""
    at: dict[tuple[str, str], list[Life]] = defaultdict(list)
    for life in lives:
        at[life.since, "came"].append(life)
        if life.until is not None:
            at[life.until, "went"].append(life)
    earlier = {one: sum(is_in(other, one) for other, _ in at) for one, _ in at}
    for version, what in sorted(at, key=lambda key: (earlier[key[0]], key[1])):
        yield version, what, at[version, what]


def is_in(since: str, version: str) -> bool:
    """Whether what came with `since` is in the release `version`."""
    from driverref.release import OTP_25

    return replace(OTP_25, version=version).lacks("", since) is None


def first_era(version: str) -> str:
    """The first record that is of this release or of a later one."""
    from driverref.release import RELEASES

    return next(r.name for r in RELEASES.values() if is_in(version, r.version))


def in_words(text: str) -> list[nodes.Node]:
    """Text with `code` in it."""
    parts = enumerate(text.split("`"))
    return [code(part) if n % 2 else nodes.Text(part) for n, part in parts if part]


def code(name: str) -> nodes.literal:
    """A name that a narrow column may break after an underscore, and that is copied as it is."""
    first, *others = name.split("_")
    found = nodes.literal(name, first)
    for other in others:
        found += [nodes.Text("_"), raw("<wbr>"), nodes.Text(other)]
    return found


def linked(cell: Cell) -> nodes.paragraph:
    """A cell's words, as a link to its rule."""
    content = nodes.inline("", "", *in_words(cell.words))
    link: nodes.Node = content
    if cell.rule is not None:
        link = addnodes.pending_xref(
            "", content, reftype="rule", refdomain="", reftarget=cell.rule, refexplicit=True,
            refwarn=True,
        )  # fmt: skip
    return nodes.paragraph("", "", link)


def table(css: str, widths: list[int]) -> tuple[nodes.table, nodes.thead, nodes.tbody]:
    """An empty table whose first column heads its rows."""
    head, body = nodes.thead(), nodes.tbody()
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=width, stub=int(not n)) for n, width in enumerate(widths)]
    group += [head, body]
    return nodes.table("", group, classes=[css]), head, body


class EraMap(SphinxDirective):
    """The table of eras."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Head, headings, rows."""
        from driverref.release import ERAS

        for path in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(path))
        whole, head, body = table("era-map", [15, *(12 for _ in ERAS)])
        head += nodes.row("", nodes.entry("", nodes.paragraph("", "era")), *map(self.column, ERAS))
        for heading, rows in MAP.items():
            title = nodes.paragraph("", "", *in_words(heading))
            body += nodes.row("", nodes.entry("", title, morecols=len(ERAS)), classes=["heading"])
            for row in rows:
                entries = [nodes.entry("", nodes.paragraph("", "", *in_words(row.title)))]
                for cell, alike in groupby(map(row.read, ERAS)):
                    wide = len(list(alike)) - 1
                    entries.append(
                        nodes.entry("", linked(cell), **({"morecols": wide} if wide else {}))
                    )
                body += nodes.row("", *entries)
        return [whole]

    def column(self, era: Release) -> nodes.entry:
        """An era's head: its name, the releases, the years."""
        return nodes.entry("", *(nodes.paragraph("", getattr(era, name)) for name in IN_HEAD))


class Lives(SphinxDirective):
    """What came and went."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """A row a release."""
        for path in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(path))
        whole, head, body = table("lives", [10, 10, 60])
        titles = ("release", "seen from", "what")
        head += nodes.row("", *(nodes.entry("", nodes.paragraph("", title)) for title in titles))
        own = functions()
        for version, what, lives in changes(own + erlangs()):
            names = [self.term(life, life in own) for life in lives]
            told = nodes.paragraph("", f"{what}: ")
            for number, name in enumerate(names):
                told += [nodes.Text(", ")] * bool(number) + [name]
            seen = nodes.paragraph("", first_era(version))
            release = nodes.paragraph("", version)
            body += nodes.row("", *(nodes.entry("", cell) for cell in (release, seen, told)))
        return [whole]

    def term(self, life: Life, function: bool) -> nodes.Node:
        """A function with a link to its entry; anything else as it is called."""
        if not function:
            return nodes.inline("", life.name) if " " in life.name else nodes.literal("", life.name)
        import driverref.erl_driver

        module = "erl_driver" if hasattr(driverref.erl_driver, life.name) else "instrument"
        return addnodes.pending_xref(
            "", nodes.literal("", life.name), reftype="func", refdomain="py",
            reftarget=f"driverref.{module}.{life.name}", refwarn=True,
        )  # fmt: skip


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("era-map", EraMap)
    app.add_directive("lives", Lives)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
