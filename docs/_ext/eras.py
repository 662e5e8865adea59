"""The directive `{then-and-now}`: what `compare` found, era by era, as a table whose rows open.

Its argument is a name, or another expression, that is a `Comparison` in the page's namespace when
the blocks above have run. Emulators that come to the same stand in one group of rows, with their
years; the oldest come first, and today's is marked. Under each outcome is the timeline of its
witness, run again on the group's first emulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from .outcomes import Table, columns, raw

if TYPE_CHECKING:
    from driverref.explore import System

RELEASES = "/reference/releases"
"""The page that tells what differs between the releases."""


class ThenAndNow(Table):
    """The outcomes of a scenario on the emulator of each era."""

    def draw(self, value: object) -> nodes.Node:
        """A group of rows for the emulators that come to the same."""
        from driverref.explore import Comparison  # the package is the book's subject

        if not isinstance(value, Comparison):
            raise TypeError(f"{self.arguments[0]} is not what compare returns: {value!r}")
        bodies: list[nodes.Node] = []
        for group in value.groups():
            bodies.append(raw('<tbody><tr class="era"><th scope="rowgroup" colspan="3">'))
            bodies += [emulator(system) for system in group]
            bodies.append(raw("</th></tr>"))
            outcomes = value[group[0]]
            for outcome in outcomes:
                count = value.count(group, outcome)
                bodies += self.rows(outcomes, outcome, count, f" on {group[0]}")
            bodies.append(raw("</tbody>"))
        head = ("emulator", "outcome", "schedules")
        text = "\n".join([*columns([head, *value.rows()], "<"), value.summary()])
        return self.box("outcomes eras", bodies, value.summary(), text)


def emulator(system: System) -> nodes.paragraph:
    """How it was started, which releases it stands for and when they were; and whether it is today's."""
    from driverref.release import ERAS

    release = system.release
    link = addnodes.pending_xref(
        "",
        nodes.inline("", release.name),
        refdomain="std",
        reftype="doc",
        reftarget=RELEASES,
        refexplicit=True,
        refwarn=True,
    )
    options = str(system).removeprefix(release.name)
    line = nodes.paragraph("", "", link, nodes.Text(f"{options} "))
    if release == ERAS[-1]:
        line += nodes.inline("", "today", classes=["today"])
        line += nodes.Text(" ")
    line += nodes.inline("", f"{release.covers}, {release.years}", classes=["years"])
    return line


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register with Sphinx."""
    app.setup_extension("_ext.outcomes")
    app.add_directive("then-and-now", ThenAndNow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
