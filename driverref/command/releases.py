"""The records of the eras, as a table: a row a field, a column an era."""

from __future__ import annotations

from dataclasses import fields

from rich.box import SIMPLE_HEAD
from rich.table import Table

from driverref.release import ERAS, Release


def table() -> Table:
    """What differs between the eras.  A field that cannot be told in a cell, the callbacks, says how many there are."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column("", no_wrap=True)
    for era in ERAS:
        made.add_column(era.name, overflow="fold")
    for field in fields(Release):
        if field.name != "name":
            made.add_row(field.name, *(_shown(getattr(era, field.name)) for era in ERAS))
    return made


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "-"
        case tuple() if len(value) == 2 and max(value) < 100:
            return f"{value[0]}.{value[1]}"
        case tuple():
            return " to ".join(map(str, value))
        case frozenset():
            return f"{len(value)}"
        case str():
            return value.replace("_", "_\n")  # where a narrow column may break it
        case _:
            return str(value)
