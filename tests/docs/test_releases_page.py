"""The page about releases, whose tables show every field of a record and all that came or went, and
the page about porting, whose checklist links to every rule of an era that can break a driver.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest
from _ext import era_rows, pages, releases, rulebook
from book import DOCS, ROOT
from bs4 import BeautifulSoup, Tag

from driverref import Emulator
from driverref.explore import Comparison, Fault
from driverref.release import ERAS, Release

pytestmark = pytest.mark.slow


ROWS = [row for rows in era_rows.MAP.values() for row in rows]
FUNCTIONS = releases.functions()


@pytest.fixture(scope="module")
def page(built_book: Path) -> BeautifulSoup:
    """The page about releases."""
    return BeautifulSoup((built_book / "reference/releases.html").read_text("utf-8"), "html.parser")


def words(cell: Tag) -> str:
    return " ".join(cell.get_text().split()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def body(page: BeautifulSoup, table: str) -> list[list[Tag]]:
    """The rows below a table's head."""
    return [row.select("th, td") for row in page.select(f"table.{table} tbody tr")]


# The map of the eras


def test_the_map_shows_every_field_of_a_record() -> None:
    shown = {field for row in ROWS for field in row.fields} | set(era_rows.IN_HEAD)
    assert shown == {field.name for field in dataclasses.fields(Release)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_row_tells_eras_apart_that_differ_in_its_fields(row: era_rows.Row) -> None:
    for one, next_one in pairwise(ERAS):
        values, next_values = ([getattr(era, f) for f in row.fields] for era in (one, next_one))
        if values == next_values:
            assert row.read(one).words == row.read(next_one).words
    differ = len({str([getattr(era, f) for f in row.fields]) for era in ERAS}) > 1
    assert (len({row.read(era) for era in ERAS}) > 1) == differ


def test_every_cell_names_a_rule_of_the_book() -> None:
    known = {rule.id for rule in rulebook.read(DOCS, ROOT / "tests").rules}
    cells = [row.read(era) for row in ROWS if row.fields != ("version", "erts") for era in ERAS]
    assert {cell.rule for cell in cells} <= known


def test_a_column_is_headed_by_name_releases_and_years(page: BeautifulSoup) -> None:
    heads = page.select("table.era-map thead th")[1:]
    told = [[p.get_text() for p in head.select("p")] for head in heads]
    assert told == [[era.name, era.covers, era.years] for era in ERAS]


def test_cells_that_say_the_same_are_one_and_lead_to_their_rule(page: BeautifulSoup) -> None:
    drawn = [cells for cells in body(page, "era-map") if len(cells) > 1]
    assert len(drawn) == len(ROWS)
    for row, (title, *cells) in zip(ROWS, drawn, strict=True):
        assert words(title) == row.title.replace("`", "")
        told: list[str] = []
        for cell in cells:
            assert not told or told[-1] != words(cell), row.title
            told += [words(cell)] * int(str(cell.get("colspan", "1")))
        expected = [row.read(era) for era in ERAS]
        assert told == [cell.words.replace("`", "") for cell in expected]
        links = [str(link["href"]).partition("#")[2] for cell in cells for link in cell.select("a")]
        rules = [f"rule-{cell.rule}" for cell in expected if cell.rule is not None]
        assert links == [one for n, one in enumerate(rules) if n == 0 or differs(expected, n)]


def differs(cells: list[era_rows.Cell], n: int) -> bool:
    return cells[n] != cells[n - 1]


# What came and went


def test_everything_that_came_or_went_is_listed_in_order(page: BeautifulSoup) -> None:
    table = [[words(cell) for cell in cells] for cells in body(page, "lives")]
    listed = {
        (version, told.partition(": ")[0], name)
        for version, _, told in table
        for name in told.partition(": ")[2].split(", ")
    }
    expected = {(since, "came", name) for name, since, _ in FUNCTIONS}
    expected |= {(until, "went", name) for name, _, until in FUNCTIONS if until}
    assert expected <= listed
    assert {name for *_, name in listed - expected} == {
        "memory_data", "erl_ddll:load", "erl_ddll:unload", "erl_ddll:try_unload",
        "erl_ddll:try_load", "erl_ddll:format_error", "erl_ddll:reload", "erl_ddll:reload_driver",
        "erl_ddll:monitor", "erl_ddll:demonitor", "erl_ddll:info", "port_call", "port_command/3",
        "halt's flush", "halt's flush_timeout", "monitor of a port", "demonitor/2",
        "demonitor's info", "send/3", "register of a port", "process_flag's `message_queue_data`",
        "monotonic_time", "open_port's `parallelism`", "open_port's `busy_limits_msgq`",
        "port_info's `os_pid`", "port_info's `registered_name`", "port_info's `queue_size`",
        "`locking` and `monitors`", "port_info's `parallelism`", "port_info's `monitored_by`",
        "dirty_scheduler_support",
        "the crash on thread options without a name",
    }  # fmt: skip
    order = [version for version, *_ in table]
    assert order == sorted(order, key=lambda v: sum(releases.is_in(other, v) for other in order))
    assert order.index("R9C") < order.index("R11B-3") < order.index("17.0") < order.index("27.0")


def test_a_listed_function_leads_to_its_entry(page: BeautifulSoup) -> None:
    linked = {link.get_text() for link in page.select("table.lives a[href^='api-']")}
    assert linked == {name for name, *_ in FUNCTIONS}


@pytest.mark.parametrize(
    ("version", "era"),
    [
        ("R6B-0", "R7B-3"),
        ("R8B-0", "R11B-5"),
        ("R9C", "R11B-5"),
        ("R12B-0", "R13B"),
        ("R14B03", "R14B04"),
        ("R16B02", "R16B"),
        ("18.3", "25"),
        ("27.0", "27"),
    ],
)
def test_a_change_is_seen_from_the_first_record_that_has_it(version: str, era: str) -> None:
    assert releases.first_era(version) == era


@pytest.mark.rule("era.default-threads")
@pytest.mark.parametrize(("release", "most"), [("R7B-3", 256), ("R11B-5", 1024), ("25", 1024)])
def test_more_threads_than_a_release_takes_are_refused(release: str, most: int) -> None:
    with pytest.raises(ValueError, match=f"{most}"):
        Emulator(release=release, async_threads=most + 1)


# Porting


def rules_of(path: Path) -> set[str]:
    """The rules that a page links to."""
    return {part.partition("`")[0] for part in path.read_text("utf-8").split("{rule}`")[1:]}


def test_the_checklist_names_every_rule_of_an_era_that_can_break_a_driver() -> None:
    eras = {rule.id for rule in rulebook.page_rules(DOCS / "reference/releases.md")}
    # A driver cannot see whether the number of waiting commands is limited.
    assert eras - rules_of(DOCS / "porting.md") == {"era.msgq"}


def test_a_byte_in_the_driver_queue_makes_the_example_portable() -> None:
    run = pages.Run(DOCS / "porting.md")
    run.finish()
    then, now = run.namespace["then"], run.namespace["now"]
    assert isinstance(then, Comparison)
    assert isinstance(now, Comparison)
    leaks = {
        system.release.name
        for system, outcomes in then.items()
        if any(isinstance(outcome, Fault) for outcome in outcomes)
    }
    assert leaks == {"R11B-5"}
    assert [set(outcomes) for outcomes in now.values()] == [{"nothing lost"}] * len(then)
