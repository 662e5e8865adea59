"""`driverref check`, and `driverref explore` with a driver in C: nothing of Python to write."""

from __future__ import annotations

import json
import runpy
import shlex
from pathlib import Path

import pytest
from broken import ASK, BOOK, CASES
from cc import needs_compiler
from click.testing import CliRunner, Result

from driverref import Emulator, explore
from driverref.__main__ import main
from driverref.command.checking import WithDriver
from driverref.hosting.battery import Data, Row, around
from driverref.hosting.driver import c_driver_unloaded
from driverref.hosting.lines import Line

pytestmark = [pytest.mark.slow, needs_compiler]

COMMAND = "".join(f"\\x{byte:02x}" for byte in ASK)


def driverref(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


def wrong(name: str, folder: Path) -> Path:
    """A broken driver of the book, as a file."""
    (case,) = [case for case in CASES if case.name == name]
    file = folder / Path(case.scene.driver).name
    file.write_text(case.source())
    return file


def test_the_book_s_drivers_pass() -> None:
    done = driverref("check", "--command", COMMAND, BOOK / "flow/flow_drv.c")
    assert done.exit_code == 0, done.output
    assert "0 mistakes in 7 rows" in done.output
    assert "no memory: " in done.output
    with_argument = driverref("check", "--open", "/etc/hostname", BOOK / "free/free_drv.c")
    assert "open without arguments: 1 schedule" in with_argument.output
    assert with_argument.exit_code == 0, with_argument.output


def test_what_the_data_did_not_lead_to_is_said() -> None:
    """A driver that refuses its command would else look right."""
    flow = BOOK / "flow/flow_drv.c"
    done = driverref("check", "--limit", 20, flow)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == (
        "never called: ready_async; --open, --command and --control give the data that leads there"
    )
    assert "never called" not in driverref("check", "--command", COMMAND, flow).output
    report = json.loads(driverref("check", "--json", "--limit", 20, flow).output)
    assert report["never_called"] == ["ready_async"]


def test_a_driver_with_a_timer_waits_for_it() -> None:
    data = "".join(f"\\x{byte:02x}" for byte in (1).to_bytes(8, "big") + bytes((0, 5, 0, 0, 0, 9)))
    done = driverref("check", "--limit", 60, "--command", data, BOOK / "timeout/timeout_drv.c")
    assert "a command and a timeout:" in done.output
    assert "stopped at the limit of 60" in done.output


def test_a_mistake_is_told_once_with_its_lines_and_can_be_seen_again(tmp_path: Path) -> None:
    file = wrong("flow: no free function", tmp_path)
    done = driverref("check", "--command", COMMAND, file, "--", "-w", "-lm")
    assert done.exit_code == 1
    assert done.output.count("Leak: 1 block never freed") == 1
    text = "    job = driver_alloc(sizeof *job);"
    number = file.read_text().splitlines().index(text) + 1
    assert f">{number:5}  {text}" in done.output
    assert "1 mistake in" in done.output
    (line,) = [line for line in done.output.splitlines() if "see it:" in line]
    again = driverref(*shlex.split(line.partition("see it: driverref ")[2]))
    assert again.exit_code == 1
    assert "ended in Leak" in again.output
    assert "async_invoke" in again.output


def test_a_line_of_a_header_is_shown(tmp_path: Path) -> None:
    (tmp_path / "part.h").write_text(
        "static void spoil(volatile int *p) {\n    *p = 1; /* in the header */\n}\n"
    )
    text = (BOOK / "flow/flow_drv.c").read_text()
    file = tmp_path / "flow_drv.c"
    text = text.replace("#include <errno.h>", '#include <errno.h>\n#include "part.h"')
    file.write_text(text.replace("    Job *job = data;", "    Job *job = data; spoil(NULL);"))
    done = driverref("check", "--command", COMMAND, file)
    assert "part.h, spoil:" in done.output
    assert "in the header" in done.output


def test_a_control_that_meets_a_job_which_is_back_is_found(tmp_path: Path) -> None:
    """A cancel that sets the flag of a freed job."""
    steps = BOOK / "cancel/steps_drv.c"
    right = driverref("check", "--command", "\\x01", steps)
    assert right.exit_code == 0, right.output
    forgets = "state->job = NULL;             /* a later cancel is too late */"
    file = tmp_path / "steps_drv.c"
    assert steps.read_text().count(forgets) == 1
    file.write_text(steps.read_text().replace(forgets, "", 1))
    report = json.loads(driverref("check", "--json", "--command", "\\x01", file).output)
    row = "a command, a control and close"
    (found,) = [mistake for mistake in report["mistakes"] if mistake["row"] == row]
    assert found["fault"] == "UseAfterFree"
    assert found["places"][0]["function"] == "control"
    again = driverref(*shlex.split(found["see"])[1:])
    assert "ended in UseAfterFree" in again.output


def test_the_rows_with_control_are_for_drivers_that_have_it() -> None:
    for name, there in ("flow/flow_drv.c", False), ("cancel/steps_drv.c", True):
        report = json.loads(driverref("check", "--json", "--limit", 3, BOOK / name).output)
        rows = [row["row"] for row in report["rows"] if "control" in row["row"]]
        assert rows == ["a control and close", "a command, a control and close"] * there


def test_the_report_as_json(tmp_path: Path) -> None:
    file = wrong("flow: a wild pointer", tmp_path)
    done = driverref("check", "--json", "--command", COMMAND, file)
    report = json.loads(done.output)
    assert [mistake["fault"] for mistake in report["mistakes"]] == ["Crash"]
    (place,) = report["mistakes"][0]["places"]
    assert (place["file"], place["function"]) == (str(file), "square")
    assert report["rows"][0] == {
        "row": "open and close",
        "schedules": 1,
        "complete": True,
        "stopped": None,
    }


def test_a_witness_of_a_row_is_taken(tmp_path: Path) -> None:
    file = wrong("flow: ready_async forgets the job", tmp_path)
    done = driverref("check", "--json", "--command", COMMAND, "--async-threads", 2, file)
    (mistake,) = json.loads(done.output)["mistakes"]
    # The witness has the options of its run.
    assert mistake["witness"].endswith("/async_threads=2")
    assert "--async-threads" not in mistake["see"]
    assert f"--witness {mistake['witness']}" in mistake["see"]
    again = driverref(*shlex.split(mistake["see"])[1:])
    assert "ended in Leak" in again.output


def test_bad_input_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.c"
    bad.write_text("nonsense")
    done = driverref("check", bad)
    assert done.exit_code == 2
    assert "bad.c:1:1: error:" in done.output
    flow = BOOK / "flow/flow_drv.c"
    for words, said in (
        ([], "Missing argument 'FILE.c'"),
        (["--command", "\\x", flow], "an escape that is none of C's"),
        (["--row", "nothing", flow], "no row is called 'nothing'"),
        (["--row", "open and close", "--witness", "99:9", flow], "cannot follow"),
    ):
        done = driverref("check", *words)
        assert done.exit_code == 2
        assert said in done.output
    plain = driverref("check", "--row", "open and close", "--witness", "first-come", flow)
    assert plain.exit_code == 0
    assert "start #Port<0.1>" in plain.output


def test_a_row_in_which_there_is_no_memory_is_seen_again(tmp_path: Path) -> None:
    text = (BOOK / "flow/flow_drv.c").read_text()
    file = tmp_path / "flow_drv.c"
    file.write_text(text.replace("    if (state == NULL) {", "    if (0) {"))
    done = driverref("check", "--command", COMMAND, file)
    assert "Crash: NULL written" in done.output
    (line,) = [line for line in done.output.splitlines() if "see it:" in line]
    assert "--row 'no memory' --witness" in line
    assert "/failing_allocations=True" in line
    assert driverref(*shlex.split(line.partition("see it: driverref ")[2])).exit_code == 1


def test_explore_takes_a_driver_and_a_scenario(tmp_path: Path) -> None:
    scenario = tmp_path / "asked.py"
    scenario.write_text(
        "def asked(erl):\n"
        '    port = erl.open_port(("spawn_driver", "flow_drv"))\n'
        f"    erl.port_command(port, {ASK!r})\n"
        "    answer = erl.receive()[1:]\n"
        "    erl.port_close(port)\n"
        "    return answer\n"
    )
    driver = BOOK / "flow/flow_drv.c"
    for more in ([], ["--jobs", "1"]):
        done = driverref("explore", driver, f"{scenario}:asked", *more)
        assert "(1, 9)" in done.output
        assert done.exit_code == 0
    done = driverref("timeline", driver, scenario)
    assert "ready_async" in done.output


def test_the_page_shows_what_is_printed() -> None:
    done = driverref("check", "--limit", 60, "--command", "erlang", BOOK.parent / "lookup_drv.c")
    for page in ("c-drivers.md", "testing.md"):
        text = (BOOK.parent / page).read_text()
        shown = text.partition("$ driverref check lookup_drv.c --command erlang\n")[2]
        assert done.output.startswith(shown.partition("```")[0]), page
    assert "1 mistake in 8 rows" in done.output


def test_the_page_s_scenario_has_the_outcomes_of_its_twin_and_the_leak() -> None:
    shown = runpy.run_path(str(BOOK.parent / "lookup_scenario.py"))
    outcomes = explore(shown["asked"], async_threads=1, progress=False)
    assert {b"ERLANG", b"timeout"} < {*outcomes}
    assert [fault.name for fault in outcomes.faults] == ["Leak"]
    with pytest.raises(AssertionError, match="lookup_drv.c:53 in output"):
        shown["test_asked"]()


def test_the_lines_around_a_place_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.c"
    file.write_text("one\n\nthree\n")
    assert around(Line(str(file), 1, "f")) == ">    1  one\n     2"
    assert around(Line("gone.h", 1, "f")) == ""


def test_what_goes_on_is_told_with_the_name_of_the_row_or_the_scenario() -> None:
    flow = c_driver_unloaded([str(BOOK / "flow/flow_drv.c")], [], [])
    assert Row("open and close", flow, Data()).__name__ == "open and close"

    def asked(erl: Emulator) -> object:
        return erl.erl_ddll.loaded_drivers()

    assert WithDriver(asked, flow).__name__ == "asked"
    with Emulator() as erl:
        assert WithDriver(asked, flow)(erl) == ("ok", ["flow_drv"])
