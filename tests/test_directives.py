"""The book's directives on small books of their own: what they draw, and that their
faults stop a build.
"""

from __future__ import annotations

import json
import re
import subprocess
from enum import Enum
from pathlib import Path

import pytest
from _ext import docstrings, judged, pages, states
from book import sphinx
from bs4 import BeautifulSoup, Tag

HEAD = """\
# A page

```python
>>> from pathlib import Path
>>> from driverref.terms import Port
>>> from driverref.trace import Event, Trace
>>> events = [Event(0, "scheduler 1", "start", Port(1))]
>>> with Path("runs.txt").open("a") as file:
...     _ = file.write("run\\n")
```
"""

GOOD = (
    HEAD
    + """
```{rule} key.order
Jobs *begin* in order.
```

See {rule}`key.order`.

```{timeline}
:title: The beginning
:description: One event.
:trace: Trace(events)
```

```python
>>> trace = Trace(events + [Event(5, "async 1", "async_invoke", Port(1), 1)])
```

```{timeline}
:title: The second
:description: Only what is named.
:trace: trace
:events: async_invoke
```

```python
>>> trace.begin(0)((9, "async 1", "async_return", 1, 1, None))
```

```{timeline}
:title: The third
:description: Only the last block.
:trace: trace
:last-block:
```

```python
>>> from driverref import Driver, Struct, explore
>>> from driverref.erl_driver import driver_alloc, driver_async, driver_free
>>> class Word(Struct):
...     text: bytes
...
>>> class Forgets(Driver):
...     driver_name = "forgets"
...     def start(self, port, command):
...         return port
...     def output(self, port, buf):
...         driver_async(port, None, self.work, driver_alloc(Word))
...     def work(self, word):
...         word.text = b"<&>"
...     def ready_async(self, port, word):
...         driver_free(word)
...
>>> def closes(erl):
...     erl.erl_ddll.load_driver(Forgets())
...     port = erl.open_port(("spawn_driver", "forgets"))
...     erl.port_command(port, b"")
...     erl.port_close(port)
...     return "<closed>"
...
>>> outcomes = explore(closes)
>>> ordered = explore(closes, observe=["ready_async"])
```

```{outcomes} outcomes
:title: A job & a close
:description: A leak if the port closes "first".
```

```{outcomes} outcomes
:title: The same again
:description: Only what is named.
:events: port_close async_invoke
```

```{outcomes} ordered
:title: The same with an order
:description: A leak, or ready_async.
```

```python
>>> from driverref import compare
>>> from driverref.erl_driver import driver_async_cancel
>>> class Cancels(Forgets):
...     def output(self, port, buf):
...         first = driver_async(port, None, self.work, driver_alloc(Word), driver_free)
...         driver_async(port, None, self.work, driver_alloc(Word), driver_free)
...         driver_async_cancel(first)
...
>>> def cancels(erl):
...     erl.erl_ddll.load_driver(Cancels())
...     port = erl.open_port(("spawn_driver", "forgets"))
...     erl.port_command(port, b"")
...
>>> then = compare(closes, observe=["ready_async"])
>>> hangs = compare(cancels, observe=["ready_async"], limit=9)
```

```{then-and-now} then
:title: A close & its eras
:description: A leak in "all" of them.
:events: port_close async_invoke
```

```{then-and-now} hangs
:title: To cancel
:description: It hangs, and is gone today.
```

```{program}
```

```python
>>> Path("end.txt").write_text("the end")
7
```

```{eval-rst}
.. autofunction:: described.double
```

```{toctree}
reference/rules
```
"""
)

BAD = (
    HEAD
    + """
```{rule} free.untested
Nobody tests this.
```

```{rule} key.order
Once.
```

```{rule} key.order
Twice.
```

See {rule}`no.such-rule`.

```{outcomes} events
:title: No outcomes
:description: This is a list.
```

```{outcomes} events
:title: Without a description
```

```{then-and-now} events
:title: No eras
:description: This is a list.
```

```python
>>> 1 + 1
3
```

```{timeline}
:title: Never drawn
:description: The block above says 3.
:trace: Trace(events)
```
"""
)

