"""How a job came back, era by era: in which order, on which thread, and who got the data of a closed port's job."""

from __future__ import annotations

from typing import Any

import pytest
from era_support import TWO_SLOTS, DataLocked, every_era, settle, smp_eras
from scripted import Box, made_of
from support import (
    Gate,
    Kind,
    Worker,
    both,
    lanes,
    on_another_thread,
    opened,
)

from driverref import Emulator, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_free,
    driver_pdl_create,
    driver_pdl_get_refc,
)
from driverref.errors import Leak
from driverref.release import ERAS, R7B_3, Release

# Completions.


class Batch(Worker):
    """Its `control` schedules three jobs, and waits until they are done: the one after them runs."""

    key = 0

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        for text in (b"1", b"2", b"3", b"wait"):
            self.submit(port, text)
        self.work_gate.await_arrival()
        return b""


@every_era
@both
@pytest.mark.rule("era.stack")
def test_jobs_that_are_finished_together_come_out_last_first_until_r14b(
    release: Release, threads: Kind
) -> None:
    driver = Batch()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        got = [erl.receive()[1][1] for _ in range(3)]
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
    order = [b"1", b"2", b"3"]
    assert got == (order if release.name in ("R16B", "25") else order[::-1])


@smp_eras
@both
@pytest.mark.rule("era.async-thread")
def test_with_two_schedulers_the_async_thread_itself_calls_ready_async_until_r14b(
    release: Release, threads: Kind
) -> None:
    driver = Worker()
    with Emulator(release=release, async_threads=1, schedulers=2, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"a")
        erl.port_command(port, b"b")
        assert [erl.receive()[1][1] for _ in range(2)] == [b"a", b"b"]
    itself = release.name not in ("R16B", "25")
    assert set(lanes(erl, "ready_async").values()) == {"async 1" if itself else "scheduler 1"}


@smp_eras
@pytest.mark.rule("era.async-thread")
def test_no_other_callback_of_the_port_runs_meanwhile(release: Release) -> None:
    def scenario(erl: Emulator) -> bool:
        inside: list[str] = []
        overlaps = Box()

        def ready_async(port: ErlDrvPort, job: object) -> None:
            inside.append("ready_async")
            driver_free(driver_alloc(1))
            inside.remove("ready_async")

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            if inside:
                overlaps.put(inside)
            driver_async(port, None, lambda job: None, "data")

        port = opened(erl, made_of(output=output, ready_async=ready_async))
        erl.port_command(port, b"")
        erl.port_command(port, b"")
        return bool(overlaps.value)

    outcomes = explore(scenario, release=release, async_threads=1, schedulers=2, limit=300)
    assert set(outcomes) == {False}


@smp_eras
@pytest.mark.rule("era.async-thread")
def test_a_slow_ready_async_keeps_the_pools_thread_until_r14b(release: Release) -> None:
    """Port locking, so that it keeps nobody else: the next job of the thread waits, or does not."""

    class Slow(Worker):
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING
        ready_gate: Gate

        def init(self) -> None:
            super().init()
            self.ready_gate = Gate()

        def ready_async(self, port: ErlDrvPort, job: Any) -> None:
            if job.text == b"slow":
                self.ready_gate.pass_through()
            super().ready_async(port, job)

    driver = Slow()
    with Emulator(release=release, async_threads=1, schedulers=2) as erl:
        one, two = opened(erl, driver), opened(erl, driver)
        on_another_thread(erl, lambda: erl.port_command(one, b"slow"), scheduler=2)
        driver.ready_gate.await_arrival()
        erl.port_command(two, b"b")
        answer = erl.receive(timeout=1)
        driver.ready_gate.open()
        if answer is None:
            assert erl.receive(lambda m: m[0] == two) == (two, ("data", b"b"))
        assert (answer is None) == (release.name not in ("R16B", "25"))


