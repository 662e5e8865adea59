"""The real emulator as judge of values: what a BIF or a call returned there, it returns here.

The record is `tests/beam/values/values.json`, written by `make beam`.  Where the model is known to
differ, `known.json` says why, and a difference that is mended has to leave it.  Without Erlang the
record is checked; with it, some cases are played once more.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "beam"))
import run
import run_values
from values import twin
from values.calls import OTHER_CALLS, PORT_CALLS, THREAD_CALLS
from values.cases import CASES
from values.steps import Case, S, ask, do, go_on, reached, stop

from driverref import Emulator, erl_driver
from driverref.erlang.erl_ddll import ErlDdll

PARTS = 12
DATA = run_values.read()
BY_NAME = {case.name: case for case in CASES}

every_emulator = pytest.mark.parametrize(
    "release",
    [
        pytest.param(name, marks=() if name == "25" else pytest.mark.slow)
        for name in DATA["emulators"]
    ],
)


@every_emulator
@pytest.mark.parametrize("part", range(PARTS))
def test_the_model_does_what_the_emulator_did_or_is_known_not_to(release: str, part: int) -> None:
    seen = run_values.seen_on(DATA, release)
    cases = [case for case in CASES[part::PARTS] if seen[case.name]]
    differ = run_values.differences({case.name: seen[case.name] for case in cases}, release)
    known = run_values.known_of(release).keys() & {case.key for case in cases}
    new = [difference for difference in differ if difference.key not in known]
    assert not new, "\n".join(map(str, new))
    mended = known - {difference.key for difference in differ}
    assert not mended, f"{mended}: they differ no more: run_values.py --known"


def test_the_record_is_of_these_cases_and_readable() -> None:
    assert list(DATA["values"]) == [case.name for case in CASES]
    assert run_values.readable(DATA) == run_values.RECORD.read_text("utf-8")


@pytest.mark.parametrize("release", DATA["emulators"])
def test_the_record_has_every_run_of_every_case(release: str) -> None:
    runs = DATA["emulators"][release]["runs"]
    for name, outcomes in run_values.seen_on(DATA, release).items():
        crashed = outcomes["crashes"] > 0
        assert outcomes.total() >= (run_values.CRASHES if crashed or BY_NAME[name].alone else runs)


def test_no_step_of_a_case_failed_on_the_emulator() -> None:
    """A state that could not be reached, or an emulator that hung: the case shows nothing.

    But where a port of one lock is made in the callback of another, the emulator hangs for good:
    `driver_create_port` waits for the driver's lock, which its caller holds.
    """
    assert {
        name
        for name, outcomes in DATA["values"].items()
        if any(outcome.startswith(("broken", "hangs")) for outcome in outcomes)
    } == {
        f"driver_create_port, of a {state} port, in another's output"
        for state in ("closing", "connected")
    }


def test_a_known_difference_has_a_reason_and_stands_once() -> None:
    for release in run_values.RELEASES:
        keys = [
            (question, state)
            for group in run_values.known()
            if release in group.releases
            for question, states in group.cases.items()
            for state in states
        ]
        assert len(keys) == len(set(keys))
        assert set(keys) <= {case.key for case in CASES}
    for group in run_values.known():
        assert group.why.endswith(".")


# The table leaves nothing out.

NOT_ASKED = {
    "self": "every case has `self()` in it",
    "running": "no BIF: it finds the emulator of the thread",
    "spawn": "the actors are spawned",
    "receive": "the actors receive",
    "make_ref": "a reference is a new one each time",
    "monotonic_time": "its value is the emulator's own",
    "registered": "an emulator has names of its own; `whereis` shows the case's",
    "os_getenv": "module `os`; the tests of `environment` have what was seen",
    "os_putenv": "module `os`; the tests of `environment` have what was seen",
    "system_info": "its values are the emulator's own",
    "halt": "the judge of orders has it",
    "stop": "no BIF: `init:stop` in good order",
}
"""The methods of an emulator that no case asks for, each with its reason."""

NOT_CALLED = {
    "driver_mk_atom": "it asks neither a port nor a thread",
    "driver_mk_term_nil": "it asks neither a port nor a thread",
    "memset": "the C library's",
    "sizeof": "C's own",
    "driver_async_cancel": "gone since OTP 17",
    "driver_select": "the judge's scenarios select descriptors",
    "erl_drv_thread_create": "`thread(...)` in a script",
    "erl_drv_thread_opts_create": "no option can be read back",
    "erl_drv_thread_self": "`erl_drv_equal_tids` compares what it returns",
    "erl_drv_mutex_create": "the other calls have what it returns",
    "erl_drv_cond_create": "the other calls have what it returns",
    "erl_drv_rwlock_create": "the other calls have what it returns",
}
"""The functions of the header that return something and that no script calls, with the reason."""


def bifs() -> set[str]:
    emulator = {name for name, _ in inspect.getmembers(Emulator, inspect.isfunction)}
    ddll = {f"erl_ddll.{name}" for name, _ in inspect.getmembers(ErlDdll, inspect.isfunction)}
    return {name for name in emulator | ddll if not name.rpartition(".")[2].startswith("_")}


def test_every_bif_is_asked_for() -> None:
    asked = {step[2] for case in CASES for step in case.steps if step[0] in ("ask", "do")}
    assert bifs() - asked == NOT_ASKED.keys()


def test_every_function_of_the_header_is_called() -> None:
    functions = {
        name: function
        for name in vars(erl_driver)["__all__"]
        if inspect.isfunction(function := getattr(erl_driver, name))
    }
    returning = {
        name
        for name, function in functions.items()
        if inspect.signature(function).return_annotation not in ("None", "NoReturn")
    }
    scripts = ",".join([*PORT_CALLS, *THREAD_CALLS, *OTHER_CALLS])
    called = {part.partition("=")[0].partition("(")[0] for part in twin.parts(scripts)}
    assert returning - called == NOT_CALLED.keys()
    assert called - {"driver_async", "thread", "created"} <= twin.CALLS.keys() | twin.OTHERS.keys()


# The steps.


def test_a_case_is_written_as_an_erlang_term() -> None:
    steps = (
        do("owner", "open_port", ("spawn_driver", S("values a")), ["binary"], save="P"),
        reached(1),
        ask("asker", "erl_ddll.try_unload", S("values"), []),
        go_on(1),
        stop("owner", "normal"),
    )
    case = Case("question", "state", steps, deaf=True)
    assert case.name == "question, state, deaf"
    assert case.actors == [("asker", 3, False), ("owner", 4, False)]
    assert case.erlang(2) == (
        '{2,{"question, state, deaf",[{asker,3,false},{owner,4,false}],['
        "{do,owner,{erlang,open_port},[{spawn_driver,\"values a\"},[binary]],'P'},{reached,1},"
        "{ask,asker,{erl_ddll,try_unload},[\"values\",[]],''},{open,1},{stop,owner,normal}]}}."
    )


# What `run_values.py` says.

CONNECTED = BY_NAME["port_info(P, connected), connected"]
MODEL = "{connected,owner}"


def report_of(outcome: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool) -> int:
    path = tmp_path / "known.json"
    cases = {CONNECTED.question: [CONNECTED.place]} if known else {}
    path.write_text(json.dumps([{"why": "So it is.", "releases": ["25"], "cases": cases}]))
    monkeypatch.setattr(run_values, "KNOWN", path)
    return run_values.report({CONNECTED.name: Counter({outcome: 3})}, "25")


@pytest.mark.parametrize(
    ("outcome", "known", "status", "said"),
    [
        (
            MODEL,
            False,
            0,
            "the model has the value in 1, is known to differ in 0, and differs besides in 0",
        ),
        (
            "else",
            True,
            0,
            "the model has the value in 0, is known to differ in 1, and differs besides in 0",
        ),
        ("else", False, 1, f"{CONNECTED.name}\n  seen    3: else\n  the model: {MODEL}"),
        (MODEL, True, 1, f"{CONNECTED.name}: it does not differ any more: run_values.py --known"),
    ],
)
def test_what_is_new_and_what_is_mended_is_reported(
    outcome: str,
    known: bool,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report_of(outcome, monkeypatch, tmp_path, known) == status
    assert said in capsys.readouterr().out


def test_differences_are_listed_in_short() -> None:
    seen = Counter({"true; owner: message; driver: stop": 3})
    states = [Case("exit", state, ()) for state in ("busy", "closing")]
    found = [run_values.Difference(case, seen, "waits, then true; driver: stop") for case in states]
    assert list(run_values.grouped(found)) == [
        "emulator: true; owner: message\nmodel:    waits, then true",
        "    exit: busy | closing",
    ]


def test_the_list_of_known_differences_is_brought_up_to_date(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What differs no more leaves it, what stays keeps its reason, what is new has none yet."""
    names = [f"port_info(P, {item}), connected" for item in ("id", "connected", "links")]
    cases = [BY_NAME[name] for name in names]
    monkeypatch.setattr(run_values, "CASES", cases)
    monkeypatch.setattr(run_values, "KNOWN", tmp_path / "known.json")
    group = {
        "why": "So it is.",
        "releases": ["25"],
        "cases": {case.question: [case.place] for case in cases[:2]},
    }
    run_values.KNOWN.write_text(json.dumps([group]))
    outcomes = ({"{id,number}": {"25": 1}}, {"else": {"25": 1}}, {"else": {"25": 1}})
    data = {"emulators": {"25": {}}, "values": dict(zip(names, outcomes, strict=True))}
    run_values.write_known(data)
    assert run_values.known_of("25") == {cases[1].key: "So it is.", cases[2].key: ""}


