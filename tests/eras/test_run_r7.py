"""What R7B's own `erl_async.c` did when it was run, told again on the model.

The file was compiled by itself, against headers with nothing behind them, and called as the
emulator calls it.  Each story here is one thing that was seen: "run on the original erl_async.c of
R7B-2".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scripted import made_of
from support import Job, Kind, Signal, Worker, both, opened, received

from driverref import Emulator, Port, explore
from driverref.erl_driver import (
    ErlDrvPort,
    Key,
    driver_async,
    driver_async_cancel,
    driver_free,
    driver_output,
)
from driverref.errors import EmulatorHang
from driverref.release import R7B_3

TWO_SLOTS = replace(R7B_3, slots=2)
"""R7B with a port table of 2 places in place of 1024, so that a story need not open a thousand ports."""


class Canceller(Worker):
    """A `Worker` of one key, whose `control` cancels the job of that id.

    `freed` holds what `async_free` got.
    """

    driver_name, key = "canceller", 0

    def init(self) -> None:
        super().init()
        self.freed: list[bytes] = []
        self.has_freed = Signal("async_free")

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return b"%d" % driver_async_cancel(command)

    def async_free(self, job: Job) -> None:
        self.freed.append(job.text)
        driver_free(job)
        self.has_freed.give()


def cancel(erl: Emulator, port: Port, job_id: int) -> int:
    """What `driver_async_cancel` returned in the driver's `control`."""
    answer: Any = erl.port_control(port, job_id, b"")
    return int(bytes(answer))


@both
@pytest.mark.rule("era.no-pool", "era.no-pool-id")
def test_without_threads_the_first_job_is_done_inside_the_call_and_its_id_is_1(
    threads: Kind,
) -> None:
    driver = Worker()
    with Emulator(release="R7B-3", async_threads=0, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        assert driver.ids == [1]
        assert erl.receive(timeout=0) == (port, ("data", b"x"))


@both
@pytest.mark.parametrize(("size", "before", "after"), [(3, 5, 2), (0, 5, 0)])
def test_the_key_is_overwritten_with_the_queues_number(
    threads: Kind, size: int, before: int, after: int
) -> None:
    key = Key(before)
    driver = made_of(
        output=lambda port, buf: driver_async(port, key, lambda job: None, "the data"),
        ready_async=lambda port, data: None,
    )
    with Emulator(release="R7B-3", async_threads=size, threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert key.value == after


class Batch(Worker):
    """Its `control` schedules as many jobs as it is told, and waits until they are done: the one after them runs."""

    key = 0

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        for number in range(1, command + 1):
            self.submit(port, b"%d" % number)
        self.submit(port, b"wait")
        self.work_gate.await_arrival()
        return b""


@both
@pytest.mark.rule("era.stack")
def test_jobs_completed_1_2_3_4_are_handed_over_4_3_2_1(threads: Kind) -> None:
    driver = Batch()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_control(port, 4, b"")
        assert [erl.receive()[1][1] for _ in range(4)] == [b"4", b"3", b"2", b"1"]
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
    returned = erl.trace.order("async_return")
    assert returned == [f"async_return({job})" for job in (1, 2, 3, 4, 5)]


def lost_slot(erl: Emulator, driver: Worker, other: Any) -> tuple[Port, Port]:
    """A job of the first port runs; the port is closed and a port of `other` has its slot.

    Both ports.
    """
    first = opened(erl, driver)
    erl.port_command(first, b"wait")
    driver.work_gate.await_arrival()
    opened(erl, Worker())  # the slot that was given last is not given again
    erl.port_close(first)
    return first, opened(erl, other)


@both
@pytest.mark.rule("era.slot")
def test_a_job_whose_slot_was_taken_goes_to_the_ready_async_of_who_has_it(threads: Kind) -> None:
    class Other(Worker):
        """Sends what it is given, as any driver: to its own owner."""

        driver_name = "other"

        def ready_async(self, port: ErlDrvPort, job: Job) -> None:
            driver_output(port, b"who sent me " + job.text + b"?")
            driver_free(job)

    driver = Canceller()
    with Emulator(release=TWO_SLOTS, async_threads=1, threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        first, second = lost_slot(erl, driver, Other())
        assert (first.number % 2, first.number + 2) == (1, second.number)
        driver.work_gate.open()
        assert erl.receive(lambda m: m[0] == second) == (
            second,
            ("data", b"who sent me wait?"),
        )
        assert erl.trace.select("ready_async")[-1].port == second
    assert driver.freed == []


@both
@pytest.mark.rule("era.slot")
def test_if_who_has_the_slot_has_no_ready_async_the_jobs_own_free_function_gets_it(
    threads: Kind,
) -> None:
    driver = Canceller()
    with Emulator(release=TWO_SLOTS, async_threads=1, threads=threads) as erl:
        _, second = lost_slot(erl, driver, made_of())
        driver.work_gate.open()
        driver.has_freed.wait()  # while the second port is there
        assert [event.port for event in erl.trace.select("async_free")] == [second]
    assert driver.freed == [b"wait"]


@both
def test_a_job_whose_slot_is_free_goes_to_async_free(threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(port)
        driver.work_gate.open()
    assert driver.freed == [b"wait"]


@both
@pytest.mark.rule("era.cancel-hang")
def test_the_newest_job_is_cancelled_returns_1_and_is_freed_by_who_cancels(threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        for text in (b"wait", b"b", b"c"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        assert cancel(erl, port, 3) == 1
        assert driver.freed == [b"c"]
        assert erl.trace.select("async_free")[0].thread == "scheduler 1"
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(2)] in ([b"wait", b"b"], [b"b", b"wait"])
    assert erl.trace.order("async_invoke") == ["async_invoke(1)", "async_invoke(2)"]


@both
@pytest.mark.rule("era.cancel-hang")
def test_cancelling_a_job_that_is_not_the_newest_never_returns(threads: Kind) -> None:
    driver = Canceller()
    hang = "loops for ever in driver_async_cancel, and holds the mutex of a queue"

    def scenario() -> None:
        with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
            port = opened(erl, driver)
            for text in (b"wait", b"b", b"c"):
                erl.port_command(port, text)
            driver.work_gate.await_arrival()
            cancel(erl, port, 2)

    with pytest.raises(EmulatorHang, match=hang):
        scenario()


@both
@pytest.mark.rule("era.cancel-hang")
def test_a_running_job_and_a_completed_one_are_in_no_queue_and_that_is_0(threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"done")
        assert erl.receive() == (port, ("data", b"done"))
        assert cancel(erl, port, 1) == 0
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        assert cancel(erl, port, 2) == 0
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
    assert driver.freed == []


@pytest.mark.rule("era.cancel-hang")
def test_whether_it_hangs_is_a_matter_of_when() -> None:
    """Two jobs and a cancelling of the first: it has begun, or it is still queued and not the newest."""

    def scenario(erl: Emulator) -> object:
        port = opened(erl, Canceller())
        erl.port_command(port, b"a")
        erl.port_command(port, b"b")
        return cancel(erl, port, 1)

    outcomes = explore(scenario, release="R7B-3", async_threads=1)
    assert {str(outcome).partition(":")[0] for outcome in outcomes} == {"0", "EmulatorHang"}


@both
def test_the_queue_goes_on_behind_the_gap(threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        for text in (b"wait", b"b"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        assert cancel(erl, port, 2) == 1
        erl.port_command(port, b"c")
        driver.work_gate.open()
        assert {erl.receive()[1][1], erl.receive()[1][1]} == {b"wait", b"c"}
        assert received(erl) == []
