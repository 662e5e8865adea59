"""The end of a port and of the emulator, era by era."""

from __future__ import annotations

import pytest
from era_support import every_era
from scripted import made_of
from support import (
    Kind,
    Stopping,
    both,
    lanes,
    opened,
    received,
)

from driverref import Emulator
from driverref.erl_driver import (
    driver_output,
)
from driverref.release import R7B_3, Release
from driverref.terms import Atom


@every_era
@pytest.mark.rule("era.closed-before-stop")
def test_the_owner_is_told_that_a_port_is_closed_before_stop_runs_only_in_r7b(
    release: Release,
) -> None:
    """What `stop` sends comes after it then."""
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, made_of(stop=lambda port: driver_output(port, b"bye")))
        erl.unlink(port)
        erl.send(port, (erl.self(), "close"))
        bye, closed = (port, ("data", b"bye")), (port, "closed")
        assert received(erl) == ([closed, bye] if release is R7B_3 else [bye, closed])


@every_era
@pytest.mark.rule("era.unload-reason")
def test_unloading_kills_ports_with_a_number_in_r7b_and_with_a_name_since(
    release: Release,
) -> None:
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, made_of())
        erl.process_flag("trap_exit", True)
        assert erl.erl_ddll.unload_driver("d") == "ok"
        reason = -1 if release is R7B_3 else Atom("driver_unloaded")
        assert erl.receive() == ("EXIT", port, reason)


def halting(erl: Emulator, status: int) -> tuple[int, list[str]]:
    """Three jobs are queued or run when the emulator halts.

    The status, and what happened after the call.
    """
    port = opened(erl, Stopping())
    for _ in range(3):
        erl.port_command(port, b"x")
    result = erl.halt(status)
    order = [event.name for event in erl.trace]
    return result, order[order.index("halt") + 1 :]


HOW = {
    "R7B-3": ("exit", "exit"),
    "R11B-5": ("join", "exit"),
    "R13B": ("join", "exit"),
    "R14B04": ("join", "join"),
    "R16B": ("flush", "flush"),
    "25": ("flush", "flush"),
}


@every_era
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.rule("era.halt-exit", "era.halt-join", "era.halt-flush")
def test_what_halt_does_about_jobs_and_ports(
    release: Release, schedulers: int, status: int
) -> None:
    if schedulers > release.max_schedulers:
        schedulers = 1
    how = HOW[release.name][schedulers - 1]
    if how == "join" and status != 0:
        how = "exit"
    for seed in range(20):
        with Emulator(release=release, async_threads=1, schedulers=schedulers, seed=seed) as erl:
            result, after = halting(erl, status)
        assert result == status
        done = len(lanes(erl, "async_return"))
        if how == "exit":
            assert after == []
        elif how == "join":
            assert done == 3
            assert "stop" not in after
            if schedulers == 1:
                assert set(after) <= {"async_invoke", "async_return"}
        else:
            assert done == 3
            assert "stop" in after


@both
@pytest.mark.rule("era.halt-exit")
def test_a_job_that_does_not_return_does_not_keep_r7b_from_halting(threads: Kind) -> None:
    driver = Stopping()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"wait")
        driver.work_gate.await_arrival()
        assert erl.halt() == 0
    assert list(erl.trace.select("async_return", "stop")) == []


@pytest.mark.parametrize("release", ["R11B-5", "R13B", "R14B04"])
@pytest.mark.parametrize("status", [0, 1])
@both
@pytest.mark.rule("era.halt-join")
def test_status_0_waits_for_the_jobs_and_hands_nothing_over(
    release: str, status: int, threads: Kind
) -> None:
    driver = Stopping()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"b")
        driver.work_gate.await_arrival()
        if status == 0:
            driver.work_gate.open()
        assert erl.halt(status) == status
    assert len(erl.trace.select("async_return")) == (2 if status == 0 else 0)
    assert list(erl.trace.select("stop")) == []


@both
@pytest.mark.rule("era.halt-join")
def test_r14b04_waits_for_them_with_two_schedulers_too(threads: Kind) -> None:
    driver = Stopping()
    with Emulator(release="R14B04", async_threads=2, schedulers=2, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        for _ in range(4):
            erl.port_command(port, b"x")
        driver.work_gate.open()
        assert erl.halt() == 0
    assert len(erl.trace.select("async_return")) == 5
    assert list(erl.trace.select("stop")) == []
