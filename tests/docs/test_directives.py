"""The book's directives, on small books of their own: what they draw, and which mistakes stop a
build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from _ext import docstrings, pages
from bs4 import Tag
from small_book import TEST, article, build

pytestmark = pytest.mark.slow


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
>>> class Keeps(Forgets):
...     def output(self, port, buf):
...         driver_async(port, None, self.work, driver_alloc(Word), driver_free)
...     def stop(self, port):
...         pass
...
>>> def shuts(erl):
...     erl.erl_ddll.load_driver(Keeps())
...     port = erl.open_port(("spawn_driver", "forgets"))
...     erl.port_command(port, b"")
...     erl.port_close(port)
...
>>> moves = explore(shuts, observe=["async_invoke", "async_return", "stop"])
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

the answer comes back | ready_async, '<closed>'
the port is closed first | surprising | Leak in output
```

```{outcomes} moves
:title: Where stop stands
:description: Before the job, in it, or after it.

`stop` before the job | stop < async_invoke
in the job | surprising | async_invoke < stop < async_return
after the job | fault | async_return < stop
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

closed too early | Leak
closed in time | '<closed>'
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

```python
>>> from driverref import explore
>>> returned = explore(lambda erl: 7)
```

```{outcomes} returned
:title: Named wrongly
:description: One line means nothing.

seven | 7
eight | 8
```

```{outcomes} returned
:title: Named twice
:description: An outcome has two lines.

seven | 7
three and four | 7
```

```{then-and-now} events
:title: No eras
:description: This is a list.
```

```{timeline}
:title: No trace
:description: This is a list.
:trace: events
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
UNKNOWN = 'import pytest\n\n@pytest.mark.rule("key.gone")\ndef test_gone(): ...\n'


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a book without a mistake."""
    folder = tmp_path_factory.mktemp("good")
    built = build(folder, GOOD, TEST)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the build of a book says in which everything is wrong, on standard error."""
    built = build(tmp_path_factory.mktemp("bad"), BAD, UNKNOWN)
    assert built.returncode != 0
    return built.stderr


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


def heads(table: Tag) -> list[str]:
    """Return the words of the head of a table."""
    return [head.text for head in table.select("thead th[scope=col]")]


def test_outcomes_are_a_table_with_a_name_and_a_caption(good: Path) -> None:
    table = article(good).select("div.outcomes table")[0]
    assert table["aria-label"] == "A job & a close"
    assert table.select("caption")[0].text == 'A leak if the port closes "first".'
    assert heads(table) == ["outcome"]
    assert "'<closed>'" in [head.text for head in table.select("th[scope=row]")]


def test_a_fault_says_that_it_is_one_and_all_that_it_says(good: Path) -> None:
    (fault,) = article(good).select("div.outcomes")[0].select("tr.fault th")
    assert (
        fault.get_text("|") == "Leak|1 block never freed:|Word allocated in output: |"
        "driver_async(port, None, self.work, driver_alloc(Word))| |fault"
    )


def test_names_and_grades_stand_beside_what_the_run_shows(good: Path) -> None:
    table = article(good).select("div.outcomes table")[3]
    assert heads(table) == ["outcome", "what the run shows"]
    rows = table.select("tbody tr:not(.how)")
    assert [row.select("th")[0].text for row in rows] == [
        "stop before the job right",
        "in the job surprising",
        "after the job fault",
    ]
    assert [row["class"] for row in rows] == [["right"], ["surprising"], ["fault"]]
    assert [how["class"] for how in table.select("tr.how")] == [
        ["how", str(row["class"][0])] for row in rows
    ]
    titles = [title.text for title in table.select("svg > title")]
    assert titles[0] == "Where stop stands: stop before the job"


def test_what_stands_between_backticks_in_a_name_is_code(good: Path) -> None:
    table = article(good).select("div.outcomes table")[3]
    assert [code.text for code in table.select("th[scope=row] code.literal")] == ["stop"]
    assert "`" not in table.text


def test_an_outcome_named_surprising_may_be_a_fault_of_the_driver(good: Path) -> None:
    (row,) = article(good).select("div.outcomes")[2].select("tr.surprising:not(.how)")
    assert row.select("th")[0].text == "the port is closed first surprising"
    assert row.select("td strong")[0].text == "Leak"


def test_what_has_moved_against_the_row_above_is_in_bold(good: Path) -> None:
    box = article(good).select("div.outcomes")[3]
    marked = [[b.text for b in row.select("td b")] for row in box.select("tr:not(.how):has(td)")]
    assert marked == [[], ["stop"], ["stop"]]
    assert box.select(".outcomes-note")
    assert not article(good).select("div.outcomes")[0].select(".outcomes-note")


def test_each_outcome_opens_to_the_timeline_of_its_witness(good: Path) -> None:
    for table in article(good).select("div.outcomes:not(.eras) table"):
        for how in table.select("tr.how td > details"):
            assert how.select("summary")[0].text == "How it comes about"
            assert re.match(r"\d+ schedules? ends? so", how.select("p")[0].text)
            assert str(how.select("svg > title")[0].text).startswith(str(table["aria-label"]))
            schedule = re.search(r"witness (\S+),", how.select("svg > desc")[0].text)
            assert schedule
            _, call = how.select("pre")
            assert re.fullmatch(
                rf'replay\((closes|shuts), "{schedule[1]}(/observe=[a-z_,]+)?"\)', call.text.strip()
            )


def test_numbers_and_witness_stand_in_the_row_that_opens_and_once(good: Path) -> None:
    for box in article(good).select("div.outcomes:not(.eras)"):
        for row in box.select("tr:not(.how)"):
            assert not re.search(r"\d:\d|first-come|schedule", row.text)
        for how in box.select("tr.how"):
            assert how.text.count("replay(") == 1
        assert not box.select(":scope > details")


def test_an_outcome_with_an_order_shows_both(good: Path) -> None:
    (row,) = article(good).select("div.outcomes")[2].select("tr.right:not(.how) td")
    assert [code.text for code in row.select("code")] == ["'<closed>'", "ready_async(1)"]


def test_timelines_of_outcomes_show_the_events_that_are_named(good: Path) -> None:
    every, named, *_ = article(good).select("div.outcomes:not(.eras) table")
    shown = {
        tuple(re.findall(r"port_close|async_invoke|driver_async", how.select("pre")[0].text))
        for how in named.select("tr.how")
    }
    orders = {("port_close", "async_invoke"), ("async_invoke", "port_close")}
    assert shown <= orders
    assert "driver_async" in every.select("tr.how pre")[0].text


def test_outcomes_end_with_whether_there_are_others(good: Path) -> None:
    summary = article(good).select("div.outcomes p.outcomes-summary")[0].text
    assert summary == (
        "There are no other outcomes: every order of events that makes a difference was run."
    )


def eras(book: Path, number: int) -> Tag:
    """Return one of the comparisons."""
    return article(book).select("div.eras")[number]


def groups(table: Tag) -> list[list[str]]:
    """Return the emulators of each group of rows."""
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
        for how in body.select("tr.how td > details"):
            assert how.select("summary")[0].text == f"How it comes about on {system}"
            release = system.split()[0]
            assert (release == "25") != (f"/release={release}/" in how.select("pre")[1].text)
            assert how.select("svg > title")[0].text.startswith(f"{title} on {system}: ")
            assert not ("without threads" in system and "async 1" in how.select("pre")[0].text)


def test_a_hang_and_a_call_that_is_gone_are_faults(good: Path) -> None:
    found = {}
    for body in eras(good, 1).select("tbody"):
        for system in body.select("th[scope=rowgroup] a"):
            found[system.text] = [
                fault.text for fault in body.select("tr.fault th[scope=row] strong")
            ]
    assert found == {
        "R7B-3": ["EmulatorHang"],
        "R11B-5": ["Leak", "EmulatorHang"],
        "R13B": ["EmulatorHang"],
        "R14B04": [],
        "R16B": [],
        "25": ["Misuse"],
    }


def test_a_group_shows_the_fewest_and_the_most_schedules(good: Path) -> None:
    alone, alike = eras(good, 0).select("tbody")
    said = [
        [how.select("p")[0].text.split(" schedule")[0] for how in body.select("tr.how")]
        for body in (alone, alike)
    ]
    assert said == [["1"], ["2 to 6", "1 to 4"]]


def test_the_names_of_a_comparison_hold_in_each_era(good: Path) -> None:
    alone, alike = eras(good, 0).select("tbody")
    assert [row.text for row in alone.select("th[scope=row]")] == ["closed in time right"]
    assert [row.text for row in alike.select("th[scope=row]")] == [
        "closed too early fault",
        "closed in time right",
    ]


def test_eras_end_with_whether_there_are_others(good: Path) -> None:
    whole, limited = (eras(good, number) for number in (0, 1))
    summary = whole.select("p.outcomes-summary")[0].text
    assert summary == (
        "There are no other outcomes: every order of events that makes a difference was run"
        " on each emulator."
    )
    said = limited.select("p.outcomes-summary")[0].text
    assert "There may be other outcomes of R7B-3 +A 1 (stopped at the limit of 9), R11B-5" in said


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


def test_the_list_has_totals_and_the_rules_of_each_page_with_their_tests(good: Path) -> None:
    page = article(good, "reference/rules")
    assert page.select("p.rule-totals")[0].text == "1 rule, 1 test, 0 uncovered."
    (title,) = page.select("section#rules-of-index > h2 > a:not(.headerlink)")
    assert title["href"] == "../index.html"
    assert page.select('dl.rules a[href="../index.html#rule-key.order"]')
    (says,) = page.select('dt[id="tests-key.order"] + dd')
    assert says.select("p")[0].text == "Jobs begin in order."
    assert says.select("details > summary")[0].text == "1 test"
    assert [test.text.strip() for test in says.select("details li")] == [
        "test_order tests/test_key.py:4"
    ]


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
        r"index.md:\d+: ERROR: outcomes cannot be shown: .*'eight' should mean one outcome.* none",
        r"index.md:\d+: ERROR: outcomes cannot be shown: .*the outcome 7 should have one line, and has 2",
        r"index.md:\d+: ERROR: then-and-now cannot be shown: .*events is not what compare returns",
        r"index.md:\d+: ERROR: outcomes needs :description: for readers who do not see it",
        r"index.md:\d+: ERROR: timeline cannot be shown: TypeError.*events is not a trace",
    ],
)
def test_a_directive_with_a_wrong_value_stops_the_build_and_says_where(bad: str, said: str) -> None:
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