DESCRIBED = '''\
def double(n):
    """Twice `n`.

    | n | twice |
    |---|-------|
    | 1 | 2     |

    >>> double(2)
    4
    """
    return 2 * n
'''

RELEASES = "---\norphan: true\n---\n# Releases\n"

TEST = 'import pytest\n\n@pytest.mark.rule("key.order")\ndef test_order(): ...\n'
UNKNOWN = 'import pytest\n\n@pytest.mark.rule("key.gone")\ndef test_gone(): ...\n'


def build(folder: Path, page: str, test: str) -> subprocess.CompletedProcess[str]:
    """Build a book of one page, the table of rules and one test."""
    (folder / "docs" / "reference").mkdir(parents=True, exist_ok=True)
    (folder / "docs" / "index.md").write_text(page, "utf-8")
    table = "# Rules\n\n```{rule-table}\n```\n"
    (folder / "docs" / "reference" / "rules.md").write_text(table, "utf-8")
    (folder / "docs" / "reference" / "releases.md").write_text(RELEASES, "utf-8")
    (folder / "described.py").write_text(DESCRIBED, "utf-8")
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_key.py").write_text(test, "utf-8")
    tests = f"rule_tests={folder / 'tests'}"
    return sphinx(folder / "docs", folder / "html", "-D", tests)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book on which all is well."""
    folder = tmp_path_factory.mktemp("good")
    built = build(folder, GOOD, TEST)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the build of a book says in which everything is wrong."""
    built = build(tmp_path_factory.mktemp("bad"), BAD, UNKNOWN)
    assert built.returncode != 0
    return built.stderr


def article(book: Path, page: str = "index") -> BeautifulSoup:
    return BeautifulSoup((book / "html" / f"{page}.html").read_text("utf-8"), "html.parser")


def test_a_page_runs_once_and_to_its_end(good: Path) -> None:
    assert (good / "runs.txt").read_text() == "run\n"
    assert (good / "end.txt").read_text() == "the end"


def test_timelines_draw_the_moment_the_choice_and_the_last_block(good: Path) -> None:
    figures = article(good).select("div.timeline")
    drawn = [re.findall(r"start|async_\w+", figure.select("pre")[0].text) for figure in figures]
    assert drawn == [["start"], ["async_invoke"], ["async_return"]]


def test_a_timeline_has_title_description_and_text(good: Path) -> None:
    figure = article(good).select("div.timeline")[0]
    assert figure.select("svg > title")[0].text == "The beginning"
    assert figure.select("svg > desc")[0].text == "One event."
    assert figure.select("details pre")


def test_outcomes_are_a_table_with_a_name_and_a_caption(good: Path) -> None:
    table = article(good).select("div.outcomes table")[0]
    assert table["aria-label"] == "A job & a close"
    assert table.select("caption")[0].text == 'A leak if the port closes "first".'
    assert [head.text for head in table.select("thead th[scope=col]")] == [
        "outcome",
        "schedules",
        "witness",
    ]
    assert "'<closed>'" in [head.text for head in table.select("th[scope=row]")]
    for row in table.select("tbody tr:not(.how)"):
        assert re.fullmatch(r"[1-9]\d*", row.select("td")[0].text)
        assert re.fullmatch(r"first come|\d+:(\d+|t)(,\d+:(\d+|t))*", row.select("td")[1].text)


def test_a_fault_says_that_it_is_one_and_all_that_it_says(good: Path) -> None:
    (fault,) = article(good).select("div.outcomes")[0].select("th:has(.fault)")
    assert fault.get_text("|") == (
        "Fault: Leak|1 block never freed:|Word allocated at line 6 in output"
    )


