"""A port's life: its states, its end, and what happens to jobs that outlive it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support import (
    Gate,
    Job,
    Kind,
    Signal,
    Worker,
    both,
    from_port,
    lanes,
    on_another_thread,
    opened,
    received,
)

from driverref import Driver, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_ERROR_BADARG,
    ERL_DRV_ERROR_ERRNO,
    ERL_DRV_ERROR_GENERAL,
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    PORT_CONTROL_FLAG_BINARY,
    ErlDrvPort,
    ErlIOVec,
    Key,
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_enqv,
    driver_exit,
    driver_failure,
    driver_failure_atom,
    driver_failure_eof,
    driver_failure_posix,
    driver_free_binary,
    driver_output,
    driver_pdl_create,
    driver_pdl_get_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_read_timer,
    driver_set_timer,
    driver_sizeq,
    memset,
    set_busy_port,
    set_errno,
    set_port_control_flags,
)
from driverref.erl_driver.handles import ErlDrvPDL
from driverref.errors import ErlangError, Leak, Misuse
from driverref.posix import usleep
from driverref.runtime.port_state import CLOSED, CLOSING, CONNECTED, EXITING, OPENING, TRANSITIONS


class NoReadyAsync(Worker):
    """A `Worker` whose entry has NULL for `ready_async`."""

    driver_name = "no_ready_async"
    ready_async = None  # type: ignore[assignment]


class Keeper(Worker):
    """Keeps its port until its jobs have come back: a byte in the driver queue for each.

    Without `empties` it leaves them there; then the port goes when `control` drops what is left.
    """

    driver_name = "keeper"
    empties = True

    def submit(self, port: ErlDrvPort, text: bytes) -> None:
        driver_enq(port, b"!")
        super().submit(port, text)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        super().ready_async(port, job)
        if self.empties:
            driver_deq(port, 1)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_deq(port, driver_sizeq(port))
        return b"emptied"

    def flush(self, port: ErlDrvPort) -> None:
        pass

    def stop(self, port: ErlDrvPort) -> None:
        pass


class Stopping(Worker):
    """A `Worker` with a `stop`, so that the trace shows when it runs."""

    driver_name = "stopping"

    def stop(self, port: ErlDrvPort) -> None:
        pass


class Failing(Stopping):
    """Calls what the command says in the callback that the command names, and keeps what it returned."""

    driver_name = "failing"
    failures: dict[str, Callable[[ErlDrvPort], int]] = {  # noqa: RUF012
        "eof": driver_failure_eof,
        "boom": lambda port: driver_failure_atom(port, "boom"),
        "kill": lambda port: driver_failure_atom(port, "kill"),
        "enoent": lambda port: driver_failure_posix(port, errno.ENOENT),
        "nameless": lambda port: driver_failure_posix(port, 9999),
        "minus one": lambda port: driver_failure(port, -1),
        "zero": lambda port: driver_failure(port, 0),
        "exit 0": lambda port: driver_exit(port, 0),
        "exit 7": lambda port: driver_exit(port, 7),
    }

    WITH_QUEUE = 1
    """The `control` command that puts something into the driver queue first."""

    def init(self) -> None:
        super().init()
        self.stopped = "stop has not run"
        self.results: list[tuple[int, str]] = []

    def stop(self, port: ErlDrvPort) -> None:
        self.stopped = "stop has run"

    def fail(self, port: ErlDrvPort, how: str) -> None:
        self.results.append((self.failures[how](port), self.stopped))

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        how = bytes(buf).decode()
        if command == self.WITH_QUEUE:
            driver_enq(port, b"something that flush would wait for")
        self.fail(port, how)
        return b"done"

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        how = job.text.decode()
        super().ready_async(port, job)
        if how in self.failures:
            self.fail(port, how)


# The states.


@pytest.mark.rule("port.states")
def test_the_table_of_states_is_what_a_port_goes_through() -> None:
    """Every state and every event of the table, in lives of ports."""
    seen: list[tuple[Any, Any]] = []

    class Watched(Keeper):
        driver_name = "watched"
        handle: ErlDrvPort

        def start(self, port: ErlDrvPort, command: str) -> object:
            self.handle = port
            self.look("start")
            return -1 if command.endswith("refuse") else port

        def look(self, where: str) -> None:
            seen.append((where, self.handle.state))

        def flush(self, port: ErlDrvPort) -> None:
            self.look("flush")

        def stop(self, port: ErlDrvPort) -> None:
            self.look("stop")

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.look("control")
            return super().control(port, command, buf)

    driver = Watched()
    with Emulator() as erl:
        with pytest.raises(ErlangError, match="einval"):
            opened(erl, driver, "refuse")
        driver.look("after a refusal")
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        erl.port_close(port)
        driver.look("after a close")
        port = opened(erl, driver)
        erl.port_command(port, b"job")
        erl.port_close(port)
        driver.look("after a close with something in the queue")
        erl.port_control(port, 0, b"")
        driver.look("after that was gone")
    assert seen == [
        ("start", OPENING),
        ("after a refusal", CLOSED),
        ("start", OPENING),
        ("control", CONNECTED),
        ("stop", EXITING),
        ("after a close", CLOSED),
        ("start", OPENING),
        ("flush", CLOSING),
        ("after a close with something in the queue", CLOSING),
        ("control", CLOSING),
        ("stop", CLOSING),
        ("after that was gone", CLOSED),
    ]


@pytest.mark.rule("port.states")
def test_an_event_that_a_state_does_not_know_raises_and_nothing_happens() -> None:
    with Emulator() as erl:
        port = opened(erl, Stopping())
        handle = erl.runtime.ports[port.number]
        known = TRANSITIONS[CONNECTED]
        for event in {event for events in TRANSITIONS.values() for event in events} - set(known):
            with pytest.raises(AssertionError, match=f"connected> cannot follow '{event}'"):
                handle.transit(event)
            assert handle.state is CONNECTED
        assert repr(handle) == "<ErlDrvPort #Port<0.1> of stopping, connected>"


# start.


@both
@pytest.mark.rule("state.one-start-per-open", "state.verbatim")
def test_start_runs_once_per_open_and_every_callback_gets_what_it_returned(threads: Kind) -> None:
    class Told(Driver):
        """Notes which driver data each callback gets."""

        driver_name = "told"

        def init(self) -> None:
            self.made: list[object] = []
            self.got: list[tuple[str, object]] = []

        def start(self, port: ErlDrvPort, command: str) -> object:
            data = {"port": port, "command": command}
            self.made.append(data)
            return data

        def note(self, name: str, data: object) -> None:
            self.got.append((name, data))

        def output(self, data: Any, buf: memoryview) -> None:
            self.note("output", data)
            driver_enq(data["port"], b"!")
            driver_set_timer(data["port"], 0)

        def timeout(self, data: Any) -> None:
            self.note("timeout", data)
            driver_async(data["port"], None, lambda _: None, None)

        def ready_async(self, data: Any, job: object) -> None:
            self.note("ready_async", data)
            driver_output(data["port"], b"ready")

        def control(self, data: Any, command: int, buf: memoryview) -> bytes:
            self.note("control", data)
            return b""

        def call(self, data: Any, command: int, term: object) -> object:
            self.note("call", data)
            return "called"

        def flush(self, data: Any) -> None:
            self.note("flush", data)
            driver_deq(data["port"], 1)

        def stop(self, data: object) -> None:
            self.note("stop", data)

    driver = Told()
    with Emulator(threads=threads) as erl:
        one, two = opened(erl, driver, "first"), opened(erl, driver, "second")
        for port in (one, two):
            erl.port_command(port, b"")
            assert erl.receive() == (port, ("data", b"ready"))
            erl.port_control(port, 0, b"")
            erl.port_call(port, 0, 0)
            erl.port_close(port)
    names = ["output", "timeout", "ready_async", "control", "call", "flush", "stop"]
    assert [data["command"] for data in driver.made] == ["told first", "told second"]  # type: ignore[index]
    expected = [(name, data) for data in driver.made for name in names]
    assert [(name, id(data)) for name, data in driver.got] == [(n, id(d)) for n, d in expected]


@pytest.mark.rule("state.verbatim")
@pytest.mark.parametrize("data", [None, 0, False, -4, 1.5, "text", [], -1.0, True])
def test_all_but_three_numbers_are_driver_data(data: object) -> None:
    class Returns(Driver):
        driver_name = "returns"
        got: object = "nothing"

        def start(self, port: ErlDrvPort, command: str) -> object:
            return data

        def stop(self, drv_data: object) -> None:
            self.got = drv_data

    driver = Returns()
    with Emulator() as erl:
        erl.port_close(opened(erl, driver))
    assert driver.got is data


@both
@pytest.mark.rule("state.reserved")
@pytest.mark.parametrize(
    ("result", "number", "reason"),
    [
        (ERL_DRV_ERROR_GENERAL, errno.EACCES, "einval"),
        (ERL_DRV_ERROR_ERRNO, errno.EACCES, "eacces"),
        (ERL_DRV_ERROR_ERRNO, errno.ENOENT, "enoent"),
        (ERL_DRV_ERROR_ERRNO, 0, "unknown"),
        (ERL_DRV_ERROR_ERRNO, 9999, "unknown"),
        (ERL_DRV_ERROR_BADARG, errno.EACCES, "badarg"),
    ],
)
def test_three_numbers_mean_that_the_open_failed(
    threads: Kind, result: int, number: int, reason: str
) -> None:
    class Refuses(Stopping):
        def start(self, port: ErlDrvPort, command: str) -> object:
            set_errno(number)
            return result

    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError) as error:
            opened(erl, Refuses())
        assert error.value.reason == reason
        assert erl.ports() == []
        assert erl.receive(timeout=0) is None
        assert erl.trace.order() == ["init", "start"]


def test_errno_is_that_of_this_start_and_not_of_one_before() -> None:
    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            if command.endswith("first"):
                set_errno(errno.EACCES)
            return ERL_DRV_ERROR_ERRNO

    with Emulator() as erl:
        with pytest.raises(ErlangError, match="eacces"):
            opened(erl, Refuses(), "first")
        with pytest.raises(ErlangError, match="unknown"):
            erl.open_port(("spawn_driver", "refuses second"))


def test_a_refused_open_uses_up_a_port_number() -> None:
    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            return -1 if command.endswith("no") else port

    with Emulator() as erl:
        with pytest.raises(ErlangError):
            opened(erl, Refuses(), "no")
        assert erl.open_port(("spawn_driver", "refuses")) == Port(2)


@both
def test_who_links_or_monitors_a_port_while_start_runs_is_told_if_it_fails(threads: Kind) -> None:
    """As OTP 25 does: the exit signal and the message say `noproc`, and nothing is left of the link."""

    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            gate.pass_through()
            return ERL_DRV_ERROR_GENERAL

    with Emulator(threads=threads, schedulers=2) as erl:
        gate, driver, me = Gate(), Refuses(), erl.self()

        def opens() -> None:
            with pytest.raises(ErlangError, match="einval"):
                opened(erl, driver)

        def links() -> None:
            [port] = erl.ports()
            erl.process_flag("trap_exit", True)
            erl.link(port)
            ref = erl.monitor("port", port)
            gate.open()
            assert erl.receive() == ("EXIT", port, "noproc")
            assert erl.receive() == ("DOWN", ref, "port", port, "noproc")
            erl.send(me, "told")

        erl.spawn(opens, scheduler=2)
        gate.await_arrival()
        linked = erl.monitor("process", erl.spawn(links, scheduler=1))
        assert erl.receive() == "told"
        assert erl.receive()[1] == linked


@both
def test_what_a_start_that_fails_left_behind_is_taken_away(threads: Kind) -> None:
    """Its timer does not fire, its driver queue and its port data lock do not leak."""

    class Refuses(Driver):
        driver_name = "refuses"

        def start(self, port: ErlDrvPort, command: str) -> object:
            if command.endswith("ok"):
                return port
            driver_set_timer(port, 1)
            binary = driver_alloc_binary(10)
            assert binary is not None
            memset(binary.orig_bytes, 0, 10)
            vector = ErlIOVec([(memoryview(binary.orig_bytes[:]), binary)])
            driver_enqv(port, vector)
            driver_free_binary(binary)
            assert driver_pdl_create(port) is not None
            return -1

        def timeout(self, port: ErlDrvPort) -> None:
            driver_output(port, b"timeout")

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_set_timer(port, 2)

    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError):
            opened(erl, Refuses())
        port = erl.open_port(("spawn_driver", "refuses ok"))
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"timeout"))
    assert [event.port for event in erl.trace.select("timeout")] == [port]


# async_free, row by row.


@both
@pytest.mark.rule("free.not-after-ready")
def test_a_job_that_ready_async_got_is_not_freed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Worker())
        for _ in range(3):
            erl.port_command(port, b"x")
            erl.receive()
    assert erl.trace.order("ready_async", "async_free") == [
        "ready_async(1)",
        "ready_async(2)",
        "ready_async(3)",
    ]


@both
@pytest.mark.rule("free.no-ready-async")
def test_a_driver_without_ready_async_gets_every_job_back_by_async_free(threads: Kind) -> None:
    class Sends(NoReadyAsync):
        port: ErlDrvPort

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            self.port = port
            return port

        def async_free(self, job: Job) -> None:
            driver_output(self.port, job.text)  # only with the port's lock may it do that
            super().async_free(job)

    with Emulator(threads=threads) as erl:
        port = opened(erl, Sends())
        for text in (b"a", b"b", b"c"):
            erl.port_command(port, text)
        assert [erl.receive()[1][1] for _ in range(3)] == [b"a", b"b", b"c"]
    assert erl.trace.order("async_free", "ready_async") == [f"async_free({n})" for n in (1, 2, 3)]
    assert set(lanes(erl, "async_free").values()) == {"scheduler 1"}


@both
@pytest.mark.rule("free.port-closed-while-queued", "free.port-closed-while-running")
@pytest.mark.rule("port.stop-at-once")
def test_jobs_outlive_their_port_the_running_one_and_those_behind_it(threads: Kind) -> None:
    driver = Stopping()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        for text in (b"wait", b"2", b"3"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        erl.port_close(port)
        assert erl.ports() == []
        assert erl.trace.order("async_invoke", "async_return", "stop") == [
            "async_invoke(1)",
            "stop",
        ]
        driver.work_gate.open()
    assert erl.trace.order("stop", "async_invoke", "async_return") == [
        "async_invoke(1)",
        "stop",
        "async_return(1)",
        "async_invoke(2)",
        "async_return(2)",
        "async_invoke(3)",
        "async_return(3)",
    ]
    assert erl.trace.order("async_free") == ["async_free(1)", "async_free(2)", "async_free(3)"]
    assert erl.trace.order("ready_async") == []
    for job in (1, 2, 3):  # and free comes after the job, not beside it
        of_job = [event.name for event in erl.trace if event.job == job]
        assert of_job == ["driver_async", "async_invoke", "async_return", "async_free"]


@both
@pytest.mark.rule("free.port-closed-before-ready")
def test_a_job_that_is_done_but_not_delivered_when_the_port_closes_is_freed(threads: Kind) -> None:
    """The scheduler is kept in a callback until the job is done, and the port is closed from there."""

    class Closes(Stopping):
        def init(self) -> None:
            super().init()
            self.done = Signal()

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            super().output(port, buf)
            self.done.wait()
            driver_exit(port, 0)

        def work(self, job: Job) -> None:
            self.done.give()

    driver = Closes()
    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"x")
        assert erl.ports() == []
    assert erl.trace.order("stop", "ready_async", "async_free") == ["stop", "async_free(1)"]


def test_a_job_that_waits_for_the_scheduler_when_the_port_closes_is_freed() -> None:
    """As on the real emulator: a callback of 30 ms, the job is done at 10 ms, then the port is closed."""

    class Slow(Stopping):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            super().output(port, buf)
            usleep(30_000)

        def work(self, job: Job) -> None:
            usleep(10_000)

    with Emulator() as erl:
        port = opened(erl, Slow())
        erl.port_command(port, b"x")
        erl.port_close(port)
    order = erl.trace.order("async_return", "port_close", "stop", "ready_async", "async_free")
    assert order == ["async_return(1)", "port_close", "stop", "async_free(1)"]


@pytest.mark.rule("free.port-closed-before-ready")
def test_a_job_whose_ready_async_waits_for_the_lock_when_the_port_closes_is_freed() -> None:
    """Scheduler 1 waits for the port, in which scheduler 2 sits; there the port is closed."""

    class ClosedByAnother(Stopping):
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(30_000)
            driver_exit(port, 0)
            return b""

        def work(self, job: Job) -> None:
            usleep(10_000)

    with Emulator(schedulers=2) as erl:
        port = opened(erl, ClosedByAnother())
        erl.port_command(port, b"x")
        on_another_thread(erl, lambda: erl.port_control(port, 0, b""), scheduler=2)
    order = erl.trace.order("async_return", "stop", "ready_async", "async_free")
    assert order == ["async_return(1)", "stop", "async_free(1)"]


@both
@pytest.mark.rule("free.closing-gets-ready", "port.flush-delays-stop")
def test_while_the_driver_queue_keeps_the_port_ready_async_comes(threads: Kind) -> None:
    driver = Keeper()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.process_flag("trap_exit", True)
        for text in (b"wait", b"2"):
            erl.port_command(port, text)
        driver.work_gate.await_arrival()
        erl.port_close(port)
        assert erl.ports() == [port]
        assert erl.receive() == ("EXIT", port, "normal")
        driver.work_gate.open()
    assert erl.trace.order("exit", "flush", "ready_async", "async_free", "driver_deq", "stop") == [
        "exit",
        "flush",
        "ready_async(1)",
        "driver_deq",
        "ready_async(2)",
        "driver_deq",
        "stop",
    ]


@both
@pytest.mark.rule("free.start-failed")
def test_a_job_of_a_start_that_fails_is_run_and_freed(threads: Kind) -> None:
    class Refuses(Worker):
        def start(self, port: ErlDrvPort, command: str) -> object:
            self.submit(port, b"from start")
            return -1

    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError, match="einval"):
            opened(erl, Refuses())
    assert erl.trace.order() == [
        "init",
        "start",
        "driver_async(1)",
        "async_invoke(1)",
        "async_return(1)",
        "async_free(1)",
    ]


@both
@pytest.mark.rule("free.null-leaks")
@pytest.mark.parametrize("why", ["the port is closed", "there is no ready_async"])
def test_with_null_for_async_free_nothing_is_called_and_the_data_leaks(
    threads: Kind, why: str
) -> None:
    class Forgetful(Worker):
        async_free = None  # type: ignore[assignment]

    class Neither(Forgetful):
        ready_async = None  # type: ignore[assignment]

    driver = Forgetful() if why == "the port is closed" else Neither()
    erl = Emulator(threads=threads)
    port = opened(erl, driver)
    for text in (b"wait", b"2"):
        erl.port_command(port, text)
    driver.work_gate.await_arrival()
    if why == "the port is closed":
        erl.port_close(port)
    driver.work_gate.open()
    with pytest.raises(Leak) as leak:
        erl.stop()
    assert len(leak.value.blocks) == 2
    assert "Job allocated at support.py" in leak.value.blocks[0]
    assert erl.trace.order("async_invoke") == ["async_invoke(1)", "async_invoke(2)"]
    assert erl.trace.order("async_free", "ready_async") == []


@both
@pytest.mark.rule("free.no-lock-when-gone")
def test_once_the_port_is_gone_async_free_runs_without_a_lock(threads: Kind) -> None:
    """With one lock for the driver: a port of it sits in a callback, the other port's job is freed."""

    class Sits(Stopping):
        def init(self) -> None:
            super().init()
            self.seat, self.freed = Gate(), Signal()

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.seat.pass_through()
            return b""

        def async_free(self, job: Job) -> None:
            super().async_free(job)
            self.freed.give()

    driver = Sits()
    with Emulator(threads=threads, schedulers=2) as erl:
        gone, sitting = opened(erl, driver), opened(erl, driver)
        erl.port_command(gone, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(gone)
        erl.spawn(lambda: erl.port_control(sitting, 0, b""), scheduler=2)
        driver.seat.await_arrival()  # the driver's lock is taken
        driver.work_gate.open()
        driver.freed.wait()  # and yet
        driver.seat.open()
        erl.erl_ddll.unload_driver("stopping")
    assert erl.trace.order("control", "async_free", "ready_async") == ["control", "async_free(1)"]


@both
@pytest.mark.rule("memory.ownership")
def test_each_jobs_data_goes_to_exactly_one_of_the_two(threads: Kind) -> None:
    """Twenty jobs, a port that closes among them, and every block has been freed once."""
    driver = Stopping()
    with Emulator(threads=threads, async_threads=3) as erl:
        ports = [opened(erl, driver) for _ in range(4)]
        for _ in range(5):
            for port in ports:
                erl.port_command(port, b"x")
        erl.port_close(ports[0])
        for port in ports[1:]:
            for _ in range(5):
                erl.receive(from_port(port))
    given = [event.job for event in erl.trace.select("ready_async", "async_free")]
    assert sorted(given, key=int) == list(range(1, 21))  # type: ignore[arg-type]


# The end, and who hears of it.


@both
@pytest.mark.rule("port.exit-before-stop")
def test_the_exit_is_told_before_stop_and_closed_after_it(threads: Kind) -> None:
    """The message that `stop` sends stands between the two."""

    class Farewell(Driver):
        driver_name = "farewell"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def stop(self, port: ErlDrvPort) -> None:
            driver_output(port, b"from stop")

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver := Farewell())
        ref = erl.monitor("port", port)
        erl.send(port, (erl.self(), "close"))
        assert received(erl) == [
            ("EXIT", port, "normal"),
            ("DOWN", ref, "port", port, "normal"),
            (port, ("data", b"from stop")),
            (port, "closed"),
        ]
        port = opened(erl, driver)
        erl.port_close(port)
        assert received(erl) == [("EXIT", port, "normal"), (port, ("data", b"from stop"))]


