"""A table that can be played in a page without a folder of its own."""

from __future__ import annotations

import json
import re

from bs4 import BeautifulSoup
from plays import closes

from driverref import Emulator, explore
from driverref.player import WEB


def test_a_notebook_gets_the_table_the_game_and_the_player() -> None:
    found = explore(closes)
    html = found._repr_html_()
    page = BeautifulSoup(html, "html.parser")
    assert len(page.select(".driverref-outcomes > table > tbody > tr")) == len(found)
    (data,) = page.select(".driverref-outcomes .driverref-play > script")
    assert data["type"] == "application/json"
    assert len(json.loads(str(data.string))["rows"]) == len(found)
    assert page.select("body > script, style ~ script, div ~ script")
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
