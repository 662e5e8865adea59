"""Drivers, unloading and the last job: what the eras do when a driver goes while its jobs are about."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Job, Kind, PortLockingWorker, Worker, both, lanes, opened

from driverref import Atomic, Emulator, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_async_cancel,
    driver_failure_atom,
    driver_output,
    driver_set_timer,
)
from driverref.errors import Deadlock, ErlangError
from driverref.release import ERAS, R7B_3, Release
from driverref.terms import Atom, Tuple

every_era = pytest.mark.parametrize("release", ERAS, ids=lambda release: str(release.name))
PERMANENT = Tuple((Atom("error"), Atom("permanent")))


def makes_permanent(release: Release) -> bool:
    """Whether `driver_async` does so: R11B-2 to R14B."""
    return release.name in ("R11B-5", "R13B", "R14B04")


class Finishing(Worker):
    """Writes down what ends it."""

    def init(self) -> None:
        super().init()
        self.seen: list[str] = []

    def stop(self, port: ErlDrvPort) -> None:
        self.seen.append("stop")

    def finish(self) -> None:
        self.seen.append("finish")

    def async_free(self, job: Job) -> None:
        self.seen.append("async_free")
        super().async_free(job)


# Permanent drivers.


@every_era
@both
@pytest.mark.rule("era.permanent")
def test_a_driver_that_has_called_driver_async_cannot_be_unloaded_from_r11b_to_r14b(
    release: Release, threads: Kind
) -> None:
    driver = Finishing()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        assert erl.receive() == (port, ("data", b"x"))
        erl.port_close(port)
        permanent = makes_permanent(release)
        assert erl.erl_ddll.unload_driver("worker") == (PERMANENT if permanent else "ok")
        assert driver.seen == (["stop"] if permanent else ["stop", "finish"])
        if permanent:
            assert erl.erl_ddll.load_driver(driver) == PERMANENT
            assert erl.erl_ddll.try_unload("worker", ["kill_ports"]) == PERMANENT
            assert erl.open_port(("spawn_driver", "worker")) in erl.ports()


@every_era
@pytest.mark.rule("era.permanent")
def test_one_that_has_not_can_be_unloaded_in_every_era(release: Release) -> None:
    driver = Finishing()
    with Emulator(release=release, async_threads=1) as erl:
        opened(erl, driver)
        erl.process_flag("trap_exit", True)
        assert erl.erl_ddll.unload_driver("worker") == "ok"
        assert driver.seen == ["stop", "finish"]


@pytest.mark.parametrize("release", ERAS[:-1], ids=lambda release: str(release.name))
@pytest.mark.rule("era.permanent")
def test_a_job_that_was_done_inside_driver_async_makes_nobody_permanent(release: Release) -> None:
    driver = Finishing()
    with Emulator(release=release, async_threads=0) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        erl.port_close(port)
        assert erl.erl_ddll.unload_driver("worker") == "ok"


@pytest.mark.parametrize("release", ["R11B-5", "R13B", "R14B04"])
@both
@pytest.mark.rule("era.permanent")
def test_a_driver_that_waits_to_be_unloaded_stays_when_it_becomes_permanent(
    release: str, threads: Kind
) -> None:
    """It was to go when its port is closed.  Those who monitor it hear that it will not."""
    driver = Finishing()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        assert erl.erl_ddll.load(driver) == "ok"
        port = erl.open_port(("spawn_driver", "worker"))
        assert erl.erl_ddll.unload("worker") == "ok"
        ref = erl.erl_ddll.monitor("driver", ("worker", "unloaded"))
        erl.port_command(port, b"x")
        assert erl.receive() == ("UP", ref, "driver", "worker", "permanent")
        assert erl.receive() == (port, ("data", b"x"))
        erl.port_close(port)
        assert driver.seen == ["stop"]
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["worker"])


@pytest.mark.parametrize("release", ["R13B", "R14B04"])
@both
@pytest.mark.rule("era.permanent")
def test_a_stop_that_schedules_a_job_undoes_the_unloading(release: str, threads: Kind) -> None:
    driver = made_of(stop=lambda port: driver_async(port, None, lambda job: None, "data"))
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        assert erl.erl_ddll.unload_driver("d") == PERMANENT
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        assert erl.ports() == []
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["d"])


@pytest.mark.rule("era.permanent")
def test_unloading_and_the_first_job_may_meet_and_then_the_driver_stays() -> None:
    """Whoever is first: either the port is gone before the job, or the driver is there to stay."""

    def scenario(erl: Emulator) -> tuple[bool, bool]:
        erl.process_flag("trap_exit", True)
        scheduled = Atomic(0)

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_async(port, None, lambda job: None, "data")
            scheduled.store(1)

        port = opened(erl, made_of(output=output))
        pid = erl.spawn(lambda: erl.port_command(port, b""), scheduler=2)
        ref = erl.monitor("process", pid)
        erl.erl_ddll.unload_driver("d")
        erl.receive(lambda message: message[1] == ref)
        return bool(scheduled.load()), erl.erl_ddll.loaded_drivers() == ("ok", ["d"])

    outcomes = explore(scenario, release="R13B", async_threads=1, schedulers=2, limit=2000)
    assert set(outcomes) == {(False, False), (True, True)}


# Unloading that meets a job.


def unloading(erl: Emulator, driver: Finishing) -> Any:
    """A job runs; another process asks for its driver to be unloaded.  The port."""
    erl.process_flag("trap_exit", True)
    me, box = erl.self(), Box()

    def loader() -> None:
        erl.erl_ddll.load_driver(driver)
        erl.send(me, "loaded")
        erl.receive()
        erl.send(me, ("unloaded", erl.erl_ddll.unload_driver("worker")))

    box.put(erl.spawn(loader))
    assert erl.receive() == "loaded"
    port = erl.open_port(("spawn_driver", "worker"))
    erl.port_command(port, b"wait")
    driver.work_gate.await_arrival()
    erl.send(box.value, "unload it")
    return port


@pytest.mark.rule("era.unload-after-jobs")
def test_r7b_leaves_the_ports_alone_until_the_last_job_is_done() -> None:
    driver = Finishing()
    with Emulator(release="R7B-3", async_threads=1) as erl:
        port = unloading(erl, driver)
        assert erl.receive(timeout=1) is None
        assert driver.seen == []
        erl.port_command(port, b"b")  # the port can be used, and the new job is waited for as well
        assert erl.open_port(("spawn_driver", "worker")) in erl.ports()
        driver.work_gate.open()
        assert {erl.receive()[1][1], erl.receive()[1][1]} == {b"wait", b"b"}
        assert erl.receive(lambda m: m[0] == "unloaded") == ("unloaded", "ok")
        assert erl.receive(lambda m: m[0] == "EXIT") == ("EXIT", port, -1)
    assert driver.seen == ["stop", "stop", "finish"]


@both
@pytest.mark.parametrize("release", ["R16B", "25"])
@pytest.mark.rule("era.unload-after-jobs")
def test_later_the_ports_are_killed_at_once_and_the_unloading_waits_for_the_job(
    release: str, threads: Kind
) -> None:
    driver = Finishing()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = unloading(erl, driver)
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        driver.work_gate.open()
        assert erl.receive() == ("unloaded", "ok")
    assert driver.seen == ["stop", "async_free", "finish"]


@both
@pytest.mark.rule("era.unload-after-jobs")
def test_r7b_unloads_at_once_if_the_driver_has_no_job(threads: Kind) -> None:
    driver = Finishing()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        erl.process_flag("trap_exit", True)
        assert erl.receive() == (port, ("data", b"x"))
        assert erl.erl_ddll.unload_driver("worker") == "ok"
        assert erl.receive() == ("EXIT", port, -1)
    assert driver.seen == ["stop", "finish"]


@both
@pytest.mark.rule("era.unload-after-jobs")
def test_in_r7b_a_closed_ports_job_is_waited_for_too(threads: Kind) -> None:
    driver = Finishing()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(port)
        driver.work_gate.open()
        assert erl.erl_ddll.unload_driver("worker") == "ok"
    assert driver.seen == ["stop", "async_free", "finish"]


@pytest.mark.rule("era.unload-after-jobs")
def test_a_job_that_does_not_return_keeps_r7bs_unloading_waiting_and_its_ports_open() -> None:
    driver = Finishing()

    def scenario() -> None:
        with Emulator(release="R7B-3", async_threads=1) as erl:
            port = opened(erl, driver)
            erl.port_command(port, b"wait")
            driver.work_gate.await_arrival()
            erl.erl_ddll.unload_driver("worker")

    with pytest.raises(Deadlock, match="waits for driver 'worker' to be unloaded"):
        scenario()
    assert driver.seen == []


@both
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.rule("era.unload-after-jobs")
def test_in_r7b_a_stop_that_unloading_calls_may_schedule_a_job(size: int, threads: Kind) -> None:
    """With a thread the driver stays until that job is done, without one it is done at once."""
    seen: list[str] = []
    driver = made_of(
        stop=lambda port: driver_async(port, None, lambda job: seen.append("job"), "data"),
        finish=lambda: seen.append("finish"),
    )
    with Emulator(release="R7B-3", async_threads=size, threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        opened(erl, driver)
        erl.open_port(("spawn_driver", "d"))
        assert erl.erl_ddll.unload_driver("d") == "ok"
    assert seen == ["job", "job", "finish"]


@both
def test_in_r7b_a_stop_that_unloading_calls_may_cancel_the_job_of_another_stop(
    threads: Kind,
) -> None:
    seen: list[object] = []
    gates: list[Gate] = []
    ids: list[int] = []

    def keep_the_thread(port: ErlDrvPort, buf: memoryview) -> None:
        gates.append(Gate())
        driver_async(port, 0, lambda job: gates[0].pass_through(), "first")

    def stop(port: ErlDrvPort) -> None:
        if ids:
            seen.append(driver_async_cancel(ids[0]))
        else:
            ids.append(driver_async(port, 0, lambda job: seen.append("job"), "data"))

    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        keeper = opened(erl, made_of("keeper", output=keep_the_thread))
        erl.port_command(keeper, b"")
        gates[0].await_arrival()
        opened(erl, made_of(stop=stop, finish=lambda: seen.append("finish")))
        erl.open_port(("spawn_driver", "d"))
        assert erl.erl_ddll.unload_driver("d") == "ok"
        gates[0].open()
    assert seen == [1, "finish"]


@both
def test_in_r7b_the_end_of_who_loaded_it_waits_for_the_job_too(threads: Kind) -> None:
    driver = Finishing()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        me = erl.self()

        def loader() -> None:
            erl.erl_ddll.load_driver(driver)
            erl.send(me, "loaded")
            erl.receive()

        pid = erl.spawn(loader, link=True)
        assert erl.receive() == "loaded"
        port = erl.open_port(("spawn_driver", "worker"))
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.send(pid, "end")
        assert erl.receive() == ("EXIT", pid, "normal")
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
        assert erl.receive() == ("EXIT", port, -1)
    assert driver.seen == ["stop", "finish"]


# What else completions meet.


@pytest.mark.parametrize("release", ["R13B", "R14B04"])
@both
@pytest.mark.rule("era.async-thread")
def test_on_the_async_thread_ready_async_may_schedule_and_fail_as_anywhere(
    release: str, threads: Kind
) -> None:
    class Chain(PortLockingWorker):
        def ready_async(self, port: ErlDrvPort, job: Job) -> None:
            text = job.text
            super().ready_async(port, job)
            if len(text) < 3:
                self.submit(port, text + b"!")
            else:
                driver_failure_atom(port, "enough")

    driver = Chain()
    with Emulator(release=release, async_threads=1, schedulers=2, threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_command(port, b"a")
        assert [erl.receive()[1][1] for _ in range(3)] == [b"a", b"a!", b"a!!"]
        assert erl.receive() == ("EXIT", port, "enough")
    assert set(lanes(erl, "ready_async").values()) == {"async 1"}


@both
@pytest.mark.parametrize("release", ["R11B-5", "R13B", "R14B04"])
@pytest.mark.rule("era.async-thread")
def test_a_timer_that_ready_async_sets_there_fires(release: str, threads: Kind) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, lambda job: None, "data"),
        ready_async=lambda port, job: driver_set_timer(port, 0),
        timeout=lambda port: driver_output(port, b"timeout"),
    )
    with Emulator(release=release, async_threads=1, schedulers=2, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"timeout"))


@every_era
@pytest.mark.rule("era.stack")
def test_a_job_scheduled_while_the_stack_is_gone_through_waits_for_the_next_time(
    release: Release,
) -> None:
    """Its completion is none of those that were found together."""
    order: list[str] = []
    gates: list[Gate] = []

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gates.append(Gate())
        for job in ("1", "2"):
            driver_async(port, 0, lambda job: None, job)
        driver_async(port, 0, lambda job: gates[0].pass_through(), "3")
        gates[0].await_arrival()
        return b""

    def ready_async(port: ErlDrvPort, job: str) -> None:
        order.append(job)
        if job in "12":
            driver_async(port, 0, lambda job: None, job + "again")

    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, made_of(control=control, ready_async=ready_async))
        erl.port_control(port, 0, b"")
        erl.receive(timeout=1)
        gates[0].open()
        erl.receive(timeout=1)
    first = ["2", "1"] if release.completions == "stack" else ["1", "2"]
    assert order[:2] == first
    assert sorted(order[2:]) == ["1again", "2again", "3"]


@pytest.mark.rule("era.slot")
def test_who_is_given_a_late_job_may_fail_in_that_callback() -> None:
    stopped: list[object] = []
    gates: list[Gate] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        gates.append(Gate())
        driver_async(port, 0, lambda job: gates[0].pass_through(), "data")

    late = made_of("late", output=output)
    other = made_of(
        "other",
        ready_async=lambda port, job: driver_failure_atom(port, "not mine"),
        stop=lambda port: stopped.append(port.id),
    )
    with Emulator(release=replace(R7B_3, slots=2), async_threads=1) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, late)
        erl.port_command(port, b"")
        gates[0].await_arrival()
        opened(erl, made_of("third"))
        erl.port_close(port)
        second = opened(erl, other)
        gates[0].open()
        assert erl.receive(lambda m: m[1] == second) == ("EXIT", second, "not mine")
    assert stopped == [second]


FEW_SLOTS = replace(R7B_3, name="R7B-3, 8 slots", slots=8)


@pytest.mark.native
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize("release", [FEW_SLOTS, *ERAS], ids=lambda release: str(release.name))
def test_on_os_threads_each_accepted_job_is_done_once_and_given_to_one(
    release: Release, schedulers: int
) -> None:
    """Three processes open ports, command them and close them, as fast as they can."""
    done: list[int] = []
    given: list[int] = []
    accepted: list[int] = []
    numbers = itertools.count()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        for _ in range(3):
            number = next(numbers)
            assert driver_async(port, None, done.append, number, given.append) >= 0
            accepted.append(number)

    driver = made_of(output=output, ready_async=lambda port, number: given.append(number))
    schedulers = min(schedulers, release.max_schedulers)
    with Emulator(
        release=release, async_threads=2, schedulers=schedulers, threads="native", trace=False
    ) as erl:
        erl.erl_ddll.load_driver(driver)

        def life() -> None:
            for commands in range(60):
                with suppress(ErlangError):  # every slot is taken, or the port is another's by now
                    port = erl.open_port(("spawn_driver", "d"))
                    for _ in range(commands % 7):
                        erl.port_command(port, b"")
                    erl.port_close(port)

        ends = {erl.monitor("process", erl.spawn(life)) for _ in range(3)}
        while ends:
            ends.discard(erl.receive(lambda message: message[0] == "DOWN")[1])
    assert sorted(done) == sorted(accepted) == sorted({*accepted})
    assert len(given) == len({*given})
    assert {*given} <= {*accepted}
    if release.frees_for_closed_port:
        assert len(given) == len(accepted)