@both
@pytest.mark.rule("port.exit-before-stop")
def test_an_owner_that_is_not_linked_hears_only_that_the_port_is_closed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Worker())
        erl.unlink(port)
        erl.send(port, (erl.self(), "close"))
        assert received(erl) == [(port, "closed")]


@both
@pytest.mark.rule("port.nothing-after-stop")
def test_after_stop_no_callback_with_driver_data_comes(threads: Kind) -> None:
    """A job is out, a timer runs, another is set in `stop`, a process is monitored: nothing comes."""

    class Late(Stopping):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_set_timer(port, 60_000)
            super().output(port, buf)

        def stop(self, port: ErlDrvPort) -> None:
            left = Key(1)
            assert driver_read_timer(port, left) == 0
            assert left.value == 0  # it is cancelled before `stop`
            assert driver_set_timer(port, 0) == 0

        def timeout(self, port: ErlDrvPort) -> None:
            raise AssertionError("timeout after stop")

    driver = Late()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(port)
        driver.work_gate.open()
        erl.receive(timeout=10)
    after = erl.trace.order()[erl.trace.order().index("stop") + 1 :]
    assert sorted(after) == ["async_free(1)", "async_return(1)", "driver_set_timer"]


@pytest.mark.rule("port.nothing-after-stop")
def test_a_timer_that_is_overdue_when_the_port_closes_does_not_fire() -> None:
    class Overdue(Stopping):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            driver_set_timer(port, 5)
            usleep(30_000)
            return b""

        def timeout(self, port: ErlDrvPort) -> None:
            raise AssertionError("timeout after stop")

    with Emulator() as erl:
        port = opened(erl, Overdue())
        erl.port_control(port, 0, b"")
        erl.port_close(port)
        erl.receive(timeout=10)


