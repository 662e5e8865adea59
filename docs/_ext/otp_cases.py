"""The cases of OTP's test suites, and the tests that retell them.

`tests/otp/cases.json` lists the cases of each suite. Each is retold by a test that names it with
`@pytest.mark.otp("driver_SUITE", "caller")`, or it has a reason why it cannot be. `read` reads the
list and the tests, and finds what is wrong with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from _ext.marks import Mark, read_marks, string
from _ext.words import counted

FILE = Path("otp", "cases.json")
"""The list, below the folder of the tests."""


class Case(NamedTuple):
    """A case of a suite."""

    suite: str
    name: str
    tests: list[Mark]
    """The tests that retell it."""
    why_not: str
    """Why it is not retold; empty if it is."""
    remark: str
    """How the retelling differs from the case; mostly empty."""


class Suites(NamedTuple):
    """All cases, and what is wrong with them."""

    cases: dict[str, list[Case]]
    """By suite, in the order of the suite."""
    faults: list[str]


def read(tests: Path) -> Suites:
    """Read the list of cases and the tests that retell them, both below the folder `tests`."""
    path = tests / FILE
    listed = json.loads(path.read_text("utf-8"))
    suites, reasons, remarks = listed["suites"], listed["reasons"], listed["remarks"]
    faults: list[str] = []
    retold: dict[tuple[str, str], list[Mark]] = {}
    for file in sorted((tests / FILE).parent.glob("test_*.py")):
        for mark in read_marks(file, "otp"):
            where = f"{file}:{mark.line}: {mark.test}"
            match [string(argument) for argument in mark.arguments]:
                case [str(suite), str(name)] if name not in suites.get(suite, ()):
                    faults.append(f"{where} retells {name} of {suite}, which is not in {path}")
                case [str(suite), str(name)] if mark.is_test:
                    retold.setdefault((suite, name), []).append(mark)
                case _:
                    faults.append(f"{where} must be a test and name a suite and a case, as strings")
    cases = {
        suite: [
            Case(
                suite,
                name,
                retold.get((suite, name), []),
                reasons.get(key, key),
                remarks.get(suite, {}).get(name, ""),
            )
            for name, key in names.items()
        ]
        for suite, names in suites.items()
    }
    faults += [f"{path}: {fault}" for fault in _check(cases, reasons, remarks)]
    return Suites(cases, faults)


def _check(
    cases: dict[str, list[Case]], reasons: dict[str, str], remarks: dict[str, dict[str, str]]
) -> Iterator[str]:
    """Yield what is wrong with the list."""
    known = {(case.suite, case.name) for suite in cases.values() for case in suite}
    for suite in cases.values():
        for case in suite:
            what = f"{case.name} of {case.suite}"
            if case.tests and case.why_not:
                yield f"{what} is retold, and has a reason why not"
            elif not case.tests and not case.why_not:
                yield f"{what} is neither retold nor has a reason"
            elif case.remark and case.why_not:
                yield f"{what} has a remark and is not retold"
            if case.why_not and case.why_not not in reasons.values():
                yield f"{what} has the reason {case.why_not!r}, which is not explained"
    for suite_name, names in remarks.items():
        for name in names:
            if (suite_name, name) not in known:
                yield f"the remark on {name} of {suite_name} is on no case"
    used = {case.why_not for suite in cases.values() for case in suite}
    for key, reason in reasons.items():
        if reason not in used:
            yield f"no case has the reason {key!r}"


def totals(cases: list[Case]) -> tuple[int, int, int]:
    """Return how many cases are retold, how many are not, and how many tests retell them."""
    retold = sum(bool(case.tests) for case in cases)
    tests = {(mark.path, mark.test) for case in cases for mark in case.tests}
    return retold, len(cases) - retold, len(tests)


def in_words(suites: Suites) -> str:
    """Return the totals of all suites in a sentence."""
    retold, others, tests = totals([case for suite in suites.cases.values() for case in suite])
    return (
        f"{counted(retold, 'case')} of {len(suites.cases)} suites "
        f"are retold by {counted(tests, 'test')}; {others} cannot be, and have a reason."
    )
