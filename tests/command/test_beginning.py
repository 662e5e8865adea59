"""`driverref new`: a driver to begin with is a page's program under another name."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
from book import run
from command_line import printed, refused

from driverref.command import book


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in an empty folder, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def definitions(sources: list[str]) -> list[str]:
    """The code of classes and functions that Erlang's side does not call, without its layout."""
    nodes = [node for source in sources for node in ast.parse(source).body]
    return [
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not (isinstance(node, ast.FunctionDef) and node.args.args[0].arg == "erl")
    ]


def test_somebody_begins_a_driver(folder: Path) -> None:
    assert printed("new", "disk_io") == (
        "wrote disk_io.py\n"
        "wrote test_disk_io.py\n"
        "\n"
        "Try:\n"
        "  python disk_io.py\n"
        "  driverref explore disk_io.py --async-threads 1 --observe ready_async,stop,async_free\n"
        "  driverref timeline disk_io.py --async-threads 1 --svg disk_io.svg\n"
    )
    text = (folder / "disk_io.py").read_text()
    assert "class DiskIo(Driver):" in text
    assert 'driver_name = "disk_io"' in text
    assert 'erl.open_port(("spawn_driver", "disk_io"))' in text
    assert not re.search("sleeper", text, re.IGNORECASE)
    assert text.count("# Change this:") == 2


def test_it_runs_at_once_and_says_what_ran_where(folder: Path) -> None:
    printed("new", "disk_io")
    shown = run(["disk_io.py"], folder)
    assert re.findall(r"(?:ready_async|stop|async_free)\b.*", shown) == [
        "ready_async job 1",
        "stop #Port<0.1>",
        "async_free job 2",
        "async_free job 3",
    ]


def test_its_outcome_is_what_the_page_prints(folder: Path) -> None:
    printed("new", "echo", "--question", "busy")
    first, *_ = run(["echo.py"], folder).splitlines()
    assert first == '({#Port<0.1>,{data,<<"10">>}}, {#Port<0.1>,{data,<<"30">>}})'


@pytest.mark.parametrize("question", book.questions())
def test_each_page_is_a_beginning(question: str, folder: Path) -> None:
    printed("new", "mine", "--question", question)
    assert "event" in run(["mine.py"], folder)
    head = (folder / "mine.py").read_text().split('"""')[1]
    for command, ends in [("explore", "no others|at random"), ("timeline", "")]:
        (line,) = [line for line in head.splitlines() if f"driverref {command} " in line]
        assert re.search(ends, printed(*shlex.split(line)[1:]))
    assert (folder / "mine.svg").exists()


def test_a_page_with_too_many_schedules_draws_some(folder: Path) -> None:
    printed("new", "mine", "--question", "timeout")
    how = 'async_threads=2, strategy="pct", limit=1000'
    assert f"assert_outcomes(scenario, {how})" in (folder / "test_mine.py").read_text()
    assert "--async-threads 2 --strategy pct --limit 1000" in (folder / "mine.py").read_text()


@pytest.mark.parametrize("question", book.questions())
def test_its_driver_is_the_page_s(question: str, folder: Path) -> None:
    printed("new", "mine", "--question", question)
    page = book.page(question)
    (old,) = re.findall(r"^class (\w+)\(Driver\)", "".join(page.run_it), re.MULTILINE)
    (name,) = re.findall(r'driver_name = ("\w+")', "".join(page.run_it))
    renamed = [re.sub(rf"\b{old}\b", "Mine", s).replace(name, '"mine"') for s in page.run_it]
    assert definitions([(folder / "mine.py").read_text()]) == definitions(renamed)


def test_its_test_passes(folder: Path) -> None:
    printed("new", "shouting", "--question", "memory")
    shown = run(["-m", "pytest", "-q", "-p", "no:cacheprovider"], folder)
    assert "1 passed" in shown


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "test_mine.py").write_text("precious")
    assert refused("new", "mine") == "test_mine.py exists already; choose another name"
    assert [path.name for path in folder.iterdir()] == ["test_mine.py"]
    assert (folder / "test_mine.py").read_text() == "precious"


@pytest.mark.parametrize("name", ["two words", "9lives", "../up", "_", "schön", "class", "a-b", ""])
def test_a_name_that_no_module_can_have(name: str, folder: Path) -> None:
    message = f"{name!r} cannot be the name of a module: use letters, digits and _"
    assert refused("new", name) == message
    assert not list(folder.iterdir())


def test_a_name_that_no_file_can_have() -> None:
    name = "x" * 300
    assert refused("new", name) == f"{name}.py: File name too long"


@pytest.mark.parametrize("name", ["json", "driverref", "greenlet", "pytest"])
def test_a_name_that_would_hide_a_module(name: str) -> None:
    assert refused("new", name) == f"{name}.py would hide the module {name}; choose another name"


@pytest.mark.parametrize(
    ("name", "made"),
    [("job", "Job"), ("driver", "Driver"), ("none", "None"), ("value_error", "ValueError")],
)
def test_a_name_whose_class_is_taken(name: str, made: str) -> None:
    message = f"{name} would make a class {made}, which is taken; choose another name"
    assert refused("new", name, "--question", "cancel") == message


def test_a_page_that_does_not_exist() -> None:
    assert refused("new", "mine", "--question", "why").startswith("there is no question 'why'; ")


def test_a_folder_that_is_gone(folder: Path) -> None:
    folder.rmdir()
    assert refused("new", "mine") == "mine.py: No such file or directory"
