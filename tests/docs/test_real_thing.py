"""The directive `{real-thing}`: the files of a question, and what the real emulator did beside the
model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from _ext import judged
from _ext.judged_rows import scenario_line, scenario_rows
from book import ROOT
from bs4 import BeautifulSoup
from small_book import TEST, article, build

pytestmark = pytest.mark.slow


# The real thing

REAL = """\
# A page

```python
>>> 1 + 1
2
```

```{rule} key.order
Jobs *begin* in order.
```

```{program}
```

```{real-thing} lock
```

```{real-thing} lock
:others:
closed many
```

```{real-record}
```

```{toctree}
reference/rules
```
"""

SCENARIOS = """\
from types import SimpleNamespace

from driverref import Driver
from driverref.erl_driver import driver_async


class Plain(Driver):
    driver_name = "plain"

    def start(self, port, command):
        return port

    def output(self, port, buf):
        driver_async(port, None, lambda data: None, None, None)

    def ready_async(self, port, data):
        pass

    def stop(self, port):
        pass


def closed(erl, jobs=1):
    erl.erl_ddll.load_driver(Plain())
    port = erl.open_port(("spawn_driver", "plain"))
    for _ in range(jobs):
        erl.port_command(port, b"")
    erl.port_close(port)


def many(erl):
    closed(erl, 3)


