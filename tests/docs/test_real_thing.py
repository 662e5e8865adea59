"""The directive `{real-thing}`: the files of a question, and what the real emulator did beside the
model."""

from __future__ import annotations

import json
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


def entry(schedulers: int, orders: list[tuple[str, int]], hung: int = 0) -> dict[str, object]:
    """Return what a record has of one pair of options."""
    runs = sum(times for _, times in orders) + hung
    return {
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
    (folder / "docs" / "line_drv.c").write_text(head, "utf-8")
    if record is not None:
        (folder / "tests" / "beam").mkdir(parents=True)
        (folder / "tests" / "beam" / "scenarios.py").write_text(SCENARIOS, "utf-8")
        (folder / "tests" / "beam" / "record.json").write_text(json.dumps(record), "utf-8")
    built = build(folder, page, TEST)
    assert built.returncode == 0, built.stderr
    return article(folder)


SEEN = {
    "release": "25",
    "erts": "13.1",
    "machine": "Linux",
    "scenarios": {
        "closed": [
            entry(1, [("stop", 1200), ("stop ready_async(1)", 1), ("!oops", 1)]),
            entry(2, [("stop", 7)], hung=2),
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


def test_files_stand_in_tabs_the_page_s_own_first(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    sets = page.select("div.real-thing div.sd-tab-set")
    assert [[label.text.strip() for label in tabs.select("label")] for tabs in sets] == [
        ["Python", "C", "Erlang", "NIF"],
        ["C"],
    ]
    assert page.select("p.pattern")[0].text == "A line of its own."
    texts = [block.text.strip() for block in sets[0].select("pre")]
    assert texts[0].endswith("_show(1 + 1)")
    files = ["lock_drv.c", "lock_drv.erl", "lock_nif.c", "lock_nif.erl"]
    assert texts[1:] == [remark(name) for name in files]


def test_each_file_can_be_downloaded_as_it_is(real: tuple[Path, BeautifulSoup]) -> None:
    folder, page = real
    links = page.select("a.file-link")
    assert [link.text for link in links][1:3] == ["Download lock_drv.c", "Download lock_drv.erl"]
    for link, block in zip(links, page.select("div.real-thing pre"), strict=True):
        assert (folder / "html" / str(link["href"])).read_text(
            "utf-8"
        ).strip() == block.text.strip()


def test_what_was_seen_stands_beside_the_model(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    assert page.select("div.judged p.picture-title")[0].text == "Seen on OTP 25 (ERTS 13.1, Linux)"
    closed, _ = page.select("div.judged")[0].select("tbody")
    rows = [row.get_text(" ", strip=True) for row in closed.select("tr")]
    assert rows == [
        "Closed & gone . closed : 1,211 runs, +A 1 with +S 1, 2",
        "stop 1,207 yes",
        "stop ready_async(1) only with +A 1 with +S 1 1 no",
        "!oops only with +A 1 with +S 1 1 no",
        "hung 2 no",
        "The model has 1 other.",
    ]


def test_the_sixth_order_opens(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    _, many = page.select("div.judged")[0].select("tbody")
    (details,) = many.select("details")
    assert details.get_text(" ", strip=True) == (
        "1 further order stop async_invoke(3) : 4 not in the model"
    )
    assert "stop async_invoke(2) async_invoke(1) async_invoke(3) 5 no" in many.get_text(
        " ", strip=True
    )


def test_every_scenario_has_a_line(real: tuple[Path, BeautifulSoup]) -> None:
    _, page = real
    assert page.select("p.record-totals")[0].text == (
        "OTP 25 (ERTS 13.1, Linux): 2 scenarios, 1,250 runs, 2 of them hung or crashed;"
        " 9 orders of events, and the model lacks 4."
    )
    lines = [row.get_text(" ", strip=True) for row in page.select("div.every tbody tr")]
    assert lines == [
        "Closed & gone . closed 1,211 3 lacks 2, 2 hung , 1 unseen",
        "Three jobs. many 39 6 lacks 2",
    ]


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
    one = judged.Judged("bare", "A number.", options=[(1, 1)], runs=3, crashed=3, misuse=True)
    rows = [
        BeautifulSoup(row, "html.parser").get_text(" ", strip=True) for row in scenario_rows(one)
    ]
    assert rows[1:] == [
        "crashed 3 Misuse",
        "In the model every schedule is a Misuse : the emulator may do anything.",
    ]
    line = BeautifulSoup(scenario_line(one), "html.parser").get_text(" ", strip=True)
    assert line == "A number. bare 3 0 3 crashed , and a Misuse in the model"


@pytest.mark.parametrize("name", ["bare_integer", "job_sends_big_map"])
def test_every_run_of_a_scenario_that_crashes_has_crashed(name: str) -> None:
    record = judged.read(ROOT / "tests")
    assert record is not None
    one = record.judged(name)
    assert one.misuse
    assert one.admitted
    assert one.crashed == one.runs >= 200
