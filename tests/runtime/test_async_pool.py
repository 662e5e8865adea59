"""The async threads: which one gets a job, and in what order they do them."""

from __future__ import annotations

import pytest
from support import Kind, PortLockingWorker, Signal, Worker, both, lanes, new_job, opened

from driverref import Driver, Emulator, Port
from driverref.erl_driver import ErlDrvPort, Key, driver_async, driver_output


class Keyed(Worker):
    """A command is the key of its job: a number, or `-` for NULL.

    `keys` shows what was written back.
    """

    driver_name = "keyed"

    def init(self) -> None:
        super().init()
        self.keys: list[int] = []

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        key = None if bytes(buf) == b"-" else Key(int(bytes(buf)))
        job = new_job(bytes(buf))
        self.ids.append(driver_async(port, key, self.work, job, self.async_free))
        if key is not None:
            self.keys.append(key.value)


def threads_of(erl: Emulator) -> list[int]:
    """The numbers of the async threads that did job 1, 2, 3, ..."""
    on = lanes(erl, "async_invoke")
    return [int(on[job].removeprefix("async ")) for job in sorted(on, key=lambda j: j or 0)]


@both
@pytest.mark.rule("key.modulo", "key.written-back")
@pytest.mark.parametrize(
    ("size", "keys", "indexes"),
    [
        (4, [0, 1, 2, 3, 4, 7, 100, 0xFFFFFFFF, 0x80000000], [0, 1, 2, 3, 0, 3, 0, 3, 0]),
        (3, [5, 0xFFFFFFFF, 0xFFFFFFFE, 0x80000000], [2, 0, 2, 2]),
        (1, [0, 9, 0xFFFFFFFF], [0, 0, 0]),
    ],
)
def test_a_key_picks_the_queue_by_its_remainder_and_is_overwritten_with_it(
    threads: Kind, size: int, keys: list[int], indexes: list[int]
) -> None:
    driver = Keyed()
    with Emulator(async_threads=size, threads=threads) as erl:
        port = opened(erl, driver)
        for key in keys:
            erl.port_command(port, b"%d" % key)
    assert threads_of(erl) == [index + 1 for index in indexes]
    assert driver.keys == indexes


@both
@pytest.mark.rule("key.null-is-job-id")
def test_without_a_key_the_jobs_id_picks_the_queue_and_every_call_counts(threads: Kind) -> None:
    """The sequence that was seen on the real emulator: NULL, 0, 0, NULL, the port's key, NULL."""
    driver = Keyed()
    with Emulator(async_threads=4, threads=threads) as erl:
        port = opened(erl, driver)
        for key in (b"-", b"0", b"0", b"-", b"6", b"-"):
            erl.port_command(port, key)
    assert driver.ids == [1, 2, 3, 4, 5, 6]
    assert threads_of(erl) == [2, 1, 1, 1, 3, 3]


@both
@pytest.mark.rule("key.null-is-job-id")
def test_one_counter_serves_all_ports_and_all_drivers(threads: Kind) -> None:
    with Emulator(async_threads=4, threads=threads) as erl:
        ports = [opened(erl, Worker()), opened(erl, Keyed())]
        for _ in range(4):
            for port in ports:
                erl.port_command(port, b"-")
    assert threads_of(erl) == [2, 3, 4, 1, 2, 3, 4, 1]


@both
@pytest.mark.rule("key.one-thread-fifo")
def test_jobs_of_one_key_run_on_one_thread_in_order_and_one_at_a_time(threads: Kind) -> None:
    driver = Worker()
    driver.key = 2
    with Emulator(async_threads=4, threads=threads) as erl:
        port = opened(erl, driver)
        for text in (b"wait", b"b", b"c", b"d"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(4)] == [b"wait", b"b", b"c", b"d"]
    assert set(lanes(erl, "async_invoke").values()) == {"async 3"}
    assert erl.trace.order("async_invoke", "async_return") == [
        f"{name}({job})" for job in (1, 2, 3, 4) for name in ("async_invoke", "async_return")
    ]


