"""The real emulator as judge: the model admits every order of events that was ever recorded.

The record is `tests/beam/record.json`, written by `make beam`.  Without Erlang the record is
checked; with it, every scenario is played a few times more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "beam"))
import nulls
import play
import run
import run_values
import vectors
import verdict
from otp import call, tools
from scenarios import SCENARIOS, Scenario
from unseen import REASONS, Reason, reasons

from driverref.trace import NAMES

pytestmark = pytest.mark.slow


RECORD: dict[str, Any] = json.loads(run.RECORD.read_text("utf-8"))

each = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@each
def test_the_model_admits_what_the_emulator_did(scenario: Scenario) -> None:
    for entry in RECORD["scenarios"][scenario.name]:
        seen = [tuple(order) for order, _ in entry["orders"]]
        assert not verdict.refused(scenario, *verdict.options_of(entry), seen)


@each
def test_the_record_is_of_enough_runs(scenario: Scenario) -> None:
    entries = RECORD["scenarios"][scenario.name]
    assert RECORD["emulators"].keys() >= {"25"}
    for release in RECORD["emulators"]:
        of_release = verdict.entries_of(RECORD, scenario, release)
        kinds = {(entry["async_threads"], entry["schedulers"]) for entry in of_release}
        assert kinds == {(a, s) for a in scenario.async_threads for s in scenario.schedulers}
        assert sum(entry["runs"] for entry in of_release) >= run.RUNS.get(release, run.FEWER_RUNS)
    for entry in entries:
        assert entry["options"] == f"+A {entry['async_threads']} +S {entry['schedulers']}"
        counts = [times for _, times in entry["orders"]]
        assert sum(counts) + entry["hung"] + entry["crashed"] == entry["runs"]
        assert counts == sorted(counts, reverse=True)


@each
def test_a_scenario_says_why_and_observes_events(scenario: Scenario) -> None:
    assert scenario.why.endswith((".", "?", "!"))
    assert set(scenario.observe) <= NAMES
    assert f"\n{scenario.erlang}() ->" in (run.HERE / "judge.erl").read_text("utf-8")


def test_the_record_is_of_these_scenarios_and_readable() -> None:
    assert list(RECORD["scenarios"]) == [scenario.name for scenario in SCENARIOS]
    assert run.readable(RECORD) == run.RECORD.read_text("utf-8")


@each
def test_an_order_that_was_never_seen_has_a_reason_and_no_other_has(scenario: Scenario) -> None:
    _, others = verdict.compared(scenario, RECORD)
    assert {tuple(order.split()) for order in reasons(scenario.name)} == others


def test_a_reason_is_given_once_and_is_a_sentence() -> None:
    orders = [(reason.scenario, order) for reason in REASONS for order in reason.orders]
    assert len(orders) == len(set(orders))
    names = {scenario.name for scenario in SCENARIOS}
    for reason in REASONS:
        assert reason.scenario in names
        assert reason.orders
        assert reason.why.endswith(".")


def test_what_was_never_seen_is_listed_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without playing; a reason that is missing, or left over, makes the list a failure."""
    scenario = next(s for s in SCENARIOS if s.name == "close_two_at_once")
    entry = RECORD["scenarios"][scenario.name][0]
    options = verdict.options_of(entry)
    both, one, none = sorted(verdict.orders(scenario, *options))
    data = {"scenarios": {scenario.name: [{**entry, "orders": [[list(none), 3]]}]}}
    why = Reason(scenario.name, "too rare", "So it is.", (" ".join(both), " ".join(none)))
    monkeypatch.setattr("unseen.REASONS", (why,))
    assert verdict.list_unseen([scenario], data) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{scenario.name}: {' '.join(both)}: too rare",
        f"{scenario.name}: {' '.join(one)}: no reason is given",
        f"{scenario.name}: {' '.join(none)}: a reason is given, but it was seen or the model does not have it",
    ]


def test_the_committed_record_is_listed_without_playing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--unseen"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(len(reason.orders) for reason in REASONS)


def test_an_order_that_the_model_does_not_have_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenario = next(s for s in SCENARIOS if s.name == "close_running")
    entry = RECORD["scenarios"][scenario.name][0]
    wrong = ["port_close", "async_return(1)", "async_free(1)", "stop"]
    data = {"scenarios": {scenario.name: [{**entry, "hung": 1, "orders": [[wrong, 3]]}]}}
    assert verdict.report([scenario], data, "25") == 1
    out = capsys.readouterr().out
    assert f"close_running: {entry['options']}: not admitted: {' '.join(wrong)}" in out
    assert "1 hung" in out


