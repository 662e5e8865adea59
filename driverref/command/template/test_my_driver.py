"""Run my_driver in every order of events: none may break a rule of erl_driver.h."""

from my_driver import scenario

from driverref import assert_outcomes


def test_no_order_of_events_ends_in_a_fault() -> None:
    assert_outcomes(scenario, async_threads=1)