@both
@pytest.mark.rule("port.flush-delays-stop")
def test_a_flush_that_empties_the_queue_is_followed_by_stop_at_once(threads: Kind) -> None:
    class Flushes(Keeper):
        def flush(self, port: ErlDrvPort) -> None:
            driver_deq(port, driver_sizeq(port))

    driver = Flushes()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_close(port)
        assert erl.ports() == []
        driver.work_gate.open()
    order = erl.trace.order("exit", "flush", "driver_deq", "stop", "async_free")
    assert order == ["exit", "flush", "driver_deq", "stop", "async_free(1)"]


@both
@pytest.mark.rule("port.flush-delays-stop")
def test_a_timer_may_empty_the_queue_of_a_closing_port(threads: Kind) -> None:
    class Ticks(Keeper):
        def flush(self, port: ErlDrvPort) -> None:
            driver_set_timer(port, 1)

        def timeout(self, port: ErlDrvPort) -> None:
            driver_deq(port, driver_sizeq(port))

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver := Ticks())
        erl.port_command(port, b"wait")
        erl.send(port, (erl.self(), "close"))
        assert erl.receive() == ("EXIT", port, "normal")
        assert erl.receive() == (port, "closed")
        driver.work_gate.open()
    order = erl.trace.order("exit", "flush", "timeout", "stop", "async_free")
    assert order == ["exit", "flush", "timeout", "stop", "async_free(1)"]