def test_each_outcome_opens_to_the_timeline_of_its_witness(good: Path) -> None:
    for table in article(good).select("div.outcomes:not(.eras) table"):
        for outcome, witness, how in zip(
            table.select("th[scope=row]"),
            table.select("tr:not(.how) td:last-child"),
            table.select("tr.how details"),
            strict=True,
        ):
            assert how.select("summary")[0].text == f"How it comes about: {witness.text}"
            title = how.select("svg > title")[0].text
            assert title.startswith(str(table["aria-label"]))
            assert outcome.get_text(" ").split()[-1] in title
            assert f"witness {witness.text}" in how.select("svg > desc")[0].text
            assert how.select("pre")


def test_an_outcome_with_an_order_shows_both(good: Path) -> None:
    (row,) = article(good).select("div.outcomes")[2].select("th[scope=row]:not(:has(.fault))")
    assert [code.text for code in row.select("code")] == ["'<closed>'", "ready_async(1)"]


def test_timelines_of_outcomes_show_the_events_that_are_named(good: Path) -> None:
    every, named, _ = article(good).select("div.outcomes:not(.eras) table")
    shown = {
        tuple(re.findall(r"port_close|async_invoke|driver_async", run.text))
        for run in named.select("tr.how pre")
    }
    orders = {("port_close", "async_invoke"), ("async_invoke", "port_close")}
    assert shown <= orders
    assert "driver_async" in every.select("tr.how pre")[0].text


def test_outcomes_end_with_both_numbers_and_the_same_as_text(good: Path) -> None:
    table = article(good).select("div.outcomes")[0]
    summary = table.select("p.outcomes-summary")[0].text
    assert re.match(r"2 ways to end; \d+ inequivalent schedules, \d+ run, and there", summary)
    text = table.select("div.outcomes > details pre")[-1].text.splitlines()
    assert text[0].split() == ["outcome", "schedules", "witness"]
    assert f"{text[-1]}." == summary
    assert len(text) == 4


def eras(book: Path, number: int) -> Tag:
    """One of the comparisons."""
    return article(book).select("div.eras")[number]


def groups(table: Tag) -> list[list[str]]:
    """The emulators of each group of rows."""
    return [
        [line.get_text(" ", strip=True) for line in body.select("th[scope=rowgroup] p")]
        for body in table.select("tbody")
    ]


def test_emulators_that_come_to_the_same_stand_together_with_their_years(good: Path) -> None:
    assert groups(eras(good, 0)) == [
        ["R7B-3 without threads R7B to R10B, 2000 to 2006"],
        [
            "R7B-3 +A 1 R7B to R10B, 2000 to 2006",
            "R11B-5 +A 1 +S 1 R11B-3 to R12B-5, 2006 to 2009",
            "R13B +A 1 +S 1 R13A to R14B02, 2009 to 2011",
            "R14B04 +A 1 +S 1 R14B03 and R14B04, 2011",
            "R16B +A 1 +S 1 R15B to 22, 2011 to 2020",
            "25 +A 1 +S 1 today 23 to 29, since 2020",
        ],
    ]


def test_only_today_s_emulator_is_marked_and_all_lead_to_the_releases(good: Path) -> None:
    lines = eras(good, 1).select("th[scope=rowgroup] p")
    assert [line.select("a")[0].text for line in lines if line.select(".today")] == ["25"]
    assert {link["href"] for line in lines for link in line.select("a")} == {
        "reference/releases.html"
    }


def test_each_outcome_of_an_era_opens_to_its_run_on_that_emulator(good: Path) -> None:
    comparison = eras(good, 1)
    title = str(comparison.select("table")[0]["aria-label"])
    for body in comparison.select("tbody"):
        system = " ".join(str(body.select("th p")[0].contents[n].text).strip() for n in (0, 1))
        for row, how in zip(
            body.select("tr:has(th[scope=row])"), body.select("tr.how details"), strict=True
        ):
            witness = row.select("td")[1].text
            assert how.select("summary")[0].text == f"How it comes about on {system}: {witness}"
            assert how.select("svg > title")[0].text.startswith(f"{title} on {system}: ")
            assert not ("without threads" in system and "async 1" in how.select("pre")[0].text)


