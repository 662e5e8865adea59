"""The structure as a page gets it: JSON, with every text once.

    threads   the names of the threads
    texts     every other text, to which the rest refers by number
    steps     each step (`_Writer.step`), after all that happens before it
    runs      of each run: the row of its outcome, its last steps, its witness
    rows      of each outcome, in the order of the table: its label, and its grade; what stands
              between backticks in a label is code
    code      of each file or example: its name, and the lines that are needed, by number
    again     the call that makes a run again, with {} for its witness
    shortest  of each row: the run of its witness
    whole     whether these are all schedules

What follows from other parts is left out: the steps of a run are its last ones and all that happens
before them.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from types import CodeType
from typing import Any

from driverref.diagnostics import Sources, from_files, line
from driverref.explore.outcomes import Outcomes, label
from driverref.explore.run import Fault
from driverref.player.recording import Step, Thing
from driverref.player.structure import Structure
from driverref.threads.choice import TIME, thread_of
from driverref.timeline.rows import several_ports
from driverref.timeline.words import label as event_label

Labels = Sequence[tuple[Hashable, str, str]]
"""The rows of a table: an outcome, what it is called, and its grade."""

Data = dict[str, Any]


def plain(outcomes: Outcomes) -> Labels:
    """Return the rows of a table without names."""
    return [(o, label(o), "fault" if isinstance(o, Fault) else "") for o in outcomes]


def game(outcomes: Outcomes, rows: Labels | None = None, sources: Sources = from_files) -> Data:
    """Return the game of an exploration, whose runs are made again.

    `rows` are those of the table below which it is played, in their order.
    """
    structure = Structure.of(outcomes)
    labels = plain(outcomes) if rows is None else rows
    order = [outcome for outcome, _, _ in labels]
    writer = _Writer(structure, sources)
    steps = [writer.step(number) for number in range(len(structure.steps))]
    return {
        "threads": writer.threads,
        "texts": writer.texts,
        "steps": steps,
        "runs": [
            [order.index(run.outcome), structure.last(run.steps), run.witness]
            for run in structure.runs
        ],
        "rows": [[name, grade] for _, name, grade in labels],
        "shortest": [
            next(r for r, run in enumerate(structure.runs) if run.witness == outcomes[o].witness)
            for o in order
        ],
        "code": writer.code,
        "again": outcomes.call("{}"),
        "whole": len(structure.runs) == outcomes.inequivalent and outcomes.complete,
    }


def script(data: Data) -> str:
    """Return the game as JSON that can stand in a `<script>` of a page."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")  # so that no text ends the element


class _Writer:
    """The steps of a structure, as JSON has them, and the texts that they refer to."""

    def __init__(self, structure: Structure, sources: Sources) -> None:
        self.structure = structure
        self.sources = sources
        self.threads = list(dict.fromkeys(s.thread for s in structure.steps if s.choice != TIME))
        self.texts = [""]  # so 0 is no text
        self._text = {"": 0}
        self.code: list[tuple[str, dict[int, str]]] = []
        self._code: dict[tuple[str, int], int] = {}
        self._found: dict[CodeType, tuple[str, Sequence[str]] | None] = {}
        events = [event for step in structure.steps for event in step.events]
        self.several = several_ports(events)
        self.locks = {step.lock for step in structure.steps} - {None}
        self.things = _named({thing for step in structure.steps for (thing, _), _ in step.changes})

    def text(self, said: str) -> int:
        """Return the number of a text."""
        number = self._text.setdefault(said, len(self.texts))
        if number == len(self.texts):
            self.texts.append(said)
        return number

    def step(self, number: int) -> Data:
        """Return a step.

        `m` its thread, or -1 for time; `c` what happens directly before it; `d` whether it is
        decisive; `o` whether it is the other way of its thread; `e` its events; `t` the time after
        it, in microseconds, of a step of time; `p` where its thread stands then; `x` whether its
        thread has ended; `v` what it has changed, as a thing, its field (0 is the whole) and what
        it is now; `a` what it does with another thread; `w` what its thread waits for before, and
        `l` which lock; `h` the locks that it has taken (1) and given up (0).
        """
        step = self.structure.steps[number]
        time = step.choice == TIME
        told: Data = {
            "m": -1 if time else self.threads.index(step.thread),
            "c": self.structure.causes(number),
            "d": int(number in self.structure.decisive),
            "o": int(not time and step.choice != thread_of(step.choice)),
            "e": [
                [self.text(part) for part in event_label(event, with_port=self.several)]
                for event in step.events
            ],
            "t": step.time // 1000 if time else 0,
            "p": self.place(step),
            "x": int(step.ended),
            "v": [
                [self.text(part) for part in (self.things[thing], field, said)]
                for (thing, field), said in step.changes
            ],
            "a": self.text(step.does),
            "w": self.text(step.waits),
            "l": 0 if step.lock is None else self.text(f"{step.lock}"),
            "h": [[self.text(f"{r}"), int(taken)] for r, taken in step.holds if r in self.locks],
        }
        return {key: value for key, value in told.items() if value or key in {"m", "c"}}

    def place(self, step: Step) -> tuple[int, int] | None:
        """Return where a thread stands: a source, and a line of it."""
        if step.stands is None:
            return None
        code, _ = step.stands
        if code not in self._found:
            self._found[code] = self.sources(code)
        found, at = self._found[code], line(step.stands)
        if found is None or at is None:
            return None
        name, lines = found
        number = self._code.setdefault((name, id(lines)), len(self.code))
        if number == len(self.code):
            self.code.append((name, {}))
        # The line, with the one above and the one below it.
        for near in range(max(at - 1, 1), min(at + 1, len(lines)) + 1):
            self.code[number][1][near] = lines[near - 1].rstrip()
        return number, at


def _named(things: set[Thing]) -> dict[Thing, str]:
    """Return a name for each thing; those of one name get a number behind it."""
    names: dict[str, list[Thing]] = {}
    for thing in sorted(things):
        names.setdefault(thing[0], []).append(thing)
    return {
        thing: name if len(same) == 1 else f"{name} ({n})"
        for name, same in names.items()
        for n, thing in enumerate(same, 1)
    }
