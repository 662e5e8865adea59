"""Tests as the author of a driver writes them: mypy and pyright find nothing in them."""

# pyright: strict

from __future__ import annotations

import pytest
from right_driver import Everything, scenario

from driverref import Emulator, assert_outcomes, compare
from driverref.errors import DriverFault, Leak
from driverref.explore import UnexpectedOutcomes


def test_one_order(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(Everything())
    port = erl.open_port(("spawn_driver", "everything"))
    erl.port_command(port, b"hello")
    assert erl.receive() is not None
    assert erl.trace.order("start", "output") == ["start", "output"]
    assert erl.made


@pytest.mark.emulator(async_threads=4, schedulers=2)
def test_several_schedulers(erl: Emulator) -> None:
    assert erl.system_info("schedulers") == 2


@pytest.mark.explore({b"HELLO", b"tick", Leak}, async_threads=1, observe=["timeout"])
def test_every_order(erl: Emulator) -> bytes:
    return scenario(erl)


def test_by_hand() -> None:
    outcomes = assert_outcomes(scenario, {b"HELLO", b"tick"}, async_threads=1)
    assert not outcomes.faults
    assert_outcomes(scenario, [b"HELLO", DriverFault])
    with pytest.raises(UnexpectedOutcomes) as caught:
        assert_outcomes(scenario, ())
    assert caught.value.outcomes.complete
    for there in compare(scenario).values():
        assert there.schedules
    lost = Emulator.running()
    if lost is not None:
        lost.stop()
