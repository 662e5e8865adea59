"""The pool of async threads, era by era: how large it is, and what happens where there is none."""

from __future__ import annotations

import math
import re
import traceback
from typing import Any

import pytest
from era_support import every_era, settle
from scripted import Box, made_of
from support import (
    Kind,
    Worker,
    both,
    lanes,
    opened,
    received,
)

from driverref import Driver, Emulator, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_deq,
    driver_enq,
    driver_output,
)
from driverref.errors import StackOverflow
from driverref.release import ERAS, OTP_25, R7B_3, Release


@every_era
@pytest.mark.rule("era.default-threads")
def test_the_pool_has_as_many_threads_as_the_release_gives_it(release: Release) -> None:
    with Emulator(release=release) as erl:
        expected = {"R16B": 10, "25": 1}.get(release.name, 0)
        assert erl.system_info("thread_pool_size") == expected
    with Emulator(release=release, async_threads=0) as erl:
        assert erl.system_info("thread_pool_size") == (1 if release is OTP_25 else 0)
    most = 256 if release is R7B_3 else 1024
    with pytest.raises(ValueError, match=f"async_threads must be from 0 to {most}"):
        Emulator(release=release, async_threads=most + 1)


@every_era
@pytest.mark.rule("era.one-thread")
def test_only_r7b_refuses_a_second_scheduler(release: Release) -> None:
    if release is R7B_3:
        with pytest.raises(ValueError, match="schedulers must be from 1 to 1, not 2"):
            Emulator(release=release, schedulers=2)
    else:
        with Emulator(release=release, schedulers=2) as erl:
            assert erl.system_info("schedulers") == 2


@every_era
@both
@pytest.mark.rule("era.no-pool")
def test_without_a_pool_everything_happens_inside_driver_async(
    release: Release, threads: Kind
) -> None:
    """In the last era there is always a thread, and the job is done there."""
    driver = Worker()
    with Emulator(release=release, async_threads=0, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        if release is not OTP_25:
            assert received(erl) == [(port, ("data", b"x"))]
        else:
            assert erl.receive() == (port, ("data", b"x"))
    names = ["driver_async", "async_invoke", "async_return", "ready_async"]
    there = ["async 1"] * 2 if release is OTP_25 else ["scheduler 1"] * 2
    done = {name: lanes(erl, name)[1] for name in names}
    assert list(done.values()) == ["scheduler 1", *there, "scheduler 1"]
    assert erl.trace.order(*names) == [f"{name}(1)" for name in names]


def nests(*, with_ready_async: bool) -> tuple[Driver, list[str]]:
    """A driver that schedules a job for every command, and what it has seen."""
    seen: list[str] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        seen.append("output begins")
        driver_async(port, None, lambda job: seen.append("job"), "data", free)
        seen.append("output ends")

    def free(job: object) -> None:
        seen.append("async_free")

    def ready_async(port: ErlDrvPort, job: object) -> None:
        seen.append("ready_async")

    callbacks: dict[str, Any] = {"ready_async": ready_async} if with_ready_async else {}
    return made_of(output=output, **callbacks), seen


def test_a_job_without_a_pool_that_recurs_by_itself_is_no_chain() -> None:
    def recurs(job: object) -> None:
        recurs(job)

    driver = made_of(output=lambda port, buf: driver_async(port, None, recurs, None))
    with pytest.raises(StackOverflow) as caught, Emulator(release="R16B", async_threads=0) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert re.search(r": calls nest at test_pools\.py:\d+ in recurs until", str(caught.value))
    (place,) = caught.value.places
    assert place.endswith(" in recurs")


@pytest.mark.parametrize("release", ERAS[:-1], ids=lambda release: str(release.name))
@pytest.mark.parametrize("who", ["ready_async", "async_free"])
@pytest.mark.rule("era.no-pool")
def test_the_callback_that_calls_driver_async_ends_after_the_completion(
    release: Release, who: str
) -> None:
    driver, seen = nests(with_ready_async=who == "ready_async")
    with Emulator(release=release, async_threads=0) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert seen == ["output begins", "job", who, "output ends"]


@pytest.mark.parametrize("release", ERAS[:-1], ids=lambda release: str(release.name))
@pytest.mark.rule("era.no-pool")
def test_a_port_that_was_waiting_to_close_may_be_stopped_inside_driver_async(
    release: Release,
) -> None:
    seen: list[str] = []

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_async(port, None, lambda job: None, "data")
        seen.append("driver_async has returned")
        return b""

    driver = made_of(
        output=driver_enq,
        control=control,
        ready_async=lambda port, job: driver_deq(port, 1),
        stop=lambda port: seen.append("stop"),
    )
    with Emulator(release=release, async_threads=0) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"!")
        erl.port_close(port)
        assert erl.ports() == [port]
        assert erl.port_control(port, 0, b"") == []
        assert erl.ports() == []
    assert seen == ["stop", "driver_async has returned"]


