"""`driver_async_cancel`, in the eras that have it: what it finds, what it frees, and when it does not come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from era_support import DataLocked
from scripted import Box, made_of
from support import Gate, Kind, Worker, both, lanes, opened, received

from driverref import Emulator, Port, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_async_cancel,
    driver_free,
)
from driverref.errors import EmulatorHang, Misuse
from driverref.release import ERAS

HAVE_IT = ERAS[:-1]
HANGING = ["R7B-3", "R11B-5", "R13B"]

every_era_that_has_it = pytest.mark.parametrize("release", [era.name for era in HAVE_IT])
hanging = pytest.mark.parametrize("release", HANGING)


class Canceller(Worker):
    """A command is a job's text, with its key before it; `control` cancels the job of that id."""

    driver_name = "canceller"

    def init(self) -> None:
        super().init()
        self.freed: list[bytes] = []

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        key, text = bytes(buf).split()
        self.key = int(key)
        self.submit(port, text)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return bytes([driver_async_cancel(command)])

    def async_free(self, job: Any) -> None:
        self.freed.append(job.text)
        driver_free(job)


class WithPortLocks(Canceller):
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING


def cancel(erl: Emulator, port: Port, job_id: int) -> int:
    """What `driver_async_cancel` returned in the driver's `control`."""
    answer: Any = erl.port_control(port, job_id, b"")
    (result,) = bytes(answer)
    return result


def waiting(erl: Emulator, driver: Canceller, *texts: bytes) -> Port:
    """A port with a job that waits at the gate, job 1 of thread 1, and these behind it: `b"0 b"` has key 0."""
    port = opened(erl, driver)
    erl.port_command(port, b"0 wait")
    driver.work_gate.await_arrival()
    for text in texts:
        erl.port_command(port, text)
    return port


@both
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize(("job_id", "text"), [(2, b"b"), (3, b"c"), (4, b"d"), (6, b"e")])
@pytest.mark.rule("era.cancel-found")
def test_r14b03_and_r14b04_find_a_queued_job_wherever_it_is(
    threads: Kind, schedulers: int, job_id: int, text: bytes
) -> None:
    driver = Canceller()
    with Emulator(release="R14B04", async_threads=2, schedulers=schedulers, threads=threads) as erl:
        port = waiting(erl, driver, b"0 b", b"0 c", b"0 d", b"1 wait")
        driver.work_gate.await_arrival()
        erl.port_command(port, b"1 e")
        assert cancel(erl, port, job_id) == 1
        assert driver.freed == [text]
        assert cancel(erl, port, job_id) == 0
        driver.work_gate.open()
        driver.work_gate.open()
        got = [erl.receive()[1][1] for _ in range(5)]
    assert sorted([*got, text]) == [b"b", b"c", b"d", b"e", b"wait", b"wait"]
    assert job_id not in lanes(erl, "async_invoke")


@both
@pytest.mark.rule("era.cancel-found")
def test_a_running_job_is_not_found_there_either(threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release="R14B04", async_threads=1, threads=threads) as erl:
        port = waiting(erl, driver)
        assert [cancel(erl, port, job_id) for job_id in (1, 99, 0)] == [0, 0, 0]
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))


@both
@pytest.mark.rule("era.cancel-nothing")
def test_from_r15a_on_nothing_is_cancelled(threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release="R16B", async_threads=1, threads=threads) as erl:
        port = waiting(erl, driver, b"0 b", b"0 c")
        assert [cancel(erl, port, job_id) for job_id in (1, 2, 3)] == [0, 0, 0]
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(3)] == [b"wait", b"b", b"c"]
    assert driver.freed == []


@both
@pytest.mark.rule("era.cancel-nothing")
def test_from_17_on_it_is_gone(threads: Kind) -> None:
    driver = Canceller()

    def scenario() -> None:
        with Emulator(release="25", async_threads=1, threads=threads) as erl:
            erl.port_control(opened(erl, driver), 1, b"")

    with pytest.raises(Misuse, match=r"25 does not have it; .* went with 17\.0"):
        scenario()


