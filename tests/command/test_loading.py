"""`FILE[:SCENARIO]`: how a scenario is found in a file, and what is said if it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from _ext import program
from book import DOCS
from command_line import given, printed, refused

from driverref.command import loading
from driverref.threads import watch

TWO = """\
def says_one(erl):
    erl.send(erl.self(), "one")

def says_two(erl, /, word="two", *more, **others):
    erl.send(erl.self(), word)

def asks(erl, driver):
    raise NotImplementedError

LIMIT = 5
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in an empty folder, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def written(text: str, name: str = "mine.py") -> str:
    Path(name).write_text(text, "utf-8")
    return name


def test_the_only_scenario_of_a_file_need_not_be_named() -> None:
    file = written("def only(erl):\n    erl.send(erl.self(), 'hello')\n")
    assert "send hello" in printed("timeline", file)


def test_one_of_several_is_named() -> None:
    file = written(TWO)
    assert "send two" in printed("timeline", f"{file}:says_two")


def test_if_none_of_several_is_named_all_are_listed() -> None:
    message = "mine.py: several scenarios; name one, as in mine.py:says_one; its scenarios: says_one, says_two"
    assert refused("timeline", written(TWO)) == message


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("closes", "there is no closes"),
        ("LIMIT", "LIMIT is not a function"),
        ("asks", "asks requires erl, driver, and a scenario requires `erl` only"),
    ],
)
def test_a_name_that_is_no_scenario_s(name: str, why: str) -> None:
    message = f"mine.py: {why}; its scenarios: says_one, says_two"
    assert refused("timeline", f"{written(TWO)}:{name}") == message


def test_a_function_without_parameters_is_no_scenario() -> None:
    message = (
        "mine.py: main requires nothing, and a scenario requires `erl` only; it has no scenario"
    )
    assert refused("timeline", written("def main(): pass\n") + ":main") == message


def test_a_file_without_a_scenario() -> None:
    message = "mine.py: no scenario: no function whose only required parameter is `erl`"
    assert refused("timeline", written("x = 1\n")) == message


def test_a_page_s_program_runs_first_and_keeps_quiet() -> None:
    text = program.program(DOCS / "questions/state/index.md", "state")
    file = written(text, "state.py")
    result = given("timeline", f"{file}:count", "--events", "start")
    assert result.stdout.count("start") == 2
    assert result.stderr.splitlines() == [
        '{#Port<0.1>,{data,<<"1">>}}',
        '{#Port<0.2>,{data,<<"1">>}}',
        '{#Port<0.1>,{data,<<"2">>}}',
    ]
    assert refused("timeline", file).startswith("state.py: several scenarios; ")


def test_a_main_guard_is_not_for_us() -> None:
    file = written("def s(erl): pass\nif __name__ == '__main__':\n    1 / 0\n")
    assert printed("timeline", file)


def test_a_file_imports_its_neighbours() -> None:
    written("word = 'next door'\n", "neighbour_of_mine.py")
    file = written("from neighbour_of_mine import word\ndef s(erl): erl.send(erl.self(), word)\n")
    for _ in range(2):
        assert "send 'next door'" in printed("timeline", file)


def test_a_colon_may_belong_to_the_file_s_name() -> None:
    file = written("def s(erl): erl.send(erl.self(), 'colon')\n", "a:b.py")
    assert "send colon" in printed("timeline", file)
    assert "send colon" in printed("timeline", f"{file}:s")


def test_a_file_that_is_not_there() -> None:
    assert refused("timeline", "none.py") == "none.py: No such file or directory"
    assert refused("timeline", "none.py:s") == "none.py: No such file or directory"


def test_a_folder_is_no_file(folder: Path) -> None:
    assert refused("timeline", folder) == f"{folder}: Is a directory"


def test_a_file_that_is_no_python() -> None:
    message = "mine.py:2: this is not Python: invalid syntax"
    assert refused("timeline", written("x = 1\nDear reader,\n")) == message


def test_a_file_that_is_no_text() -> None:
    Path("mine.beam").write_bytes(b"FOR1\0\0\xff\xfe")
    assert refused("timeline", "mine.beam").startswith("mine.beam: this is not Python: ")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise KeyError", "KeyError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import json; json.loads('{')", "JSONDecodeError: "),
    ],
)
def test_a_file_that_fails_when_it_is_run(last: str, said: str) -> None:
    assert refused("timeline", written(f"x = 1\n{last}\n")).startswith(f"mine.py:2: {said}")


def test_a_file_that_leaves_an_emulator_running() -> None:
    file = written("from driverref import Emulator\nleft = Emulator()\ndef s(erl): pass\n")
    message = "mine.py: leaves an emulator running; start it in a `with` block"
    assert refused("timeline", file) == message
    sys.modules[loading.MODULE].left.stop()


def test_a_file_that_never_ends_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.0)
    file = written(
        "from driverref.threads.watch import under_way\ndef s(erl): pass\ns.__doc__ = under_way()\n"
    )
    assert (
        loading.scenario(file).__doc__
        == "loading mine.py has gone on for 0 s; it stands at mine.py:3"
    )
