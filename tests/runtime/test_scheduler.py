"""Schedulers: where completions go, in what order, and what they wait for."""

from __future__ import annotations

from itertools import groupby

import pytest
from support import (
    Gate,
    Job,
    Kind,
    PortLockingWorker,
    Signal,
    Worker,
    both,
    lanes,
    on_another_thread,
    opened,
)

from driverref import Driver, Emulator, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_output,
    driver_set_timer,
)
from driverref.posix import usleep


class Sitter(Driver):
    """Sits in its callback: `control` waits at the gate."""

    driver_name = "sitter"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def init(self) -> None:
        self.seat = Gate()

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.seat.pass_through()
        return b""


@both
@pytest.mark.rule("flow.thread-calls-nothing")
def test_a_finished_job_waits_until_its_scheduler_is_free(threads: Kind) -> None:
    """The scheduler sits in a callback of another port; its job is done, and nobody calls `ready_async`."""
    worker, sitter = PortLockingWorker(), Sitter()
    worker.key = 0
    with Emulator(threads=threads, schedulers=2) as erl:
        port, seat = opened(erl, worker), opened(erl, sitter)

        def submit_and_sit() -> None:
            erl.port_command(port, b"wait")
            erl.port_command(port, b"wait")
            erl.port_control(seat, 0, b"")

        erl.spawn(submit_and_sit, scheduler=2)
        worker.work_gate.await_arrival()
        sitter.seat.await_arrival()
        worker.work_gate.open()
        worker.work_gate.await_arrival()  # so the job before it is done and put where it belongs
        assert erl.trace.order("async_return", "ready_async") == ["async_return(1)"]
        sitter.seat.open()
        assert erl.receive() == (port, ("data", b"wait"))
        worker.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
    assert set(lanes(erl, "ready_async").values()) == {"scheduler 2"}


@both
@pytest.mark.rule("free.on-submitting-scheduler")
@pytest.mark.parametrize("scheduler", [1, 2, 3])
def test_ready_async_and_async_free_run_on_the_scheduler_that_submitted(
    threads: Kind, scheduler: int
) -> None:
    driver = PortLockingWorker()
    with Emulator(threads=threads, schedulers=3) as erl:
        kept, closed = opened(erl, driver), opened(erl, driver)

        def submit() -> None:
            erl.port_command(kept, b"x")
            erl.port_command(closed, b"wait")
            driver.work_gate.await_arrival()

        on_another_thread(erl, submit, scheduler)
        erl.port_close(closed)
        driver.work_gate.open()
        assert erl.receive() == (kept, ("data", b"x"))
    assert lanes(erl, "ready_async") == {1: f"scheduler {scheduler}"}
    assert lanes(erl, "async_free") == {2: f"scheduler {scheduler}"}


@pytest.mark.rule("key.orders-invocations-only")
def test_two_schedulers_may_deliver_the_jobs_of_one_key_in_the_other_order() -> None:
    """As on the real emulator: job 1 from scheduler 1, which is then kept busy; job 2 from scheduler 2."""

    class Busy(Sitter):
        driver_name = "busy"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(50_000)
            return b""

    driver = PortLockingWorker()
    driver.key = 0
    with Emulator(schedulers=2, async_threads=4) as erl:
        port, busy = opened(erl, driver), opened(erl, Busy())

        def from_two() -> None:
            usleep(10_000)
            erl.port_command(port, b"2")

        erl.spawn(from_two, scheduler=2)
        erl.port_command(port, b"1")
        erl.port_control(busy, 0, b"")
        assert [erl.receive()[1][1] for _ in range(2)] == [b"2", b"1"]
    assert erl.trace.order("async_invoke", "async_return", "ready_async") == [
        "async_invoke(1)",
        "async_return(1)",
        "async_invoke(2)",
        "async_return(2)",
        "ready_async(2)",
        "ready_async(1)",
    ]
    assert lanes(erl, "ready_async") == {1: "scheduler 1", 2: "scheduler 2"}


@pytest.mark.rule("flow.batch")
def test_at_most_twenty_completions_are_handled_in_a_go() -> None:
    """While a callback takes its time 45 jobs end and the timer comes due:

    it fires between the goes.

    A timeout that sets the timer to 0 yields: it has its turn again after other work, not at once.
    """

    class Many(Worker):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_set_timer(port, 1)
            for _ in range(45):
                self.submit(port, b"x")
            usleep(10_000)

        def timeout(self, port: ErlDrvPort) -> None:
            driver_set_timer(port, 0)

    with Emulator() as erl:
        erl.port_command(opened(erl, Many()), b"")
        for _ in range(45):
            erl.receive()
    names = [event.name for event in erl.trace.select("ready_async", "timeout")]
    runs = [(name, len(list(run))) for name, run in groupby(names)]
    goes = [count for name, count in runs if name == "ready_async"]
    assert max(goes) == 20
    assert sum(goes) == 45


