"""Every schedule of small scenarios: where a job's data ends, what a key orders, and who wins against the timer.

A claim that says "never" or "only" is held here against all schedules, and not against one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import Job, Worker, new_job, opened

from driverref import Emulator, Struct, explore
from driverref.erl_driver import (
    ErlDrvPort,
    Key,
    driver_alloc,
    driver_async,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_failure_eof,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.errors import ErlangError
from driverref.explore import label
from driverref.posix import usleep

EVENTS = ("async_invoke", "async_return", "ready_async", "stop", "async_free")
ENDS = ("ready_async", "stop", "async_free")

Scenario = Callable[[Emulator], Any]


class Stopping(Worker):
    """A `Worker` whose `stop` is seen in the trace."""

    def stop(self, port: ErlDrvPort) -> None:
        pass


def closed(driver: type[Worker], jobs: int = 1) -> Scenario:
    """Some jobs, and the port is closed at once."""

    def scenario(erl: Emulator) -> None:
        port = opened(erl, driver())
        for _ in range(jobs):
            erl.port_command(port, b"work")
        erl.port_close(port)

    return scenario


def orders(scenario: Scenario, *observe: str, **options: Any) -> list[list[str]]:
    """Every order of the observed events; that there is no fault and nothing is left out."""
    outcomes = explore(scenario, observe=observe, **options)
    assert outcomes.complete
    assert outcomes.faults == []
    return sorted(str(outcome).split() for outcome in outcomes)


# Who gets the data


@pytest.mark.rule(
    "free.port-closed-while-queued",
    "free.port-closed-while-running",
    "free.port-closed-before-ready",
    "free.not-after-ready",
)
def test_a_close_may_come_before_during_and_after_the_job_and_after_ready_async() -> None:
    assert orders(closed(Stopping), *EVENTS) == [
        ["async_invoke(1)", "async_return(1)", "ready_async(1)", "stop"],
        ["async_invoke(1)", "async_return(1)", "stop", "async_free(1)"],
        ["async_invoke(1)", "stop", "async_return(1)", "async_free(1)"],
        ["stop", "async_invoke(1)", "async_return(1)", "async_free(1)"],
    ]


@pytest.mark.rule("free.not-after-ready", "memory.ownership")
@pytest.mark.parametrize("async_threads", [1, 2])
def test_exactly_one_of_the_two_gets_the_data_and_free_only_after_stop(async_threads: int) -> None:
    for order in orders(closed(Stopping, jobs=2), *ENDS, async_threads=async_threads):
        stop = order.index("stop")
        ready = {event[-3:] for event in order if event.startswith("ready_async")}
        freed = {event[-3:] for event in order if event.startswith("async_free")}
        assert ready | freed == {"(1)", "(2)"}
        assert len(order) == 3
        assert all(event.startswith("async_free") for event in order[stop + 1 :])
        assert all(event.startswith("ready_async") for event in order[:stop])


class Unready(Stopping):
    ready_async = None  # type: ignore[assignment]


@pytest.mark.rule("free.no-ready-async")
def test_without_ready_async_the_data_goes_to_async_free_before_stop_or_after_it() -> None:
    assert orders(closed(Unready), *ENDS) == [["async_free(1)", "stop"], ["stop", "async_free(1)"]]


class Patient(Stopping):
    """Keeps its port closing while a job is outstanding."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_enq(port, b"1")
        super().output(port, buf)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        super().ready_async(port, job)
        driver_deq(port, 1)

    def flush(self, port: ErlDrvPort) -> None:
        pass


@pytest.mark.rule("free.closing-gets-ready")
def test_with_a_driver_queue_the_data_always_goes_to_ready_async() -> None:
    assert orders(closed(Patient), *ENDS) == [["ready_async(1)", "stop"]]


class Failing(Stopping):
    """Its `start` submits a job and fails."""

    def start(self, port: ErlDrvPort, command: str) -> Any:
        self.submit(port, b"work")
        return -1


@pytest.mark.rule("free.start-failed")
def test_after_a_start_that_failed_the_data_is_always_freed() -> None:
    def scenario(erl: Emulator) -> None:
        with pytest.raises(ErlangError, match="einval"):
            opened(erl, Failing())

    assert orders(scenario, *EVENTS) == [["async_invoke(1)", "async_return(1)", "async_free(1)"]]


