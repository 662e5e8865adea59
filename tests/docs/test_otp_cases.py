"""Each case of OTP's suites is retold or has a reason, and what is wrong with the list is found."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from _ext import otp_cases
from book import ROOT

LIST: dict[str, Any] = {
    "suites": {"a_SUITE": {"told": "", "cannot": "far"}, "b_SUITE": {"other": ""}},
    "reasons": {"far": "It is too far away."},
    "remarks": {"a_SUITE": {"told": "Shorter."}},
}

TESTS = """
    import pytest

    @pytest.mark.otp("a_SUITE", "told")
    def test_told(): ...

    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.otp("b_SUITE", "other"))])
    @pytest.mark.otp("a_SUITE", "told")
    def test_both(n): ...
"""


def test_every_case_is_retold_or_has_a_reason() -> None:
    suites = otp_cases.read(ROOT / "tests")
    assert "\n".join(suites.faults) == ""
    cases = [case for suite in suites.cases.values() for case in suite]
    assert otp_cases.totals(cases)[0] >= 100


def read(folder: Path, listed: dict[str, Any], tests: str = TESTS) -> otp_cases.Suites:
    """What is read of a list and a file of tests."""
    (folder / "otp").mkdir(exist_ok=True)
    (folder / "otp" / "cases.json").write_text(json.dumps(listed), "utf-8")
    (folder / "otp" / "test_it.py").write_text(dedent(tests).lstrip("\n"), "utf-8")
    return otp_cases.read(folder)


def test_a_sound_list_has_no_fault(tmp_path: Path) -> None:
    suites = read(tmp_path, LIST)
    assert suites.faults == []
    told, cannot = suites.cases["a_SUITE"]
    assert [(mark.test, mark.line) for mark in told.tests] == [("test_told", 4), ("test_both", 8)]
    assert (told.why_not, told.remark) == ("", "Shorter.")
    assert (cannot.tests, cannot.why_not) == ([], "It is too far away.")
    assert otp_cases.totals(suites.cases["a_SUITE"]) == (1, 1, 2)
    assert otp_cases.in_words(suites) == (
        "2 cases of 2 suites are retold by 2 tests; 1 cannot be, and have a reason."
    )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "neither": (
        {"suites": {**LIST["suites"], "c_SUITE": {"new": ""}}},
        "new of c_SUITE is neither retold nor has a reason",
    ),
    "both": (
        {"suites": {"a_SUITE": {"told": "far"}, "b_SUITE": {"other": ""}}, "remarks": {}},
        "told of a_SUITE is retold, and has a reason why not",
    ),
    "no such reason": (
        {"suites": {**LIST["suites"], "c_SUITE": {"new": "so"}}},
        "new of c_SUITE has the reason 'so', which is not explained",
    ),
    "a remark on what is not retold": (
        {"remarks": {"a_SUITE": {"cannot": "Shorter."}}},
        "cannot of a_SUITE has a remark and is not retold",
    ),
    "a remark on nothing": (
        {"remarks": {"a_SUITE": {"gone": "Shorter."}}},
        "the remark on gone of a_SUITE is on no case",
    ),
    "a reason of nothing": (
        {"reasons": {"far": "It is too far away.", "near": "It is too near."}},
        "no case has the reason 'near'",
    ),
}


@pytest.mark.parametrize("change", WRONG)
def test_what_is_wrong_with_the_list_is_a_fault(change: str, tmp_path: Path) -> None:
    changed, fault = WRONG[change]
    suites = read(tmp_path, {**LIST, **changed})
    assert suites.faults == [f"{tmp_path / 'otp' / 'cases.json'}: {fault}"]


@pytest.mark.parametrize(
    ("mark", "fault"),
    [
        ('"a_SUITE", "gone"', "retells gone of a_SUITE, which is not in "),
        ('"c_SUITE", "told"', "retells told of c_SUITE, which is not in "),
        ('"a_SUITE"', "must be a test and name a suite and a case, as strings"),
        ('"a_SUITE", NAME', "must be a test and name a suite and a case, as strings"),
    ],
)
def test_what_is_wrong_with_a_mark_is_a_fault(mark: str, fault: str, tmp_path: Path) -> None:
    tests = dedent(TESTS) + f"\n@pytest.mark.otp({mark})\ndef test_more(): ...\n"
    (found,) = read(tmp_path, LIST, tests).faults
    assert f"test_it.py:11: test_more {fault}" in found


def test_a_helper_retells_nothing(tmp_path: Path) -> None:
    tests = dedent(TESTS) + '\n@pytest.mark.otp("a_SUITE", "told")\ndef helper(): ...\n'
    (found,) = read(tmp_path, LIST, tests).faults
    assert "helper must be a test" in found
