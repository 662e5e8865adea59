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
from cc import needs_compiler
from command_line import given, printed, refused

from driverref import Emulator
from driverref.command import beginning
from driverref.explore import assert_outcomes, explore
from driverref.hosting import c_driver

TEMPLATE = beginning.IN_PYTHON.scenario
TRY = [
    "python disk_io.py",
    "driverref explore disk_io.py --observe ready_async,stop,async_free",
    "driverref timeline disk_io.py --svg disk_io.svg",
    "python -m pytest test_disk_io.py",
]
IN_C = beginning.IN_C.folder / "my_drv.c"
TRY_C = [
    "driverref check disk_drv.c --command 1",
    "driverref explore disk_drv.c disk_drv.py --observe ready_async,stop,async_free",
    "driverref timeline disk_drv.c disk_drv.py --svg disk_drv.svg",
    "python -m pytest test_disk_drv.py",
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


def tried(lines: list[str], folder: Path) -> list[str]:
    """What the command lines print, each of which ends with the status 0."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    return [
        subprocess.run(
            line,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in lines
    ]


@pytest.mark.slow
def test_what_is_told_to_try_works_when_pasted(folder: Path) -> None:
    printed("new", "disk_io")
    told = tried(TRY, folder)
    assert "ready_async job 1" in told[0]
    assert "2 ways to end; " in told[1]
    assert "there are no others\n" in told[1]
    assert (folder / "disk_io.svg").read_text().splitlines()[1].startswith("<svg")
    assert "1 passed" in told[3]


# In C.


def test_a_driver_is_begun_in_c(folder: Path) -> None:
    files = ["disk_drv.c", "disk_drv.py", "test_disk_drv.py"]
    told = [*(f"wrote {file}" for file in files), "", "Try:", *(f"  {line}" for line in TRY_C)]
    assert printed("new", "--c", "disk_drv").splitlines() == told
    text = "".join((folder / file).read_text() for file in files)
    assert "DRIVER_INIT(disk_drv)" in text
    assert '.driver_name = "disk_drv"' in text
    assert 'DiskDrv = c_driver(Path(__file__).with_name("disk_drv.c"))' in text
    assert not re.search("my_?drv", text, re.IGNORECASE)


@pytest.mark.slow
@needs_compiler
def test_what_is_told_to_try_works_in_c(folder: Path) -> None:
    printed("new", "--c", "disk_drv")
    told = tried(TRY_C, folder)
    assert "0 mistakes in 7 rows; " in told[0]
    assert "never called" not in told[0]
    assert "2 ways to end; " in told[1]
    assert "async_free(2)" in told[1]
    assert (folder / "disk_drv.svg").exists()
    assert "1 passed" in told[3]


@pytest.mark.slow
@needs_compiler
def test_the_driver_in_c_compiles_without_a_warning() -> None:
    strict = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c11")
    assert c_driver(IN_C, flags=strict).paths["my_drv.c"] == str(IN_C)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("if (atomic_fetch_sub(&state->users, 1) == 1)", "if (state->closed)", "UseAfterFree"),
        ("work, job, free_job)", "work, job, NULL)", "Leak"),
        ("    let_go(job->state);\n", "", "Leak"),
    ],
)
def test_a_mistake_in_the_driver_in_c_is_found(
    right: str, wrong: str, fault: str, folder: Path
) -> None:
    printed("new", "--c", "disk_drv")
    file = folder / "disk_drv.c"
    text = file.read_text()
    assert text.count(right) == 1
    file.write_text(text.replace(right, wrong))
    found = given("check", "disk_drv.c", "--command", "1")
    assert found.exit_code == 1
    assert f"  {fault}: " in found.stdout


# Names.


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


@pytest.mark.parametrize("name", ["test_mine", "mine_test", "Test_mine", "conftest"])
def test_a_name_that_pytest_would_collect(name: str, folder: Path) -> None:
    message = f"pytest would take {name}.py for a file of tests; choose another name"
    assert refused("new", name) == refused("new", "--c", name) == message
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["json", "driverref", "greenlet", "pytest", "test"])
def test_a_name_that_would_hide_a_module(name: str) -> None:
    assert refused("new", name) == f"{name}.py would hide the module {name}; choose another name"


@pytest.mark.parametrize(
    ("name", "made"),
    [("job", "Job"), ("driver", "Driver"), ("none", "None"), ("value_error", "ValueError")],
)
def test_a_name_whose_class_is_taken(name: str, made: str) -> None:
    message = f"{name} would make a class {made}, which is taken; choose another name"
    assert refused("new", name) == message


@pytest.mark.parametrize(("name", "made"), [("path", "Path"), ("emulator", "Emulator")])
def test_a_name_whose_class_is_taken_in_c(name: str, made: str) -> None:
    message = f"{name} would make a class {made}, which is taken; choose another name"
    assert refused("new", "--c", name) == message


def test_there_is_one_template() -> None:
    assert refused("new", "mine", "--question", "free").startswith("No such option '--question'")


def test_a_folder_that_is_gone(folder: Path) -> None:
    folder.rmdir()
    assert refused("new", "mine") == "mine.py: No such file or directory"
