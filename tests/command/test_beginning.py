"""`driverref new` copies a template under another name, and the template is a tested program."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from book import run
from command_line import printed, refused

from driverref import Emulator
from driverref.command import beginning
from driverref.explore import assert_outcomes, explore

TEMPLATE = beginning.TEMPLATE / "my_driver.py"
TRY = [
    "python disk_io.py",
    "driverref explore disk_io.py --observe ready_async,stop,async_free",
    "driverref timeline disk_io.py --svg disk_io.svg",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in an empty folder, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def scenario_of(text: str) -> Callable[[Emulator], object]:
    """The scenario of a text of the template."""
    names: dict[str, Any] = {"__name__": "my_driver"}
    exec(compile(text, "my_driver.py", "exec"), names)
    scenario: Callable[[Emulator], object] = names["scenario"]
    return scenario


def test_a_driver_is_begun(folder: Path) -> None:
    told = ["wrote disk_io.py", "wrote test_disk_io.py", "", "Try:", *(f"  {line}" for line in TRY)]
    assert printed("new", "disk_io").splitlines() == told
    text = (folder / "disk_io.py").read_text()
    assert "class DiskIo(Driver):" in text
    assert 'driver_name = "disk_io"' in text
    assert 'erl.open_port(("spawn_driver", "disk_io"))' in text
    assert "from disk_io import scenario" in (folder / "test_disk_io.py").read_text()
    assert not re.search("my_?driver", text, re.IGNORECASE)
    assert text.count("# Change this:") == 2


@pytest.mark.parametrize("name", ["my_driver", "MyDriver", "a_MyDriver_my_driver"])
def test_a_name_may_be_the_template_s_own_or_contain_it(name: str, folder: Path) -> None:
    printed("new", name)
    text = (folder / f"{name}.py").read_text()
    assert f"class {beginning.class_name(name)}(Driver):" in text
    assert f'driver_name = "{name}"' in text
    if name == "my_driver":
        assert text == TEMPLATE.read_text()


def test_the_template_runs_and_prints_what_ran_where(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(TEMPLATE), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.startswith('{#Port<0.1>,{data,<<"done">>}}\n')
    assert re.findall(r"(?:ready_async|stop|async_free)\b.*", printed) == [
        "ready_async job 1",
        "stop #Port<0.1>",
        "async_free job 2",
    ]


def test_a_job_of_the_template_ends_early_when_its_port_closes() -> None:
    """The second job has 3 steps of 10 ms to do, and does one."""
    with Emulator(async_threads=1) as erl:
        scenario_of(TEMPLATE.read_text("utf-8"))(erl)
    (stop,), (_, ended) = erl.trace.select("stop"), erl.trace.select("async_return")
    assert ended.job == 2
    assert ended.time - stop.time == 10_000_000


def test_no_order_of_events_ends_the_template_in_a_fault() -> None:
    scenario = scenario_of(TEMPLATE.read_text("utf-8"))
    assert_outcomes(scenario, async_threads=1)
    assert_outcomes(scenario, async_threads=2)


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("if state.users.fetch_sub(1) == 1:", "if state.closed.load():", "UseAfterFree"),
        ("work, job, free_job)", "work, job, None)", "Leak"),
        ("    let_go(job.state)\n", "", "Leak"),
    ],
)
def test_a_mistake_in_the_template_is_a_fault_that_its_test_finds(
    right: str, wrong: str, fault: str
) -> None:
    text = TEMPLATE.read_text("utf-8")
    assert text.count(right) == 1
    outcomes = explore(scenario_of(text.replace(right, wrong)), async_threads=1)
    assert fault in {found.name for found in outcomes.faults}


@pytest.mark.slow
def test_what_is_told_to_try_works_when_pasted(folder: Path) -> None:
    printed("new", "disk_io")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    told = [
        subprocess.run(
            line,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in TRY
    ]
    assert "ready_async job 1" in told[0]
    assert "2 ways to end; " in told[1]
    assert "there are no others\n" in told[1]
    assert (folder / "disk_io.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_its_test_passes(folder: Path) -> None:
    printed("new", "disk_io")
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
    assert refused("new", name) == message


def test_there_is_one_template() -> None:
    assert refused("new", "mine", "--question", "free").startswith("No such option '--question'")


def test_a_folder_that_is_gone(folder: Path) -> None:
    folder.rmdir()
    assert refused("new", "mine") == "mine.py: No such file or directory"