class Refused(Stopping):
    """Submits a job when its port has failed."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_failure_eof(port)
        job = new_job(bytes(buf))
        if driver_async(port, None, self.work, job, self.async_free) == -1:
            driver_free(job)


@pytest.mark.rule("free.refused", "memory.refused-is-yours")
def test_a_job_that_was_refused_is_never_invoked_and_never_freed() -> None:
    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, Refused()), b"work")

    assert orders(scenario, *EVENTS) == [["stop"]]


class Hopeful(Stopping):
    async_free = None  # type: ignore[assignment]


@pytest.mark.rule("free.null-leaks")
def test_without_async_free_a_close_leaks_unless_it_comes_after_ready_async() -> None:
    outcomes = explore(closed(Hopeful), observe=ENDS)
    assert outcomes.complete
    assert [fault.name for fault in outcomes.faults] == ["Leak"]
    assert [str(outcome) for outcome in outcomes if outcome not in outcomes.faults] == [
        "ready_async(1) stop"
    ]


@pytest.mark.rule("free.halt-flush")
def test_whether_halt_lets_the_last_free_run_is_a_matter_of_the_schedule() -> None:
    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, Stopping()), b"work")
        erl.halt()

    assert orders(scenario, *ENDS) == [
        ["ready_async(1)", "stop"],
        ["stop"],
        ["stop", "async_free(1)"],
    ]


# What a key orders


class Keyed(Worker):
    key = 7


def two_schedulers(erl: Emulator) -> None:
    """A command from each of two schedulers."""
    port = opened(erl, Keyed())
    erl.spawn(erl.port_command, port, b"there", scheduler=2)
    erl.port_command(port, b"here")
    erl.receive()
    erl.receive()


@pytest.mark.rule("key.orders-invocations-only", "key.one-thread-fifo")
def test_a_key_orders_invocations_in_every_schedule_and_replies_in_some() -> None:
    found = orders(two_schedulers, "async_invoke", "ready_async", async_threads=2, schedulers=2)
    invoked = {tuple(event for event in order if "invoke" in event) for order in found}
    ready = {tuple(event for event in order if "ready" in event) for order in found}
    assert invoked == {("async_invoke(1)", "async_invoke(2)")}
    assert ready == {
        ("ready_async(1)", "ready_async(2)"),
        ("ready_async(2)", "ready_async(1)"),
    }


@pytest.mark.rule("key.one-scheduler-in-order")
@pytest.mark.parametrize("jobs", [2, 3])
def test_from_one_scheduler_the_jobs_of_one_queue_come_back_in_order(jobs: int) -> None:
    def scenario(erl: Emulator) -> None:
        port = opened(erl, Keyed())
        for _ in range(jobs):
            erl.port_command(port, b"work")
        for _ in range(jobs):
            erl.receive()

    ready = [f"ready_async({job})" for job in range(1, jobs + 1)]
    assert orders(scenario, "ready_async", async_threads=2) == [ready]


def test_a_key_does_not_keep_a_job_from_a_callback() -> None:
    class Sum(Struct):
        port: ErlDrvPort
        sum: int

    class Sums(Keyed):
        def start(self, port: ErlDrvPort, command: str) -> Any:
            state = driver_alloc(Sum)
            assert state is not None
            state.port, state.sum = port, 0
            return state

        def output(self, state: Any, buf: memoryview) -> None:
            driver_async(state.port, Key(7), self.add, state)

        def add(self, state: Any) -> None:
            state.sum += 1

        def ready_async(self, state: Any, job: Any) -> None:
            driver_output(state.port, b"%d" % state.sum)

        def stop(self, state: Any) -> None:
            driver_free(state)

    def scenario(erl: Emulator) -> tuple[Any, ...]:
        port = opened(erl, Sums())
        erl.port_command(port, b"")
        erl.port_command(port, b"")
        return erl.receive()[1][1], erl.receive()[1][1]

    outcomes = explore(scenario)
    assert {fault.name for fault in outcomes.faults} == {"DataRace"}
    assert set(outcomes) - set(outcomes.faults) == {(b"1", b"2")}


# Who wins against the timer


class Request(Struct):
    generation: int


class Line(Struct):
    port: ErlDrvPort
    generation: int


class InTime(Worker):
    """Answers after 20 milliseconds at the latest; its jobs take exactly as long."""

    def start(self, port: ErlDrvPort, command: str) -> Any:
        line = driver_alloc(Line)
        assert line is not None
        line.port, line.generation = port, 1
        return line

    def output(self, line: Any, buf: memoryview) -> None:
        request = driver_alloc(Request)
        assert request is not None
        request.generation = line.generation
        driver_async(line.port, None, lambda job: usleep(20_000), request, driver_free)
        driver_set_timer(line.port, 20)

    def timeout(self, line: Any) -> None:
        line.generation += 1
        driver_output(line.port, b"timeout")

    def ready_async(self, line: Any, job: Any) -> None:
        if job.generation == line.generation:
            driver_cancel_timer(line.port)
            driver_output(line.port, b"done")
        driver_free(job)

    def stop(self, line: Any) -> None:
        driver_free(line)


@pytest.mark.rule("timeout.generation", "timeout.cancelled-at-close")
def test_a_dead_heat_has_one_answer_whoever_wins() -> None:
    def scenario(erl: Emulator) -> Any:
        port = opened(erl, InTime())
        erl.port_command(port, b"")
        return erl.receive()[1][1]

    observe = ("timeout", "ready_async", "driver_output", "stop")
    outcomes = explore(scenario, observe=observe)
    assert outcomes.complete
    assert {label(outcome) for outcome in outcomes} == {
        "b'done'  ready_async(1) driver_output stop",
        "b'timeout'  timeout driver_output stop",
        "b'timeout'  timeout driver_output ready_async(1) stop",
    }