class Chain(Driver):
    """`ready_async` submits the next job, until there have been `length`; then it says so."""

    driver_name = "chain"

    def __init__(self, length: float) -> None:
        self.length, self.done = length, 0

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, self.work, None)

    def work(self, data: object) -> None:
        pass

    def ready_async(self, port: ErlDrvPort, data: object) -> None:
        self.done += 1
        if self.done < self.length:
            self.next(port)
        else:
            driver_output(port, b"over")

    def next(self, port: ErlDrvPort) -> None:
        driver_async(port, None, self.work, None)


without_pool = pytest.mark.parametrize("release", ERAS[:-1], ids=lambda era: str(era.name))


@without_pool
@both
@pytest.mark.rule("era.no-pool-chain")
def test_a_chain_of_jobs_without_a_pool_is_told_as_what_it_is(
    release: Release, threads: Kind
) -> None:
    driver = Chain(math.inf)
    with pytest.raises(StackOverflow) as caught:
        with Emulator(release=release, async_threads=0, threads=threads) as erl:
            erl.port_command(opened(erl, driver), b"")
    text = str(caught.value)
    assert text.startswith(f"driver_async: {driver.done} jobs run nested in each other")
    assert re.search(r"submitted at test_pools\.py:\d+ in next; ", text)
    assert "use async threads, or submit the next job from timeout" in text
    assert len(traceback.extract_tb(caught.tb)) < 20


@without_pool
@both
@pytest.mark.rule("era.no-pool-chain")
def test_a_chain_that_ends_soon_is_none_of_these(release: Release, threads: Kind) -> None:
    driver = Chain(100)
    with Emulator(release=release, async_threads=0, threads=threads) as erl:
        port = opened(erl, driver)
        for _ in range(3):
            driver.done = 0
            erl.port_command(port, b"")
            assert erl.receive() == (port, ("data", b"over"))


@both
def test_with_a_pool_a_chain_may_be_of_any_length(threads: Kind) -> None:
    driver = Chain(5_000)
    with Emulator(release="R16B", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"over"))


@without_pool
def test_a_chain_is_the_outcome_of_an_exploration(release: Release) -> None:
    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, Chain(math.inf)), b"")

    (fault,) = explore(scenario, release=release, async_threads=0).faults
    assert fault.name == "StackOverflow"


@every_era
@pytest.mark.rule("era.no-pool-id")
def test_without_a_pool_the_id_is_0_from_r15b_on(release: Release) -> None:
    driver = Worker()
    with Emulator(release=release, async_threads=0) as erl:
        erl.port_command(opened(erl, driver), b"x")
    assert driver.ids == [0 if release.name == "R16B" else 1]


@every_era
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.rule("era.no-pool-start")
def test_a_job_of_start_that_is_done_inside_it_finds_no_driver_data(
    release: Release, size: int
) -> None:
    box = Box()

    def start(port: ErlDrvPort, command: str) -> str:
        driver_async(port, None, lambda job: None, "job")
        return "the driver data"

    driver = made_of(start=start, ready_async=lambda data, job: box.put(data))
    with Emulator(release=release, async_threads=size) as erl:
        opened(erl, driver)
        settle(erl)
    inside = size == 0 and release is not OTP_25
    assert box.value == (None if inside else "the driver data")