def test_a_record_keeps_what_other_emulators_did(tmp_path: Path) -> None:
    runs = run.Runs(1, 2, Counter({("stop",): 3}))
    old = run.entry("25", run.Runs(1, 1, Counter({("stop",): 2})))
    data = {
        "emulators": {"25": {"erts": "13", "machine": "M"}, "27": {"erts": "15", "machine": "M"}},
        "scenarios": {"closed": [old, run.entry("27", run.Runs(1, 1))]},
    }
    judge = run.Judge(tmp_path, "erl", "27", "16")
    new = run.record(data, judge, {"closed": [runs], "new": [runs]})
    assert [new["emulators"][name]["erts"] for name in ("25", "27")] == ["13", "16"]
    assert new["scenarios"] == {
        "closed": [old, run.entry("27", runs)],
        "new": [run.entry("27", runs)],
    }
    assert run.entry("27", runs)["options"] == "+A 1 +S 2"


def test_releases_that_differ_in_their_names_only_are_searched_once() -> None:
    scenario = next(s for s in SCENARIOS if s.name == "close_running")
    assert verdict.found(scenario, 1, 1, verdict.alike("28")) is verdict.found(scenario, 1, 1, "27")
    assert [verdict.alike(name) for name in ("R16B", "26", "28", "29")] == [
        "R16B",
        "25",
        "27",
        "29",
    ]


def test_what_must_not_happen_is_kept_in_an_order() -> None:
    scenario = next(s for s in SCENARIOS if s.name == "close_running")
    assert run.observed("start stop wrong-thread(1) !oops", scenario) == (
        "stop",
        "wrong-thread(1)",
        "!oops",
    )


def test_without_erlang_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert run.main([]) == 1
    assert capsys.readouterr().out == (
        f"the real emulator was not asked: no erl, no erlc, no C compiler ({run.INSTALL})\n"
    )


def test_make_beam_has_every_judge_play_on_every_emulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On the installed one and on those that are unpacked, or on those that were asked for."""
    for release in ("27", "29"):
        (tmp_path / f"otp-{release}").mkdir()
    asked: list[str] = []

    def first() -> str:
        return os.environ["PATH"].partition(os.pathsep)[0]

    def judge(module: ModuleType, status: int = 0) -> None:
        def main(arguments: object = None) -> int:
            given = " from sys.argv" * (arguments is None and module in (run, run_values))
            asked.append(f"{module.__name__}{given} {Path(first()).parent.name}")
            return status

        monkeypatch.setattr(module, "main", main)

    monkeypatch.setattr(play, "BUILD", tmp_path)
    monkeypatch.setenv("PATH", f"/here/bin{os.pathsep}/there")
    judges = (run, run_values, vectors, nulls)
    for module in judges:
        judge(module, status=module is run_values)
    everywhere = [
        f"{module.__name__} {where}" for where in ("here", "otp-27", "otp-29") for module in judges
    ]
    assert play.main([]) == 1
    assert asked == everywhere
    asked.clear()
    judge(run_values)
    assert play.main([str(tmp_path / "otp-29")]) == 0
    assert asked == everywhere[-4:]
    assert first() == "/here/bin"


def test_what_keeps_a_newer_emulator_from_being_unpacked_is_said(tmp_path: Path) -> None:
    def said(release: str, **environment: str) -> str:
        command = ["/bin/bash", str(run.HERE / "newer-otp"), release, str(tmp_path / "otp")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    assert said("28") == "OTP 28 cannot be unpacked: only 27 and 29 are known\n"
    no_tools = "OTP 27 cannot be unpacked: this is no Debian (no apt-get, no dpkg)\n"
    assert said("27", PATH="/nowhere") == no_tools


def test_new_scenarios_are_added_to_the_record_in_their_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The others stay as they are; what another version of the emulator did is not mixed in."""
    first, new, last = SCENARIOS[:3]
    others = {s.name: RECORD["scenarios"][s.name] for s in (first, last)}
    path = tmp_path / "record.json"
    path.write_text(run.readable({**RECORD, "scenarios": others}), "utf-8")
    played = run.Runs(1, 1)
    played.orders[min(verdict.orders(new, 1, 1, "25"))] = 3
    judge = run.Judge(tmp_path, "erl", "25", RECORD["emulators"]["25"]["erts"])
    monkeypatch.setattr(run, "RECORD", path)
    monkeypatch.setattr(run, "SCENARIOS", [first, new, last])
    monkeypatch.setattr(run, "compiled", lambda: nullcontext(judge))
    monkeypatch.setattr(
        run, "ask", lambda judge, chosen, *_, **__: {s.name: [played] for s in chosen}
    )
    before = path.read_text("utf-8")
    known, judge.erts = judge.erts, "0"
    assert run.main(["--new"]) == 1
    assert path.read_text("utf-8") == before
    judge.erts = known
    assert run.main(["--new"]) == 0
    written = json.loads(path.read_text("utf-8"))["scenarios"]
    assert list(written) == [first.name, new.name, last.name]
    assert {name: written[name] for name in others} == others
    assert sum(entry["runs"] for entry in written[new.name]) == 3


