"""Ways for a job to use the port's state: what the page reads out of its tables, and its drivers in C, in every order.

The page's tables were made by its examples, so they are looked at here and not made again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from _ext import pages
from book import DOCS
from cc import needs_compiler

from driverref import Emulator, explore
from driverref.explore import Order, Outcomes
from driverref.hosting import c_driver

pytestmark = pytest.mark.slow

WORKS = Order(("stop", "async_return(1)", "async_free(1)"))
ENDED = Order(("async_return(1)", "stop", "async_free(1)"))
BACK = Order(("async_return(1)", "ready_async(1)", "stop"))


@cache
def page() -> dict[str, Any]:
    """What the page's examples have defined."""
    run = pages.Run(DOCS / "sharing.md")
    run.finish()
    return run.namespace


def faults(outcomes: Outcomes) -> set[str]:
    return {fault.name for fault in outcomes.faults}


@pytest.mark.rule("share.copy", "share.count", "share.stop-waits-for-job")
@pytest.mark.parametrize("name", ["copied", "counted", "killed", "waited"])
def test_a_way_that_is_right_is_right_in_every_order(name: str) -> None:
    outcomes = page()[name]
    assert outcomes.complete
    assert set(outcomes) == {WORKS, ENDED, BACK}


def test_a_byte_in_the_queue_brings_the_job_back_before_stop() -> None:
    outcomes = page()["queued"]
    assert outcomes.complete
    assert set(outcomes) == {BACK}


@pytest.mark.rule("share.byte-is-not-enough")
def test_a_byte_alone_does_not_keep_the_state_when_the_port_is_killed() -> None:
    outcomes = page()["alone"]
    assert outcomes.complete
    assert faults(outcomes) == {"DataRace", "UseAfterFree"}
    assert set(outcomes) - set(outcomes.faults) == {BACK}


@pytest.mark.rule("share.stop-waits-for-ready")
def test_stop_that_waits_for_ready_async_waits_for_ever() -> None:
    outcomes = page()["stuck"]
    assert outcomes.complete
    assert faults(outcomes) == {"Deadlock"}
    assert set(outcomes) - set(outcomes.faults) == {BACK}


# The drivers in C, however the port ends


def close(erl: Emulator, port: Any, name: str) -> None:
    erl.port_close(port)


def kill(erl: Emulator, port: Any, name: str) -> None:
    erl.exit(port, "kill")


def exits(erl: Emulator, port: Any, name: str) -> None:
    erl.exit(port, "done")


def unload(erl: Emulator, port: Any, name: str) -> None:
    erl.erl_ddll.unload_driver(name)


def halt(erl: Emulator, port: Any, name: str) -> None:
    erl.halt()


Ending = Callable[[Emulator, Any, str], None]


def ended(name: str, ending: Ending) -> Outcomes:
    """One job and one end of its port, in every order."""
    driver = c_driver(DOCS / f"{name}.c")

    def scenario(erl: Emulator) -> None:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", f"{name} 3"))
        erl.port_command(port, b"\5")
        ending(erl, port, name)

    observe = ("async_return", "ready_async", "stop")
    return explore(scenario, async_threads=1, observe=observe, progress=False)


@needs_compiler
@pytest.mark.rule("share.copy", "share.count", "share.stop-waits-for-job", "hosting.same-outcomes")
@pytest.mark.parametrize("ending", [close, kill, exits, unload, halt])
@pytest.mark.parametrize("name", ["copying_drv", "counting_drv", "queueing_drv", "waiting_drv"])
def test_no_end_of_the_port_leads_to_a_fault(name: str, ending: Ending) -> None:
    outcomes = ended(name, ending)
    assert outcomes.complete
    assert not outcomes.faults, outcomes


@needs_compiler
@pytest.mark.rule("share.byte-is-not-enough")
@pytest.mark.parametrize(
    ("ending", "waits"),
    [(close, True), (exits, True), (halt, True), (kill, False), (unload, False)],
)
def test_the_port_waits_for_its_queue_unless_it_is_killed_or_its_driver_is_unloaded(
    ending: Ending, waits: bool
) -> None:
    orders = [order for order in ended("queueing_drv", ending) if isinstance(order, Order)]
    last = [order[-1] for order in orders]
    early = [order.index("stop") < len(order) - 1 for order in orders]
    assert (last == ["stop"] * len(last)) is waits
    assert any(early) is not waits
