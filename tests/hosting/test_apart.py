"""A driver in C that ends its process, or does not return: the tool lives on, and has the run that shows it."""

from __future__ import annotations

import json
import pickle
import shlex
import signal
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

import pytest
from cc import HEAD, TAIL, line_of, needs_compiler
from click.testing import CliRunner, Result

from driverref import Emulator, explore
from driverref.__main__ import main
from driverref.command.running import begin_aloud
from driverref.explore.journal import Journal, Kept, events, read
from driverref.explore.schedules import Deviation
from driverref.hosting import tools
from driverref.hosting.apart import (
    ENDED,
    Apart,
    Died,
    Files,
    _explored,
    _followed,
    serve,
)
from driverref.hosting.driver import CDriver, c_driver_unloaded
from driverref.hosting.host import host
from driverref.hosting.lines import Table

pytestmark = [pytest.mark.slow, needs_compiler]

LIBRARY = """
#include <signal.h>
#include <string.h>
#include <unistd.h>
extern long _Py_NoneStruct[]; /* an object of Python's */

void scribble(void) { memset(_Py_NoneStruct, 0x5a, 16); }
void leave(void) { _exit(3); }
void kill_itself(void) { kill(getpid(), SIGKILL); }
void wait_for_ever(void) { for (;;) sleep(1); }
"""
"""A library, compiled as the others on a machine: nothing of what it does is seen."""

DRIVER = """
void scribble(void), leave(void), kill_itself(void), wait_for_ever(void);
static _Atomic int closed;
static void work(void *job) { CODE; }
static void done(void *job) { (void)job; }
static void closing(void) { closed = 1; }
#define READY done
#define STOP closing
static void test(void) { driver_async(port, NULL, work, NULL, NULL); }
"""

EARLY = "if (!closed) END()"
"""Only where the job runs before the port closes: not in the first schedule."""

SCENARIO = """
def asked(erl):
    port = erl.open_port(("spawn_driver", "small"))
    erl.port_command(port, b"go")
    erl.port_close(port)
    return "closed"
"""


@pytest.fixture
def driver(tmp_path: Path) -> Callable[[str], list[str]]:
    """The files of a driver whose job runs some code, and the library that it is linked with."""

    def made(code: str) -> list[str]:
        source, library = tmp_path / "small_drv.c", tmp_path / "library.so"
        source.write_text(HEAD + DRIVER.replace("CODE", code) + TAIL)
        (tmp_path / "library.c").write_text(LIBRARY)
        (tmp_path / "asked.py").write_text(SCENARIO)
        cc = tools.compiler(None, False)
        tools.call([cc, "-fPIC", "-shared", "-o", str(library), str(tmp_path / "library.c")])
        return [str(source), "-w", str(library)]

    return made


def driverref(*words: str) -> Result:
    return CliRunner().invoke(main, [*words])


def asked(erl: Emulator, driver: CDriver) -> str:
    erl.erl_ddll.load_driver(driver())
    namespace: dict[str, Any] = {}
    exec(SCENARIO, namespace)
    answer: str = namespace["asked"](erl)
    return answer


def loaded(words: list[str]) -> CDriver:
    source, flag, library = words
    return c_driver_unloaded([source], [flag], [library])


@pytest.mark.rule("hosting.process-apart")
@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("leave", "exit with status 3"),
        ("kill_itself", "SIGKILL"),
    ],
)
def test_what_ends_the_process_is_a_fault_with_a_witness(
    end: str, how: str, driver: Callable[[str], list[str]], tmp_path: Path
) -> None:
    words = ["--async-threads", "1", "--", *driver(EARLY.replace("END", end))]
    done = driverref("check", "--json", *words)
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    (mistake,) = report["mistakes"]
    said = f"{how} ended the process that ran the driver, which was last seen at "
    assert mistake["text"] == said + f"{line_of(tmp_path, 'closed) ')} work"
    assert mistake["fault"] == "Crash"
    # The schedules before it were counted, and the next rows were run, some of which end so, too.
    first = next(row for row in report["rows"] if row["row"] == mistake["row"])
    assert first["schedules"] > 1
    assert not first["complete"]
    assert report["rows"][-1]["row"] == "no memory"
    again = driverref(*shlex.split(mistake["see"])[1:])
    assert again.exit_code == 1
    assert f"ended in Crash: {said}" in again.stderr
    told = driverref("check", *words)
    assert "schedules, stopped by the end of its process\n\n  Crash: " in told.stdout
    assert "if (!closed)" in told.stdout
    assert "never called" not in told.stdout