def test_a_hang_and_a_call_that_is_gone_are_faults(good: Path) -> None:
    found = {}
    for body in eras(good, 1).select("tbody"):
        for system in body.select("th[scope=rowgroup] a"):
            found[system.text] = [fault.text for fault in body.select("th[scope=row] .fault")]
    assert found == {
        "R7B-3": ["Fault: EmulatorHang"],
        "R11B-5": ["Fault: Leak", "Fault: EmulatorHang"],
        "R13B": ["Fault: EmulatorHang"],
        "R14B04": [],
        "R16B": [],
        "25": ["Fault: Misuse"],
    }


def test_a_group_shows_the_fewest_and_the_most_schedules(good: Path) -> None:
    alone, alike = eras(good, 0).select("tbody")
    assert [row.select("td")[0].text for row in alone.select("tr:has(th[scope=row])")] == ["1"]
    assert [row.select("td")[0].text for row in alike.select("tr:has(th[scope=row])")] == [
        "2 to 6",
        "1 to 4",
    ]


def test_eras_end_with_the_schedules_run_and_the_same_as_text(good: Path) -> None:
    whole, limited = (eras(good, number) for number in (0, 1))
    summary = whole.select("p.outcomes-summary")[0].text
    assert summary == "7 emulators, 47 schedules run, and there are no other outcomes."
    said = limited.select("p.outcomes-summary")[0].text
    assert "there may be other outcomes of R7B-3 +A 1 (stopped at the limit of 9), R11B-5" in said
    text = whole.select(":scope > details pre")[0].text.splitlines()
    assert [re.split(r"  +", line) for line in text][:2] == [
        ["emulator", "outcome", "schedules"],
        ["R7B-3 without threads", "'<closed>'", "ready_async(1)", "1"],
    ]
    assert "Word allocated at line 6 in output" in text[2]
    assert len(text) == 5
    assert f"{text[-1]}." == summary


def test_no_id_stands_twice(good: Path) -> None:
    ids = [tag["id"] for tag in article(good).find_all(id=True)]
    assert len(set(ids)) == len(ids)


def test_a_rule_has_an_address_and_leads_to_its_tests(good: Path) -> None:
    page = article(good)
    (rule,) = page.select("div.rule")
    assert rule["id"] == "rule-key.order"
    assert rule.get_text(" ", strip=True) == "Jobs begin in order. key.order 1 test"
    links = [link["href"] for link in rule.select("a")]
    assert links == ["#rule-key.order", "reference/rules.html#tests-key.order"]
    assert len(page.select('article a[href="#rule-key.order"]')) == 2


def test_the_table_has_totals_rules_and_tests(good: Path) -> None:
    page = article(good, "reference/rules")
    assert page.select("p.rule-totals")[0].text == "1 rule, 1 test, 0 uncovered."
    assert page.select('table a[href="../index.html#rule-key.order"]')
    tests = page.select('dt[id="tests-key.order"] + dd li')
    assert [test.text.strip() for test in tests] == ["test_order tests/test_key.py:4"]


def test_a_program_is_written_and_linked(good: Path) -> None:
    (link,) = article(good).select("a.program")
    assert (good / "html" / str(link["href"])).read_text("utf-8").startswith("# A page\n")


@pytest.mark.parametrize(
    "said",
    [
        r"index.md:\d+: WARNING: rule free.untested has no test: none names it",
        r"index.md:\d+: WARNING: rule key.order stands twice, first at .*index.md:\d+",
        r"test_key.py:4: WARNING: test_gone names rule key.gone, which no page has",
        r"index.md:\d+: WARNING: .*no.such-rule",
    ],
)
def test_a_wrong_rule_stops_the_build_and_says_where(bad: str, said: str) -> None:
    assert re.search(said, bad), bad


def test_a_wrong_example_stops_the_build_and_says_where(bad: str) -> None:
    line = BAD.splitlines().index(">>> 1 + 1") + 1
    assert f"index.md:{line}: WARNING: not what the page shows\nExpected:" in bad, bad


