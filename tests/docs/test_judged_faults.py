"""The table of what the usual tools found: its counts are those of the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from _ext import judged_faults
from book import ROOT
from bs4 import BeautifulSoup
from small_book import TEST, article, build

pytestmark = pytest.mark.slow

ALONE = {"plays": 100, "died": 0, "hung": 0, "wrong": 0}
SILENT = {
    "plays": 100,
    "died": 0,
    "hung": 0,
    "named": 0,
    "at the end": False,
    "said": [],
    "of other lines": [],
}


def driver(fault: str, none: Any, valgrind: Any, address: Any, thread: Any) -> dict[str, Any]:
    tools = zip(judged_faults.TOOLS, (valgrind, address, thread), strict=True)
    return {
        "fault": fault,
        "none": ALONE | none,
        **{tool: SILENT | what for tool, what in tools},
    }


VERSIONS = {
    "emulator": "OTP 25, ERTS 13",
    "machine": "Linux x86_64",
    "valgrind": "valgrind 3.19",
    "AddressSanitizer": "gcc 12",
    "ThreadSanitizer": "gcc 12",
}
RECORD = {
    "versions": VERSIONS,
    "unbroken": {
        "a 1": driver("", {}, {}, {}, {}),
        "a 2": driver("", {}, {"of other lines": ["x"]}, {}, {}),
    },
    "broken": {
        "one": driver("Leak", {}, {"at the end": True}, {"at the end": True}, {}),
        "two": driver("Race", {"died": 2, "wrong": 1}, {"named": 1}, {}, {"named": 5}),
        "three": driver("Race", {"plays": 3, "hung": 3}, {}, {"of other lines": ["x"]}, {}),
        "four <b>": driver("Race", {}, {"plays": 1, "died": 1}, {"plays": 3, "hung": 3}, {}),
    },
}


def cells(row: str) -> list[str]:
    return [
        cell.get_text(" ", strip=True)
        for cell in BeautifulSoup(row, "html.parser").select("th, td")
    ]


def book(folder: Path, record: object) -> BeautifulSoup:
    if record is not None:
        (folder / "tests" / "benchmarks").mkdir(parents=True)
        (folder / "tests" / judged_faults.FILE).write_text(json.dumps(record), "utf-8")
    page = "# A page\n\n```{rule} key.order\nIn order.\n```\n\n```{real-faults}\n```\n\n```{toctree}\nreference/rules\n```\n"
    done = build(folder, page, TEST)
    assert done.returncode == 0, done.stderr
    return article(folder)


def test_kinds_are_counted_and_each_driver_has_a_row(tmp_path: Path) -> None:
    page = book(tmp_path, RECORD)
    kinds, drivers = page.select("div.faults table")
    assert [cells(str(row)) for row in kinds.select("tbody tr")] == [
        ["Race", "3", "2", "1", "0", "1", "1"],
        ["Leak", "1", "0", "1", "1", "0", "1"],
        ["all", "4", "2", "2", "1", "1", "2"],
        ["not broken", "2", "0", "1", "0", "0", "1"],
    ]
    assert [cells(str(row)) for row in drivers.select("tbody tr")] == [
        ["one Leak", "nothing", "the line, at the end", "the line, at the end", "nothing"],
        [
            "two Race",
            "died , 2 of 100 other answers, 1 of 100",
            "the line",
            "nothing",
            "the line, 5 of 100",
        ],
        ["three Race", "stood still , 3 of 3", "nothing", "another line", "nothing"],
        ["four <b> Race", "nothing", "died, no line", "stood still, no line", "nothing"],
    ]
    assert "Each of the 4 drivers" in page.text
    assert "Played on OTP 25, ERTS 13, Linux x86_64, with valgrind 3.19 and" in page.text


def test_without_a_record_nothing_is_shown(tmp_path: Path) -> None:
    assert not book(tmp_path, None).select("div.faults")


def test_the_books_table_has_the_counts_of_the_record() -> None:
    record = judged_faults.read(ROOT / "tests")
    assert record is not None
    drivers = record.broken.values()
    *kinds, every = map(cells, judged_faults.class_rows(record))
    assert {kind[0] for kind in kinds} == {one["fault"] for one in drivers}
    for at in range(1, 7):
        assert sum(int(kind[at]) for kind in kinds) == int(every[at])
    assert int(every[1]) == len(drivers) == len(list(judged_faults.driver_rows(record)))
    for at in range(len(judged_faults.TOOLS)):
        rows = map(cells, judged_faults.driver_rows(record))
        assert sum(row[2 + at].startswith("the line") for row in rows) == int(every[3 + at])
