"""The directives `{real-thing}`, `{real-runs}`, `{real-record}`, `{real-unseen}`: the same in C, and what it did.

`{real-thing} free` stands on the page of a question. It shows the page's program and the files
of its folder in tabs: C, Erlang, and what one writes today as a NIF, each with a link to the file
itself, which is copied beside the page's program. Other drivers of the folder follow, each under
the first sentence of its head comment. The directive's content names the scenarios that belong to
the question; a table shows what the real emulator did in them beside the model. `{real-runs}` is such a
table alone, `{real-record}` has a line for every scenario, and `{real-unseen}` says why some of the model's
orders were never seen.

The tabs need no JavaScript. What is not there, a file or the record, is not shown.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from sphinx_design.shared import create_component

from . import judged
from .outcomes import raw
from .program import FOLDER, filename, program
from .timeline import PACKAGE

LANGUAGES = {".py": "python", ".c": "c", ".erl": "erlang"}

SHOWN = 5
"""How many orders of a scenario stand in the table; the others open."""

HEAD = "<thead><tr>" + "".join(
    f'<th scope="col">{name}</th>' for name in ("what was seen", "runs", "in the model")
)


class Record(SphinxDirective):
    """What all of them share: the record."""

    has_content = False

    def record(self) -> judged.Record | None:
        """The record. The page is read again when it, or what it is compared with, has changed."""
        tests = Path(self.config.rule_tests)
        for path in (*PACKAGE.rglob("*.py"), *(tests / "beam").glob("*.py")):
            self.env.note_dependency(str(path))
        self.env.note_dependency(str(tests / "beam" / "record.json"))
        return judged.read(tests)

    def judge(self, record: judged.Record, names: Sequence[str]) -> list[judged.Judged]:
        """These scenarios, compared."""
        try:
            return [record.judged(name) for name in names]
        except LookupError as error:
            raise self.error(str(error.args[0])) from error

    def table(self, names: Sequence[str]) -> list[nodes.Node]:
        """What was seen in these scenarios."""
        record = self.record()
        if record is None or not names:
            return []
        scenarios = self.judge(record, names)
        title = f"Seen on OTP {record.release} (ERTS {record.erts}, {record.machine})"
        box = nodes.container(classes=["picture", "judged"])
        box += nodes.paragraph(title, title, classes=["picture-title"])
        caption = (
            "Each order of events that was seen, in how many runs, and whether the model has it."
        )
        body = "".join(f"<tbody>{''.join(rows(one))}</tbody>" for one in scenarios)
        label = f'<table aria-label="{escape(title)}"><caption>{caption}</caption>'
        box += raw(f"{label}{HEAD}</tr></thead>{body}</table>")
        return [box]


class RealThing(Record):
    """The files of a question's folder, and what was seen."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """The tabs and the table."""
        name = self.arguments[0]
        page = Path(self.env.doc2path(self.env.docname))
        found: list[nodes.Node] = []
        for pattern in patterns(page.parent, name):
            if pattern != name:
                title = purpose(page.parent / f"{pattern}_drv.c")
                found.append(nodes.paragraph(title, title, classes=["pattern"]))
            found.append(self.tabs(page, pattern, whole=pattern == name))
        box = nodes.container(classes=["real-thing"])
        box += found
        return [*([box] if found else []), *self.table(" ".join(self.content).split())]

    def tabs(self, page: Path, name: str, whole: bool) -> nodes.Node:
        """One driver: the page's program if it is the page's own, C, Erlang, NIF."""
        items = []
        docname = self.env.docname
        if whole and (text := program(page, docname)):
            items.append(tab("Python", self.code(text, filename(docname), filename(docname))))
        for label, endings in {
            "C": ["drv.c"],
            "Erlang": ["drv.erl"],
            "NIF": ["nif.c", "nif.erl"],
        }.items():
            content: list[nodes.Node] = []
            for ending in endings:
                path = page.parent / f"{name}_{ending}"
                if path.is_file():
                    self.env.note_dependency(str(path))
                    where = f"{page.parent.name}/{path.name}"
                    content += self.code(path.read_text("utf-8"), path.name, where)
            if content:
                items.append(tab(label, content))
        return create_component("tab-set", classes=["sd-tab-set"], children=items)

    def code(self, text: str, name: str, where: str) -> list[nodes.Node]:
        """A file: a link to it, and its text."""
        up = "../" * self.env.docname.count("/")
        link = nodes.reference("", f"Download {name}", refuri=f"{up}{FOLDER}/{where}")
        link["classes"] = ["file-link"]
        block = nodes.literal_block(text, text, language=LANGUAGES[Path(name).suffix])
        frame = f'<div class="file" tabindex="0" role="group" aria-label="{escape(name)}">'
        return [
            nodes.paragraph("", "", link, classes=["program-line"]),
            raw(frame),
            block,
            raw("</div>"),
        ]


