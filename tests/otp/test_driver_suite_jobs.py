"""Cases of `driver_SUITE`: jobs, threads of the driver's own, and the memory that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from retold import down, loaded, port_of, silent
from support import Gate, Job, Kind, both, new_job, pieces_of

from driverref import Driver, Emulator, Pid, Port, assert_outcomes
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPDL,
    ErlDrvPort,
    ErlDrvTid,
    Key,
    driver_alloc,
    driver_async,
    driver_caller,
    driver_enq,
    driver_free,
    driver_mk_port,
    driver_pdl_create,
    driver_pdl_dec_refc,
    driver_pdl_inc_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_peekq,
    driver_send_term,
    driver_sizeq,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_send_term,
    erl_drv_thread_create,
    erl_drv_thread_join,
)

# The queue of a port that is gone.


class Peeking(Driver):
    """Its job looks into the driver queue, under the port data lock."""

    driver_name = "peeking"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING
    gate: Gate | None = None

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.pdl = driver_pdl_create(port)
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        if command:
            driver_async(port, Key(0), lambda caller: None, driver_caller(port), None)
        else:
            driver_enq(port, b"!")
            assert self.pdl is not None
            driver_pdl_inc_refc(self.pdl)
            driver_async(port, Key(0), self.look, (port, self.pdl), lambda job: None)
        return b"ok"

    def look(self, job: tuple[ErlDrvPort, ErlDrvPDL]) -> None:
        port, pdl = job
        if self.gate:
            self.gate.pass_through()
        driver_pdl_lock(pdl)
        queued, size = driver_peekq(port), driver_sizeq(port)
        # Under the lock: without it the emulator may free what is in the queue.
        self.seen = (None if queued is None else b"".join(pieces_of(queued)), size)
        driver_pdl_unlock(pdl)
        driver_pdl_dec_refc(pdl)

    def ready_async(self, port: ErlDrvPort, data: object) -> None:
        if isinstance(data, Pid):
            driver_send_term(port, data, ("the", "next"))

    def flush(self, port: ErlDrvPort) -> None:
        pass


@both
@pytest.mark.otp("driver_SUITE", "peek_non_existing_queue")
def test_the_queue_of_a_port_that_is_gone_is_told_to_be_gone(threads: Kind) -> None:
    driver = Peeking()
    with Emulator(threads=threads) as erl:
        driver.gate = Gate()
        erl.process_flag("trap_exit", True)
        port = loaded(erl, driver)
        erl.port_control(port, 0, b"")
        driver.gate.await_arrival()
        erl.exit(port, "kill")
        assert erl.receive() == ("EXIT", port, "killed")
        driver.gate.open()
        # A job of the same key runs after it.
        erl.port_control(port_of(erl, "peeking"), 1, b"")
        assert erl.receive() == ("the", "next")
    assert driver.seen == (None, -1)


def peek_and_kill(erl: Emulator) -> object:
    driver = Peeking()
    erl.process_flag("trap_exit", True)
    port = loaded(erl, driver)
    erl.port_control(port, 0, b"")
    erl.exit(port, "kill")
    erl.port_control(port_of(erl, "peeking"), 1, b"")
    erl.receive(lambda message: message == ("the", "next"))
    return driver.seen


@pytest.mark.otp("driver_SUITE", "peek_non_existing_queue")
def test_or_to_be_there_if_the_job_comes_first() -> None:
    """The lock guards the queue and not the port's end, which may fall between the two calls."""
    assert_outcomes(peek_and_kill, {(b"!", 1), (b"!", -1), (None, -1)}, async_threads=1)


# Jobs.


class InOrder(Driver):
    """Has five jobs of one key done; each tells its name, and the first takes its time."""

    driver_name = "in_order"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING
    names: tuple[str, ...] = ("first", "second", "third", "fourth", "last")
    gate: Gate | None = None

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        me, caller, key = driver_mk_port(port), driver_caller(port), Key(7)
        for name in self.names:
            job = new_job(name.encode())
            driver_async(port, key, lambda job: self.work(me, caller, job), job, driver_free)

    def work(self, me: Port, caller: Pid, job: Job) -> None:
        if self.gate and job.text == b"first":
            self.gate.pass_through()
        erl_drv_send_term(me, caller, (me, job.text.decode()))

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        driver_free(job)