@both
@pytest.mark.rule("port.flush-delays-stop")
def test_without_a_flush_callback_the_port_waits_until_somebody_empties_the_queue(
    threads: Kind,
) -> None:
    class NoFlush(Keeper):
        flush = None  # type: ignore[assignment]
        empties = False

    with Emulator(threads=threads) as erl:
        port = opened(erl, NoFlush())
        erl.port_command(port, b"x")
        erl.receive()
        erl.port_close(port)
        assert erl.ports() == [port]
        assert erl.port_control(port, 0, b"") == list(b"emptied")
        assert erl.ports() == []
    assert erl.trace.order("port_close", "control", "stop") == ["port_close", "control", "stop"]


@both
@pytest.mark.rule("port.flush-delays-stop")
def test_a_closing_port_drops_what_it_sends_and_refuses_commands(threads: Kind) -> None:
    driver = Keeper()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_close(port)
        for refused in (
            lambda: erl.port_command(port, b"x"),
            lambda: erl.port_close(port),
            lambda: erl.port_connect(port, erl.self()),
            lambda: erl.port_call(port, 0, 0),
        ):
            with pytest.raises(ErlangError, match="badarg"):
                refused()  # type: ignore[no-untyped-call]
        driver.work_gate.open()
    assert erl.trace.order("ready_async", "driver_output") == ["ready_async(1)", "driver_output"]
    assert erl.trace.order("receive") == []


