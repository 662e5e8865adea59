"""The names of outcomes, as a page gives them below `{outcomes}`, and what moved in their orders.

    closed before the job began | stop < async_invoke
    closed while it ran | surprising | async_invoke < stop < async_return
    the answer | no async_free, b'done'
    the data is lost | Leak
    freed by control | DataRace in control

A line is a name, a grade and a condition. The grade is `right`, `surprising` or `fault`; if there
is none it is `fault` for an outcome that is a fault, and else `right`. The condition says which
outcome is meant. It has parts, with commas between them, that all hold:

* `stop < async_invoke < async_return`: these events are in the observed order, in this order. An
  event is a name, which means its first, or a name with a job: `async_invoke(2)`.
* `stop` and `no stop`: the event is in the observed order, or is not.
* `Leak`, `DataRace in control`: a fault of this class, which names this function.
* Anything else is the value that the scenario returned, as Python writes it. It stands last,
  because it may have commas. So is the atom `closed`, if no order was observed.

The lines stand in the order in which the table shows the outcomes. Each line means exactly one
outcome, and each outcome has a line: so a page cannot name what is no longer there.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from driverref.explore import Fault, Order, label

GRADES = ("right", "surprising", "fault")

_LINE = re.compile(rf"(.+?)\s*\|\s*(?:({'|'.join(GRADES)})\s*\|\s*)?(.+)")
_EVENT = r"[a-z]\w*(?:\(\d+\))?"
_ORDER = re.compile(rf"{_EVENT}(?:\s*<\s*{_EVENT})*|no\s+{_EVENT}")
_FAULT = re.compile(r"([A-Z]\w+)(?: in (\w+))?")
_LITERALS = {"None", "True", "False"}


@dataclass(frozen=True)
class Named:
    """A row of the table: an outcome, its name and its grade."""

    outcome: Hashable
    name: str = ""
    """Empty if the page gives no names."""
    grade: str = ""
    """One of `GRADES`, or empty if there is no name and the outcome is not a fault."""


def named(lines: Iterable[str], outcomes: Sequence[Hashable]) -> list[Named]:
    """Return the rows, in the order of the lines; without lines, in the order of the outcomes.

    Raises `ValueError` for a line that does not mean exactly one of the outcomes, and for an
    outcome without a line.
    """
    rules = [read(line) for line in lines if line.strip()]
    if not rules:
        return [Named(o, "", "fault" if isinstance(o, Fault) else "") for o in outcomes]
    rows = []
    for name, grade, when in rules:
        meant = [outcome for outcome in outcomes if holds(when, outcome)]
        if len(meant) != 1:
            seen = "; ".join(map(label, meant)) or "none"
            raise ValueError(f"{name!r} should mean one outcome, and {when!r} holds for {seen}")
        usual = "fault" if isinstance(meant[0], Fault) else "right"
        rows.append(Named(meant[0], name, grade or usual))
    whole = [row.outcome for row in rows]
    for outcome in outcomes:
        if whole.count(outcome) != 1:
            raise ValueError(
                f"the outcome {label(outcome)} should have one line, and has {whole.count(outcome)}"
            )
    return rows


def read(line: str) -> tuple[str, str, str]:
    """Return the name, the grade or `""`, and the condition of a line."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(f"{line!r} should be NAME | GRADE | CONDITION, or NAME | CONDITION")
    return match[1], match[2] or "", match[3]


def holds(when: str, outcome: Hashable) -> bool:
    """Return whether a condition holds for an outcome."""
    match outcome:
        case Fault():
            value, order = None, None
        case Order():
            value, order = None, outcome
        case (value, Order() as order):
            pass
        case value:
            order = None
    rest = when.strip()
    while rest:
        part, _, after = rest.partition(",")
        part = part.strip()
        if part not in _LITERALS and (fault := _FAULT.fullmatch(part)):
            if not isinstance(outcome, Fault) or not _is(outcome, fault[1], fault[2]):
                return False
        elif order is not None and _ORDER.fullmatch(part):
            if not _in(order, part):
                return False
        else:
            return not isinstance(outcome, Fault | Order) and label(value) == rest
        rest = after.strip()
    return True


def _is(fault: Fault, name: str, function: str | None) -> bool:
    places = " ".join(fault.places).split()
    return fault.name == name and (function is None or function in places)


def _in(order: Order, part: str) -> bool:
    """Return whether `stop < async_free`, `stop` or `no stop` holds in an order."""
    absent = part.startswith("no ")
    events = [event.strip() for event in part.removeprefix("no ").split("<")]
    places = [first(order, event) for event in events]
    if absent:
        return places == [-1]
    return -1 not in places and all(a < b for a, b in pairwise(places))


def first(order: Order, event: str) -> int:
    """Return where an event is in an order for the first time; -1 if it is not there."""
    return next((n for n, e in enumerate(order) if event in {e, e.partition("(")[0]}), -1)


def moved(order: Sequence[str], before: Sequence[str]) -> list[bool]:
    """Return for each event of an order whether it is at another place than in `before`.

    The others are as many as possible of the events that both orders have in one order. Where there
    is a choice the events of the jobs stay, because a callback that comes earlier or later is what
    a driver's author looks for.
    """
    weights = [10 if name.startswith("async_") else 9 for name in order]
    # The heaviest common subsequence of what is left of both from here on.
    best = [[0] * (len(before) + 1) for _ in range(len(order) + 1)]
    for i in reversed(range(len(order))):
        for j in reversed(range(len(before))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            if order[i] == before[j]:
                best[i][j] = max(best[i][j], weights[i] + best[i + 1][j + 1])
    marks, i, j = [True] * len(order), 0, 0
    while i < len(order) and j < len(before):
        if order[i] == before[j] and best[i][j] == weights[i] + best[i + 1][j + 1]:
            marks[i] = False
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return marks
