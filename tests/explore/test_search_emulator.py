"""The search on whole emulators: it misses nothing that the oracle finds, or that random schedules show."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from dfs import (
    TooMany,
    drawn_at_random,
    every_schedule,
    on_emulator,
    searched,
)
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from lives import EVENTS, Action, Lives, Living, lives
from scripted import made_of
from support import Job, Worker, new_job, opened

from driverref import Atomic, Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.explore import explore

pytestmark = pytest.mark.slow


THOROUGHNESS = int(os.environ.get("DRIVERREF_SOAK", "1"))


def bare(*actions: Action) -> Callable[[Emulator], object]:
    """A scenario of one process and of a driver whose jobs carry nothing, so that there are few steps."""

    def scenario(erl: Emulator) -> object:
        living = Living(erl, 0, 0, [])
        erl.process_flag("trap_exit", True)
        driver = made_of(
            "bare",
            output=lambda port, buf: driver_async(port, 0, lambda _: None, None, lambda _: None),
            control=lambda port, ms, buf: bytes((driver_set_timer(port, ms),)),
            timeout=lambda port: driver_output(port, b"timeout"),
            ready_async=lambda port, data: driver_output(port, b"ready"),
        )
        living.driver = driver
        living.opened = [opened(erl, driver)]
        return tuple(living.do(*action) for action in actions)

    return scenario


SMALL: dict[str, tuple[tuple[Action, ...], tuple[str, ...]]] = {
    "one job": ((("command", 0, b"a"), ("receive", None)), ()),
    "a job against a close": ((("command", 0, b"a"), ("close", 0)), EVENTS),
    "a job against a kill": ((("command", 0, b"a"), ("kill", 0)), EVENTS),
    "a job against the clock": ((("command", 0, b"a"), ("receive", 1)), ()),
    "a timer against a close": ((("control", 0, 1), ("close", 0)), EVENTS),
    "a timer against a message": ((("control", 0, 1), ("receive", 1)), ()),
    "a job against an unload": ((("command", 0, b"a"), ("unload",)), EVENTS),
    "a job against a halt": ((("command", 0, b"a"), ("halt", False)), EVENTS),
}


@pytest.mark.parametrize("name", SMALL)
def test_of_a_small_scenario_the_search_finds_what_the_oracle_finds(name: str) -> None:
    actions, observe = SMALL[name]
    run = on_emulator(bare(*actions), observe)
    truth, seen = every_schedule(run, 3000), searched(run)
    assert set(seen.outcomes) == set(truth.outcomes)
    assert len(set(seen.classes)) == len(seen.classes)


class Pair(Worker):
    """Has two jobs done by different threads; only the second answers."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for key in (0, 1):
            driver_async(port, key, self.work, new_job(b"%d" % key), driver_free)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        if job.text == b"1":
            driver_output(port, b"done")
        driver_free(job)


def test_halt_may_come_before_what_another_thread_would_have_done() -> None:
    """The answer to one job has come; the other job has begun by then, or not."""

    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, Pair()), b"")
        erl.receive()
        erl.halt(flush=False)

    found = explore(scenario, observe=["async_invoke"], async_threads=2)
    assert set(found) == {
        ("async_invoke(2)",),
        ("async_invoke(1)", "async_invoke(2)"),
        ("async_invoke(2)", "async_invoke(1)"),
    }


@settings(
    deadline=None,
    max_examples=8 * THOROUGHNESS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(
    spec=lives(),
    observe=st.sampled_from([(), (), EVENTS, ("async_invoke",), ("output", "timeout")]),
    schedulers=st.integers(1, 2),
    async_threads=st.integers(1, 2),
)
def test_of_any_scenario_random_schedules_show_nothing_new(
    spec: Lives, observe: tuple[str, ...], schedulers: int, async_threads: int
) -> None:
    options = {"schedulers": schedulers, "async_threads": async_threads}
    run = on_emulator(spec.__call__, observe, **options)
    try:
        seen = searched(run, 200)
    except TooMany:
        reject()
    assert len(set(seen.classes)) == len(seen.classes)
    assert drawn_at_random(run, range(100)) <= set(seen.outcomes)


# Thrift.


class Cancelling(Worker):
    """A job looks at a flag that `control` sets."""

    def init(self) -> None:
        super().init()
        self.cancelled = Atomic()

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.cancelled.store(1)
        return b""

    def work(self, job: Job) -> None:
        if self.cancelled.load():
            job.text = b"cancelled"


def cancel(erl: Emulator) -> object:
    port = opened(erl, Cancelling())
    erl.port_command(port, b"a")
    erl.port_control(port, 0, b"")
    return erl.receive()[1][1]


class Keyed(Worker):
    key = 1


def two_jobs_one_key_one_close(erl: Emulator) -> None:
    port = opened(erl, Keyed())
    erl.port_command(port, b"a")
    erl.port_command(port, b"b")
    erl.port_close(port)


def three_jobs(erl: Emulator) -> object:
    port = opened(erl, Worker())
    for text in (b"a", b"b", b"c"):
        erl.port_command(port, text)
    return tuple(erl.receive()[1][1] for _ in range(3))


class Deadline(Worker):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, 1)
        super().output(port, buf)

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"too late")


def timer_against_job(erl: Emulator) -> object:
    port = opened(erl, Deadline())
    erl.port_command(port, b"in time")
    return erl.receive()[1][1]


BOOK = {
    "two jobs, one key, one close": (two_jobs_one_key_one_close, EVENTS, 1, 1),
    "two jobs, one key, one close, 2 threads": (two_jobs_one_key_one_close, EVENTS, 2, 1),
    "two jobs, one key, one close, 2 schedulers": (two_jobs_one_key_one_close, EVENTS, 1, 2),
    "three jobs, 2 threads": (three_jobs, (), 2, 1),
    "three jobs, 3 threads": (three_jobs, (), 3, 1),
    "timer against job": (timer_against_job, (), 1, 1),
    "timer against job, 2 schedulers": (timer_against_job, EVENTS, 1, 2),
    "cancel": (cancel, (), 1, 1),
    "cancel, 2 schedulers": (cancel, (), 1, 2),
}


@pytest.mark.parametrize("name", BOOK)
def test_of_the_schedules_that_are_run_two_thirds_are_worth_it(name: str) -> None:
    scenario, observe, async_threads, schedulers = BOOK[name]
    run = on_emulator(scenario, observe, async_threads=async_threads, schedulers=schedulers)
    seen = searched(run)
    assert len(set(seen.classes)) == len(seen.classes)
    assert seen.runs <= 1.5 * len(seen.classes)
    assert drawn_at_random(run, range(100)) <= set(seen.outcomes)
    found = explore(scenario, observe=observe, async_threads=async_threads, schedulers=schedulers)
    assert (found.schedules, found.inequivalent) == (seen.runs, len(seen.classes))
