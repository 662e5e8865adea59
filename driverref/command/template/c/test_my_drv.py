"""Run my_drv.c in every order of events: none may break a rule of erl_driver.h."""

from pathlib import Path

from my_drv import scenario

from driverref import Emulator, assert_outcomes
from driverref.hosting import c_driver

MyDrv = c_driver(Path(__file__).with_name("my_drv.c"))


def loaded(erl: Emulator) -> object:
    """Load the driver, and play the scenario."""
    erl.erl_ddll.load_driver(MyDrv())
    return scenario(erl)


def test_no_order_of_events_ends_in_a_fault() -> None:
    assert_outcomes(loaded, async_threads=1)