SCENARIOS = [
    SimpleNamespace(
        name="closed", why="Closed & `gone`.", model=closed, observe=("ready_async", "stop")
    ),
    SimpleNamespace(name="many", why="Three jobs.", model=many, observe=("async_invoke", "stop")),
]
"""


def entry(
    schedulers: int, orders: list[tuple[str, int]], hung: int = 0, release: str = "25"
) -> dict[str, object]:
    """Return what a record has of one pair of options on one release."""
    runs = sum(times for _, times in orders) + hung
    return {
        "release": release,
        "async_threads": 1,
        "schedulers": schedulers,
        "runs": runs,
        "hung": hung,
        "crashed": 0,
        "orders": [[order.split(), times] for order, times in orders],
    }


def remark(name: str) -> str:
    """Return the text of a file: its name in a comment."""
    return f"{'//' if name.endswith('.c') else '%'} {name} <&>"


def real_book(folder: Path, record: object = None, page: str = REAL) -> BeautifulSoup:
    """Build a book with drivers beside its page, and with a record if one is given."""
    (folder / "docs").mkdir(parents=True)
    for name in ("lock_drv.c", "lock_drv.erl", "lock_nif.c", "lock_nif.erl"):
        (folder / "docs" / name).write_text(f"{remark(name)}\n", "utf-8")
    head = "/* line_drv.c: a line\n * of its own. And more.\n */\n"
    (folder / "docs" / "line_drv.c").write_text(f"{head}int line;\n", "utf-8")
    if record is not None:
        (folder / "tests" / "beam").mkdir(parents=True)
        (folder / "tests" / "beam" / "scenarios.py").write_text(SCENARIOS, "utf-8")
        (folder / "tests" / "beam" / "record.json").write_text(json.dumps(record), "utf-8")
    built = build(folder, page, TEST)
    assert built.returncode == 0, built.stderr
    return article(folder)


SEEN = {
    "emulators": {
        "25": {"erts": "13.1", "machine": "Linux"},
        "27": {"erts": "15.2", "machine": "Linux"},
    },
    "scenarios": {
        "closed": [
            entry(1, [("stop", 1200), ("stop ready_async(1)", 1), ("!oops", 1)]),
            entry(2, [("stop", 7)], hung=2),
            entry(1, [("stop", 48)], release="27"),
        ],
        "many": [
            entry(
                1,
                [
                    ("async_invoke(1) async_invoke(2) async_invoke(3) stop", 9),
                    ("async_invoke(1) async_invoke(2) stop async_invoke(3)", 8),
                    ("async_invoke(1) stop async_invoke(2) async_invoke(3)", 7),
                    ("stop async_invoke(1) async_invoke(2) async_invoke(3)", 6),
                    ("stop async_invoke(2) async_invoke(1) async_invoke(3)", 5),
                    ("stop async_invoke(3)", 4),
                ],
            )
        ],
    },
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BeautifulSoup]:
    """The folder and the page of a book with drivers and a record."""
    folder = tmp_path_factory.mktemp("real")
    return folder, real_book(folder, SEEN)


def test_files_stand_in_tabs_c_first_and_the_others_by_themselves(
    real: tuple[Path, BeautifulSoup],
) -> None:
    _, page = real
    sets = page.select("div.real-thing div.sd-tab-set")
    assert [[label.text.strip() for label in tabs.select("label")] for tabs in sets] == [
        ["C", "Erlang", "NIF"],
        ["C"],
    ]
    assert page.select("p.pattern")[0].text == "A line of its own."
    texts = [block.text.strip() for block in sets[0].select("pre")]
    files = ["lock_drv.c", "lock_drv.erl", "lock_nif.c", "lock_nif.erl"]
    assert texts == [remark(name) for name in files]


def test_each_file_can_be_downloaded_as_it_is(real: tuple[Path, BeautifulSoup]) -> None:
    folder, page = real
    links = page.select("a.file-link")
    assert [link.text for link in links][:2] == ["Download lock_drv.c", "Download lock_drv.erl"]
    for link, block in zip(links, page.select("div.real-thing div.file pre"), strict=True):
        file = (folder / "html" / str(link["href"])).read_text("utf-8").strip()
        assert file.endswith(block.text.strip())


def test_the_comment_at_a_file_s_head_is_folded_below_it(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    (folded,) = page.select("div.real-thing details")
    assert folded.select("pre")[0].text.strip() == "line_drv.c: a line\nof its own. And more."


def test_a_language_that_is_chosen_is_chosen_in_all_tabs(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    chosen = [
        (label["data-sync-group"], label["data-sync-id"])
        for label in page.select("label[data-sync-id]")
    ]
    assert chosen == [("language", name) for name in ("c", "erlang", "nif", "c")]


def test_a_driver_that_the_page_shows_itself_is_not_shown_again(tmp_path: Path) -> None:
    shown = "```{literalinclude} line_drv.c\n```\n\n```{real-thing} lock\n:others:\n"
    page = REAL.replace("```{real-thing} lock\n:others:\n", shown)
    assert len(real_book(tmp_path, page=page).select("div.real-thing div.sd-tab-set")) == 1


def test_what_was_seen_stands_beside_the_model(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    assert page.select("div.judged p.picture-title")[0].text == "Seen on OTP 25 and 27"
    closed, _ = page.select("div.judged")[0].select("tbody")
    rows = [row.get_text(" ", strip=True) for row in closed.select("tr")]
    assert rows == [
        "Closed & gone . closed : +A 1 with +S 1, 2",
        "OTP 25: 3 orders, 2 hung 1,211 no",
        "OTP 27: 1 order 48 yes",
        "stop 1,255 yes",
        "stop ready_async(1) only on OTP 25, with +A 1 with +S 1 1 no",
        "!oops only on OTP 25, with +A 1 with +S 1 1 no",
        "The model has 1 other.",
    ]


def test_the_sixth_order_opens(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    _, many = page.select("div.judged")[0].select("tbody")
    (details,) = many.select("details")
    assert details.get_text(" ", strip=True) == (
        "1 further order stop async_invoke(3) : 4 runs not in the model"
    )
    code = details.select("li > code")[0]
    assert str(code.next_sibling).startswith(": 4 runs"), "the number stands beside the order"
    assert "stop async_invoke(2) async_invoke(1) async_invoke(3) 5 no" in many.get_text(
        " ", strip=True
    )


def test_every_release_and_every_scenario_has_a_line(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    sums, lines = (box.select("tbody tr") for box in page.select("div.every"))
    assert [row.get_text(" ", strip=True) for row in sums] == [
        "OTP 25 ERTS 13.1, Linux 1,250 9 lacks 4 , 2 hung or crashed",
        "OTP 27 ERTS 15.2, Linux 48 1 has every one",
    ]
    assert [row.get_text(" ", strip=True) for row in lines] == [
        "Closed & gone . closed 1,259 3 lacks 2, 2 hung , 1 unseen",
        "Three jobs. many 39 6 lacks 2",
    ]


def test_the_sums_and_the_scenarios_can_stand_apart(tmp_path: Path) -> None:
    page = real_book(tmp_path, SEEN, REAL.replace("{real-record}", "{real-record} scenarios"))
    (lines,) = page.select("div.every")
    assert "sums" not in lines["class"]


def test_the_record_has_no_other_table(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="shows sums or scenarios, and not runs"):
        real_book(tmp_path, SEEN, REAL.replace("{real-record}", "{real-record} runs"))


VALUES = {
    "emulators": {"25": {"erts": "13.1", "runs": 10}, "29": {"erts": "17", "runs": 2}},
    "values": {
        "a": "true",
        "b": {"x": {"25": 10}, "y": {"29": 1}},
        "c": {"z": {"25": 10, "29": 2}},
    },
}
KNOWN = [
    {"why": "One & `a`.", "releases": ["29"], "cases": {"q": ["s"]}},
    {"why": "Two.", "releases": ["25", "29"], "cases": {"q": ["t"], "r": ["s"]}},
]


def values_of(folder: Path, known: object) -> list[list[str]]:
    """The rows of the tables that `{real-values}` shows."""
    tests = folder / "tests" / "beam" / "values"
    tests.mkdir(parents=True)
    (tests / "values.json").write_text(json.dumps(VALUES), "utf-8")
    (tests / "known.json").write_text(json.dumps(known), "utf-8")
    page = real_book(folder, page=REAL.replace("{real-record}", "{real-values}"))
    return [
        [row.get_text(" ", strip=True) for row in table.select("tbody tr")]
        for table in page.select("div.values table")
    ]


def test_values_have_a_row_a_release_and_one_for_each_reason(tmp_path: Path) -> None:
    releases = ["OTP 25 ERTS 13.1, 10 runs of each 3 1 2", "OTP 29 ERTS 17, 2 runs of each 3 0 3"]
    reasons = ["Two. 25, 29 2", "One & a . 29 1"]
    assert values_of(tmp_path / "some", KNOWN) == [releases, reasons]
    (only,) = values_of(tmp_path / "none", [])
    assert only[0] == "OTP 25 ERTS 13.1, 10 runs of each 3 3 0"


def test_without_a_record_of_values_nothing_is_shown(tmp_path: Path) -> None:
    page = real_book(tmp_path, page=REAL.replace("{real-record}", "{real-values}"))
    assert not page.select("div.values")


def test_without_a_record_the_files_are_shown(tmp_path: Path) -> None:
    page = real_book(tmp_path)
    assert len(page.select("div.real-thing div.sd-tab-set")) == 2
    assert not page.select("div.judged")
    assert "There is no record: make beam writes it." in page.text


def test_a_scenario_that_the_record_does_not_have_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the record has no scenario 'clsed'"):
        real_book(tmp_path, SEEN, REAL.replace("closed many", "clsed"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([(1, 1)], "+A 1 with +S 1"),
        ([(a, s) for a in (1, 2, 4) for s in (1, 2)], "+A 1, 2, 4 with +S 1, 2"),
        ([(1, 1), (1, 2), (4, 2)], "+A 1 with +S 1, 2; +A 4 with +S 2"),
    ],
)
def test_options_are_told_together(options: list[tuple[int, int]], words: str) -> None:
    assert judged.options_in_words(options) == words


def test_a_crash_that_is_a_misuse_in_the_model_is_told_so() -> None:
    three = Counter({"25": 3})
    one = judged.Judged("bare", "A number.", [(1, 1)], three, crashed=three, misuse=["25"])
    assert words_of(*scenario_rows(one))[1:] == [
        "OTP 25: 0 orders, 3 crashed 3 Misuse",
        "In the model every schedule is a Misuse : the emulator may do anything.",
    ]
    assert words_of(scenario_line(one)) == ["A number. bare 3 0 3 crashed , a Misuse on OTP 25"]


def test_a_crash_that_a_later_release_has_no_more_stands_beside_its_orders() -> None:
    sent = judged.Seen(("stop",), Counter({"27": 2}), [(1, 1)])
    one = judged.Judged("map", "A map.", [(1, 1)], Counter({"25": 3, "27": 2}), seen=[sent])
    one.crashed["25"] = 3
    one.misuse.append("25")
    assert words_of(*scenario_rows(one))[1:] == [
        "OTP 25: 0 orders, 3 crashed 3 Misuse",
        "OTP 27: 1 order 2 yes",
        "stop only on OTP 27 2 yes",
        "On OTP 25 every schedule is a Misuse : the emulator may do anything. The model has no others.",
    ]
    assert words_of(scenario_line(one)) == ["A map. map 5 1 has it, 3 crashed , a Misuse on OTP 25"]


def words_of(*rows: str) -> list[str]:
    return [BeautifulSoup(row, "html.parser").get_text(" ", strip=True) for row in rows]


@pytest.mark.parametrize(
    ("name", "crash"), [("bare_integer", ["25", "27", "29"]), ("job_sends_big_map", ["25"])]
)
def test_every_run_crashed_on_the_releases_that_crash_and_none_on_others(
    name: str, crash: list[str]
) -> None:
    record = judged.read(ROOT / "tests")
    assert record is not None
    one = record.judged(name)
    assert one.misuse == crash
    assert one.admitted
    assert {release: one.crashed[release] for release in one.runs} == {
        release: runs if release in crash else 0 for release, runs in one.runs.items()
    }
    assert one.runs["25"] >= 200


def test_no_other_run_crashed_and_none_hung() -> None:
    record = judged.read(ROOT / "tests")
    assert record is not None
    # The record tells it; the model, which takes minutes for all scenarios, is not asked.
    played = {name: record.entries[name] for name in record.names}
    assert [name for name in played if any(entry["crashed"] for entry in played[name])] == [
        *("bare_integer", "job_sends_big_map")
    ]
    assert not any(entry["hung"] for entries in played.values() for entry in entries)