def job_of_a_closed_port(erl: Emulator, second: bool = False) -> list[str]:
    """A job runs while its port is closed, and another port opened.

    Who of the driver got its data.
    """
    seen: list[str] = []
    gate = Gate()
    driver = made_of(
        output=lambda port, buf: driver_async(
            port, None, lambda job: gate.pass_through(), "data", lambda job: seen.append("free")
        ),
        ready_async=lambda port, job: seen.append(f"ready_async of {port.id}"),
    )
    port = opened(erl, driver)
    erl.port_command(port, b"")
    gate.await_arrival()
    erl.open_port(("spawn_driver", "d"))
    erl.port_close(port)
    if second:
        erl.open_port(("spawn_driver", "d"))
    gate.open()
    if second:
        settle(erl)
    erl.stop()
    return seen


@every_era
@both
@pytest.mark.rule("era.leak")
def test_the_data_of_a_closed_ports_job_is_freed_but_not_in_r11b_and_r12b(
    release: Release, threads: Kind
) -> None:
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        assert job_of_a_closed_port(erl) == ([] if release.name == "R11B-5" else ["free"])


@smp_eras
@both
@pytest.mark.rule("era.leak")
def test_so_it_is_with_two_schedulers(release: Release, threads: Kind) -> None:
    with Emulator(release=release, async_threads=1, schedulers=2, threads=threads) as erl:
        assert job_of_a_closed_port(erl) == ([] if release.name == "R11B-5" else ["free"])


@every_era
@pytest.mark.rule("era.leak")
def test_memory_that_async_free_would_have_freed_leaks_then(release: Release) -> None:
    driver = Worker()

    def scenario() -> None:
        with Emulator(release=release, async_threads=1) as erl:
            port = opened(erl, driver)
            erl.port_command(port, b"wait")
            driver.work_gate.await_arrival()
            erl.port_close(port)
            driver.work_gate.open()

    if release.name == "R11B-5":
        with pytest.raises(Leak, match="Job"):
            scenario()
    else:
        scenario()


@every_era
@pytest.mark.rule("era.slot")
def test_only_in_r7b_another_port_may_get_the_data(release: Release) -> None:
    release = TWO_SLOTS if release is R7B_3 else release
    with Emulator(release=release, async_threads=1) as erl:
        seen = job_of_a_closed_port(erl, second=True)
    expected = {"R7B-3": ["ready_async of #Port<0.3>"], "R11B-5": []}
    assert seen == expected.get(release.name, ["free"])


# The port data lock.


@smp_eras
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.rule("era.pdl-early")
def test_a_plain_emulator_gives_the_pdl_up_before_the_completion_until_r14b(
    release: Release, schedulers: int
) -> None:
    """The port's own reference is there in any case; the job's is, or is not any more."""
    seen: list[int] = []
    locked = DataLocked()
    driver = made_of(
        start=locked.start,
        output=locked.wait,
        control=lambda port, command, buf: bytes([locked.refc()]),
        ready_async=lambda port, job: seen.append(locked.refc()),
    )
    with Emulator(release=release, async_threads=1, schedulers=schedulers) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        locked.gate.await_arrival()
        assert erl.port_control(port, 0, b"") == [2]
        locked.gate.open()
        settle(erl)
        assert erl.port_control(port, 0, b"") == [1]
    early = schedulers == 1 and release.name not in ("R16B", "25")
    assert seen == [1 if early else 2]


@pytest.mark.parametrize("release", ERAS[1:-1], ids=lambda release: str(release.name))
@pytest.mark.rule("era.no-pool")
def test_without_a_pool_the_job_holds_the_pdl_while_it_lasts(release: Release) -> None:
    seen: list[int] = []

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_async(port, None, lambda job: seen.append(driver_pdl_get_refc(pdl)), "")
        seen.append(driver_pdl_get_refc(pdl))
        return port

    with Emulator(release=release, async_threads=0) as erl:
        opened(erl, made_of(start=start))
    assert seen == [2, 1]