@hanging
@both
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.rule("era.cancel-hang")
def test_until_r14b02_the_newest_of_its_queue_is_cancelled(
    release: str, threads: Kind, schedulers: int
) -> None:
    schedulers = 1 if release == "R7B-3" else schedulers
    driver = Canceller()
    with Emulator(release=release, async_threads=2, schedulers=schedulers, threads=threads) as erl:
        port = waiting(erl, driver, b"0 b", b"0 c", b"1 wait")
        driver.work_gate.await_arrival()
        erl.port_command(port, b"1 d")
        assert [cancel(erl, port, job_id) for job_id in (3, 2, 5, 1)] == [1, 1, 1, 0]
        assert driver.freed == [b"c", b"b", b"d"]
        for _ in range(2):
            driver.work_gate.open()
            assert erl.receive() == (port, ("data", b"wait"))


@hanging
@both
@pytest.mark.parametrize(
    "behind",
    [(b"0 b", b"0 c"), (b"0 other", b"1 wait", b"1 b")],
    ids=["older than the newest", "newest, but a queue before it is not empty"],
)
@pytest.mark.rule("era.cancel-hang")
def test_and_any_other_queued_job_hangs_the_emulator(
    release: str, threads: Kind, behind: tuple[bytes, ...]
) -> None:
    driver = Canceller()

    def scenario() -> None:
        with Emulator(release=release, async_threads=2, threads=threads) as erl:
            port = waiting(erl, driver, *behind[:-1])
            if len(behind) == 3:
                driver.work_gate.await_arrival()
            erl.port_command(port, behind[-1])
            cancel(erl, port, len(behind) if len(behind) == 2 else 4)

    with pytest.raises(EmulatorHang, match="loops for ever in driver_async_cancel"):
        scenario()


@hanging
@pytest.mark.rule("era.cancel-hang")
def test_the_hang_is_an_outcome_of_explore(release: str) -> None:
    def scenario(erl: Emulator) -> int:
        port = opened(erl, Canceller())
        erl.port_command(port, b"0 a")
        erl.port_command(port, b"0 b")
        result = cancel(erl, port, 1)
        assert [erl.receive(), erl.receive()]
        return result

    outcomes = explore(scenario, release=release, async_threads=1)
    assert {str(outcome).partition(":")[0] for outcome in outcomes} == {"0", "EmulatorHang"}


@every_era_that_has_it
@both
def test_without_a_pool_there_is_nothing_to_cancel(release: str, threads: Kind) -> None:
    driver = Canceller()
    with Emulator(release=release, async_threads=0, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"0 a")
        assert cancel(erl, port, 1) == 0
        assert received(erl) == [(port, ("data", b"a"))]


@pytest.mark.parametrize("release", [*HANGING, "R14B04"])
@both
def test_a_job_without_a_free_function_is_cancelled_all_the_same(
    release: str, threads: Kind
) -> None:
    gates: list[Gate] = []
    done: list[str] = []
    box = Box()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        gates.append(Gate())
        driver_async(port, 0, lambda job: gates[0].pass_through(), "first")
        box.put(driver_async(port, 0, done.append, "second"))

    driver = made_of(
        output=output,
        control=lambda port, command, buf: bytes([driver_async_cancel(box.value)]),
    )
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        gates[0].await_arrival()
        assert erl.port_control(port, 0, b"") == [1]
        gates[0].open()
    assert done == []