@both
@pytest.mark.rule("port.kill-skips-flush")
def test_kill_skips_flush_and_is_told_as_killed(threads: Kind) -> None:
    driver = Keeper()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        assert erl.runtime.ports[port.number].queue.size == 1
        erl.exit(port, "kill")
        assert received(erl) == [("EXIT", port, "killed")]
        assert erl.ports() == []
        driver.work_gate.open()
    assert erl.trace.order("flush", "stop", "ready_async", "async_free") == [
        "stop",
        "async_free(1)",
    ]


@both
def test_an_exit_signal_with_any_reason_closes_the_port(threads: Kind) -> None:
    """Even `normal`, and even from a process that is neither its owner nor linked to it."""
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = Stopping()
        for reason in ("normal", "shutdown", "foo"):
            port = opened(erl, driver)
            on_another_thread(erl, partial(erl.exit, port, reason))
            assert received(erl) == [("EXIT", port, reason)]
            assert erl.ports() == []


@both
@pytest.mark.rule("port.owner-exit-closes")
@pytest.mark.parametrize("reason", ["normal", "foo", "kill"])
def test_a_port_does_not_outlive_its_owner_whatever_the_reason(threads: Kind, reason: str) -> None:
    driver = Keeper()
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver)
        at_work = Gate()

        def own() -> None:
            erl.port_command(erl.open_port(("spawn_driver", "keeper")), b"wait")
            at_work.pass_through()
            erl.exit(reason)

        owner = erl.spawn(own)
        at_work.await_arrival()
        ref = erl.monitor("process", owner)
        if reason == "kill":
            erl.exit(owner, "kill")
        at_work.open()
        expected = "killed" if reason == "kill" else reason
        assert erl.receive() == ("DOWN", ref, "process", owner, expected)
        driver.work_gate.open()
    assert [e.detail for e in erl.trace.select("exit")] == [expected]
    assert erl.trace.order("flush", "ready_async", "stop") == ["flush", "ready_async(1)", "stop"]


