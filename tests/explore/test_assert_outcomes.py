"""`assert_outcomes`: what may be expected, and what it says of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import made_of
from support import opened

from driverref import Emulator, assert_outcomes
from driverref.erl_driver import driver_alloc, driver_async
from driverref.errors import DataRace, DriverFault, ErlangError, Leak
from driverref.explore import Outcomes, UnexpectedOutcomes


class Refused(ErlangError):
    """An exception of the program's own."""


def leaks_if_early(erl: Emulator) -> str:
    """Leaks if the job does not come back before the port closes."""
    port = opened(
        erl,
        made_of(
            output=lambda port, buf: driver_async(port, None, lambda job: None, None, None),
            ready_async=lambda port, job: held.clear(),
            stop=lambda port: held.append(driver_alloc(1)) if held else None,
        ),
    )
    held: list[Any] = [port]
    erl.port_command(port, b"")
    erl.port_close(port)
    return "closed"


def refuses(erl: Emulator) -> None:
    raise Refused("badarg", "of the program's own")


@pytest.mark.parametrize(
    "expected",
    [
        {"closed", Leak},
        ["closed", DriverFault],
        ("closed", Exception),
        {"closed", Leak, DriverFault},  # one fault may meet both
    ],
)
def test_a_class_stands_for_the_faults_of_it(expected: Any) -> None:
    outcomes = assert_outcomes(leaks_if_early, expected, async_threads=1)
    assert isinstance(outcomes, Outcomes)
    assert set(outcomes) - set(outcomes.faults) == {"closed"}


def test_outcomes_themselves_may_be_expected() -> None:
    outcomes = assert_outcomes(leaks_if_early, {"closed", Leak}, async_threads=1)
    assert assert_outcomes(leaks_if_early, outcomes, async_threads=1).keys() == outcomes.keys()


def test_a_class_of_the_programs_own_is_known_by_its_base_too() -> None:
    for kind in (Refused, ErlangError, Exception):
        assert_outcomes(refuses, {kind})


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ({"closed", DataRace}, "a fault: Leak: 1 block never freed:"),
        ({"closed", Leak, DataRace}, "never seen: DataRace"),
        ({Leak, "open"}, "an unexpected outcome: 'closed'"),
        ({"closed", Leak, "open"}, "never seen: 'open'"),
        ({"closed", Leak, int}, "never seen: int"),  # no exception: an outcome like any other
    ],
)
def test_what_is_wrong_is_told_first(expected: Any, told: str) -> None:
    with pytest.raises(UnexpectedOutcomes) as caught:
        assert_outcomes(leaks_if_early, expected, async_threads=1)
    assert str(caught.value).startswith(told)
    assert str(caught.value.outcomes) in str(caught.value)


@pytest.mark.parametrize("expected", [1, "closed", b"closed", Leak])
def test_what_is_no_collection_is_refused(expected: Any) -> None:
    with pytest.raises(
        TypeError, match="assert_outcomes: expected must be a collection of outcomes"
    ):
        assert_outcomes(leaks_if_early, expected)


def test_ctrl_c_passes_through() -> None:
    def scenario(erl: Emulator) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assert_outcomes(scenario)
