"""The plays under the usual tools: what is recorded of a scene, what is read of a log, and that the record is whole."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "benchmarks"))
sys.path.append(str(Path(__file__).parent / "hosting"))
import broken
import fault_plays
import fault_reports
import faults
from otp import Missing

pytestmark = pytest.mark.slow

RECORD: dict[str, Any] = json.loads(faults.RECORD.read_text("utf-8"))
NAMES = [tool.name for tool in fault_plays.TOOLS]


# The record


def test_the_record_and_the_list_name_the_same_drivers_and_their_faults() -> None:
    recorded = {name: driver["fault"] for name, driver in RECORD["broken"].items()}
    assert recorded == {case.name: case.fault for case in broken.CASES}
    assert list(RECORD["unbroken"]) == list(faults.scenes())


@pytest.mark.parametrize("part", ["broken", "unbroken"])
def test_every_driver_was_played_alone_and_under_each_tool(part: str) -> None:
    for name, driver in RECORD[part].items():
        assert set(driver) - {"fault"} == set(NAMES), name
        for tool in fault_plays.TOOLS:
            played = driver[tool.name]
            early = played["died"] >= tool.deaths or played["hung"] >= min(tool.deaths, 3)
            assert played["plays"] == tool.plays or early, (name, tool.name)


def test_what_the_record_says_a_tool_found_fits_in_its_plays() -> None:
    for name, driver in RECORD["broken"].items():
        for tool in NAMES[1:]:
            played = driver[tool]
            assert played["named"] <= played["plays"], (name, tool)
            assert bool(played["said"]) == bool(played["named"] or played["at the end"]), name


def test_the_drivers_that_are_not_broken_come_to_their_end_and_the_sanitizers_are_silent() -> None:
    """Otherwise what they say of the broken ones would be worth nothing."""
    for name, driver in RECORD["unbroken"].items():
        for tool in NAMES:
            assert (driver[tool]["died"], driver[tool]["hung"]) == (0, 0), (name, tool)
        for tool in ("AddressSanitizer", "ThreadSanitizer"):
            assert not driver[tool]["said"], (name, tool)


def test_a_part_of_the_record_takes_the_place_of_the_old_one_and_what_is_no_more_goes() -> None:
    name = broken.CASES[0].name
    old = {"broken": {name: {"fault": "x", "none": 1, "valgrind": 2}, "gone": {"none": 1}}}
    new = {"versions": {"emulator": "OTP"}, "broken": {name: {"none": 3}}}
    assert faults.joined(old, new) == {
        "versions": {"emulator": "OTP"},
        "unbroken": {},
        "broken": {name: {"fault": "x", "none": 3, "valgrind": 2}},
    }


def test_the_record_is_written_with_a_line_for_each_driver_and_tool() -> None:
    text = faults.written(RECORD)
    assert json.loads(text) == RECORD
    assert text == faults.RECORD.read_text("utf-8")
    for driver in RECORD["broken"].values():
        for tool in NAMES:
            assert json.dumps(driver[tool])[1:-1] in text.replace("[ ", "[").replace(" ]", "]")


# A scene, as the emulator plays it


def test_a_scene_is_recorded_step_by_step() -> None:
    scene = broken.answered("x_drv /dev/null", b"a", b"bc")
    assert fault_plays.steps(scene) == [
        ("open", "x_drv /dev/null", ["binary"]),
        *[("port_command", b"a"), ("receive",)],
        *[("port_command", b"bc"), ("receive",)],
        ("port_close",),
    ]
    assert fault_plays.steps(broken.killed("x", b"a"))[-1] == ("exit", "kill")


def test_what_a_second_process_does_is_recorded_within_its_spawn() -> None:
    owner: list[tuple[Any, ...]] = [("open", "x", []), ("port_command", b"a"), ("port_close",)]
    assert fault_plays.steps(broken.two_ports("x", b"a")) == [
        ("spawn", owner),
        *owner,
        ("receive",),
    ]


def test_a_scene_that_does_what_the_recorder_does_not_know_is_an_error() -> None:
    with pytest.raises(AttributeError, match="port_connect"):
        fault_plays.steps(lambda erl: erl.port_connect(1, 2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00a", "<<0,97>>"),
        (("open", "x", ["binary"]), "{'open',\"x\",[binary]}"),
        (("exit", "kill"), "{'exit','kill'}"),
        (("spawn", [("port_close",)]), "{'spawn',[{'port_close'}]}"),
        (("port_control", 1, b""), "{'port_control',1,<<>>}"),
    ],
)
def test_steps_are_terms_of_erlang(value: object, text: str) -> None:
    assert fault_plays.erlang(value) == text


def test_a_value_that_erlang_does_not_get_is_an_error() -> None:
    with pytest.raises(TypeError):
        fault_plays.erlang(1.5)


# A log

RACE = """\
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Write of size 8 at 0x7b04 by thread T4 (mutexes: write M1619):
    #0 free tsan_interceptors_posix.cpp:706 (libtsan.so+0x47e82)
    #1 stop /x/small_drv.c:60 (small_drv.so+0x20a9)
    #2 told_stop /x/tell_tsan.h:93 (small_drv.so+0x16d6)
    #3 <null> <null> (beam.smp+0x17adca)

  Previous read of size 8 at 0x7b04 by thread T3:
    #0 <null> <null> (small_drv.so+0x10)
