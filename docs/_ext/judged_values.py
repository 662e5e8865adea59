"""What BIFs and calls returned on the real emulators, and where the model is known to differ.

`tests/beam/values` has the record of each case, and the cases in which the model does something
else, by reason. The tests hold that this list is exact, so a build of the book asks the model
nothing: it counts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from _ext.judged_rows import in_html


class Values(NamedTuple):
    """The record of values."""

    emulators: dict[str, dict[str, Any]]
    """By release."""
    cases: Counter[str]
    """How many were played, by release."""
    known: list[dict[str, Any]]
    """The differences: why, on which releases, and the states by question."""


FILES = [Path("beam", "values", "values.json"), Path("beam", "values", "known.json")]
"""The record and the known differences, below the folder of the tests."""


def read(tests: Path) -> Values | None:
    """Return the record below the folder of the tests, or None if there is none."""
    record, known = (tests / file for file in FILES)
    if not record.is_file():
        return None
    data = json.loads(record.read_text("utf-8"))
    cases = Counter[str]()
    for outcomes in data["values"].values():
        # One outcome is a string if every emulator showed it.
        shown = outcomes.values() if isinstance(outcomes, dict) else [data["emulators"]]
        cases.update({release for times in shown for release in times})
    return Values(data["emulators"], cases, json.loads(known.read_text("utf-8")))


def differing(group: dict[str, Any]) -> int:
    """Return how many cases a reason stands for."""
    return sum(map(len, group["cases"].values()))


def release_rows(values: Values) -> Iterator[str]:
    """Yield a row for each release: in how many cases the model has what was seen."""
    for release, emulator in values.emulators.items():
        cases = values.cases[release]
        others = sum(differing(group) for group in values.known if release in group["releases"])
        yield (
            f'<tr><th scope="row">OTP {escape(release)}<span>ERTS {escape(emulator["erts"])},'
            f" {emulator['runs']} runs of each</span></th><td>{cases:,}</td>"
            f"<td>{cases - others:,}</td><td>{others:,}</td></tr>"
        )


def reason_rows(values: Values) -> Iterator[str]:
    """Yield a row for each reason why the model differs, the most frequent first."""
    for group in sorted(values.known, key=lambda group: -differing(group)):
        releases = ", ".join(group["releases"])
        yield (
            f"<tr><td>{in_html(group['why'])}</td><td>{escape(releases)}</td>"
            f"<td>{differing(group):,}</td></tr>"
        )