class RealRuns(Record):
    """What was seen in some scenarios."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The table."""
        return self.table(self.arguments[0].split())


class RealRecord(Record):
    """Every scenario in a line."""

    def run(self) -> list[nodes.Node]:
        """The sums and the table."""
        record = self.record()
        if record is None:
            none = "There is no record: make beam writes it."
            return [nodes.paragraph(none, none)]
        scenarios = self.judge(record, record.names)
        total = judged.totals(scenarios)
        has = (
            "the model has every one"
            if not total["refused"]
            else f"the model lacks {total['refused']}"
        )
        text = (
            f"OTP {record.release} (ERTS {record.erts}, {record.machine}): {counted(total, 'scenario')},"
            f" {counted(total, 'run')}, {total['lost']:,} of them hung or crashed;"
            f" {counted(total, 'order')} of events, and {has}."
        )
        head = "".join(
            f'<th scope="col">{name}</th>'
            for name in ("scenario", "runs", "orders seen", "the model")
        )
        box = nodes.container(classes=["judged", "every"])
        caption = (
            "Every scenario, how often it was played, and whether the model has what was seen."
        )
        box += raw(
            f'<table aria-label="Every scenario"><caption>{caption}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(map(line, scenarios))}</tbody></table>"
        )
        return [nodes.paragraph(text, text, classes=["record-totals"]), box]


class RealUnseen(Record):
    """What the model has and was never seen, and why."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        record = self.record()
        if record is None:
            return []
        body = "".join(
            f'<tbody><tr class="scenario"><th scope="rowgroup" colspan="2">{in_html(record.scenarios[name].why)}'
            f"<span><code>{escape(name)}</code></span></th></tr>{''.join(map(because, reasons))}</tbody>"
            for name, reasons in judged.unseen(Path(self.config.rule_tests)).items()
        )
        head = "".join(f'<th scope="col">{name}</th>' for name in ("never seen", "why"))
        caption = "Orders that the model has and the emulator never showed, by scenario."
        box = nodes.container(classes=["judged", "unseen"])
        box += raw(
            f'<table aria-label="Never seen"><caption>{caption}</caption>'
            f"<thead><tr>{head}</tr></thead>{body}</table>"
        )
        return [box]


def because(reason: Any) -> str:
    """Orders and why they were never seen, as one row."""
    orders = "".join(f"<li><code>{escape(order)}</code></li>" for order in reason.orders)
    why = f"<strong>{reason.kind}</strong>: {in_html(reason.why)}"
    return f"<tr><td><ul>{orders}</ul></td><td>{why}</td></tr>"


def counted(total: dict[str, int], what: str) -> str:
    """A sum with its noun."""
    return judged.counted(total[f"{what}s"], what)


def tab(label: str, content: Sequence[nodes.Node]) -> nodes.Node:
    """One tab."""
    return create_component(
        "tab-item",
        classes=["sd-tab-item"],
        children=[
            nodes.rubric(label, "", nodes.Text(label), classes=["sd-tab-label"]),
            create_component("tab-content", classes=["sd-tab-content"], children=content),
        ],
    )


def patterns(folder: Path, name: str) -> list[str]:
    """The drivers of a folder, the page's own first."""
    found = sorted(path.name.removesuffix("_drv.c") for path in folder.glob("*_drv.c"))
    return sorted(found, key=lambda pattern: pattern != name)


