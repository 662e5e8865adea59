"""The emulator: how it starts, what it is made of, and its orderly end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from scripted import made_of
from support import (
    Gate,
    Kind,
    Worker,
    both,
    new_job,
    on_another_thread,
    opened,
)

from driverref import Driver, Emulator, Pid, Port
from driverref.erl_driver import (
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_deq,
    driver_enq,
    driver_set_timer,
    driver_system_info,
    erl_drv_mutex_create,
    erl_drv_mutex_lock,
)
from driverref.errors import (
    Deadlock,
    EmulatorStopped,
    Leak,
    Misuse,
    ProcessExit,
)
from driverref.runtime.driver import ERL_DRV_FLAG_USE_PORT_LOCKING

# The beginning.


@both
@pytest.mark.rule("header.pool-exists")
@pytest.mark.parametrize(("given", "size"), [(None, 1), (0, 1), (1, 1), (5, 5)])
def test_there_is_always_a_pool(threads: Kind, given: int | None, size: int) -> None:
    seen = []
    with Emulator(threads=threads, async_threads=given) as erl:
        assert erl.system_info("thread_pool_size") == size
        driver = made_of(output=lambda port, buf: seen.append(driver_system_info().async_threads))
        erl.port_command(opened(erl, driver), b"")
    assert seen == [size]


@pytest.mark.rule("header.pool-exists")
def test_the_pool_may_have_1024_threads() -> None:
    with Emulator(async_threads=1024) as erl:
        assert erl.system_info("thread_pool_size") == 1024


@both
@pytest.mark.rule("header.pool-exists")
@pytest.mark.parametrize("given", [-1, 1025])
def test_a_pool_of_another_size_is_refused(threads: Kind, given: int) -> None:
    with pytest.raises(ValueError, match=f"async_threads must be from 0 to 1024, not {given}"):
        Emulator(threads=threads, async_threads=given)
    with Emulator(threads=threads) as erl:
        assert erl.system_info("thread_pool_size") == 1


@both
def test_it_says_what_it_is_made_of(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=4, schedulers=2) as erl:
        assert repr(erl) == "<Emulator +A 4 +S 2, running>"
        opened(erl, made_of())
        items = ("schedulers", "otp_release", "version", "driver_version", "port_count")
        assert [erl.system_info(item) for item in items] == [2, "25", "13.1.5", "3.3", 1]
    assert repr(erl) == "<Emulator +A 4 +S 2, it has stopped>"


@both
def test_without_a_trace_nothing_is_recorded_and_all_works(threads: Kind) -> None:
    with Emulator(threads=threads, trace=False) as erl:
        port = opened(erl, Worker())
        erl.port_command(port, b"x")
        assert erl.receive() == (port, ("data", b"x"))
        erl.send(erl.self(), 1)
        erl.port_close(port)
        assert erl.halt() == 0
    assert len(erl.trace) == 0


def test_a_seed_gives_the_same_story_twice() -> None:
    def story(seed: int) -> list[str]:
        with Emulator(seed=seed, async_threads=2, schedulers=2) as erl:
            port = opened(erl, Worker())
            for number in range(5):
                erl.port_command(port, b"%d" % number)
            for _ in range(5):
                erl.receive()
            erl.port_close(port)
        return erl.trace.order()

    assert all(story(seed) == story(seed) for seed in range(5))
    assert len({tuple(story(seed)) for seed in range(10)}) > 1


@both
def test_a_thread_has_one_emulator_at_a_time(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        with pytest.raises(Misuse, match="this thread already runs an emulator"):
            Emulator(threads=threads)
        assert repr(erl.self()) == "<0.1.0>"
    with Emulator(threads=threads) as again:
        assert again.receive(timeout=0) is None


@both
def test_two_threads_have_an_emulator_each(threads: Kind) -> None:
    answers: list[object] = []

    def run() -> None:
        with Emulator(threads=threads) as other:
            port = opened(other, Worker())
            other.port_command(port, b"theirs")
            answers.append(other.receive())

    with Emulator(threads=threads) as erl:
        port = opened(erl, Worker())
        thread = threading.Thread(target=run)
        thread.start()
        erl.port_command(port, b"ours")
        assert erl.receive() == (port, ("data", b"ours"))
        thread.join()
    assert answers == [(Port(1), ("data", b"theirs"))]


@both
def test_a_process_of_one_emulator_cannot_call_another(threads: Kind) -> None:
    others: list[Emulator] = []
    ready, done = threading.Event(), threading.Event()

    def run() -> None:
        with Emulator(threads=threads) as other:
            others.append(other)
            ready.set()
            done.wait()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    with Emulator(threads=threads):
        for call in (others[0].self, lambda: others[0].port_command(Port(1), b"")):
            with pytest.raises(Misuse, match="this thread is no process of this emulator"):
                call()
    done.set()
    thread.join()


# The orderly end.


@both
def test_stop_closes_the_ports_and_gives_every_job_back(threads: Kind) -> None:
    class Careful(Worker):
        def stop(self, port: ErlDrvPort) -> None:
            pass

        def finish(self) -> None:
            pass

    with Emulator(threads=threads, async_threads=2) as erl:
        driver = Careful()
        port = opened(erl, driver)
        for text in (b"wait", b"2", b"3"):
            erl.port_command(port, text)
        driver.work_gate.open()
    names = erl.trace.order("stop", "ready_async", "async_free", "finish")
    assert names[-1] == "finish"
    assert names.count("stop") == 1
    assert len(names) == 5
    assert erl.trace.order("exit") == ["exit"]
    assert erl.trace.select("exit")[0].detail == "killed"


@both
def test_stop_twice_and_after_the_block_is_quiet(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.stop()
        erl.stop()
    erl.stop()
    assert repr(erl) == "<Emulator +A 1 +S 1, it has stopped>"


@both
def test_stop_flushes_and_waits_for_a_port_that_is_closing(threads: Kind) -> None:
    def timeout(port: ErlDrvPort) -> None:
        driver_deq(port, 1)

    driver = made_of(
        output=driver_enq,
        flush=lambda port: driver_set_timer(port, 10),
        timeout=timeout,
        stop=lambda port: None,
    )
    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"x")
    assert erl.trace.order("flush", "timeout", "stop") == ["flush", "timeout", "stop"]


@both
def test_stop_kills_the_other_processes_and_closes_their_ports(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.erl_ddll.load_driver(made_of(stop=lambda port: None))

        def stubborn() -> None:
            erl.process_flag("trap_exit", True)
            erl.open_port(("spawn_driver", "d"))
            erl.send(Pid(1), "here")
            erl.receive()

        for _ in range(4):
            erl.spawn(stubborn)
        for _ in range(4):
            assert erl.receive() == "here"
    assert [event.detail for event in erl.trace.select("exit")] == ["killed"] * 4
    assert erl.trace.order("stop") == ["stop"] * 4


@pytest.mark.parametrize("seed", range(40))
def test_stop_kills_the_processes_too_that_are_started_meanwhile(seed: int) -> None:
    begun: list[int] = []
    killed: list[int] = []

    def live(generation: int) -> None:
        begun.append(generation)
        try:
            for _ in range(3):
                if generation < 3:
                    erl.spawn(live, generation + 1)
                erl.receive(timeout=1)
            erl.receive()
        except ProcessExit:
            killed.append(generation)
            raise

    with Emulator(seed=seed, schedulers=2) as erl:
        erl.spawn(live, 0)
        erl.receive(timeout=1)
    assert sorted(killed) == sorted(begun)


@both
def test_what_is_never_freed_is_a_leak_with_its_place(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, made_of(output=lambda port, buf: driver_alloc(8)))
            erl.port_command(port, b"")

    with pytest.raises(Leak) as caught:
        story()
    assert len(caught.value.blocks) == 1
    assert "block of 8 bytes allocated at test_emulator.py:" in caught.value.blocks[0]
    with Emulator(threads=threads):
        pass  # the thread is free again


@both
def test_an_error_in_the_block_is_what_the_reader_sees(threads: Kind) -> None:
    emulators = []

    def story() -> None:
        with Emulator(threads=threads) as erl:
            emulators.append(erl)
            port = opened(erl, made_of(output=lambda port, buf: driver_alloc(8)))
            erl.port_command(port, b"")
            print(1 / 0)

    with pytest.raises(ZeroDivisionError):
        story()
    assert repr(emulators[0]) == "<Emulator +A 1 +S 1, its with block was left by an exception>"
    with Emulator(threads=threads):
        pass


@both
def test_nothing_can_be_asked_after_the_end(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of())
        pid = erl.self()
    asked: list[Callable[[], object]] = [
        erl.self,
        erl.receive,
        erl.ports,
        erl.halt,
        erl.erl_ddll.loaded_drivers,
        lambda: erl.send(pid, 1),
        lambda: erl.port_command(port, b""),
        lambda: erl.open_port(("spawn_driver", "d")),
        lambda: erl.spawn(print),
    ]
    for ask in asked:
        with pytest.raises(EmulatorStopped, match="the emulator is not running: it has stopped"):
            ask()


@both
def test_only_the_process_that_made_it_may_stop_it(threads: Kind) -> None:
    refused: list[str] = []

    def stop(erl: Emulator) -> None:
        with pytest.raises(Misuse) as caught:
            erl.stop()
        refused.append(str(caught.value))

    with Emulator(threads=threads) as erl:
        on_another_thread(erl, lambda: stop(erl))
        thread = threading.Thread(target=stop, args=(erl,))
        thread.start()
        thread.join()
        port = opened(erl, made_of(output=lambda port, buf: stop(erl)))
        erl.port_command(port, b"")
        said = "stop: only the process that made the emulator may stop it, on the thread that it was made on; called at test_emulator.py:"
        assert [text.startswith(said) for text in refused] == [True] * 3
        assert repr(erl) == "<Emulator +A 1 +S 1, running>"
        assert erl.ports() == [port]


# Who waits for what.


def test_a_deadlock_names_who_waits_for_what() -> None:
    class Two(Driver):
        driver_name = "two"
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

        def init(self) -> None:
            self.held, self.gate = erl_drv_mutex_create("m"), Gate()

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            job = new_job(b"")
            driver_async(port, None, lambda data: self.work(), job)
            erl_drv_mutex_lock(self.held)
            self.gate.pass_through()

        def work(self) -> None:
            erl_drv_mutex_lock(self.held)

    def story() -> None:
        with Emulator(schedulers=2) as erl:
            port = opened(erl, Two())
            erl.spawn(lambda: erl.port_command(port, b""), scheduler=2)
            erl.receive()

    with pytest.raises(Deadlock) as caught:
        story()
    waiting = "\n".join(caught.value.waiting)
    assert "async 1 waits for mutex 'm', held by process <0.2.0>" in waiting
    assert "scheduler 1 waits for work for scheduler 1" in waiting


@pytest.mark.native
def test_an_emulator_that_gets_no_threads_leaves_nothing_behind() -> None:
    before = threading.stack_size(1 << 47)  # more than there are addresses
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            Emulator(threads="native")
    finally:
        threading.stack_size(before)
    with Emulator(threads="native") as erl:
        assert erl.self() == Pid(1)
