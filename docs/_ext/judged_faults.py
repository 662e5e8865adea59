"""What the usual tools found in the drivers that are broken on purpose, as rows of HTML tables.

`tests/benchmarks/faults.json` has it: of each driver, how often it was played on the real emulator,
alone and under each tool, and what came of it. A tool has found a mistake if it named the line in a
report. `class_rows` counts the drivers by the kind of their mistake, `driver_rows` has a row for
each, and `unbroken_row` is the control.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from _ext.judged_rows import fault

FILE = Path("benchmarks", "faults.json")
"""The record, below the folder of the tests."""

TOOLS = ("valgrind", "AddressSanitizer", "ThreadSanitizer")

Played = dict[str, Any]
"""What came of a driver, alone or under a tool."""


class Faults(NamedTuple):
    """The record."""

    versions: dict[str, str]
    unbroken: dict[str, dict[str, Played]]
    """By driver and scene, then by tool; alone it is the tool `none`."""
    broken: dict[str, dict[str, Any]]
    """By driver: its `fault`, and the same by tool."""


def read(tests: Path) -> Faults | None:
    """Return the record below the folder of the tests, or None if there is none."""
    path = tests / FILE
    return Faults(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def made_with(faults: Faults) -> str:
    """Return which emulator and which tools these were, as a sentence."""
    of = faults.versions
    compiled = of["AddressSanitizer"]
    return (
        f"Played on {of['emulator']}, {of['machine']}, with {of['valgrind']}"
        f" and the sanitizers of {compiled}."
    )


def ended(alone: Played) -> bool:
    """Whether the emulator died or stood still without a tool."""
    return bool(alone["died"] or alone["hung"])


def names(played: Played) -> bool:
    """Whether the tool has named the line."""
    return bool(played["named"] or played["at the end"])


def reported(played: Played) -> bool:
    """Whether the tool has named any line of the driver."""
    return names(played) or bool(played["of other lines"])


def class_rows(faults: Faults) -> Iterator[str]:
    """Yield a row for each kind of mistake, the most frequent first, and their sums."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for driver in faults.broken.values():
        kinds.setdefault(driver["fault"], []).append(driver)
    for kind, drivers in sorted(kinds.items(), key=lambda one: (-len(one[1]), one[0])):
        yield class_row(f"<code>{escape(kind)}</code>", drivers)
    yield class_row("all", list(faults.broken.values()))


def class_row(head: str, drivers: list[dict[str, Any]]) -> str:
    """Return in how many of these drivers something was seen: alone, by each tool, by any tool."""
    counts = [len(drivers), sum(ended(driver["none"]) for driver in drivers)]
    counts += [sum(names(driver[tool]) for driver in drivers) for tool in TOOLS]
    counts += [sum(any(names(driver[tool]) for tool in TOOLS) for driver in drivers)]
    cells = "".join(f"<td>{count}</td>" for count in counts)
    return f'<tr><th scope="row">{head}</th>{cells}</tr>'


def unbroken_row(faults: Faults) -> str:
    """Return in how many scenes something was seen of drivers that are not broken."""
    scenes = list(faults.unbroken.values())
    died = sum(ended(scene["none"]) for scene in scenes)
    counts = [len(scenes), died]
    counts += [sum(reported(scene[tool]) for scene in scenes) for tool in TOOLS]
    counts += [sum(any(reported(scene[tool]) for tool in TOOLS) for scene in scenes)]
    cells = "".join(f"<td>{count}</td>" for count in counts)
    return f'<tr><th scope="row">not broken</th>{cells}</tr>'


def driver_rows(faults: Faults) -> Iterator[str]:
    """Yield a row for each broken driver: what was seen of it, alone and by each tool."""
    for name, driver in faults.broken.items():
        cells = [alone_cell(driver["none"]), *(tool_cell(driver[tool], tool) for tool in TOOLS)]
        yield (
            f'<tr><th scope="row">{escape(name)}<span><code>{escape(driver["fault"])}</code></span>'
            f"</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        )


def alone_cell(alone: Played) -> str:
    """Return what was seen without a tool, and in how many plays."""
    ways = {"died": fault("died"), "hung": fault("stood still"), "wrong": "other answers"}
    seen = [f"{word}, {alone[way]} of {alone['plays']}" for way, word in ways.items() if alone[way]]
    return "<br/>".join(seen) or "nothing"


def tool_cell(played: Played, tool: str) -> str:
    """Return whether a tool named the line, and in how many plays.

    Valgrind says the same thing once, so its plays are not counted.
    """
    if played["named"]:
        times = "" if tool == "valgrind" else f", {played['named']} of {played['plays']}"
        return fault(f"the line{times}")
    if played["at the end"]:
        return fault("the line, at the end")
    if played["of other lines"]:
        return "another line"
    if played["died"] or played["hung"]:
        return "died, no line" if played["died"] else "stood still, no line"
    return "nothing"
