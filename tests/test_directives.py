"""The book's directives on small books of their own: what they draw, and that their
faults stop a build.
"""

from __future__ import annotations

import re
import subprocess
from enum import Enum
from pathlib import Path

import pytest
from _ext import docstrings, pages, states
from book import sphinx
from bs4 import BeautifulSoup

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

TEST = 'import pytest\n\n@pytest.mark.rule("key.order")\ndef test_order(): ...\n'
UNKNOWN = 'import pytest\n\n@pytest.mark.rule("key.gone")\ndef test_gone(): ...\n'


def build(folder: Path, page: str, test: str) -> subprocess.CompletedProcess[str]:
    """Build a book of one page, the table of rules and one test."""
    (folder / "docs" / "reference").mkdir(parents=True)
    (folder / "docs" / "index.md").write_text(page, "utf-8")
    table = "# Rules\n\n```{rule-table}\n```\n"
    (folder / "docs" / "reference" / "rules.md").write_text(table, "utf-8")
    (folder / "described.py").write_text(DESCRIBED, "utf-8")
    (folder / "tests").mkdir()
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