@both
def test_a_linked_process_that_is_not_the_owner_takes_the_port_with_it_unless_it_ends_normally(
    threads: Kind,
) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Worker())

        def live(reason: str) -> None:
            erl.link(port)
            erl.exit(reason)

        on_another_thread(erl, lambda: live("normal"))
        assert erl.ports() == [port]
        on_another_thread(erl, lambda: live("crash"))
        assert received(erl) == [("EXIT", port, "crash")]
        assert erl.ports() == []


# Failure.


@both
@pytest.mark.rule("port.failure-runs-stop")
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("eof", "normal"),
        ("boom", "boom"),
        ("kill", "kill"),
        ("enoent", "enoent"),
        ("nameless", "unknown"),
        ("minus one", -1),
        ("zero", "normal"),
    ],
)
def test_a_failure_tells_the_owner_and_runs_stop_before_it_returns(
    threads: Kind, how: str, reason: object
) -> None:
    driver = Failing()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_command(port, how.encode())
        assert erl.receive() == (port, ("data", how.encode()))
        assert erl.receive() == ("EXIT", port, reason)
    assert driver.results == [(0, "stop has run")]
    assert erl.trace.order("ready_async", "exit", "stop") == ["ready_async(1)", "exit", "stop"]


@both
@pytest.mark.rule("port.failure-runs-stop")
def test_after_a_failure_in_control_the_reply_is_given_all_the_same(threads: Kind) -> None:
    """And what waited in the driver queue is dropped: there is no `flush`."""
    driver = Failing()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        assert erl.port_control(port, Failing.WITH_QUEUE, b"boom") == list(b"done")
        assert received(erl) == [("EXIT", port, "boom")]
    assert driver.results == [(0, "stop has run")]
    assert erl.trace.order("control", "flush", "exit", "stop") == ["control", "exit", "stop"]


@both
@pytest.mark.rule("port.failure-runs-stop", "free.port-closed-while-queued")
def test_jobs_behind_the_one_that_failed_are_run_and_freed(threads: Kind) -> None:
    """One command submits all three: after the failure no other would be taken."""

    class Three(Failing):
        driver_name = "three"

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            for text in (b"boom", b"wait", b"3"):
                self.submit(port, text)

    driver = Three()
    driver.key = 0
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_command(port, b"")
        driver.work_gate.await_arrival()
        erl.receive(lambda message: message[0] == "EXIT")
        driver.work_gate.open()
    assert erl.trace.order("ready_async", "stop", "async_free") == [
        "ready_async(1)",
        "stop",
        "async_free(2)",
        "async_free(3)",
    ]


@both
def test_a_closed_port_cannot_fail_again(threads: Kind) -> None:
    class Twice(Failing):
        driver_name = "twice"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            assert [driver_failure_atom(port, "a"), driver_failure_atom(port, "b")] == [0, -1]
            return b""

        def stop(self, port: ErlDrvPort) -> None:
            super().stop(port)
            assert driver_failure_atom(port, "in stop") == 0  # it is on its way already

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Twice())
        erl.port_control(port, 0, b"")
        assert received(erl) == [("EXIT", port, "a")]
    assert erl.trace.order("stop") == ["stop"]