@pytest.mark.parametrize("schedulers", [1, 2])
@both
def test_a_cancelled_job_gives_its_reference_to_the_pdl_back(
    schedulers: int, threads: Kind
) -> None:
    locked = DataLocked()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        before = locked.refc()
        return bytes([driver_async_cancel(2), before, locked.refc()])

    driver = made_of(start=locked.start, output=locked.wait_with_another, control=control)
    with Emulator(release="R14B04", async_threads=1, schedulers=schedulers, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        locked.gate.await_arrival()
        assert erl.port_control(port, 0, b"") == [1, 3, 2]
        locked.gate.open()


@both
def test_a_job_that_another_port_cancels_gives_its_reference_to_the_pdl_back(threads: Kind) -> None:
    """The port whose callback cancels has another lock: the job's own port counts it off later."""
    locked = DataLocked()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return bytes([driver_async_cancel(2) if command == 0 else locked.refc()])

    driver = made_of(
        flags=ERL_DRV_FLAG_USE_PORT_LOCKING,
        start=locked.start,
        output=locked.wait_with_another,
        control=control,
    )
    with Emulator(release="R14B04", async_threads=1, schedulers=2, threads=threads) as erl:
        other = opened(erl, driver)
        owner = erl.open_port(("spawn_driver", "d"))
        erl.port_command(owner, b"")
        locked.gate.await_arrival()
        assert erl.port_control(owner, 1, b"") == [3]
        assert erl.port_control(other, 0, b"") == [1]
        for _ in range(1000):  # until the scheduler has come to it
            if (left := erl.port_control(owner, 1, b"")) == [2]:
                break
            erl.receive(timeout=1)
        assert left == [2]
        locked.gate.open()


@pytest.mark.parametrize("release", ["R7B-3", "R13B", "R14B04"])
@pytest.mark.parametrize("closed", [False, True])
@both
def test_another_port_may_cancel_the_job_and_the_port_may_be_closed(
    release: str, closed: bool, threads: Kind
) -> None:
    driver = Canceller()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        first = waiting(erl, driver, b"0 b")
        second = erl.open_port(("spawn_driver", "canceller"))
        if closed:
            erl.port_close(first)
        assert cancel(erl, second, 2) == 1
        assert driver.freed == [b"b"]
        driver.work_gate.open()
        if not closed:
            assert erl.receive() == (first, ("data", b"wait"))
    assert driver.freed == ([b"b", b"wait"] if closed else [b"b"])


@both
def test_with_port_locking_who_cancels_does_not_wait_for_the_other_ports_lock(
    threads: Kind,
) -> None:
    """A callback of the first port stands at a gate while the second cancels the first one's job."""

    class Standing(WithPortLocks):
        stand: Gate

        def init(self) -> None:
            super().init()
            self.stand = Gate()

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            if command == 0:
                self.stand.pass_through()
                return b""
            return super().control(port, command, buf)

    driver = Standing()
    with Emulator(release="R14B04", async_threads=1, schedulers=2, threads=threads) as erl:
        first = waiting(erl, driver, b"0 b")
        second = erl.open_port(("spawn_driver", "canceller"))
        erl.spawn(lambda: erl.port_control(first, 0, b""), scheduler=2)
        driver.stand.await_arrival()
        assert cancel(erl, second, 2) == 1
        driver.stand.open()
        driver.work_gate.open()
        assert erl.receive() == (first, ("data", b"wait"))
    assert driver.freed == [b"b"]


def test_two_ports_may_cancel_each_others_jobs_at_once() -> None:
    """They do not wait for each other, whatever the order."""

    def scenario(erl: Emulator) -> tuple[int, ...]:
        driver = WithPortLocks()
        first = waiting(erl, driver, b"0 b")
        second = erl.open_port(("spawn_driver", "canceller"))
        erl.port_command(second, b"0 c")
        me, results = erl.self(), []
        erl.spawn(lambda: erl.send(me, cancel(erl, first, 3)), scheduler=2)
        results.append(cancel(erl, second, 2))
        results.append(erl.receive(lambda message: type(message) is int))
        driver.work_gate.open()
        return tuple(results)

    outcomes = explore(scenario, release="R14B04", async_threads=1, schedulers=2, limit=300)
    assert set(outcomes) == {(1, 1)}


@pytest.mark.rule("era.unload-after-jobs")
def test_r7b_unloads_when_the_last_job_it_waits_for_is_cancelled() -> None:
    """The unloading waits for the driver's queued job; a port of another driver cancels it."""
    gates: list[Gate] = []

    def keep_the_thread(port: ErlDrvPort, buf: memoryview) -> None:
        gates.append(Gate())
        driver_async(port, 0, lambda job: gates[0].pass_through(), "first")

    driver = Canceller()
    other = made_of(
        "other",
        output=keep_the_thread,
        control=lambda port, command, buf: bytes([driver_async_cancel(command)]),
    )
    with Emulator(release="R7B-3", async_threads=1) as erl:
        erl.process_flag("trap_exit", True)
        canceller, me = opened(erl, other), erl.self()
        erl.port_command(canceller, b"")
        gates[0].await_arrival()

        def owner() -> None:
            erl.process_flag("trap_exit", True)
            port = opened(erl, driver)
            erl.port_command(port, b"0 b")
            erl.send(me, ("unload", erl.erl_ddll.unload_driver("canceller")))
            erl.send(me, ("exit", erl.receive() == ("EXIT", port, -1)))

        erl.spawn(owner)
        assert erl.receive(timeout=1) is None
        assert cancel(erl, canceller, 2) == 1
        assert [erl.receive(), erl.receive()] == [("unload", "ok"), ("exit", True)]
        gates[0].open()
    assert driver.freed == [b"b"]


@pytest.mark.rule("era.unload-after-jobs")
def test_in_r7b_a_callback_may_cancel_the_job_that_its_own_unloading_waits_for() -> None:
    """The driver's ports are killed inside the callback, which then returns to a port that is closed."""
    stops: list[str] = []
    driver = made_of(
        "own",
        output=lambda port, buf: driver_async(port, 0, len, b""),
        control=lambda port, command, buf: bytes([driver_async_cancel(command), len(stops)]),
        stop=lambda port: stops.append("stop"),
        finish=lambda: stops.append("finish"),
    )
    with Emulator(release="R7B-3", async_threads=1) as erl:
        erl.process_flag("trap_exit", True)
        gate, me = Gate(), erl.self()
        holder = made_of(
            "holder",
            output=lambda port, buf: driver_async(port, 0, lambda job: gate.pass_through(), ""),
        )
        erl.port_command(opened(erl, holder), b"")
        gate.await_arrival()

        def owner() -> None:
            erl.process_flag("trap_exit", True)
            port = opened(erl, driver)
            erl.port_command(port, b"")
            erl.send(me, port)
            erl.send(me, erl.erl_ddll.unload_driver("own"))

        erl.spawn(owner)
        port = erl.receive()
        assert erl.receive(timeout=1) is None
        assert erl.port_control(port, 2, b"") == [1, 2]
        assert erl.receive() == "ok"
        gate.open()
    assert stops == ["stop", "finish"]


@both
@pytest.mark.parametrize("release", ["R7B-3", "R14B04"])
def test_a_thread_that_was_told_to_end_has_no_job_in_its_queue(release: str, threads: Kind) -> None:
    """The emulator stops.

    The free function of one job cancels another, which runs, and lets it go on.
    """
    gates: dict[str, Gate] = {}
    results: list[int] = []

    def free(job: str) -> None:
        if job == "first":
            results.append(driver_async_cancel(2))
            gates["second"].open()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        for key, job in enumerate(("first", "second")):
            gates[job] = Gate()
            driver_async(port, key, lambda job: gates[job].pass_through(), job, free)

    with Emulator(release=release, async_threads=2, threads=threads) as erl:
        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        for job in ("first", "second"):
            gates[job].await_arrival()
        erl.port_close(port)
        gates["first"].open()
    assert results == [0]


@pytest.mark.parametrize("wrong", ["1", None, True])
def test_what_is_no_id_is_refused(wrong: Any) -> None:
    def scenario() -> None:
        with Emulator(release="R7B-3", async_threads=1) as erl:
            driver = made_of(output=lambda port, buf: driver_async_cancel(wrong))
            erl.port_command(opened(erl, driver), b"")

    with pytest.raises(TypeError, match="driver_async_cancel: id must be an int"):
        scenario()


@every_era_that_has_it
def test_only_a_callback_may_cancel(release: str) -> None:
    refused = "driver_async_cancel: only a callback may call it, not "

    def job() -> None:
        with Emulator(release=release, async_threads=1) as erl:
            driver = made_of(
                output=lambda port, buf: driver_async(port, None, driver_async_cancel, 1)
            )
            erl.port_command(opened(erl, driver), b"")
            erl.receive()

    def process() -> None:
        with Emulator(release=release):
            driver_async_cancel(1)

    calls: dict[str, Callable[[], None]] = {"async 1": job, "process <0.1.0>": process}
    for who, call in calls.items():
        with pytest.raises(Misuse, match=refused + who):
            call()


@pytest.mark.native
@pytest.mark.parametrize("release", ["R14B04", "25"])
def test_the_threads_of_an_emulator_that_has_halted_end(release: str) -> None:
    erl = Emulator(release=release, threads="native", async_threads=2)
    pool = erl.runtime.pool
    erl.halt(1)
    for thread in pool.threads:
        erl.runtime.threads.join(thread)
    assert pool.size == len(pool.threads) == 2
