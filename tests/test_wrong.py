"""The catalogue of wrong drivers: each fault is found, with no more jobs than it takes, and each repair is one."""

from __future__ import annotations

import pytest
from wrong import CASES, THEMES
from wrong.case import Wrong

from driverref import errors
from driverref.errors import Deadlock, DriverFault
from driverref.explore import Fault, Outcomes, explore, replay

each = pytest.mark.parametrize("case", CASES, ids=str)


def explored(case: Wrong, driver: str, jobs: int) -> Outcomes:
    """Every schedule of the wrong or the right driver."""
    outcomes = explore(case.scenario(getattr(case, driver), jobs), **case.emulator)
    assert outcomes.complete
    return outcomes


def found(case: Wrong, outcomes: Outcomes) -> list[Fault]:
    """The faults of the kind that the case is about."""
    return [fault for fault in outcomes.faults if fault.name == case.fault.__name__]


@each
def test_the_fault_is_found_and_each_witness_leads_to_it_again(case: Wrong) -> None:
    outcomes = explored(case, "wrong", case.jobs)
    faults = found(case, outcomes)
    assert faults, f"not found:\n{outcomes}"
    scenario = case.scenario(case.wrong, case.jobs)
    for fault in faults:
        again = replay(scenario, outcomes[fault].witness, **case.emulator)
        assert str(again.trace) == str(outcomes.replay(fault).trace)


@pytest.mark.parametrize("case", [case for case in CASES if case.jobs], ids=str)
def test_with_one_job_fewer_it_stays_hidden(case: Wrong) -> None:
    outcomes = explored(case, "wrong", case.jobs - 1)
    assert not found(case, outcomes), f"found with {case.jobs - 1} jobs:\n{outcomes}"


@each
def test_the_repaired_driver_has_no_fault_in_any_schedule(case: Wrong) -> None:
    outcomes = explored(case, "right", case.jobs)
    assert not outcomes.faults, f"still wrong:\n{outcomes}"


@each
def test_a_case_says_what_is_wrong_in_one_sentence(case: Wrong) -> None:
    assert case.why.endswith(".")
    assert ". " not in case.why


@each
def test_the_repair_is_a_subclass_that_overrides_what_is_wrong(case: Wrong) -> None:
    assert issubclass(case.right, case.wrong)


def test_the_catalogue_is_large_and_every_case_has_its_own_name() -> None:
    assert len(CASES) >= 45
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(any(isinstance(item, Wrong) for item in vars(theme).values()) for theme in THEMES)


def test_every_kind_of_fault_is_in_it() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DriverFault) and kind is not DriverFault
    }
    assert Deadlock in kinds
    assert {case.fault for case in CASES} == kinds