def purpose(path: Path) -> str:
    """The first sentence of a head comment: `/* queue_drv.c: a command queue ... at a time.`"""
    head = path.read_text("utf-8").partition("*/")[0]
    words = " ".join(re.sub(r"^\s*/?\*+", "", line).strip() for line in head.splitlines())
    found = re.search(rf"{path.stem}(?:\.c)?: (.+?\.)(?:\s|$)", words)
    text = found[1] if found else path.name
    return text[:1].upper() + text[1:]


def rows(one: judged.Judged) -> Iterator[str]:
    """A scenario's rows: what it is about, what was seen, what else the model has."""
    played = f"{judged.counted(one.runs, 'run')}, {judged.options_in_words(one.options)}"
    yield (
        f'<tr class="scenario"><th scope="rowgroup" colspan="3">{in_html(one.why)}'
        f"<span><code>{escape(one.name)}</code>: {played}</span></th></tr>"
    )
    for seen in one.seen[:SHOWN]:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells(one, seen))}</tr>"
    for number, what in (one.hung, "hung"), (one.crashed, "crashed"):
        if number:
            yield f'<tr><td><strong class="fault">{what}</strong></td><td>{number:,}</td><td>no</td></tr>'
    if further := one.seen[SHOWN:]:
        items = "".join(
            f"<li>{': '.join(cells(one, seen)[:2])}{verdict_of(seen)}</li>" for seen in further
        )
        summary = judged.counted(len(further), "further order")
        yield (
            f'<tr class="more"><td colspan="3"><details><summary>{summary}</summary>'
            f"<ul>{items}</ul></details></td></tr>"
        )
    yield f'<tr class="more"><td colspan="3">{besides(one)}</td></tr>'


def cells(one: judged.Judged, seen: judged.Seen) -> tuple[str, str, str]:
    """An order, in how many runs it was seen, and whether the model has it."""
    order = f"<code>{escape(' '.join(seen.order) or '(no event)')}</code>"
    runs = f"{seen.runs:,}"
    if len(seen.options) < len(one.options):
        order += f"<span>only with {judged.options_in_words(seen.options)}</span>"
    return order, runs, "yes" if seen.admitted else '<strong class="fault">no</strong>'


def verdict_of(seen: judged.Seen) -> str:
    """A remark, if the model does not have it."""
    return "" if seen.admitted else ' <strong class="fault">not in the model</strong>'


def besides(one: judged.Judged) -> str:
    """What the model has that was not seen."""
    if not one.others:
        return "The model has no others." if one.complete else "The model may have others."
    least = "" if one.complete else "at least "
    return f"The model has {least}{judged.counted(one.others, 'other')}."


def line(one: judged.Judged) -> str:
    """A scenario as one row."""
    lost = sum(not seen.admitted for seen in one.seen)
    verdict = f"has {'it' if len(one.seen) == 1 else f'all {len(one.seen)}'}" if not lost else ""
    faults = [f"lacks {lost}"] * bool(lost) + [f"{one.hung} hung"] * bool(one.hung)
    faults += [f"{one.crashed} crashed"] * bool(one.crashed)
    said = f'<strong class="fault">{", ".join(faults)}</strong>' if faults else ""
    verdict = ", ".join(filter(None, (verdict, said)))
    plus = "" if one.complete else "+"
    verdict += f", {one.others}{plus} unseen" if one.others else ""
    return (
        f'<tr><th scope="row">{in_html(one.why)}<span><code>{escape(one.name)}</code></span></th>'
        f"<td>{one.runs:,}</td><td>{len(one.seen):,}</td><td>{verdict}</td></tr>"
    )


def in_html(text: str) -> str:
    """A sentence with `code` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def write(app: Sphinx, error: Exception | None) -> None:
    """Copy the files beside the pages' programs."""
    if error or app.builder.format != "html":
        return
    for docname in app.env.all_docs:
        folder = Path(app.env.doc2path(docname)).parent
        for path in (*folder.glob("*_drv.*"), *folder.glob("*_nif.*")):
            target = Path(app.outdir) / FOLDER / folder.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.name)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.add_directive("real-thing", RealThing)
    app.add_directive("real-runs", RealRuns)
    app.add_directive("real-record", RealRecord)
    app.add_directive("real-unseen", RealUnseen)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