@pytest.mark.parametrize(
    "said",
    [
        r"index.md:\d+: ERROR: outcomes cannot be shown: TypeError.*events is not what explore",
        r"index.md:\d+: ERROR: then-and-now cannot be shown: .*events is not what compare returns",
        r"index.md:\d+: ERROR: outcomes needs :description: for those who do not see it",
    ],
)
def test_wrong_outcomes_stop_the_build_and_say_where(bad: str, said: str) -> None:
    assert re.search(said, bad), bad


def test_a_page_that_failed_runs_no_further(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1\n2\n```\n\n```python\n>>> ran = True\n```\n", "utf-8")
    run = pages.Run(page)
    for line in (3, 99):
        with pytest.raises(pages.Failed, match="not what the page shows") as failed:
            run.until(line)
        assert failed.value.line == 2
    assert "ran" not in run.namespace


def test_a_docstring_is_markdown(good: Path) -> None:
    (described,) = article(good).select("dl.py dd")
    assert described.select("p")[0].text.startswith("Twice n")
    assert described.select("div.highlight pre")[0].text.startswith(">>> double(2)")
    assert described.select("table td")[1].text == "2"
    assert not described.select("blockquote")


def test_only_examples_without_a_fence_get_one() -> None:
    text = ["Text.", "", ">>> 1", "1", "", "```python", ">>> 2", "2", "```", "", ">>> 3", "3"]
    fence, end = "```python", "```"
    first = ["Text.", "", fence, ">>> 1", "1", end, ""]
    rest = [fence, ">>> 2", "2", end, "", fence, ">>> 3", "3", end]
    assert list(docstrings.fenced(text)) == first + rest


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
    SimpleNamespace(name="closed", why="Closed & `gone`.", model=closed, observe=("ready_async", "stop")),
    SimpleNamespace(name="many", why="Three jobs.", model=many, observe=("async_invoke", "stop")),
]
"""


def entry(schedulers: int, orders: list[tuple[str, int]], hung: int = 0) -> dict[str, object]:
    """What a record says of one pair of options."""
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
    """What a file says."""
    return f"{'//' if name.endswith('.c') else '%'} {name} <&>"


def real_book(folder: Path, record: object = None, page: str = REAL) -> BeautifulSoup:
    """The page of a book with some files beside it, and perhaps a record."""
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
    """A book with files and a record."""
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


# The state diagram


class Light(Enum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


TABLE: states.Table = {
    Light.RED: {"wait": Light.GREEN, "cut_power": Light.OFF, "stay": Light.RED},
    Light.GREEN: {"a_rather_long_event_that_has_to_be_wrapped": Light.RED, "cut_power": Light.OFF},
    Light.OFF: {},
}


def test_the_diagram_has_every_state_and_every_event() -> None:
    picture = BeautifulSoup(states.draw(TABLE, "A <light>", "Three states."), "html.parser")
    texts = "".join(text.text.strip() for text in picture.find_all("text"))
    for word in ("red", "green", "off", "wait", "cut_power", "stay"):
        assert word in texts
    assert "a_rather_long_event_that_has_to_be_wrapped" in texts
    assert [picture.select(f"svg > {name}")[0].text for name in ("title", "desc")] == [
        "A <light>",
        "Three states.",
    ]


def test_no_two_texts_of_the_diagram_overlap() -> None:
    picture = BeautifulSoup(states.draw(TABLE, "t", "d"), "html.parser")
    boxes = []
    for text in picture.find_all("text"):
        x, y, width = float(str(text["x"])), float(str(text["y"])), len(text.text) * states.LETTER
        left = x - width / 2 if "state" in text.get_attribute_list("class") else x
        boxes.append((left, y - 11, left + width, y + 3, text.text))
    for number, (left, top, right, bottom, _) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, (boxes[number], other)


def test_the_table_in_words_has_a_row_for_each_step() -> None:
    rows = states.as_table(TABLE).splitlines()
    assert rows[:2] == ["| in | on | to |", "|---|---|---|"]
    assert rows[2] == "| red | wait | green |"
    assert len(rows) == 2 + 5