@both
@pytest.mark.otp("driver_SUITE", "otp_9302")
def test_jobs_of_one_key_are_done_in_their_order_each_once(threads: Kind) -> None:
    driver = InOrder()
    with Emulator(threads=threads, async_threads=4) as erl:
        driver.gate = Gate()
        port = loaded(erl, driver)
        erl.port_command(port, b"")
        driver.gate.await_arrival()
        assert silent(erl), "the others wait for the first"
        driver.gate.open()
        assert [erl.receive() for _ in driver.names] == [(port, name) for name in driver.names]
        erl.port_close(port)
        assert silent(erl)


def three_in_order(erl: Emulator) -> str:
    driver = InOrder()
    driver.names = ("first", "second", "last")
    port = loaded(erl, driver)
    erl.port_command(port, b"")
    return " ".join(erl.receive()[1] for _ in driver.names)


@pytest.mark.otp("driver_SUITE", "otp_9302")
def test_whichever_thread_goes_first() -> None:
    assert_outcomes(three_in_order, {"first second last"}, async_threads=2)


class Blasting(Driver):
    """Has so many jobs done for a command, and tells its caller when all have come back."""

    driver_name = "blasting"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING
    jobs = 200

    def start(self, port: ErlDrvPort, command: str) -> Any:
        return {"port": port}

    def output(self, state: Any, buf: memoryview) -> None:
        port = state["port"]
        state.update(left=self.jobs, caller=driver_caller(port), me=driver_mk_port(port))
        for _ in range(self.jobs):
            assert driver_async(port, None, lambda job: None, None, None) >= 0

    def ready_async(self, state: Any, data: object) -> None:
        state["left"] -= 1
        if not state["left"]:
            erl_drv_send_term(state["me"], state["caller"], (state["me"], "done"))


@both
@pytest.mark.otp("driver_SUITE", "async_blast")
def test_many_ports_get_each_of_their_many_jobs_back(threads: Kind) -> None:
    """What were left of a job would be a leak."""

    def blast() -> None:
        port = port_of(erl, "blasting")
        erl.port_command(port, b"")
        assert erl.receive() == (port, "done")
        erl.port_close(port)
        erl.send(me, "over")

    with Emulator(threads=threads, async_threads=4, schedulers=2, trace=False) as erl:
        me = erl.self()
        erl.erl_ddll.load_driver(Blasting())
        for number in range(10):
            erl.spawn(blast, scheduler=number % 2 + 1, link=True)
        assert {erl.receive() for _ in range(10)} == {"over"}
        assert erl.ports() == []


def blast_twice(erl: Emulator) -> str:
    driver = Blasting()
    driver.jobs = 2
    port = loaded(erl, driver)
    erl.port_command(port, b"")
    return str(erl.receive()[1])


@pytest.mark.otp("driver_SUITE", "async_blast")
def test_none_is_lost_in_any_order() -> None:
    assert_outcomes(blast_twice, {"done"}, async_threads=2)


# Threads of the driver's own.