@pytest.mark.rule("hosting.process-apart")
def test_a_wild_write_into_python_s_memory_is_a_fault(
    driver: Callable[[str], list[str]], tmp_path: Path
) -> None:
    words = driver("scribble()")
    done = driverref("check", "--", *words)
    assert done.exit_code == 1, done.output
    place = line_of(tmp_path, "scribble();")
    assert (
        f"Crash: SIGSEGV ended the process that ran the driver, which was last seen at {place} work"
        in done.stdout
    )
    assert "; Python ran then, so its memory had been written to" in done.stdout
    see = next(line for line in done.stdout.splitlines() if "see it: " in line)
    again = driverref(*shlex.split(see)[3:])
    assert again.exit_code == 1
    assert "async_invoke job 1" in again.stdout


def test_explore_and_timeline_tell_it_with_several_processes_and_without(
    driver: Callable[[str], list[str]], tmp_path: Path
) -> None:
    target = [
        "--async-threads",
        "1",
        "--",
        *driver(EARLY.replace("END", "leave")),
        str(tmp_path / "asked.py"),
    ]
    page = tmp_path / "page.html"
    for more in (["--html", str(page)], ["--jobs", "1"]):
        done = driverref("explore", *more, *target)
        assert done.exit_code == 1, done.output
        assert "Crash: exit with status 3 ended the process" in done.stdout
        assert ENDED in done.stdout
    assert "'closed'" in driverref("explore", *target).stdout
    assert "async_invoke" in page.read_text()
    shown = driverref("timeline", "--witness", "12:2", *target)
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[-1].endswith("async_invoke job 1")
    assert "ended in Crash" in shown.stderr
    picture = tmp_path / "out.svg"
    assert driverref("timeline", "--svg", str(picture), *target).exit_code == 0
    assert "<svg" in picture.read_text()