class Yielding(Driver):
    """Sets its timer to what a command says, in milliseconds."""

    driver_name = "yielding"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, int(buf))

    def timeout(self, port: ErlDrvPort) -> None:
        pass

    def stop(self, port: ErlDrvPort) -> None:
        pass


@pytest.mark.parametrize(
    ("milliseconds", "after"), [(b"0", {"timeout stop"}), (b"1", {"timeout stop", "stop"})]
)
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.rule("era.zero-timeout")
def test_who_has_set_a_timer_of_zero_does_not_overtake_it(
    schedulers: int, milliseconds: bytes, after: set[str]
) -> None:
    """The timeout stands in line at the port before the close does; of 1 ms it is not yet due."""

    def closes(erl: Emulator) -> None:
        port = opened(erl, Yielding())
        erl.port_command(port, milliseconds)
        erl.port_close(port)

    found = explore(closes, observe=("timeout", "stop"), schedulers=schedulers, progress=False)
    assert {str(order) for order in found} == after


@pytest.mark.rule("era.zero-timeout")
def test_a_command_does_not_overtake_a_timer_of_zero_either() -> None:
    def two(erl: Emulator) -> None:
        port = opened(erl, Yielding())
        erl.port_command(port, b"0")
        erl.port_command(port, b"1000")

    found = explore(two, observe=("timeout", "output"), progress=False)
    assert {str(order) for order in found} == {
        "output timeout output",
        "output timeout output timeout",
    }


@pytest.mark.parametrize("release", ["R7B-3", "R11B-5", "R13B", "R14B04", "R16B"])
@pytest.mark.rule("era.zero-timeout")
def test_before_21_2_the_next_call_may_overtake_a_timer_of_zero(release: str) -> None:
    def closes(erl: Emulator) -> None:
        port = opened(erl, Yielding())
        erl.port_command(port, b"0")
        erl.port_close(port)

    found = explore(closes, observe=("timeout", "stop"), release=release, progress=False)
    assert {str(order) for order in found} == {"timeout stop", "stop"}


class SittingWorker(PortLockingWorker):
    """A `Worker` that also sits in its `control`."""

    driver_name = "sitting_worker"

    def init(self) -> None:
        super().init()
        self.seat = Gate()

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.seat.pass_through()
        return b""


@both
@pytest.mark.rule("flow.waits-for-lock")
def test_ready_async_waits_for_the_lock_of_its_port(threads: Kind) -> None:
    driver = SittingWorker()
    driver.key = 0
    with Emulator(threads=threads, schedulers=2) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        driver.seat.await_arrival()
        driver.work_gate.open()
        driver.work_gate.await_arrival()  # the second job runs, so the first is done
        assert erl.trace.order("async_return", "ready_async") == ["async_return(1)"]
        driver.work_gate.open()
        driver.seat.open()
        assert [erl.receive()[1][1] for _ in range(2)] == [b"wait", b"wait"]


@pytest.mark.rule("flow.waits-for-lock")
def test_ready_async_overtakes_the_commands_that_wait_for_the_lock() -> None:
    """The commands are sent at 5 ms, the job is done at 50, the port is locked until 300.

    `ready_async` is no signal of the port: it has no place in that line.
    """
    order: list[str] = []

    class Slow(PortLockingWorker):
        driver_name = "slow"

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            order.append(bytes(buf).decode())
            if bytes(buf) == b"job":
                super().output(port, buf)
            else:
                driver_output(port, b"")

        def work(self, job: Job) -> None:
            usleep(50_000)

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(300_000)
            order.append("unlocked")
            return b""

        def ready_async(self, port: ErlDrvPort, job: Job) -> None:
            order.append("ready_async")
            super().ready_async(port, job)

    class Delays(Sitter):
        driver_name = "delays"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(100_000)
            return b""

    with Emulator(schedulers=3) as erl:
        port, other = opened(erl, Slow()), opened(erl, Delays())
        erl.port_command(port, b"job")
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)

        def send() -> None:
            usleep(5_000)
            for text in (b"2", b"3", b"4"):
                erl.send(port, (owner, ("command", text)))
            erl.port_control(other, 0, b"")

        owner = erl.self()
        on_another_thread(erl, send, scheduler=3)
        assert [erl.receive()[1][1] for _ in range(4)] == [b"job", b"", b"", b""]
    assert order == ["job", "unlocked", "ready_async", "2", "3", "4"]