@both
@pytest.mark.rule("key.no-stealing")
def test_an_idle_thread_takes_no_job_of_a_busy_one(threads: Kind) -> None:
    """Two threads: the even ids are done, the odd ones stand behind the job that waits."""
    driver = Worker()
    with Emulator(async_threads=2, threads=threads) as erl:
        port = opened(erl, driver)
        for text in (b"wait", b"2", b"3", b"4", b"5"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        assert [erl.receive()[1][1] for _ in range(2)] == [b"2", b"4"]
        assert erl.trace.order("async_return") == ["async_return(2)", "async_return(4)"]
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(3)] == [b"wait", b"3", b"5"]
    assert threads_of(erl) == [2, 1, 2, 1, 2]


@both
@pytest.mark.rule("key.shared-across-ports")
def test_equal_remainders_share_a_thread_across_ports_and_drivers(threads: Kind) -> None:
    """The key 5 of one driver's port waits behind the key 1 of another's: 5 mod 4 is 1."""
    waiting, other = Worker(), Keyed()
    waiting.key = 1
    with Emulator(async_threads=4, threads=threads) as erl:
        one, two = opened(erl, waiting), opened(erl, other)
        erl.port_command(one, b"wait")
        waiting.work_gate.await_arrival()
        erl.port_command(two, b"5")
        erl.port_command(two, b"6")
        assert erl.receive() == (two, ("data", b"6"))
        assert erl.trace.order("async_return") == ["async_return(3)"]
        waiting.work_gate.open()
        assert {erl.receive()[0], erl.receive()[0]} == {one, two}
    assert threads_of(erl) == [2, 2, 3]


@both
def test_jobs_on_different_threads_overlap(threads: Kind) -> None:
    class Meeting(Driver):
        """Its two jobs wait for each other: neither can end unless both run."""

        driver_name = "meeting"

        def init(self) -> None:
            self.signals = [Signal(), Signal()]

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            for index in (0, 1):
                driver_async(port, index, self.work, index)

        def work(self, index: int) -> None:
            self.signals[1 - index].give()
            self.signals[index].wait()

        def ready_async(self, port: ErlDrvPort, index: int) -> None:
            driver_output(port, b"met")

    with Emulator(async_threads=2, threads=threads) as erl:
        erl.port_command(opened(erl, Meeting()), b"")
        assert erl.receive() == erl.receive()


@both
def test_stopping_the_emulator_runs_every_queued_job_to_its_end(threads: Kind) -> None:
    driver = PortLockingWorker()
    with Emulator(async_threads=2, threads=threads) as erl:
        port = opened(erl, driver)
        for _ in range(50):
            erl.port_command(port, b"x")
    for name in ("async_invoke", "async_return"):
        assert sorted(lanes(erl, name), key=int) == list(range(1, 51))  # type: ignore[arg-type]


@both
def test_a_job_that_raises_takes_the_emulator_down(threads: Kind) -> None:
    class Faulty(Worker):
        def work(self, job: object) -> None:
            raise ZeroDivisionError("in the job")

    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            erl.port_command(opened(erl, Faulty()), b"")
            erl.receive()

    with pytest.raises(ZeroDivisionError, match="in the job"):
        scenario()


def test_a_key_is_an_unsigned_int_that_can_be_written_back() -> None:
    assert repr(Key(7)) == "Key(7)"
    assert Key(-1).value == 0xFFFFFFFF
    assert Key(2**32 + 3).value == 3
    for wrong in (True, "7", None, 7.0):
        with pytest.raises(TypeError, match="Key: value must be an int, not"):
            Key(wrong)  # type: ignore[arg-type]


def test_a_job_belongs_to_the_port_that_submitted_it() -> None:
    with Emulator() as erl:
        one, two = opened(erl, Worker()), opened(erl, Keyed())
        erl.port_command(two, b"-")
        erl.port_command(one, b"-")
    assert [(e.job, e.port) for e in erl.trace.select("async_invoke")] == [(1, two), (2, one)]
    assert one == Port(1)