def test_a_record_keeps_what_other_emulators_showed(tmp_path: Path) -> None:
    old = {
        "emulators": {"25": {"erts": "13", "runs": 2}, "27": {"erts": "15", "runs": 2}},
        "values": {CONNECTED.name: {"a": {"25": 2, "27": 1}, "b": {"27": 1}}},
    }
    judge = run_values.Judge(tmp_path, "erl", "27", "16")
    seen = {case.name: Counter[str]() for case in CASES} | {CONNECTED.name: Counter({"c": 3})}
    new = run_values.record(old, judge, seen, 3)
    assert new["emulators"] == {"25": {"erts": "13", "runs": 2}, "27": {"erts": "16", "runs": 3}}
    assert new["values"][CONNECTED.name] == {"a": {"25": 2}, "c": {"27": 3}}


def test_a_record_does_not_depend_on_which_emulator_was_played_last(tmp_path: Path) -> None:
    data: dict[str, Any] = {"emulators": {}, "values": {}}
    for release in ("27", "25"):
        judge = run_values.Judge(tmp_path, "erl", release, "13")
        data = run_values.record(data, judge, {CONNECTED.name: Counter({MODEL: 3})}, 3)
    assert list(data["emulators"]) == ["25", "27"]
    assert list(data["values"][CONNECTED.name][MODEL]) == ["25", "27"]