==================
"""
EMULATORS_OWN = """\
WARNING: ThreadSanitizer: data race (pid=1)
    #1 <null> <null> (beam.smp+0x233854)
"""
FREED = """\
==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602 at pc 0x55 bp 0x7f sp 0x7f
READ of size 8 at 0x602 thread T1 (async_1)
    #0 0x7f52 in square /x/small_drv.c:66
SUMMARY: AddressSanitizer: heap-use-after-free /x/small_drv.c:66 in square
"""
LEAK = """\
==7==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x7f41 in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x7f52 in start /x/small_drv.c:46
"""
INVALID = """\
==9== Thread 5 1_scheduler:
==9== Invalid read of size 8
==9==    at 0x4842: square (small_drv.c:66)
==9==    by 0x1FDC69: ??? (in /usr/lib/erlang/erts/bin/beam.smp)
==9==  Address 0x484f is 8 bytes inside a block of size 32 free'd
==9==    at 0x4843: free (vg_replace_malloc.c:872)
==9==    by 0x4844: stop (small_drv.c:59)
==9==
"""
LOST = """\
==9== 3,200 (16 direct, 3,184 indirect) bytes in 100 blocks are definitely lost in loss record 7 of 9
==9==    at 0x4841: malloc (vg_replace_malloc.c:381)
==9==    by 0x4844: start (small_drv.c:46)
==9==
"""


def reports(text: str) -> list[tuple[str, list[int], int | None]]:
    log = fault_reports.read(text, "small_drv", lambda offset: {0x10: 66}.get(offset, 0))
    return [(one.kind, sorted(one.lines), one.play) for one in log.reports]


def test_a_race_has_the_lines_of_both_sides_also_where_the_tool_did_not_find_them() -> None:
    assert reports("#play 1\n" + RACE) == [("data race", [60, 66], 1)]


def test_a_report_about_the_emulator_alone_does_not_count() -> None:
    assert reports(EMULATORS_OWN + RACE + EMULATORS_OWN) == [("data race", [60, 66], None)]


def test_a_report_belongs_to_the_play_that_had_begun() -> None:
    text = f"#play 1\n#seen 1 a | b\n#play 2\n{FREED}#seen 2 c\n#play 3\n{FREED}#seen 3 c\n#end\n{LEAK}"
    assert reports(text) == [
        ("heap-use-after-free", [66], 2),
        ("heap-use-after-free", [66], 3),
        ("leak", [46], None),
    ]
    log = fault_reports.read(text, "small_drv", lambda offset: 0)
    assert log.begun == [1, 2, 3]
    assert log.seen == {1: "a | b", 2: "c", 3: "c"}
    assert log.ended


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("AddressSanitizer: SEGV on unknown address 0x0018 (pc 0x7f bp 0x7f sp 0x7f T3)", "SEGV"),
        ("AddressSanitizer: attempting double-free on 0x602 in thread T1:", "double-free"),
        (
            "AddressSanitizer: attempting free on address which was not malloc()-ed: 0x6",
            "bad-free",
        ),
        ("AddressSanitizer: stack-overflow on address 0x7f (pc 0x7f)", "stack-overflow"),
        ("ThreadSanitizer: SEGV on unknown address 0x0018 (pc 0x7f)", "SEGV"),
    ],
)
def test_a_sanitizers_report_has_its_word_for_the_mistake(line: str, kind: str) -> None:
    hint = "==7==Hint: address points to the zero page.\n"
    text = f"==7==ERROR: {line}\n{hint}    #0 0x7f in f small_drv.c:6\n"
    assert reports(text) == [(kind, [6], None)]


def test_valgrinds_reports_end_at_an_empty_line() -> None:
    assert reports(INVALID + "#end\n" + LOST) == [
        ("Invalid read", [59, 66], None),
        ("blocks are definitely lost", [46], None),
    ]


def test_a_warning_of_valgrinds_is_no_report_and_does_not_hide_the_next() -> None:
    warning = "==9== Warning: set address range perms: large range [0x51, 0x45) (noaccess)\n"
    thread = INVALID.partition("\n")[0] + "\n"
    assert reports(warning + INVALID + "#end\n" + warning + thread + LOST) == [
        ("Invalid read", [59, 66], None),
        ("blocks are definitely lost", [46], None),
    ]


def test_what_is_alive_when_the_emulator_dies_has_not_leaked() -> None:
    assert reports("#play 1\n" + LOST + LEAK) == []
    assert len(reports("#play 1\n#end\n" + LOST + LEAK)) == 2


def test_what_a_tool_says_of_the_emulators_signal_handlers_does_not_count() -> None:
    spoilt = (
        "WARNING: ThreadSanitizer: signal handler spoils errno (pid=1)\n    #0 f small_drv.c:6\n"
    )
    assert reports(spoilt) == []


def test_a_line_that_only_looks_like_a_place_does_not_count() -> None:
    said = "beam.smp: small_drv.c:67: square: Assertion `x' failed.\n"
    assert reports(FREED + said) == [("heap-use-after-free", [66], None)]


def test_a_tool_has_found_the_mistake_if_it_named_the_line() -> None:
    played = fault_plays.Played(plays=9)
    report = fault_reports.Report
    played.reports = [report("race", {1, 2}, 3), report("race", {2}, 3), report("bad", {7}, 4)]
    played.reports.append(report("leak", {2}))
    assert faults.found(played, 2) == {
        "named": 1,
        "at the end": True,
        "said": ["race", "leak"],
        "of other lines": ["bad"],
    }
    assert faults.found(played, 9)["named"] == 0
    assert faults.found(played, None)["of other lines"] == []


# The real emulator


def test_without_the_tools_a_line_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert faults.main([]) == 2
    assert "no valgrind, no setarch, no gcc, no addr2line (Debian:" in capsys.readouterr().out


def test_a_tool_that_is_not_known_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        faults.main(["helgrind"])
    assert "no tool helgrind; there are none, valgrind" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "tool", "said"),
    [
        ("flow: NULL", "AddressSanitizer", "SEGV"),
        ("flow: goes on after driver_failure", "AddressSanitizer", "heap-use-after-free"),
        ("flow: goes on after driver_failure", "ThreadSanitizer", "heap-use-after-free"),
        ("flow: abort", "none", ""),
    ],
)
def test_a_broken_driver_is_played_and_its_line_found(
    name: str, tool: str, said: str, tmp_path: Path
) -> None:
    if lacking := [one for one in fault_plays.missing() if one != "valgrind"]:
        pytest.skip(f"no {', no '.join(lacking)}")
    if subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False).returncode:
        pytest.skip("setarch -R is not permitted")
    (case,) = [one for one in broken.CASES if one.name == name]
    (way,) = [one for one in fault_plays.TOOLS if one.name == tool]
    try:
        desk = faults.Desk(tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    desk.allowed[case.scene] = set()
    result = desk.broken(replace(way, plays=2, still=60, deaths=2), case)
    assert result["plays"] == 2
    assert result["died"] == 2 * (name in ("flow: NULL", "flow: abort"))
    if tool == "none":
        assert result["wrong"] == 0
    else:
        assert result["said"] == [said]
        assert result["named"] == 2
