"""A table that can be played in a page without a folder of its own."""

from __future__ import annotations

import json
import re

import pytest
from bs4 import BeautifulSoup
from plays import closes

from driverref import Emulator, explore
from driverref.command import report
from driverref.player import WEB, page


def test_a_notebook_gets_the_table_the_game_and_the_player() -> None:
    found = explore(closes)
    html = found._repr_html_()
    shown = BeautifulSoup(html, "html.parser")
    assert len(shown.select(".driverref-outcomes > table > tbody > tr")) == len(found)
    (data,) = shown.select(".driverref-outcomes .driverref-play > script")
    assert data["type"] == "application/json"
    assert len(json.loads(str(data.string))["rows"]) == len(found)
    assert shown.select("body > script, style ~ script, div ~ script")
    assert not re.search(r"""(src|href)=|https?://|@import|url\(""", html)


def test_the_player_asks_no_other_host_and_is_one_function() -> None:
    code = (WEB / "player.js").read_text("utf-8")
    assert "http" not in code
    assert "fetch" not in code
    assert code.rstrip().endswith("})();")
    assert len(code.splitlines()) <= 400


def test_while_an_emulator_runs_there_is_the_table_alone() -> None:
    """The thread that runs one cannot make the runs of another."""
    found = explore(closes)
    with Emulator():
        assert found._repr_html_() == found.table()
    assert found._repr_html_() != found.table()


def test_a_table_of_very_many_schedules_is_shown_without_its_game(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of its runs would be made again whenever it is shown."""
    found = explore(closes)
    monkeypatch.setattr(page, "MOST", found.inequivalent - 1)
    assert found._repr_html_() == found.table()


def test_the_report_of_runs_that_were_made_elsewhere_has_the_table_from_there() -> None:
    found = explore(closes)
    pictures = dict.fromkeys(found, "<svg></svg>")
    assert "driverref-play" not in report.page("closes", found, pictures, table=found.table())
    assert "driverref-play" in report.page("closes", found, pictures)
