"""The benchmark measures what it says, in small: what its table holds, not how fast anything is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support import Kind, both

sys.path.append(str(Path(__file__).parent / "benchmarks"))
import beam
import bench
import blast
import exploring
import in_c

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("ratio", "bar", "at_least", "good"),
    [
        (4.0, 4.0, True, True),
        (3.9, 4.0, True, False),
        (1.2, 1.2, False, True),
        (1.3, 1.2, False, False),
        (0.1, None, True, True),
    ],
)
def test_a_figure_obeys_its_bar(
    ratio: float, bar: float | None, at_least: bool, good: bool
) -> None:
    assert bench.Figure("x", ratio, 1.0, "us", ratio, bar, at_least).good is good


@pytest.mark.parametrize(("ratio", "status"), [(4.0, 0), (3.0, 1)])
def test_the_file_has_the_documented_fields_and_the_status_tells_a_missed_bar(
    ratio: float,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "build" / "bench.json"
    monkeypatch.setattr(bench, "OUTPUT", output)
    monkeypatch.setattr(
        bench, "figures", lambda quick: [bench.Figure("here", ratio, 1.0, "jobs/s", ratio, 4.0)]
    )
    monkeypatch.setattr(bench, "search_figures", lambda quick: [])
    monkeypatch.setattr(bench, "hosting_figures", lambda quick: [])
    monkeypatch.setattr(
        bench, "emulator_figures", lambda quick: [bench.Figure("there", 1.0, 2.0, "us", 0.5)]
    )
    assert bench.main(["--quick"]) == status
    assert json.loads(output.read_text("utf-8")) == [
        {"name": "here", "ours": ratio, "theirs": 1.0, "unit": "jobs/s", "ratio": ratio},
        {"name": "there", "ours": 1.0, "theirs": 2.0, "unit": "us", "ratio": 0.5},
    ]
    _, here, there = capsys.readouterr().out.splitlines()
    assert here.endswith("MISSED") is bool(status)
    assert there.split() == ["there", "1.0", "2.0", "us", "0.50"]


def test_without_the_emulator_a_line_says_what_is_missing_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(bench, "OUTPUT", tmp_path / "bench.json")
    monkeypatch.setattr(bench, "figures", lambda quick: [])
    monkeypatch.setattr(bench, "search_figures", lambda quick: [])
    assert bench.main([]) == 0
    _, hosted, line = capsys.readouterr().out.splitlines()
    assert "a driver in C needs a compiler" in hosted
    assert "no erl, no erlc, no C compiler (Debian, Ubuntu: apt install erlang-base" in line
    assert json.loads((tmp_path / "bench.json").read_text("utf-8")) == []


def test_without_the_header_it_is_the_header_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("erl", "erlc", "cc"):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\nprintf %s '{tmp_path}'\n", "utf-8")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(beam.Missing, match=r"no erl_driver\.h in .*/usr/include \(Debian"),
        beam.built("bench"),
    ):
        pass


def test_a_tool_that_fails_is_no_missing_tool(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="(?s)^sh -c .*: 3\nwhy"):
        beam.call(["sh", "-c", "echo why >&2; exit 3"], tmp_path)


@pytest.mark.native
def test_every_job_of_ours_is_answered() -> None:
    for threads in (1, 4):
        assert bench.ours(20, 20, threads, trace=True) > 0
    assert bench.ours(5, 1) > 0
    assert bench.ours(20, 5) > 0
    assert bench.queued(20) > 0


@both
def test_every_job_of_a_blast_comes_back_and_leaves_nothing(threads: Kind) -> None:
    """Each port answers when the last of its jobs has come back."""
    assert blast.ours(3_000, 30, threads) > 0
    few, many = (blast.bytes_left(jobs, 30, threads) for jobs in (300, 3_000))
    # One reference to an object for each job, the least that can be left, has 8 bytes.
    assert many - few < 2_700 * 8


def test_a_process_that_waits_takes_a_stack_and_little_more() -> None:
    assert 0 < bench.bytes_per_process(50) < 16_384


def test_every_schedule_of_the_search_is_counted() -> None:
    assert exploring.ours(1) > 0


def test_a_driver_in_c_and_its_twin_have_the_same_schedules_and_leave_nothing() -> None:
    try:
        ours, theirs = in_c.pair()
    except in_c.Missing as missing:
        pytest.skip(str(missing))
    assert ours > 0 < theirs
    assert in_c.use_of_memory() > 0
    assert in_c.left_behind(200) < 2**20


def test_every_job_of_the_emulators_is_answered() -> None:
    try:
        for program in ("bench", "blast"):
            with beam.built(program) as run:
                assert run(20, 1) > 0
                assert run(20, 5) > 0
    except beam.Missing as missing:
        pytest.skip(str(missing))
