"""The tutorial's steps in C: they compile, the right ones are silent, and the wrong ones have their faults."""

from __future__ import annotations

import re

import pytest
from _ext.driver_files import shown
from _ext.pages import fences
from book import DOCS
from cc import needs_compiler
from command_line import printed

from driverref import Emulator, explore
from driverref.hosting import c_driver

pytestmark = [pytest.mark.slow, needs_compiler]

PAGES = DOCS / "first-driver.md", DOCS / "survive.md"
FOLDER = DOCS / "first"

FAULTS = {
    "echo_drv": set[str](),
    "blocking_drv": set[str](),
    "threaded_drv": set[str](),
    "borrower_drv": {"UseAfterFree"},
    "owner_drv": {"Leak"},
    "tidy_drv": set[str](),
    "timed_drv": set[str](),
    "reaching_drv": {"DataRace", "UseAfterFree"},
}
"""The faults of each step when its port is closed, at any time after a command."""


def test_every_step_is_shown_and_stands_here() -> None:
    every = [driver.c for page in PAGES for driver in shown(page)]
    steps = [c.stem for c in every if c.parent == FOLDER]
    assert steps.count("tidy_drv") == 2  # the second page begins with it
    assert list(dict.fromkeys(steps)) == list(FAULTS)
    assert {path.stem for path in FOLDER.glob("*.c")} == set(FAULTS)


def test_a_folded_table_has_as_many_rows_as_its_title_says() -> None:
    titles = []
    for fence in fences(PAGES[1].read_text("utf-8")):
        if fence.directive == "dropdown" and (title := re.match(r"(\d+) outcomes", fence.argument)):
            (table,) = (one for one in fences(fence.content) if one.directive == "outcomes")
            titles.append(int(title[1]))
            assert len(re.findall(r"^[^:].* \| ", table.content, re.MULTILINE)) == titles[-1]
    assert len(titles) == 3


@pytest.mark.rule("hosting.same-outcomes")
@pytest.mark.parametrize("name", FAULTS)
def test_a_step_has_the_faults_that_the_page_tells_of(name: str) -> None:
    driver = c_driver(FOLDER / f"{name}.c")

    def closed(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", name))
        erl.port_command(port, b"\x01")
        erl.port_close(port)

    outcomes = explore(closed, async_threads=1, progress=False)
    assert outcomes.complete
    assert {fault.name for fault in outcomes.faults} == FAULTS[name]


def test_the_complete_driver_is_checked_as_the_page_shows() -> None:
    command = "$ driverref check first_drv.c --command '\\x00' --limit 2000\n"
    shows = PAGES[1].read_text("utf-8").partition(command)[2].partition("```")[0]
    done = printed("check", DOCS / "first_drv.c", "--command", "\\x00", "--limit", "2000")
    assert shows
    assert done == shows