FROM_OUTSIDE = """
import os, signal
from pathlib import Path
def asked(erl):
    with Path(COUNT).open("a") as count:
        count.write("x")
    runs = Path(COUNT).stat().st_size
    if runs > LAST:
        return EVEN_THEN
    if runs < LAST:
        port = erl.open_port(("spawn_driver", "small"))
        erl.port_command(port, b"go")
        erl.port_close(port)
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""
"""Ended in one of its runs, from outside, as the system ends a process when memory is short."""


@pytest.mark.parametrize("last", [1, 3])
def test_an_end_that_does_not_come_again_is_told_as_such(
    last: int, driver: Callable[[str], list[str]], tmp_path: Path
) -> None:
    """A run alone ends otherwise, or it is another run altogether."""
    scenario, count = tmp_path / "killed.py", repr(str(tmp_path / "count"))
    text = FROM_OUTSIDE.replace("COUNT", count).replace("LAST", str(last))
    scenario.write_text(text.replace("EVEN_THEN", "None"))
    words = ["explore", "--async-threads", "1", "--", *driver("")]
    done = driverref(*words, str(scenario))
    assert done.exit_code == 1
    assert (
        "that run alone does not end so: a run before it has done the harm, or the system has ended the process,"
        " as it does when memory is short"
    ) in done.stdout
    assert "Crash: SIGKILL ended the process that ran the driver" in done.stdout
    assert "memory had been written to" not in done.stdout
    (tmp_path / "count").unlink()
    scenario.write_text(text.replace("EVEN_THEN", "exit(7)"))
    assert "the scenario calls sys.exit" in driverref(*words, str(scenario)).stderr


def test_a_file_that_ends_the_process_is_bad_input(
    driver: Callable[[str], list[str]], tmp_path: Path
) -> None:
    scenario = tmp_path / "only_here.py"
    scenario.write_text(
        "import multiprocessing, os\n"
        "if multiprocessing.parent_process(): os._exit(4)\n"
        "def asked(erl): pass\n"
    )
    for command in ("explore", "timeline"):
        done = driverref(command, "--", *driver(""), str(scenario))
        assert done.exit_code == 2
        assert "Error: the process that was to run the driver has ended" in done.stderr


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Apart], object], float], None]:
    """Have Ctrl-C come once something is true of the process apart, which then has so many seconds."""

    def comes(when: Callable[[Apart], object], patience: float) -> None:
        monkeypatch.setattr("driverref.hosting.apart.PATIENCE", patience)
        started: list[Apart] = []
        start, wait, come = Apart._start, connection.wait, [True]

        def noting(apart: Apart) -> None:
            started.append(apart)
            start(apart)

        def waiting(ends: list[Any], seconds: float | None = None) -> list[Any]:
            while come and not wait(ends, 0.05):
                if when(started[-1]):
                    come.clear()
                    raise KeyboardInterrupt
            return wait(ends, seconds)

        monkeypatch.setattr(Apart, "_start", noting)
        monkeypatch.setattr("driverref.hosting.apart.connection.wait", waiting)

    return comes


Comes = Callable[[Callable[[Apart], object], float], None]


def test_ctrl_c_ends_the_battery_with_what_was_found(
    driver: Callable[[str], list[str]], ctrl_c: Comes
) -> None:
    words = driver("usleep(1)")
    source = Path(words[0])
    once = "driver_async(port, NULL, work, NULL, NULL);"
    source.write_text(source.read_text().replace(once, f"for (int i = 0; i < 6; i++) {once}"))

    def well_under_way(apart: Apart) -> bool:
        noted = read(apart.files.journal)
        return noted is not None and noted.run > 20

    ctrl_c(well_under_way, 60)
    done = driverref("check", "--limit", "1000000", "--", *words)
    assert done.exit_code == 130
    assert "schedules, interrupted\n0 mistakes in 2 rows" in done.stdout


def test_ctrl_c_before_anything_has_begun_ends_the_command(
    driver: Callable[[str], list[str]], ctrl_c: Comes
) -> None:
    ctrl_c(lambda apart: True, 60)
    done = driverref("check", "--", *driver(""))
    assert done.exit_code == 130
    assert done.stdout == ""
    assert done.stderr.strip() == "interrupted"


def test_code_that_does_not_come_back_is_told_at_ctrl_c(
    driver: Callable[[str], list[str]], tmp_path: Path, ctrl_c: Comes
) -> None:
    words = driver("closed = 1; wait_for_ever()")
    place = f"{line_of(tmp_path, 'wait_for_ever()')} work"
    ctrl_c(lambda apart: str(apart.files.last_seen()[0]) == place, 0.1)
    done = driverref("check", "--", *words)
    assert done.exit_code == 130
    said = f"Endless: the driver's code does not come back, which was last seen at {place}"
    assert said in done.stdout
    assert "1 mistake in 2 rows" in done.stdout


class Pipe:
    """The end of a pipe that the process apart has, with what it is asked."""

    def __init__(self, *asked: object) -> None:
        self.asked = [pickle.dumps(task) for task in asked]
        self.answers: list[Any] = []

    def recv_bytes(self) -> bytes:
        if not self.asked:
            raise EOFError
        return self.asked.pop(0)

    def send(self, answer: object) -> None:
        self.answers.append(answer)


@pytest.fixture
def as_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """This process, as if it were the one apart."""
    monkeypatch.setattr(signal, "signal", lambda *a: None)
    monkeypatch.setattr("driverref.hosting.apart.end_with_parent", lambda: None)
    monkeypatch.setattr(host(), "on_load", None)
    monkeypatch.setattr(Kept, "journal", None)
    files = Files(tmp_path)
    files.clear()
    return files


def failing(erl: Emulator) -> None:
    raise ValueError("a mistake")


def test_the_process_does_what_it_is_asked_until_nothing_is_asked(as_apart: Files) -> None:
    begun: list[str] = []
    pipe = Pipe((len, ("abc",)), (int, ("x",)))
    serve(pipe, as_apart, (begun.append, "begun"))
    assert begun == ["begun"]
    (one, other) = pipe.answers
    assert one == (True, 3)
    assert isinstance(other[1], ValueError)


def test_the_process_notes_where_the_driver_is_and_which_run_it_makes(
    as_apart: Files, driver: Callable[[str], list[str]], tmp_path: Path
) -> None:
    scenario = partial(asked, driver=loaded(driver("closed = 1")))
    options = {"async_threads": 1, "progress": False}
    drawn = {**options, "strategy": "random", "limit": 9}
    pipe = Pipe(
        (_explored, (explore, scenario, options)),
        (_explored, (explore, scenario, drawn)),
        (_followed, (scenario, "12:2", {}, str)),
    )
    assert read(as_apart.journal) is None
    serve(pipe, as_apart, ())
    assert [good for good, _ in pipe.answers] == [True] * 3, pipe.answers
    (first, second, third) = pipe.answers
    assert "closed" in first[1]
    assert "closed" in second[1]
    assert third[1][1] is None
    # The last run is the one whose trace was wanted.
    noted = read(as_apart.journal)
    assert noted is not None
    assert noted.witness == "12:2"
    assert noted.run > 9
    assert str(events(as_apart.journal)) == third[1][0]
    place, running = as_apart.last_seen()
    assert "small_drv.c" in str(place)
    assert not running


def test_a_journal_says_which_run_was_under_way(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin([], "/schedulers=2")
    assert read(tmp_path / "journal") == (1, "first-come/schedulers=2")
    journal.begin([Deviation(3, 1)], "")
    journal.add(Deviation(5, -1))
    assert read(tmp_path / "journal") == (2, "3:1,5:t")
    journal.event((7, "scheduler 1", "output", 1, None, b"x"))
    journal.event((8, "scheduler 1", "start", 1, None, lambda: None))  # is told without its detail
    (one, other) = events(tmp_path / "journal")
    assert (one.time, one.name, one.detail) == (7, "output", b"x")
    assert (other.name, other.detail) == ("start", None)
    journal.anew()
    journal.begin([], "")
    assert read(tmp_path / "journal") == (1, "first-come")


def test_what_is_left_of_a_driver_that_is_kept_no_longer(as_apart: Files) -> None:
    (as_apart.journal.parent / "drivers").write_text('[0, "/gone/driver.so"]\n')
    assert as_apart.last_seen() == (None, False)


def test_a_place_that_is_in_none_of_the_drivers(as_apart: Files, tmp_path: Path) -> None:
    Table([], [], []).save(tmp_path / "lines.json")
    kept = json.dumps([0, str(tmp_path / "driver.so")])
    (as_apart.journal.parent / "drivers").write_text(f"{kept}\n{kept}\n")
    assert as_apart.last_seen() == (None, False)


def test_an_end_in_words() -> None:
    assert Died(-11, False, None, True).fault(True).text == (
        "SIGSEGV ended the process that ran the driver"
    )
    stuck = Died(-9, True, None, True).fault(True)
    assert (stuck.name, stuck.places) == ("Endless", ())
    other = Died(3, False, None, False).fault(False)
    assert other.text.endswith("that run alone does not end so: a run before it has done the harm")
    assert other.reason == "exit with status 3"


def test_a_search_that_ends_its_process_each_time_is_told_once(tmp_path: Path) -> None:
    class Dying(Apart):
        def do(self, function: Any, *arguments: Any) -> Any:
            journal = Journal(self.files.journal)
            for _ in range(9):
                journal.begin([Deviation(2, 1)], "")
            raise Died(-11, False, None, True)

    with Dying() as apart:
        outcomes = apart.explore(failing, {"limit": 3})
    assert [outcomes[fault].witness for fault in outcomes.faults] == ["2:1"]
    assert (outcomes.schedules, outcomes.stopped) == (1, ENDED)


def test_a_process_that_shows_one_run_prints_to_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    (tmp_path / "asked.py").write_text(SCENARIO)
    begin_aloud(tmp_path / "asked.py")
    assert sys.stdout is sys.stderr