@both
def test_a_closing_port_that_fails_stops_now(threads: Kind) -> None:
    """Whether it is in `flush` or later."""

    class FailsInFlush(Keeper):
        driver_name = "fails_in_flush"

        def flush(self, port: ErlDrvPort) -> None:
            assert driver_failure_eof(port) == 0

    class FailsLater(Keeper):
        driver_name = "fails_later"

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            assert driver_failure_atom(port, "never told") == 0
            return b"failed"

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        for driver in (FailsInFlush(), FailsLater()):
            port = opened(erl, driver)
            erl.port_command(port, b"wait")
            erl.port_close(port)
            if isinstance(driver, FailsLater):
                assert erl.ports() == [port]
                assert erl.port_control(port, 0, b"") == list(b"failed")
            assert erl.ports() == []
            assert received(erl) == [("EXIT", port, "normal")]
            driver.work_gate.open()


@both
def test_failure_in_start_is_a_fault_of_the_driver(threads: Kind) -> None:
    class Fails(Worker):
        def start(self, port: ErlDrvPort, command: str) -> object:
            return driver_failure_eof(port)

    erl = Emulator(threads=threads)
    with pytest.raises(Misuse, match="driver_failure was called in start"):
        opened(erl, Fails())
    erl.stop()


@both
@pytest.mark.rule("port.driver-exit-silent")
@pytest.mark.parametrize("how", ["exit 0", "exit 7"])
def test_driver_exit_tells_the_owner_nothing(threads: Kind, how: str) -> None:
    driver = Failing()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.port_control(port, 0, how.encode())
        assert erl.ports() == []
        assert received(erl) == []
    assert driver.results == [(0, "stop has run")]


@both
def test_with_the_option_eof_the_port_stays_open(threads: Kind) -> None:
    driver = Failing()
    with Emulator(threads=threads) as erl:
        assert erl.erl_ddll.load_driver(driver) == "ok"
        port = erl.open_port(("spawn_driver", "failing"), ["binary", "eof"])
        erl.port_control(port, 0, b"eof")
        assert received(erl) == [(port, "eof")]
        erl.port_command(port, b"still there")
        assert erl.receive() == (port, ("data", b"still there"))


@both
def test_an_owner_that_does_not_trap_exits_dies_with_the_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Failing()
        port = opened(erl, driver)

        def own() -> None:
            erl.port_connect(port, erl.self())
            at_work.pass_through()
            erl.port_control(port, 0, b"boom")
            erl.receive()

        at_work = Gate()
        erl.process_flag("trap_exit", True)
        owner = erl.spawn(own)
        at_work.await_arrival()
        ref = erl.monitor("process", owner)
        at_work.open()
        messages = {erl.receive(), erl.receive()}
    assert messages == {("EXIT", port, "boom"), ("DOWN", ref, "process", owner, "boom")}


# What is asked of a port.


@both
def test_control_replies_with_a_list_or_a_binary_as_the_driver_says(threads: Kind) -> None:
    class Replies(Driver):
        driver_name = "replies"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> object:
            set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY if command else 0)
            match bytes(buf):
                case b"refuse":
                    return -1
                case b"nothing":
                    return None
                case b"binary":
                    binary = driver_alloc_binary(3)
                    assert binary is not None
                    binary.orig_bytes[:] = b"bin"
                    return binary
                case other:
                    return other

    with Emulator(threads=threads) as erl:
        port = opened(erl, Replies())
        assert erl.port_control(port, 0, b"ab") == [97, 98]
        assert erl.port_control(port, 1, b"ab") == b"ab"
        assert erl.port_control(port, 1, [b"a", [98]]) == b"ab"
        assert erl.port_control(port, 1, b"nothing") == b""
        assert erl.port_control(port, 1, b"binary") == b"bin"  # and its reference is given back
        with pytest.raises(ErlangError, match="badarg"):
            erl.port_control(port, 0, b"refuse")


@both
def test_call_replies_with_a_term(threads: Kind) -> None:
    class Calls(Driver):
        driver_name = "calls"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def call(self, port: ErlDrvPort, command: int, term: object) -> object:
            return None if term == "refuse" else (command, term) if command else [term]

    with Emulator(threads=threads) as erl:
        port = opened(erl, Calls())
        assert str(erl.port_call(port, 5, b"x")) == '{5,<<"x">>}'
        assert erl.port_call(port, 0, b"x") == [b"x"]
        with pytest.raises(ErlangError, match="badarg"):
            erl.port_call(port, 0, "refuse")


@both
def test_outputv_is_given_the_pieces_and_goes_before_output(threads: Kind) -> None:
    class Pieces(Driver):
        driver_name = "pieces"

        def init(self) -> None:
            self.got: list[tuple[int, list[bytes], list[bool]]] = []

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
            pieces = [bytes(piece) for piece in ev.iov]
            self.got.append((ev.size, pieces, [binary is not None for binary in ev.binv]))

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            raise AssertionError("output, although there is outputv")

    driver = Pieces()
    large = b"x" * 65
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, [1, 2, b"small", [large], 3])
        erl.port_command(port, b"plain")
    assert driver.got == [
        (73, [b"\1\2", b"small", large, b"\3"], [False, False, True, False]),
        (5, [b"plain"], [False]),
    ]


@both
def test_the_port_data_lock_lives_as_long_as_its_port_and_its_jobs(threads: Kind) -> None:
    class Locked(Stopping):
        counts: list[int] = []  # noqa: RUF012

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            self.pdl = driver_pdl_create(port)
            return port

        def count(self) -> None:
            assert self.pdl is not None
            self.counts.append(driver_pdl_get_refc(self.pdl))

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            super().output(port, buf)
            self.count()

        def async_free(self, job: Job) -> None:
            self.count()
            super().async_free(job)

    driver = Locked()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        for _ in range(2):
            erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(port)
        for _ in range(2):
            driver.work_gate.open()
    assert driver.counts == [2, 3, 2, 1]


