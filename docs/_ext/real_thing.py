"""The directives `{real-thing}`, `{real-runs}`, `{real-record}`, `{real-values}`, `{real-unseen}`,
`{real-faults}`.

They show drivers for the real emulator, and what it did with drivers in the runs of the record.

`{real-thing} free` is used on the page of a question. It shows, in tabs, the files of the page's
folder: `free_drv.c` in C, `free_drv.erl` in Erlang, and `free_nif.c` with `free_nif.erl`, which is
what one writes today. Each has a link to the file. With `:others:` it shows the other drivers of
the folder instead, each under the first sentence of its head comment; those that the page shows
elsewhere, as with `{driver}`, are left out. The directive's content names scenarios of the record,
and a table shows what the real emulator did in them. A language that the reader chooses is chosen
in all tabs of the book.

`{real-runs}` shows such a table alone, `{real-record}` has a line for every release and every
scenario (or, with `sums` or `scenarios`, for the ones or the others), and `{real-unseen}` says why
some orders of the model were never seen. `{real-values}` sums up what BIFs and calls returned.
`{real-faults}` shows what valgrind and the sanitizers found in drivers that are broken on purpose.

The tabs need no JavaScript. A file that does not exist is left out, and so are the tables if there
is no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from _ext import driver_files, judged, judged_faults, judged_values
from _ext.judged_rows import in_html, scenario_line, scenario_rows, totals_row, unseen_row
from _ext.words import counted, listed
from _ext.workshop import (
    SAFE,
    BookDirective,
    folded,
    html_table,
    literal,
    raw,
    scrolling,
    tab,
    tab_set,
    titled,
)

LANGUAGES = {".c": "c", ".erl": "erlang"}

HEAD = re.compile(r"/\*.*?\*/\n+|(?:%%[^\n]*\n)+", re.DOTALL)
"""The comment that opens a file in C or in Erlang."""
REMARK = re.compile(r"^(?:/\*| \*/| \* ?|%%) ?(?:SPDX.*\n)?", re.MULTILINE)
"""What makes it a comment, at the start of a line."""

TABS = {"C": ("drv.c",), "Erlang": ("drv.erl",), "NIF": ("nif.c", "nif.erl")}
"""The tabs, and how the names of their files end."""


class RecordDirective(BookDirective):
    """A directive that shows something of the record."""

    def record(self) -> judged.Record | None:
        """Return the record. The page depends on it, and on what it is compared with."""
        tests = Path(self.config.rule_tests)
        self.depends_on_package()
        self.depends_on(*(tests / "beam").glob("*.py"), tests / "beam" / "record.json")
        return judged.read(tests)

    def judge(self, record: judged.Record, names: Sequence[str]) -> list[judged.Judged]:
        """Return these scenarios, compared. It is an error if the record does not have one."""
        try:
            return [record.judged(name) for name in names]
        except LookupError as error:
            raise self.error(str(error.args[0])) from error

    def table(self, names: Sequence[str]) -> list[nodes.Node]:
        """Return the table of what was seen in these scenarios."""
        record = self.record()
        if record is None or not names:
            return []
        title = f"Seen on OTP {listed(list(record.emulators))}"
        caption = (
            "What each release did, each order of events that was seen, in how many runs,"
            " and whether the model has it."
        )
        html = html_table(title, caption, ("what was seen", "runs", "in the model"))
        for one in self.judge(record, names):
            html += f"<tbody>{''.join(scenario_rows(one))}</tbody>"
        box = titled("judged", title)
        box += raw(f"{html}</table>")
        return [box]


class RealThing(RecordDirective):
    """The files of a question's folder, and what was seen."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[OptionSpec] = {"others": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Return the tabs of the driver or of the others, and the table."""
        name = self.arguments[0]
        folder = self.page.parent
        box = nodes.container(classes=["real-thing"])
        text = self.page.read_text("utf-8")
        beside = {shown.name for shown in driver_files.shown(self.page)}
        for driver in drivers(folder, name):
            if (driver == name) == ("others" in self.options):
                continue
            if f"{driver}_drv" in beside:
                continue
            if driver != name and f"{{literalinclude}} {driver}_drv.c" in text:
                continue
            tabs = self.file_tabs(driver)
            if driver != name and tabs:
                title = purpose(folder / f"{driver}_drv.c")
                box += nodes.paragraph(title, title, classes=["pattern"])
            box += [tab_set(tabs)] if tabs else []
        return [*([box] if box.children else []), *self.table(" ".join(self.content).split())]

    def file_tabs(self, driver: str) -> list[nodes.Node]:
        """Return a tab for each language in which the folder has the driver."""
        tabs = []
        for label, endings in TABS.items():
            content: list[nodes.Node] = []
            for ending in endings:
                path = self.page.parent / f"{driver}_{ending}"
                if path.is_file():
                    self.depends_on(path)
                    where = f"{path.parent.name}/{path.name}"
                    content += self.code(path.read_text("utf-8"), path.name, where)
            if content:
                tabs.append(tab(label, content))
        return tabs

    def code(self, text: str, name: str, where: str) -> list[nodes.Node]:
        """Return a file: a link to its copy `where` below the downloads, and its text.

        The comment at its head, which tells how it is compiled and run, is folded below it.
        """
        link = self.download(f"Download {name}", where, "file-link")
        head, rest = HEAD.match(text), text
        if head is not None and (words := REMARK.sub("", head[0]).strip()):
            rest = text[head.end() :].lstrip()
        return [
            nodes.paragraph("", "", link, classes=["program-line"]),
            raw(scrolling("file", name)),
            nodes.literal_block(rest, rest, language=LANGUAGES[Path(name).suffix]),
            raw("</div>"),
            *(
                folded("What it does, and how to compile and run it", [literal(words)])
                if rest != text
                else []
            ),
        ]


