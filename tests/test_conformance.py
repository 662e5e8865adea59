"""`admits` says yes to the orders that the model has, and to no others; and it says what is wrong with the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from lives import EVENTS, Lives, lives
from support import Job, Worker, opened

from driverref import Emulator, replay
from driverref.conformance import admits, orders
from driverref.erl_driver import ErlDrvPort, driver_free
from driverref.errors import Nondeterministic
from driverref.explore import Order, explore
from driverref.explore.search import Cut
from driverref.threads import WRITE
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.steps import Steps

pytestmark = pytest.mark.slow


THOROUGHNESS = int(os.environ.get("DRIVERREF_SOAK", "1"))


class Stopping(Worker):
    """A `Worker` whose `stop` is seen."""

    def stop(self, port: ErlDrvPort) -> None:
        pass


def closed_early(erl: Emulator) -> None:
    port = opened(erl, Stopping())
    for text in b"one", b"two", b"three":
        erl.port_command(port, text)
    erl.port_close(port)


def tampered(order: Order) -> Iterator[Order]:
    """Orders that are a little different."""
    yield Order(order[:-1])
    yield Order((*order, *order[-1:]))
    for i in range(len(order)):
        yield Order(order[:i] + order[i + 1 :])
        yield Order((*order[:i], *order[i : i + 2][::-1], *order[i + 2 :]))


def the_order(outcome: object) -> Order:
    """The order of an outcome, which may have a value as well."""
    order = outcome if isinstance(outcome, Order) else outcome[1]  # type: ignore[index]
    assert isinstance(order, Order)
    return order


@settings(
    deadline=None,
    max_examples=20 * THOROUGHNESS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(
    spec=lives(),
    observe=st.sampled_from([EVENTS, ("async_invoke",), ("output", "timeout", "ready_async")]),
    schedulers=st.integers(1, 2),
    async_threads=st.integers(1, 2),
)
def test_of_a_made_up_scenario_admits_has_the_orders_that_there_are(
    spec: Lives, observe: tuple[str, ...], schedulers: int, async_threads: int
) -> None:
    scenario = spec.__call__
    options: dict[str, Any] = {"schedulers": schedulers, "async_threads": async_threads}
    found = explore(scenario, observe=observe, limit=300, progress=False, **options)
    if not found.complete:
        reject()
    assume("Leak" not in [fault.name for fault in found.faults])
    truth = [the_order(outcome) for outcome in found if outcome not in found.faults]
    assert set(orders(scenario, observe=observe, **options)) == set(truth)
    asked = {other for order in truth[:6] for other in (order, *tampered(order))} | {Order()}
    for order in asked:
        verdict = admits(scenario, order, observe=observe, **options)
        assert bool(verdict) == (order in truth), verdict
        if verdict.witness is not None:
            erl = replay(scenario, verdict.witness)
            assert tuple(erl.trace.order(*observe)) == order


def test_what_is_asked_for_is_found_with_a_fraction_of_the_schedules() -> None:
    options: dict[str, Any] = {"observe": EVENTS, "async_threads": 2}
    schedules = explore(closed_early, progress=False, **options).schedules
    truth = orders(closed_early, **options)
    assert schedules > 500
    for order in truth[::60]:
        for other in (order, *tampered(order)):
            verdict = admits(closed_early, other, **options)
            assert bool(verdict) == (other in truth)
            assert verdict.schedules < schedules / 4


def test_a_no_says_how_far_the_model_goes_and_what_it_has_there() -> None:
    verdict = admits(
        closed_early,
        ["async_invoke(1)", "stop", "ready_async(1)"],
        observe=["async_invoke", "stop", "ready_async"],
        async_threads=1,
    )
    assert not verdict
    assert str(verdict) == (
        "the model does not have async_invoke(1) stop ready_async(1)\n"
        "  it has as much of it as: async_invoke(1) stop\n"
        "  asked for next: ready_async(1)\n"
        "  what the model has there: async_invoke(2)"
    )


def test_a_no_because_more_comes_and_a_no_because_nothing_comes() -> None:
    observe = ("async_invoke", "stop")
    whole = ("async_invoke(1)", "async_invoke(2)", "stop", "async_invoke(3)")
    early = admits(closed_early, whole[:-1], observe=observe, async_threads=1)
    assert early.reached == whole[:-1]
    assert early.instead == ("async_invoke(3)",)
    assert "asked for next: (the end)" in str(early)
    late = admits(closed_early, [*whole, "stop"], observe=observe, async_threads=1)
    assert (late.reached, late.instead) == (whole, ("(the end)",))


def test_a_yes_names_a_schedule_that_shows_it() -> None:
    order = ("ready_async(1)", "stop", "async_free(2)", "async_free(3)")
    observe = ("ready_async", "stop", "async_free")
    verdict = admits(closed_early, order, observe=observe, async_threads=1)
    assert verdict
    assert verdict.witness is not None
    assert str(verdict) == f"the model has {Order(order)}: schedule {verdict.witness}"
    erl = replay(closed_early, verdict.witness)
    assert tuple(erl.trace.order(*observe)) == order


def test_the_plain_schedule_is_called_first_come() -> None:
    order = replay(closed_early, "", observe=["stop"]).trace.order("stop")
    verdict = admits(closed_early, order, observe=["stop"])
    assert str(verdict) == "the model has stop: schedule first-come/observe=stop"


class Forgetful(Stopping):
    async_free = None  # type: ignore[assignment]


class Careless(Stopping):
    """Its job is freed by whoever comes last, and once before."""

    def work(self, job: Job) -> None:
        driver_free(job)


def test_a_leak_is_no_reason_to_say_no_but_a_use_after_free_is() -> None:
    def one_job(driver: Worker, erl: Emulator) -> None:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        erl.port_close(port)

    def forgetful(erl: Emulator) -> None:
        one_job(Forgetful(), erl)

    def careless(erl: Emulator) -> None:
        one_job(Careless(), erl)

    observe = ("async_return", "stop")
    order = ("stop", "async_return(1)")
    assert admits(forgetful, order, observe=observe)
    assert order in orders(forgetful, observe=observe)
    verdict = admits(careless, order, observe=observe)
    assert not verdict
    assert any("Misuse" in what or "Free" in what for what in verdict.instead), verdict
    assert orders(careless, observe=observe) == []


def test_an_event_that_is_not_observed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"'async_free\(1\)' cannot come.*observe does not name"):
        admits(closed_early, ["async_free(1)"], observe=["stop"])
    with pytest.raises(ValueError, match="'closing', which is no event"):
        admits(closed_early, [], observe=["closing"])


class OneStep(FirstCome):
    """A schedule that is cut at its second step."""

    steps = 0

    def choose(self, threads: Steps) -> int | None:
        self.steps += 1
        if self.steps == 2:
            threads.give_up(Cut())
        return super().choose(threads)


def test_a_cut_is_not_hidden_by_what_is_done_on_the_way_out() -> None:
    threads = SimulatedThreads(schedule=OneStep())
    threads.adopt("main")
    threads.step("one", WRITE)

    def story() -> None:
        try:
            threads.step("two", WRITE)
        finally:
            threads.step("a lock, which is given back", WRITE)

    with pytest.raises(Cut):
        story()
    threads.close()


@pytest.mark.parametrize("last", range(1, 6))
def test_what_does_not_repeat_is_noticed(last: int) -> None:
    runs = iter(range(10**6))

    def ends_early_later(erl: Emulator) -> None:
        if next(runs) < last:
            closed_early(erl)

    with pytest.raises(Nondeterministic):
        orders(ends_early_later, observe=("async_invoke", "stop"), async_threads=2)


def test_nor_what_fails_at_once_in_a_later_run() -> None:
    runs = iter(range(10**6))

    def fails_later(erl: Emulator) -> None:
        if next(runs):
            raise RuntimeError("not again")
        closed_early(erl)

    with pytest.raises(Nondeterministic):
        orders(fails_later, observe=("async_invoke", "stop"))