@both
def test_a_timer_that_has_been_replaced_or_cancelled_does_not_fire(threads: Kind) -> None:
    """A callback sets it to 0, and while it is due sets another, or none."""

    class Resets(Driver):
        driver_name = "resets"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            for t in buf:
                driver_set_timer(port, t)
            if command:
                driver_cancel_timer(port)
            return b""

        def timeout(self, port: ErlDrvPort) -> None:
            driver_output(port, b"timeout")

    with Emulator(threads=threads) as erl:
        port = opened(erl, Resets())
        erl.port_control(port, 0, b"\0\0\1")
        assert erl.receive() == (port, ("data", b"timeout"))
        erl.port_control(port, 1, b"\0")
        assert erl.receive(timeout=5) is None


def test_a_timer_that_is_cancelled_while_it_waits_for_the_lock_does_not_fire() -> None:
    """Scheduler 1 waits with the timeout for the port's lock, scheduler 2 cancels it in a callback."""

    class Slow(Driver):
        driver_name = "slow"
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            driver_set_timer(port, 1)
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(5_000)
            driver_cancel_timer(port)
            return b""

        def timeout(self, port: ErlDrvPort) -> None:
            raise AssertionError("it was cancelled")

    with Emulator(schedulers=2) as erl:
        port = opened(erl, Slow())
        on_another_thread(erl, lambda: erl.port_control(port, 0, b""), scheduler=2)
        assert erl.receive(timeout=10) is None


class Busy(Driver):
    """`control` n sets busy to n; commands are sent back."""

    driver_name = "busy"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_output(port, bytes(buf))

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        set_busy_port(port, command)
        return b""


@both
def test_suspended_senders_go_on_when_the_port_is_busy_no_more(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Busy())
        erl.port_control(port, 1, b"")
        for text in (b"1", b"2", b"3"):
            erl.spawn(partial(erl.port_command, port, text))
        assert erl.receive(timeout=1) is None
        erl.port_control(port, 0, b"")
        assert sorted(erl.receive()[1][1] for _ in range(3)) == [b"1", b"2", b"3"]
    assert len(erl.trace.select("suspended")) == len(erl.trace.select("resumed"))


@both
def test_closing_the_port_lets_a_suspended_sender_go_on_to_its_badarg(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Busy())
        erl.port_control(port, 1, b"")
        pid = erl.spawn(lambda: erl.port_command(port, b"x"))
        ref = erl.monitor("process", pid)
        erl.exit(port, "foo")
        assert erl.receive(lambda message: message[0] == "DOWN")[1:] == (
            ref,
            "process",
            pid,
            "badarg",
        )


@pytest.mark.parametrize("flag", [0, ERL_DRV_FLAG_NO_BUSY_MSGQ])
def test_waiting_commands_are_limited_in_bytes_unless_the_driver_says_no(flag: int) -> None:
    """A port of another scheduler is locked for 300 ms, and 20 commands of 1000 bytes are sent to it."""

    class Slow(Busy):
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING | flag

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(300_000)
            return b""

    with Emulator(schedulers=2) as erl:
        port = opened(erl, Slow())
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        usleep(1)  # let it go first
        for _ in range(20):
            erl.send(port, (erl.self(), ("command", bytes(1000))))
        for _ in range(20):
            erl.receive()
    assert erl.trace.order("suspended")[:1] == ([] if flag else ["suspended"])


@both
def test_a_closing_port_that_fails_in_stop_is_stopped_once(threads: Kind) -> None:
    class FailsInStop(Keeper):
        def stop(self, port: ErlDrvPort) -> None:
            assert driver_failure_atom(port, "again") == 0

    with Emulator(threads=threads) as erl:
        driver = FailsInStop()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_close(port)
        erl.port_control(port, 0, b"")
        driver.work_gate.open()
    assert erl.trace.order("stop") == ["stop"]


@both
def test_a_port_that_is_closing_can_no_more_be_linked_to(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = Keeper()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_close(port)
        assert received(erl) == [("EXIT", port, "normal")]
        erl.link(port)
        assert received(erl) == [("EXIT", port, "noproc")]
        driver.work_gate.open()


@both
def test_a_block_that_control_replies_is_freed(threads: Kind) -> None:
    class RepliesBlock(Busy):
        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> object:  # type: ignore[override]
            block = driver_alloc(2)
            assert block is not None
            block[:] = b"ab"
            return block

    with Emulator(threads=threads) as erl:
        assert erl.port_control(opened(erl, RepliesBlock()), 0, b"") == [97, 98]


def test_a_port_that_goes_waits_for_whoever_is_at_its_queue_under_the_data_lock() -> None:
    class Shared(Worker):
        pdl: ErlDrvPDL

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            pdl = driver_pdl_create(port)
            assert pdl is not None
            self.pdl, self.port, self.seen = pdl, port, list[int]()
            return port

        def work(self, job: Job) -> None:
            driver_pdl_lock(self.pdl)
            driver_enq(self.port, b"abc")
            usleep(50_000)
            self.seen.append(driver_sizeq(self.port))
            driver_pdl_unlock(self.pdl)

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            usleep(10_000)  # the job is at the queue
            driver_failure_atom(port, "gone")
            return b""

    with Emulator(schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Shared()
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        erl.port_control(port, 0, b"")
    assert driver.seen == [3]