@pytest.fixture(scope="module")
def judge() -> Iterator[run.Judge]:
    """The compiled judge."""
    try:
        with run.compiled() as judge:
            yield judge
    except run.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def played(judge: run.Judge) -> dict[str, list[run.Runs]]:
    """A short round on the real emulator."""
    return run.ask(judge, [s for s in SCENARIOS if not s.once], runs=6)


@each
def test_the_model_admits_what_the_emulator_does_now(
    scenario: Scenario, played: dict[str, list[run.Runs]], judge: run.Judge
) -> None:
    for runs in played.get(scenario.name, []):
        assert runs.hung == 0
        options = runs.async_threads, runs.schedulers, judge.release
        assert runs.crashed == 0 or verdict.misused(scenario, *options)
        assert not verdict.refused(scenario, *options, runs.orders)


@pytest.mark.rule("port.no-failure-in-process-exit")
def test_a_failure_in_process_exit_crashes_the_emulator_every_time(judge: run.Judge) -> None:
    """`driver_failure_atom`, `_posix`, `driver_failure`, `_eof` and `driver_exit`."""
    plan = []
    for what in ("fail", "posix", "number", "eof", "exit"):
        erlang = f"{what}_in_process_exit"
        scenario = replace(SCENARIOS[0], name=erlang, erlang=erlang, once=True)
        plan.append((scenario, run.Runs(async_threads=1, schedulers=2)))
    judge.play(plan, 3)
    assert [(runs.crashed, runs.runs) for _, runs in plan] == [(3, 3)] * 5


VERSIONED = """
#include <erl_driver.h>
static ErlDrvData start(ErlDrvPort port, char *command) { (void)command; return (ErlDrvData)port; }
static ErlDrvEntry entry = {
    .driver_name = NAME, .start = start, .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION + MAJOR,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION + MINOR,
};
DRIVER_INIT(versioned) { return &entry; }
"""
"""A driver that says it was compiled for another version of the interface than the header's, which is 3.3."""

LOADS = """
    [io:format("~s ~0p~n", [D, case erl_ddll:load_driver(".", D) of {error, _} = E -> E; ok -> ok end])
     || D <- string:tokens(os:getenv("DRIVERS"), " ")], halt().
"""


@pytest.mark.rule("header.version-on-load")
def test_a_driver_of_a_newer_version_or_one_before_two_is_not_loaded(
    judge: run.Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "versioned.c").write_text(VERSIONED)
    found = tools("asked", tmp_path)
    drivers = {
        "d3_3": (0, 0, "ok"),
        "d3_2": (0, -1, "ok"),
        "d2_9": (-1, 6, "ok"),
        "d2_0": (-1, -3, "ok"),
        "d3_4": (0, 1, "{error,driver_incorrect_version}"),
        "d4_0": (1, -3, "{error,driver_incorrect_version}"),
        "d1_9": (-2, 6, "{error,driver_incorrect_version}"),
    }
    for name, (major, minor, _) in drivers.items():
        macros = [f'-DNAME="{name}"', f"-DMAJOR=({major})", f"-DMINOR=({minor})"]
        call(found.compile_c(*macros, "-o", f"{name}.so", "versioned.c"), tmp_path)
    monkeypatch.setenv("DRIVERS", " ".join(drivers))
    printed = call([judge.erl, "-noinput", "-eval", LOADS], tmp_path)
    assert dict(line.split() for line in printed.splitlines()) == {
        name: said for name, (*_, said) in drivers.items()
    }


def test_an_emulator_that_hangs_or_crashes_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a shell in the emulator's place: it plays one run, then hangs or dies; the next goes on."""
    scenario = next(s for s in SCENARIOS if s.name == "close_running")
    for last, hung, crashed in (("sleep 60", 3, 0), ("kill -9 $$", 0, 3)):
        judge = run.Judge(tmp_path, "sh", "25", "13")
        line = f"printf '{scenario.erlang}\\tstop\\n'; {last}"
        monkeypatch.setattr(judge, "command", lambda *_, line=line: ["sh", "-c", line])
        monkeypatch.setattr(run, "PATIENCE", 0.2)
        runs = run.Runs(1, 1)
        judge.play([(scenario, runs)], 6)
        assert (runs.hung, runs.crashed) == (hung, crashed)
        assert runs.orders == Counter({("stop",): 3})
