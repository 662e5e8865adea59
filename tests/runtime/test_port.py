"""The end of a port: who causes it, who hears of it, and what waits for it."""

from __future__ import annotations

from functools import partial

import pytest
from scripted import Box
from support import (
    Gate,
    Job,
    Keeper,
    Kind,
    Stopping,
    Worker,
    both,
    handle_of,
    on_another_thread,
    opened,
    received,
    refused,
)

from driverref import Driver, Emulator, Pid, Port
from driverref.erl_driver import (
    ErlDrvPort,
    Key,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_output,
    driver_pdl_create,
    driver_pdl_get_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_read_timer,
    driver_set_timer,
    driver_sizeq,
)
from driverref.erl_driver.handles import ErlDrvPDL
from driverref.errors import ErlangError
from driverref.posix import usleep


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
        assert handle_of(erl, port).queue.value.size == 1
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


# The owner is gone and the driver queue is not empty.


class Hoarder(Keeper):
    """A `Keeper` whose driver queue only `control` empties."""

    empties = False


def orphan(erl: Emulator, reason: str = "foo") -> tuple[Port, Pid]:
    """A port that is closing because its owner has ended, and that owner.

    The process that calls is not linked to it and has an empty mailbox.
    """
    driver, told, gate = Hoarder(), Box(), Gate()
    erl.erl_ddll.load_driver(driver)

    def own() -> None:
        told.put(erl.open_port(("spawn_driver", "keeper")))
        erl.port_command(told.value, b"wait")
        gate.pass_through()
        erl.exit(reason)

    owner = erl.spawn(own, scheduler=1)
    ref = erl.monitor("process", owner)
    driver.work_gate.await_arrival()
    gate.await_arrival()
    gate.open()
    assert erl.receive() == ("DOWN", ref, "process", owner, reason)
    driver.work_gate.open()
    return told.value, owner


@both
@pytest.mark.rule("port.owner-gone")
@pytest.mark.parametrize("reason", ["normal", "foo"])
def test_a_port_whose_owner_is_gone_keeps_it_and_has_no_links(threads: Kind, reason: str) -> None:
    with Emulator(threads=threads) as erl:
        port, owner = orphan(erl, reason)
        assert erl.ports() == [port]
        assert erl.port_info(port, "connected") == ("connected", owner)
        assert erl.port_info(port, "links") == ("links", [])
        assert erl.port_info(port, "queue_size") == ("queue_size", 1)
        erl.port_control(port, 0, b"")


@both
@pytest.mark.rule("port.owner-gone")
@pytest.mark.parametrize("reason", ["normal", "foo", "kill"])
def test_no_exit_signal_ends_a_port_whose_owner_is_gone(threads: Kind, reason: str) -> None:
    with Emulator(threads=threads) as erl:
        port, _ = orphan(erl)
        assert erl.exit(port, reason)
        assert erl.ports() == [port]
        erl.port_control(port, 0, b"")
        assert erl.trace.order("flush", "stop") == ["flush", "stop"]


@both
@pytest.mark.rule("port.owner-gone", "port.closed-badarg")
@pytest.mark.parametrize("bif", ["port_close", "port_command", "nosuspend", "connect", "heir"])
def test_a_port_whose_owner_is_gone_refuses_all_but_control(threads: Kind, bif: str) -> None:
    with Emulator(threads=threads) as erl:
        port, owner = orphan(erl)
        with refused():
            match bif:
                case "port_close":
                    erl.port_close(port)
                case "port_command":
                    erl.port_command(port, b"x")
                case "nosuspend":
                    erl.port_command(port, b"x", ["nosuspend"])
                case "connect":
                    erl.port_connect(port, erl.self())
                case "heir":
                    erl.port_connect(port, owner)
        assert erl.port_info(port, "connected") == ("connected", owner)
        assert erl.port_control(port, 0, b"") == list(b"emptied")


@both
@pytest.mark.rule("port.owner-gone", "port.closed-badarg")
def test_a_port_whose_owner_is_gone_drops_messages(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, owner = orphan(erl)
        me = erl.self()
        for message in (
            (owner, "close"),
            (owner, ("command", b"x")),
            (me, ("connect", me)),
            "garbage",
        ):
            assert erl.send(port, message) == message
        assert erl.ports() == [port]
        assert received(erl) == []
        erl.port_control(port, 0, b"")
        assert erl.trace.order("output") == ["output"]


@both
@pytest.mark.rule("port.owner-gone")
def test_a_port_whose_owner_is_gone_is_as_none_to_links_and_monitors(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port, _ = orphan(erl)
        erl.link(port)
        assert erl.receive() == ("EXIT", port, "noproc")
        ref = erl.monitor("port", port)
        assert erl.receive() == ("DOWN", ref, "port", port, "noproc")
        assert erl.unlink(port)
        erl.port_control(port, 0, b"")
        assert received(erl) == []


@both
@pytest.mark.rule("port.owner-gone")
def test_a_port_whose_owner_is_gone_ends_when_its_queue_is_empty(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, _ = orphan(erl)
        assert erl.port_control(port, 0, b"") == list(b"emptied")
        assert erl.port_info(port) is None
        assert erl.ports() == []
        with refused():
            erl.port_control(port, 0, b"")