@both
def test_signals_that_found_the_port_locked_are_carried_out_in_order(threads: Kind) -> None:
    got: list[bytes] = []

    class Listens(Sitter):
        driver_name = "listens"

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            got.append(bytes(buf))

        def stop(self, port: ErlDrvPort) -> None:
            got.append(b"stop")

    driver = Listens()
    with Emulator(threads=threads, schedulers=3) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        owner = erl.self()
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        driver.seat.await_arrival()
        sent = Signal()

        def send() -> None:
            erl.send(port, (owner, ("command", b"1")))
            sent.give()
            erl.send(port, (owner, ("command", b"2")))
            erl.send(port, (owner, "close"))
            erl.send(port, (owner, ("command", b"too late")))

        erl.spawn(send, scheduler=3)
        sent.wait()
        assert got == []
        driver.seat.open()
        assert erl.receive() == ("EXIT", port, "normal")
        assert erl.receive() == (port, "closed")
    assert got == [b"1", b"2", b"stop"]


class Ticker(Driver):
    """The command `n` sets the timer to n milliseconds; `timeout` says so."""

    driver_name = "ticker"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, int(bytes(buf)))

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"timeout")


@both
def test_timers_fire_in_the_order_of_their_deadlines(threads: Kind) -> None:
    """Also one that comes to stand before the one that the scheduler sleeps for.

    One callback sets all three: between three commands any time may pass.
    """

    class Together(Ticker):
        driver_name = "together"

        def init(self) -> None:
            self.ports: list[ErlDrvPort] = []

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            self.ports.append(port)
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            for each, ms in zip(self.ports, (300, 100, 200), strict=True):
                driver_set_timer(each, ms)

    with Emulator(threads=threads) as erl:
        driver = Together()
        ports = [opened(erl, driver) for _ in range(3)]
        erl.port_command(ports[0], b"")
        assert [erl.receive()[0] for _ in range(3)] == [ports[1], ports[2], ports[0]]


@both
def test_a_timer_that_is_set_again_and_again_leaves_nothing_behind(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Ticker())
        for _ in range(10):
            erl.port_command(port, b"1000000")
        assert len(erl.runtime.schedulers[0].timers.value) == 1


def test_a_timer_takes_its_time_and_equal_ones_fire_in_the_order_in_which_they_were_set() -> None:
    with Emulator() as erl:
        ticker = Ticker()
        ports = [opened(erl, ticker) for _ in range(3)]
        for port in ports:
            erl.port_command(port, b"7")
        assert [erl.receive()[0] for _ in range(3)] == ports
    assert [event.time for event in erl.trace.select("timeout")] == [7_000_000] * 3


@both
def test_a_timer_for_the_end_of_days_disturbs_nobody(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ticker = Ticker()
        far, near = opened(erl, ticker), opened(erl, ticker)
        erl.port_command(far, b"%d" % (2**64 - 1))
        erl.port_command(near, b"1")
        assert erl.receive() == (near, ("data", b"timeout"))


def test_a_scheduler_that_waits_for_a_port_does_nothing_else() -> None:
    """A timer of another port, due at 1 ms, fires when the scheduler has got the port, at 300."""

    class Slow(Sitter):
        driver_name = "slow"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(command * 1000)
            return b""

    with Emulator(schedulers=2) as erl:
        slow, ticker = opened(erl, Slow()), opened(erl, Ticker())
        erl.spawn(lambda: erl.port_control(slow, 300, b""), scheduler=2)
        usleep(1)  # let it go first
        erl.port_command(ticker, b"1")
        erl.port_control(slow, 0, b"")
        assert erl.receive() == (ticker, ("data", b"timeout"))
    assert [event.time for event in erl.trace.select("timeout")] == [300_000_000]


@both
def test_work_for_a_scheduler_is_done_to_the_end_before_it_stops(threads: Kind) -> None:
    driver = Worker()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        for _ in range(100):
            erl.port_command(port, b"x")
    assert len(erl.trace.select("ready_async", "async_free")) == 100


@both
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize("where", ["ready_async", "async_free", "timeout"])
def test_what_a_callback_on_a_scheduler_raises_takes_the_emulator_down(
    threads: Kind, schedulers: int, where: str
) -> None:
    """Whichever thread does the scheduler's work: the process that waits gets the error."""

    class Raises(Ticker):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            if where == "timeout":
                super().output(port, buf)
            else:
                driver_async(port, None, len, b"", self.fail)

        def fail(self, *_: object) -> None:
            raise ZeroDivisionError(f"in {where}")

        timeout = fail  # type: ignore[assignment]

    if where == "ready_async":
        Raises.ready_async = Raises.fail  # type: ignore[assignment, method-assign]

    def scenario() -> None:
        with Emulator(threads=threads, schedulers=schedulers) as erl:
            erl.port_command(opened(erl, Raises()), b"1")
            erl.receive()

    with pytest.raises(ZeroDivisionError, match=f"in {where}"):
        scenario()