class RealRuns(RecordDirective):
    """What was seen in some scenarios."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the table of the scenarios that the argument names."""
        return self.table(self.arguments[0].split())


class RealRecord(RecordDirective):
    """The sums of each release, and every scenario in a line; with an argument only one of them."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sums and the table."""
        wanted = self.arguments or ["sums", "scenarios"]
        if not set(wanted) <= {"sums", "scenarios"}:
            raise self.error(f"real-record shows sums or scenarios, and not {wanted[0]}")
        record = self.record()
        if record is None:
            none = "There is no record: make beam writes it."
            return [nodes.paragraph(none, none)]
        scenarios = self.judge(record, record.names)
        caption = "What each release did in all scenarios, and whether the model has what was seen."
        columns = ("release", "runs", "orders seen", "the model")
        head = html_table(counted(len(scenarios), "scenario"), caption, columns)
        rows = [
            totals_row(release, emulator, judged.totals(scenarios, release))
            for release, emulator in record.emulators.items()
        ]
        sums = nodes.container(classes=["judged", "every", "sums"])
        sums += raw(f"{head}<tbody>{''.join(rows)}</tbody></table>")
        caption = (
            "Every scenario, how often it was played, and whether the model has what was seen."
        )
        columns = ("scenario", "runs", "orders seen", "the model")
        head = html_table("Every scenario", caption, columns)
        box = nodes.container(classes=["judged", "every"])
        box += raw(f"{head}<tbody>{''.join(map(scenario_line, scenarios))}</tbody></table>")
        return [part for name, part in (("sums", sums), ("scenarios", box)) if name in wanted]


