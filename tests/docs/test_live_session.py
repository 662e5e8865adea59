"""What Python does in the page, without a browser: each block shows what the page shows."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from _ext import live_session, pages
from book import WITH_EXAMPLES, page_id, same

from driverref.threads import OUTSIDE, running

TEXT = {"text", "outcomes", "picture"}

EMULATOR = "from driverref import Emulator\nerl = Emulator()\nopened = erl.__enter__()"


class Page:
    """Stands for the page: it has what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.session = live_session.Session(lambda *parts: self.sent.append(parts))

    def run(self, *texts: str, whole: bool = False) -> str:
        """Run the last of the texts; return what it prints."""
        self.sent.clear()
        assert self.session.run(list(texts), whole) == "done"
        return self.text(len(texts) - 1)

    def text(self, block: int) -> str:
        return "".join(parts[0] for kind, at, *parts in self.sent if kind in TEXT and at == block)

    def kinds(self) -> list[str]:
        return [kind for kind, *_ in self.sent]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page.  What is sent does not depend on how fast the machine is."""
    monkeypatch.setattr(live_session, "EVERY", math.inf)
    return Page()


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=page_id)
def test_each_block_prints_what_the_page_shows(
    path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_session, "game", lambda outcomes: {})  # another test makes games
    texts: list[str] = []
    for block in pages.blocks(path):
        examples = [pages.parsed(example) for example in block.examples]
        texts.append("".join(example.source for example in examples))
        printed = page.run(*texts)
        # The stack of a traceback is not compared.
        printed = re.sub(r"Traceback \(most recent call last\):\n(?: .*\n)*", "", printed)
        # Nor is what an example has printed before it fails.
        wants = (f"...{e.exc_msg}" if e.exc_msg else e.want for e in examples)
        same("".join(wants), printed)


def test_a_run_goes_on_from_the_last_if_nothing_above_has_changed(page: Page) -> None:
    first = "made = []"
    assert page.run(first, "made.append(1)\nlen(made)") == "1\n"
    assert page.run(first, "made.append(1)\nlen(made)", "made.append(2)\nmade") == "[1, 2]\n"
    assert page.run(first, "made.append(1)\nlen(made)") == "1\n"
    assert page.run("made = [0]", "made.append(1)\nlen(made)") == "2\n"
    assert page.run("made = [3]\nmade") == "[3]\n"


def test_a_prompt_goes_on_after_a_failure_and_a_program_does_not(page: Page) -> None:
    text = "1 / 0\n2"
    assert page.run(text) == (
        'Traceback (most recent call last):\n  File "block 1", line 1, in <module>\n    1 / 0\n'
        + ("    ~~^~~\n" if sys.version_info >= (3, 11) else "")
        + "ZeroDivisionError: division by zero\n2\n"
    )
    assert page.run(text, whole=True).endswith("ZeroDivisionError: division by zero\n")
    assert page.run("0") == "0\n"
    assert "invalid syntax" in page.run("a b")
    assert "null" in page.run("\0")


def test_what_a_browser_does_not_have_is_said(page: Page) -> None:
    assert page.run('raise RuntimeError("can\'t start new thread")').endswith(
        f"{live_session.OS_THREADS}\n"
    )
    assert page.run("import no_such_module").endswith(f"{live_session.MODULES}\n")


def test_outcomes_are_a_table_that_can_be_played_and_a_trace_is_a_picture(page: Page) -> None:
    given = "import sys\nfrom driverref import Emulator, compare, explore\nfrom plays import closes"
    text = page.run(given, "found = explore(closes)\nfound\nprint(found)\nprint('and', found)")
    assert page.kinds() == ["outcomes", "outcomes", "text"]
    _, _, said, table, game = page.sent[0]
    assert said in text
    assert table.startswith("<table>")
    assert '"runs"' in game
    page.run(
        given, "with Emulator() as erl:\n    erl.send(erl.self(), 1)\n\nerl.trace\nerl.trace[:0]"
    )
    assert page.kinds() == ["text", "picture", "text"]
    assert "<svg" in page.sent[1][3]
    page.run(given, "print(compare(closes))")
    assert page.kinds() == ["outcomes"]
    assert page.sent[0][4] == ""


def test_an_emulator_that_was_left_running_needs_a_new_worker(page: Page) -> None:
    page.run(EMULATOR, "erl.self()")
    page.run(EMULATOR, "erl.self()", "from driverref import explore")
    assert page.session.run([EMULATOR]) == "stale"
    page.run(EMULATOR, "erl.self()", "from driverref import explore", "erl.stop()")
    assert running() is OUTSIDE
    assert page.run("1", whole=True) == "1\n"


def test_outcomes_are_a_mere_table_while_an_emulator_runs(page: Page) -> None:
    given = "from driverref import Emulator, explore\nfrom plays import closes\nf = explore(closes)"
    page.run(given, "with Emulator() as erl:\n    print(f)")
    assert page.sent[0][0] == "outcomes"
    assert page.sent[0][4] == ""


def test_progress_is_sent_from_time_to_time(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "EVERY", -1.0)
    page.run("from driverref import explore\nfrom plays import closes\nfound = explore(closes)")
    said = [parts[0] for kind, _, *parts in page.sent if kind == "progress"]
    assert said[0].endswith(" schedules, 1 outcome")
    assert said[-1].endswith("2 outcomes")


def test_printing_without_end_is_cut(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "MOST_TEXT", 10)
    text = page.run("for n in range(10):\n    print(n, flush=True)")
    assert text == "0\n1\n2\n3\n4\n" + "\n... and more, which is not shown\n"
    assert live_session.Printed(lambda *_: None, 0).write("x") == 1
