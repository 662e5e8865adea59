"""`--json`: every report is one that the schema describes, and has what the tables have."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from book import DOCS
from cc import needs_compiler
from command_line import given, printed

from driverref import explore
from driverref.command import as_json, loading
from driverref.explore.outcomes import in_one_line
from driverref.release import ERAS, Release

SCHEMA = json.loads(Path(as_json.__file__).with_name("schema.json").read_text("utf-8"))
VALID = jsonschema.Draft202012Validator(SCHEMA)

DRIVER = """\
from driverref import Driver
from driverref.erl_driver import driver_alloc, driver_async, driver_free, driver_output

class D(Driver):
    driver_name = "d"
    def start(self, port, command): return port
    def output(self, port, buf): driver_async(port, None, lambda job: None, driver_alloc(1), None)
    def ready_async(self, port, job):
        driver_output(port, b"\\x1b[1m")
        driver_free(job)

def leaks(erl):
    erl.erl_ddll.load_driver(D())
    port = erl.open_port(("spawn_driver", "d"))
    erl.port_command(port, b"x")
    erl.port_close(port)
    return "x" * 1000
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in a folder with one file, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "d.py").write_text(DRIVER)
    return tmp_path


def told(*words: str | Path) -> Any:
    """The report of a command, which the schema describes."""
    result = given(*words, "--json")
    report = json.loads(result.stdout)
    VALID.validate(report)
    assert (report["format"], report["command"]) == (1, words[0])
    assert result.stdout.isascii()
    return report


def test_the_schema_is_one_and_describes_nothing_else() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        VALID.validate({"format": 1, "command": "answers"})
    report = told("releases")
    for change in ({"format": 2}, {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            VALID.validate({**report, **change})


@pytest.mark.rule("command.json")
def test_the_report_of_explore_has_every_outcome_whole() -> None:
    report = told("explore", "d.py", "--observe", "stop")
    outcomes = explore(loading.scenario("d.py"), observe=["stop"])
    assert report["observe"] == ["stop"]
    assert (report["complete"], report["stopped"]) == (True, None)
    assert report["schedules"] == outcomes.schedules
    assert [row["outcome"] for row in report["outcomes"]] == list(map(in_one_line, outcomes))
    assert [row["schedules"] for row in report["outcomes"]] == [f.count for f in outcomes.values()]
    (leak,) = [row for row in report["outcomes"] if row["fault"]]
    assert leak["fault"]["name"] == "Leak"
    assert leak["fault"]["places"] == ["d.py:7 in output"]
    assert given(*shlex.split(leak["see"])[1:]).exit_code == 1


@pytest.mark.rule("command.json")
def test_a_report_that_was_cut_short_says_so() -> None:
    report = told("explore", "d.py", "--limit", "1")
    assert (report["complete"], report["stopped"]) == (False, "stopped at the limit of 1")
    drawn = told("explore", "d.py", "--strategy", "pct", "--limit", "2")
    assert (drawn["strategy"], drawn["complete"], drawn["stopped"]) == ("pct", False, None)


@pytest.mark.rule("command.json")
def test_the_report_of_compare_has_each_emulator() -> None:
    report = told("compare", "d.py")
    assert [(e["release"], e["async_threads"]) for e in report["emulators"]] == [
        ("R7B-3", 0),
        *((era.name, 1) for era in ERAS),
    ]
    faults = [row["fault"] for e in report["emulators"] for row in e["outcomes"] if row["fault"]]
    assert {fault["name"] for fault in faults} == {"Leak"}


@pytest.mark.rule("command.json")
def test_the_report_of_timeline_has_the_events_and_the_fault(folder: Path) -> None:
    report = told("timeline", "d.py", "--svg", "d.svg")
    assert report["fault"]["name"] == "Leak"
    (invoked,) = [event for event in report["events"] if event["name"] == "async_invoke"]
    assert (invoked["thread"], invoked["job"]) == ("async 1", 1)
    (opened,) = [event for event in report["events"] if event["name"] == "start"]
    assert (opened["port"], opened["detail"], opened["time"]) == ("#Port<0.1>", '"d"', 0)
    assert (folder / "d.svg").exists()
    some = told("timeline", "d.py", "--events", "start,output")
    assert [event["name"] for event in some["events"]] == ["start", "output"]


@pytest.mark.rule("command.json")
def test_the_report_of_releases_has_every_field() -> None:
    records = told("releases")["releases"]
    assert [record["name"] for record in records] == [era.name for era in ERAS]
    assert all(record.keys() == set(Release.__slots__) for record in records)
    assert records[0]["driver_version"] is None
    assert records[-1]["driver_version"] == [3, 3]
    assert "ready_async" in records[0]["callbacks"]


@pytest.mark.slow
@needs_compiler
@pytest.mark.rule("command.json")
def test_the_report_of_check() -> None:
    report = told("check", DOCS / "lookup_drv.c", "--command", "erlang", "--limit", "60")
    (mistake,) = report["mistakes"]
    assert mistake["fault"] == "Leak"
    assert mistake["places"][0]["line"] == 53
    assert report["rows"][0]["row"] == "open and close"
    assert "stopped at the limit of 60" in {row["stopped"] for row in report["rows"]}


def test_bad_input_is_told_in_a_line_and_not_in_json() -> None:
    result = given("explore", "none.py", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_book_shows_every_key_of_the_schema() -> None:
    page = (DOCS / "commands.md").read_text("utf-8")
    for command in ("explore", "compare", "check", "timeline", "releases"):
        for key in SCHEMA["$defs"][command]["properties"]:
            assert f"`{key}`" in page, key


def test_a_table_is_printed_where_no_json_is_asked_for() -> None:
    assert not printed("releases").startswith("{")
