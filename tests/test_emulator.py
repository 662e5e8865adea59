"""The emulator: how it starts, what it is made of, and the three ways in which it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Gate, Kind, Worker, both, new_job, on_another_thread, opened

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
    ErlangError,
    Leak,
    Misuse,
    ProcessExit,
    UseAfterFree,
)
from driverref.posix import usleep
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
        assert refused == ["stop: only the process that made the emulator may stop it"] * 3
        assert repr(erl) == "<Emulator +A 1 +S 1, running>"
        assert erl.ports() == [port]


# Halt.


class Halting(Worker):
    """A `Worker` with a `stop`; nothing is freed by hand, as the memory goes with the emulator."""

    def stop(self, port: ErlDrvPort) -> None:
        pass


@both
@pytest.mark.rule("free.halt-flush")
def test_halt_stops_the_ports_and_runs_the_queued_jobs(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Halting()
        port = opened(erl, driver)
        for text in (b"wait", b"2", b"3"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        driver.work_gate.open()
        assert erl.halt() == 0
        erl.stop()
    order = erl.trace.order("halt", "stop", "async_invoke", "async_return")
    assert order[:1] == ["async_invoke(1)"]
    jobs = [name for name in order if name.startswith("async")]
    assert jobs == [f"async_{event}({job})" for job in (1, 2, 3) for event in ("invoke", "return")]
    assert [name for name in order if name in ("halt", "stop")] == ["halt", "stop"]
    assert "it has halted" in repr(erl)


@pytest.mark.rule("free.halt-flush")
def test_whether_a_free_follows_depends_on_who_submitted_the_job() -> None:
    """The scheduler that halts handles no completions any more; another one may, until all is over."""

    def freed(schedulers: int, seed: int | None) -> int:
        with Emulator(schedulers=schedulers, seed=seed) as erl:

            def output(port: ErlDrvPort, buf: memoryview) -> None:
                driver_async(port, None, lambda data: usleep(60_000), None, lambda data: None)

            port = opened(erl, made_of(output=output))
            on_another_thread(erl, lambda: erl.port_command(port, b""), scheduler=schedulers)
            erl.halt()
            assert erl.trace.order("async_return") == ["async_return(1)"]
            return len(erl.trace.select("async_free"))

    assert freed(schedulers=1, seed=None) == 0
    assert {freed(schedulers=2, seed=seed) for seed in range(30)} >= {0, 1}


@both
@pytest.mark.rule("free.halt-no-flush")
def test_halt_without_flush_calls_nothing_any_more(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Halting()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"queued")
        driver.work_gate.await_arrival()
        assert erl.halt(3, flush=False) == 3
        with pytest.raises(EmulatorStopped, match="it has halted"):
            erl.self()
    after = erl.trace.order()
    assert after[-1] == "halt"
    assert erl.trace.order("stop", "async_free", "ready_async", "async_return") == []


@both
def test_halt_gives_up_at_a_port_that_never_empties_its_queue(threads: Kind) -> None:
    with Emulator(threads=threads, release="27") as erl:
        port = opened(erl, made_of(output=driver_enq))
        erl.port_command(port, b"x")
        assert erl.halt(flush_timeout=20) == 255
        erl.stop()


@both
def test_halt_gives_up_at_a_job_that_never_returns(threads: Kind) -> None:
    with Emulator(threads=threads, release="27") as erl:
        driver = Halting()
        erl.port_command(opened(erl, driver), b"wait")
        driver.work_gate.await_arrival()
        assert erl.halt(flush_timeout=20) == 255
    assert erl.trace.order("stop", "async_return") == ["stop"]


@both
def test_halt_in_time_keeps_its_status(threads: Kind) -> None:
    with Emulator(threads=threads, release="27") as erl:
        erl.port_command(opened(erl, Halting()), b"x")
        assert erl.halt(7, flush_timeout=60_000) == 7


@pytest.mark.rule("timeout.stuck-thread")
@pytest.mark.parametrize("end", [Emulator.halt, Emulator.stop])
def test_a_job_that_never_returns_keeps_halt_and_stop_waiting_for_ever(
    end: Callable[[Emulator], object],
) -> None:
    def story() -> None:
        with Emulator() as erl:
            driver = Halting()
            erl.port_command(opened(erl, driver), b"wait")
            end(erl)

    with pytest.raises(Deadlock) as caught:
        story()
    waiting = "\n".join(caught.value.waiting)
    assert "process <0.1.0> waits for the " in waiting
    assert "async 1 waits for " in waiting
    assert "scheduler 1 waits for " in waiting


def test_a_port_that_never_empties_its_queue_keeps_halt_waiting_for_ever() -> None:
    def story() -> None:
        with Emulator() as erl:
            erl.port_command(opened(erl, made_of(output=driver_enq)), b"x")
            erl.halt()

    with pytest.raises(Deadlock) as caught:
        story()
    assert "process <0.1.0> waits for its ports to close" in caught.value.waiting


@both
def test_another_process_can_halt_it(threads: Kind) -> None:
    before = set(threading.enumerate())
    with Emulator(threads=threads) as erl:
        ended: list[object] = []

        def halt() -> None:
            try:
                erl.halt()
            except EmulatorStopped as error:
                ended.append(str(error))
                raise

        erl.spawn(halt)
        with pytest.raises(EmulatorStopped, match="it has halted"):
            erl.receive()
        with pytest.raises(EmulatorStopped):
            erl.self()
        erl.stop()
    for thread in set(threading.enumerate()) - before:  # nobody waits for who has halted
        thread.join()
    assert ended == ["the emulator has halted, and this process with it"]


@both
def test_a_crash_of_a_job_while_halt_waits_for_it_is_seen(threads: Kind) -> None:
    class Boom(Worker):
        def work(self, job: Any) -> None:
            self.work_gate.pass_through()
            raise ArithmeticError("late")

        def stop(self, port: ErlDrvPort) -> None:
            self.work_gate.open()

    with Emulator(threads=threads) as erl:
        driver = Boom()
        erl.port_command(opened(erl, driver), b"x")
        driver.work_gate.await_arrival()
        with pytest.raises(ArithmeticError, match="late"):
            erl.halt()
        erl.stop()


# The crash: what the driver's code raises reaches the reader, once, whoever ran it.


def boom(*_: object) -> None:
    raise ArithmeticError("boom")


def in_output(erl: Emulator) -> None:
    erl.port_command(opened(erl, made_of(output=boom)), b"")


def in_output_of_iodata(erl: Emulator) -> None:
    erl.port_command(opened(erl, made_of(output=boom)), [b""])


def in_control(erl: Emulator) -> None:
    erl.port_control(opened(erl, made_of(control=boom)), 0, b"")


def in_start(erl: Emulator) -> None:
    opened(erl, made_of(start=boom))


def in_stop(erl: Emulator) -> None:
    erl.port_close(opened(erl, made_of(stop=boom)))


def in_init(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(made_of(init=boom))


def in_finish(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(made_of(finish=boom))
    erl.erl_ddll.unload_driver("d")


def in_output_by_message(erl: Emulator) -> None:
    erl.send(opened(erl, made_of(output=boom)), (erl.self(), ("command", b"")))


def in_a_job(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_async(port, None, boom, None))
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_ready_async(erl: Emulator) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, lambda data: None, None),
        ready_async=boom,
    )
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_async_free(erl: Emulator) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, lambda data: None, None, boom)
    )
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_timeout(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_set_timer(port, 1), timeout=boom)
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_a_process(erl: Emulator) -> None:
    erl.spawn(boom)
    erl.receive()


def in_a_callback_of_a_process(erl: Emulator) -> None:
    port = opened(erl, made_of(output=boom))
    erl.spawn(lambda: erl.port_command(port, b""))
    erl.receive()


def in_stop_as_the_owner_ends(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(made_of(stop=boom))
    erl.spawn(lambda: erl.open_port(("spawn_driver", "d")))
    erl.receive()


CRASHES = [
    in_output,
    in_output_of_iodata,
    in_control,
    in_start,
    in_stop,
    in_init,
    in_finish,
    in_output_by_message,
    in_a_job,
    in_ready_async,
    in_async_free,
    in_timeout,
    in_a_process,
    in_a_callback_of_a_process,
    in_stop_as_the_owner_ends,
]


@both
@pytest.mark.parametrize("story", CRASHES, ids=lambda story: story.__name__)
def test_a_crash_reaches_the_reader_as_itself_and_once(
    threads: Kind, story: Callable[[Emulator], None]
) -> None:
    erl = Emulator(threads=threads)
    with pytest.raises(ArithmeticError, match="^boom$"):
        story(erl)
    assert repr(erl) == "<Emulator +A 1 +S 1, it crashed with ArithmeticError>"
    for ask in (erl.self, erl.receive, lambda: erl.port_command(Port(1), b""), erl.halt):
        with pytest.raises(EmulatorStopped, match="it crashed with ArithmeticError"):
            ask()
    erl.stop()
    erl.stop()
    with Emulator(threads=threads):
        pass


@both
@pytest.mark.parametrize("story", CRASHES, ids=lambda story: story.__name__)
def test_a_crash_leaves_a_with_block_as_itself(
    threads: Kind, story: Callable[[Emulator], None]
) -> None:
    with pytest.raises(ArithmeticError, match="^boom$"), Emulator(threads=threads) as erl:
        story(erl)


@both
def test_a_crash_that_nobody_asked_about_is_raised_by_stop(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            driver = made_of(output=lambda port, buf: driver_async(port, None, boom, None))
            erl.port_command(opened(erl, driver), b"")

    with pytest.raises(ArithmeticError, match="^boom$"):
        story()


@both
def test_a_crash_in_stop_or_finish_at_the_end_is_seen(threads: Kind) -> None:
    for driver in (made_of(stop=boom), made_of(finish=boom)):
        with pytest.raises(ArithmeticError), Emulator(threads=threads) as erl:
            opened(erl, driver)
        assert "it crashed" in repr(erl)


@both
def test_a_crash_while_stop_kills_the_processes_is_seen(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            erl.erl_ddll.load_driver(made_of(stop=boom))
            gate = Gate()

            def owner() -> None:
                erl.open_port(("spawn_driver", "d"))
                gate.pass_through()

            erl.spawn(owner)
            gate.await_arrival()
            gate.open()

    with pytest.raises(ArithmeticError, match="^boom$"):
        story()


@both
def test_a_process_that_catches_a_crash_does_not_hide_it(threads: Kind) -> None:
    caught: list[object] = []

    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, made_of(output=boom))

            def careless() -> None:
                try:
                    erl.port_command(port, b"")
                except ArithmeticError as error:
                    caught.append(error)

            erl.spawn(careless)
            erl.receive()

    with pytest.raises(ArithmeticError):
        story()
    assert len(caught) == 1


@both
def test_others_see_that_the_emulator_stopped(threads: Kind) -> None:
    seen: list[str] = []

    def story() -> None:
        with Emulator(threads=threads, schedulers=2) as erl:
            gate = Gate()

            def waiter() -> None:
                gate.pass_through()
                try:
                    erl.receive()
                except EmulatorStopped as error:
                    seen.append(str(error))
                    gate.pass_through()
                    raise

            erl.spawn(waiter)
            gate.open()
            gate.await_arrival()
            try:
                in_output(erl)
            finally:
                gate.await_arrival()

    with pytest.raises(ArithmeticError):
        story()
    assert seen == ["the emulator is not running: it crashed with ArithmeticError"]


@both
def test_a_buffer_that_outlives_its_callback_is_explained(threads: Kind) -> None:
    kept: list[memoryview] = []
    driver = made_of(
        output=lambda port, buf: kept.append(buf),
        control=lambda port, command, buf: bytes(kept[0]),
    )

    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, driver)
            erl.port_command(port, b"x")
            erl.port_control(port, 0, b"")

    with pytest.raises(UseAfterFree, match=r"copy it with bytes\(buf\)"):
        story()


@both
def test_what_looks_like_a_bif_s_error_is_a_crash_when_a_driver_raises_it(threads: Kind) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        raise ErlangError("badarg", "of the driver's own")

    erl = Emulator(threads=threads)
    port = opened(erl, made_of(output=output))
    with pytest.raises(ErlangError, match="of the driver's own"):
        erl.port_command(port, [b""])
    with pytest.raises(EmulatorStopped, match="it crashed with ErlangError"):
        erl.self()
    erl.stop()


@both
def test_a_value_error_of_the_driver_s_own_stays_what_it_is(threads: Kind) -> None:
    driver = made_of(output=lambda port, buf: int(bytes(buf)))
    with pytest.raises(ValueError, match="invalid literal"), Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"x")


@both
def test_an_exit_of_the_first_process_leaves_the_block(threads: Kind) -> None:
    with pytest.raises(ProcessExit, match="done"), Emulator(threads=threads) as erl:
        erl.exit("done")
    with Emulator(threads=threads):
        pass


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
