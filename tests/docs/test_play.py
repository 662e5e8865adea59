"""The game below a table of the book: its file, its place, and where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from book import ROOT, sphinx
from small_book import TEST, article, build

pytestmark = pytest.mark.slow

PAGE = f"""\
# A page

```{{rule}} key.order
Jobs begin in order.
```

```python
>>> import sys
>>> sys.path.append({str(ROOT / "tests")!r})
>>> from driverref import compare, explore
>>> from plays import Forgets, opened
>>> class Here(Forgets):
...     def work(self, word):
...         word.text = b"here"
...
>>> def shuts(erl):
...     erl.port_close(opened(erl, Here()))
...
>>> outcomes = explore(shuts)
>>> then = compare(shuts)
```

```{{outcomes}} outcomes
:title: A job and a close
:description: A leak, or none.

never `freed` | Leak
freed | None
```

```{{then-and-now}} then
:title: The eras
:description: The same in most of them.
```

```{{outcomes}} explore(lambda erl: opened(erl, Here()) and "</script>")
:title: One text
:description: The text would end a script.
```

```{{toctree}}
reference/rules
```
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a book whose page has three tables."""
    folder = tmp_path_factory.mktemp("games")
    built = build(folder, PAGE, TEST)
    assert built.returncode == 0, built.stderr
    return folder


def data(folder: Path, name: str) -> dict[str, Any]:
    """Return the game in a file of the book."""
    text = (folder / "html" / "_games" / f"{name}.js").read_text("utf-8")
    head, _, rest = text.partition(" = ")
    assert head == f'(window.driverrefGames ??= {{}})["{name}"]'
    found: dict[str, Any] = json.loads(rest.rstrip(";\n"))
    return found


def test_each_table_has_its_game_in_a_file_and_each_group_of_eras_its_own(folder: Path) -> None:
    boxes = article(folder).select("div.outcomes")
    places = [box.select(".driverref-play") for box in boxes]
    assert [len(found) for found in places] == [1, len(boxes[1].select("tbody")), 1]
    first = 0
    for place, body in zip(places[1], boxes[1].select("tbody"), strict=True):
        rows = body.select("tr:not(.how):not(.era)")
        assert (place["data-first"], place["data-count"]) == (str(first), str(len(rows)))
        (release,) = {link.text for link in body.select("th p:first-child a")}
        assert str(place["data-label"]).startswith(f"on {release} ")
        first += len(rows)
    names = [str(place["data-play"]) for found in places for place in found]
    assert {path.stem for path in (folder / "html" / "_games").iterdir()} == set(names)
    assert len(set(names)) == len(names)


def test_the_game_has_the_names_of_the_table_and_the_lines_of_its_example(folder: Path) -> None:
    game = data(folder, "index-0")
    assert game["rows"] == [["never `freed`", "fault"], ["freed", "right"]]
    code = game["code"]
    assert ["index.md:12", '        word.text = b"here"'] in [
        [name, text] for name, lines in code for text in lines.values()
    ]
    assert game["again"] == 'replay(shuts, "{}")'


def test_a_page_loads_the_player_of_the_package_and_no_game(folder: Path) -> None:
    page = article(folder)
    scripts = [str(script["src"]) for script in page.select("script[src]")]
    assert sum("_static/player.js" in src for src in scripts) == 1
    assert not any("_games" in src for src in scripts)
    assert (folder / "html" / "_static" / "player.js").is_file()
    assert page.select('link[href*="player.css"]')


def test_no_text_of_a_program_ends_the_script(folder: Path) -> None:
    (last,) = article(folder).select("div.outcomes")[2].select(".driverref-play")
    assert data(folder, str(last["data-play"]))["rows"][-1] == ["'</script>'", ""]


def test_a_form_without_html_has_no_game(folder: Path) -> None:
    built = sphinx(
        folder / "docs", folder / "text", "-D", f"rule_tests={folder / 'tests'}", "-b", "text"
    )
    assert built.returncode == 0, built.stderr
    assert "never freed fault" in (folder / "text" / "index.txt").read_text("utf-8")
    assert not (folder / "text" / "_games").exists()