class RealValues(RecordDirective):
    """What BIFs and calls returned, a row for each release, and why the model differs."""

    def run(self) -> list[nodes.Node]:
        """Return the tables."""
        tests = Path(self.config.rule_tests)
        self.depends_on(*(tests / file for file in judged_values.FILES))
        values = judged_values.read(tests)
        if values is None:
            return []
        caption = "In how many cases the model does what a release did, and in how many not."
        columns = ("release", "cases", "the same in the model", "not the same")
        html = html_table("Values", caption, columns)
        box = nodes.container(classes=["judged", "values"])
        box += raw(f"{html}<tbody>{''.join(judged_values.release_rows(values))}</tbody></table>")
        if values.known:
            caption = "Why the model does something else, on which releases, in how many cases."
            html = html_table("Differences", caption, ("why", "OTP", "cases"))
            rows = "".join(judged_values.reason_rows(values))
            box += raw(f"{html}<tbody>{rows}</tbody></table>")
        return [box]


class RealUnseen(RecordDirective):
    """What the model has and was never seen, and why."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        record = self.record()
        if record is None:
            return []
        caption = "Orders that the model has and the emulator never showed, by scenario."
        html = html_table("Never seen", caption, ("never seen", "why"))
        for name, reasons in judged.unseen(Path(self.config.rule_tests)).items():
            html += (
                '<tbody><tr class="scenario"><th scope="rowgroup" colspan="2">'
                f"{in_html(record.scenarios[name].why)}<span><code>{escape(name)}</code></span>"
                f"</th></tr>{''.join(map(unseen_row, reasons))}</tbody>"
            )
        box = nodes.container(classes=["judged", "unseen"])
        box += raw(f"{html}</table>")
        return [box]


class RealFaults(BookDirective):
    """What the usual tools found in drivers that are broken on purpose."""

    def run(self) -> list[nodes.Node]:
        """Return the table by kinds and, folded, the one by drivers."""
        tests = Path(self.config.rule_tests)
        self.depends_on(tests / judged_faults.FILE)
        faults = judged_faults.read(tests)
        if faults is None:
            return []
        caption = "Of how many drivers something was seen alone, or the line named by a tool."
        columns = ["mistake", "drivers", "alone", *judged_faults.TOOLS, "any tool"]
        rows = [*judged_faults.class_rows(faults), judged_faults.unbroken_row(faults)]
        box = nodes.container(classes=["judged", "faults"])
        box += wide("Tools and mistakes", caption, columns, rows)
        caption = "What was seen of each driver, and in how many plays."
        columns = ["driver", "alone", *judged_faults.TOOLS]
        inner = wide("Tools and drivers", caption, columns, judged_faults.driver_rows(faults))
        box += folded(f"Each of the {len(faults.broken)} drivers", [inner])
        with_what = judged_faults.made_with(faults)
        return [box, nodes.paragraph(with_what, with_what, classes=["made-with"])]


def wide(label: str, caption: str, columns: Sequence[str], rows: Iterable[str]) -> nodes.raw:
    """Return a table that scrolls where the screen is narrow."""
    html = html_table(label, caption, columns)
    return raw(f"{scrolling('wide', label)}{html}<tbody>{''.join(rows)}</tbody></table></div>")


def drivers(folder: Path, name: str) -> list[str]:
    """Return the names of the drivers of a folder, with `name` first."""
    found = sorted(path.name.removesuffix("_drv.c") for path in folder.glob("*_drv.c"))
    return sorted(found, key=lambda driver: driver != name)


def purpose(path: Path) -> str:
    """Return the first sentence of a head comment.

    The comment begins with the file's name: `/* queue_drv.c: a command queue ... at a time.`
    """
    head = path.read_text("utf-8").partition("*/")[0]
    words = " ".join(re.sub(r"^\s*/?\*+", "", line).strip() for line in head.splitlines())
    found = re.search(rf"{path.stem}(?:\.c)?: (.+?\.)(?:\s|$)", words)
    text = found[1] if found else path.name
    return text[:1].upper() + text[1:]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.workshop")
    app.add_directive("real-thing", RealThing)
    app.add_directive("real-runs", RealRuns)
    app.add_directive("real-record", RealRecord)
    app.add_directive("real-unseen", RealUnseen)
    app.add_directive("real-values", RealValues)
    app.add_directive("real-faults", RealFaults)
    return SAFE