class Freeing(Driver):
    """Gives its threads blocks to free, all at once, and frees as many itself, some at a time."""

    driver_name = "freeing"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, threads: int, blocks: int) -> None:
        self._threads, self._blocks = threads, blocks

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.go = False
        self.mutex, self.cond = erl_drv_mutex_create("go"), erl_drv_cond_create("go")
        self.own, *others = [
            [driver_alloc(1) for _ in range(self._blocks)] for _ in range(self._threads + 1)
        ]
        self.tids = [ErlDrvTid() for _ in others]
        for tid, blocks in zip(self.tids, others, strict=True):
            assert erl_drv_thread_create("freeing", tid, self.free, blocks, None) == 0
        return port

    def free(self, blocks: list[Any]) -> None:
        erl_drv_mutex_lock(self.mutex)
        while not self.go:
            erl_drv_cond_wait(self.cond, self.mutex)
        erl_drv_mutex_unlock(self.mutex)
        for block in blocks:
            driver_free(block)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        if not self.go:
            erl_drv_mutex_lock(self.mutex)
            self.go = True
            erl_drv_cond_broadcast(self.cond)
            erl_drv_mutex_unlock(self.mutex)
        for _ in range(min(10, len(self.own))):
            driver_free(self.own.pop())
        return b"more" if self.own else b"done"

    def stop(self, port: ErlDrvPort) -> None:
        for tid in self.tids:
            erl_drv_thread_join(tid, None)
        erl_drv_cond_destroy(self.cond)
        erl_drv_mutex_destroy(self.mutex)


def free_everywhere(threads: int, blocks: int) -> Callable[[Emulator], str]:
    """What is not freed, or freed twice, is a fault."""

    def scenario(erl: Emulator) -> str:
        port = loaded(erl, Freeing(threads, blocks))
        rounds = 1
        while erl.port_control(port, 0, b"") == list(b"more"):
            rounds += 1
        erl.port_close(port)
        return f"{rounds} rounds"

    return scenario


@both
@pytest.mark.otp("driver_SUITE", "thr_free_drv")
def test_what_a_callback_has_allocated_any_thread_may_free(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert free_everywhere(10, 100)(erl) == "10 rounds"


@pytest.mark.otp("driver_SUITE", "thr_free_drv")
def test_in_any_order() -> None:
    assert_outcomes(free_everywhere(2, 1), {"1 rounds"})


class Greeting(Driver):
    """Once it knows enough processes, its threads send a greeting to all of them, again and again."""

    driver_name = "greeting"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, processes: int, threads: int, times: int) -> None:
        self._processes, self._times = processes, times
        self._tids = [ErlDrvTid() for _ in range(threads)]

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.me, self.known = driver_mk_port(port), [driver_caller(port)]
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.known.append(driver_caller(port))
        if len(self.known) == self._processes:
            for tid in self._tids:
                assert erl_drv_thread_create("greeting", tid, self.greet, None, None) == 0
        return b""

    def greet(self, arg: object) -> None:
        for _ in range(self._times):
            # Those that have ended get nothing; the process that made the port has to.
            sent = [erl_drv_send_term(self.me, pid, (self.me, "hi")) for pid in self.known]
            assert sent[0] == 1, sent

    def stop(self, port: ErlDrvPort) -> None:
        for tid in self._tids:
            erl_drv_thread_join(tid, None)


def greet(processes: int, threads: int, times: int) -> Callable[[Emulator], str]:
    """Process n ends after n greetings; the first gets all."""

    def scenario(erl: Emulator) -> str:
        port = loaded(erl, Greeting(processes, threads, times))

        def enlist(number: int) -> None:
            erl.port_control(port, 0, b"")
            for _ in range(number):
                assert erl.receive() == (port, "hi")

        refs = [erl.monitor("process", erl.spawn(enlist, number)) for number in range(1, processes)]
        greeted = 0
        for _ in range(threads * times):
            greeted += erl.receive(lambda message: message[0] == port) == (port, "hi")
        for ref in refs:
            down(erl, ref)
        erl.port_close(port)
        return f"{greeted} greetings{'' if silent(erl) else ' and more'}"

    return scenario


@both
@pytest.mark.otp("driver_SUITE", "thr_msg_blast")
def test_threads_send_to_processes_that_live_and_to_some_that_have_ended(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2, trace=False) as erl:
        assert greet(processes=6, threads=8, times=20)(erl) == "160 greetings"


@pytest.mark.otp("driver_SUITE", "thr_msg_blast")
def test_every_greeting_arrives_in_any_order() -> None:
    assert_outcomes(greet(processes=2, threads=2, times=1), {"2 greetings"})
