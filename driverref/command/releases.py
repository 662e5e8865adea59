"""The table of releases: a row for each field of a `Release`, a column for each era."""

from __future__ import annotations

from dataclasses import fields

from rich.box import SIMPLE_HEAD
from rich.table import Table

from driverref.release import ERAS, Release


def table() -> Table:
    """Return the table.  A field with many values, such as the callbacks, shows their number."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column("", no_wrap=True)
    for era in ERAS:
        made.add_column(era.name, overflow="fold")
    for field in fields(Release):
        if field.name != "name":
            made.add_row(field.name, *(_shown(getattr(era, field.name)) for era in ERAS))
    return made


def _shown(value: object) -> str:
    """Return the text of a field's value."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "-"
        case (int(major), int(minor)) if (
            max(major, minor) < 100
        ):  # a version, and no range of numbers
            return f"{major}.{minor}"
        case tuple():
            return " to ".join(map(str, value))
        case frozenset():
            return f"{len(value)}"
        case str():
            return value.replace("_", "_\n")  # a narrow column may break the word here
        case _:
            return str(value)