# The emulator.


@pytest.mark.slow
def test_an_emulator_that_crashes_or_hangs_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a shell in the emulator's place: it plays one run, and then hangs or dies."""
    for last, what in (("sleep 60", "hangs"), ("kill -9 $$", "crashes")):
        line = f"printf '{CONNECTED.name}\\t{MODEL}\\n'; {last}"
        judge = run_values.Judge(tmp_path, "sh", "25", "13")
        monkeypatch.setattr(run_values, "lines_of", lambda *_, line=line: shell(line, tmp_path))
        monkeypatch.setattr(run, "PATIENCE", 0.2)
        assert judge.play([CONNECTED], 4) == {CONNECTED.name: Counter({MODEL: 2, what: 2})}


def shell(line: str, directory: Path) -> Iterator[str]:
    return run.lines_of(["sh", "-c", line], directory)


def test_without_erlang_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert run_values.main([]) == 1
    assert capsys.readouterr().out.startswith("the real emulator was not asked: no erl, no erlc")


SAMPLE = CASES[:: len(CASES) // 120]
"""Cases of every kind."""


@pytest.mark.slow
def test_the_emulator_does_now_what_it_did() -> None:
    """An emulator that the record does not have may do otherwise: it is not compared."""
    try:
        with run_values.compiled() as judge:
            if judge.release not in DATA["emulators"]:
                pytest.skip(f"the record has no OTP {judge.release}")
            seen = judge.play(SAMPLE, 2)
    except run.Missing as missing:
        pytest.skip(str(missing))
    recorded = run_values.seen_on(DATA, judge.release)
    # A machine that stands still for a moment makes a BIF seem to wait; so one run in two must do.
    assert not [
        name for name, outcomes in seen.items() if not outcomes.keys() & recorded[name].keys()
    ]
