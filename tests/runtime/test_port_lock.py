"""A locked port: what waits for its lock, and how much may wait; a job does not hold it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted import do, made_of, scripted
from support import (
    Gate,
    Kind,
    PortLockingWorker,
    Worker,
    both,
    opened,
    refused,
    suspended,
)

from driverref import Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    ERL_DRV_BUSY_MSGQ_READ_ONLY,
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ErlDrvPort,
    Key,
    driver_failure_eof,
    driver_output,
    erl_drv_busy_msgq_limits,
)
from driverref.posix import usleep

# A locked port.


class Slow(PortLockingWorker):
    """The command `hold` holds the port's lock until the gate opens."""

    driver_name = "slow"

    def init(self) -> None:
        super().init()
        self.gate = Gate()

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"hold":
            self.gate.pass_through()
        else:
            driver_output(port, bytes(buf))

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        low, high = (Key(int(number)) for number in bytes(buf).split())
        erl_drv_busy_msgq_limits(port, low, None)
        erl_drv_busy_msgq_limits(port, None, high)
        erl_drv_busy_msgq_limits(port, low, high)
        return b"%d %d" % (low.value, high.value)


def held(erl: Emulator, driver: Slow) -> Port:
    """A port whose lock a process on scheduler 2 holds until `driver.gate.open()`."""
    port = opened(erl, driver)
    erl.spawn(lambda: erl.port_command(port, b"hold"), scheduler=2)
    driver.gate.await_arrival()
    return port


@both
@pytest.mark.rule("busy.bang-is-asynchronous", "busy.waits-for-lock-only")
def test_a_message_does_not_wait_for_the_lock_and_a_command_does(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        driver = Slow()
        port = held(erl, driver)
        me = erl.self()
        erl.send(port, (me, ("command", b"by message")))
        assert erl.trace.order("output") == ["output"]  # it waits; we do not

        def command() -> None:
            erl.send(me, "about to command")
            erl.port_command(port, b"by command")
            erl.send(me, "commanded")

        erl.spawn(command, scheduler=3)
        assert erl.receive() == "about to command"
        assert erl.receive(timeout=1) is None
        driver.gate.open()
        got = [erl.receive() for _ in range(3)]
        assert got == [
            (port, ("data", b"by message")),
            (port, ("data", b"by command")),
            "commanded",
        ]


@both
@pytest.mark.rule("busy.bang-is-asynchronous")
def test_signals_of_one_process_keep_their_order(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Slow()
        port = held(erl, driver)
        me = erl.self()
        for number in range(3):
            erl.send(port, (me, ("command", b"%d" % number)))
        erl.send(port, (me, "close"))
        erl.send(port, (me, ("command", b"too late")))
        driver.gate.open()
        got = [erl.receive() for _ in range(5)]
        assert got == [
            *((port, ("data", b"%d" % number)) for number in range(3)),
            ("EXIT", port, "normal"),
            (port, "closed"),
        ]


@both
def test_a_bif_first_carries_out_what_waits(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port = held(erl, driver)
        for number in range(40):
            erl.send(port, (erl.self(), ("command", b"%d" % number)))
        driver.gate.open()
        erl.port_command(port, b"last")
        data = [erl.receive()[1][1] for _ in range(41)]
        assert data == [*(b"%d" % number for number in range(40)), b"last"]


@both
def test_a_full_message_queue_suspends_and_goes_on_at_the_low_limit(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port = held(erl, driver)
        owner = erl.self()
        kilobyte = b"x" * 1000
        for _ in range(9):  # 8192 bytes are the high limit, so the ninth gets through
            erl.send(port, (owner, ("command", kilobyte)))
        assert erl.trace.order("suspended") == []
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"one more"))))
        driver.gate.open()
        sent()
        data = [erl.receive(lambda message: message[0] == port)[1][1] for _ in range(10)]
        assert data == [*[kilobyte] * 9, b"one more"]
        outputs = erl.trace.order("output", "resumed")
        assert 1 + 9 >= outputs.index("resumed") >= 1 + 5


@both
def test_who_is_suspended_by_a_full_queue_goes_on_only_below_the_low_limit(threads: Kind) -> None:
    """The limits are 4 and 7 bytes.

    While the last 4 are carried out they still count, and he waits.
    """
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port, owner = opened(erl, driver), erl.self()
        erl.port_control(port, 0, b"4 7")
        erl.spawn(lambda: erl.port_command(port, b"hold"), scheduler=2)
        driver.gate.await_arrival()
        for data in (b"1111", b"hold"):
            erl.send(port, (owner, ("command", data)))
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"last"))))
        driver.gate.open()
        driver.gate.await_arrival()
        assert erl.receive() == (port, ("data", b"1111"))
        assert erl.receive(timeout=1) is None
        assert erl.trace.order("resumed") == []
        driver.gate.open()
        sent()
        assert erl.receive() == (port, ("data", b"last"))


@both
def test_a_full_queue_of_a_port_that_closes_lets_its_senders_go(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Slow()
        port = held(erl, driver)
        owner = erl.self()
        erl.send(port, (owner, "close"))
        erl.send(port, (owner, ("command", b"x" * 9000)))
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"too late"))))
        driver.gate.open()
        assert sent() == (owner, ("command", b"too late"))
        assert erl.trace.order("output", "stop") == ["output"]


@both
def test_the_limits_can_be_read_set_and_turned_off_for_good(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Slow()
        port = opened(erl, driver)

        def limits(low: int, high: int) -> str:
            reply = erl.port_control(port, 0, b"%d %d" % (low, high))
            assert isinstance(reply, list)
            return bytes(reply).decode()

        assert ERL_DRV_BUSY_MSGQ_READ_ONLY == 0
        assert limits(0, 0) == "4096 8192"
        assert limits(100, 50) == "50 50"
        assert limits(0, 900) == "50 900"
        erl.spawn(lambda: erl.port_command(port, b"hold"), scheduler=2)
        driver.gate.await_arrival()
        owner = erl.self()
        erl.send(port, (owner, ("command", b"x" * 901)))
        _, sent = suspended(erl, lambda: erl.send(port, (owner, ("command", b"y"))))
        driver.gate.open()
        sent()
        off = f"{ERL_DRV_BUSY_MSGQ_DISABLED} {ERL_DRV_BUSY_MSGQ_DISABLED}"
        assert limits(ERL_DRV_BUSY_MSGQ_DISABLED, 0) == off
        assert limits(10, 20) == off


@both
def test_a_driver_can_do_without_limits(threads: Kind) -> None:
    class Unlimited(Slow):
        driver_flags = PortLockingWorker.driver_flags | ERL_DRV_FLAG_NO_BUSY_MSGQ

    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Unlimited()
        port = held(erl, driver)
        for _ in range(3):
            erl.send(port, (erl.self(), ("command", b"x" * 9000)))
        assert erl.trace.order("suspended") == []
        driver.gate.open()
        assert [len(erl.receive()[1][1]) for _ in range(3)] == [9000] * 3


@pytest.mark.parametrize("ask", ["command", "control", "call", "close", "connect"])
def test_a_bif_may_find_that_a_message_before_it_has_closed_the_port(ask: str) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        usleep(5000)

    with Emulator(schedulers=2) as erl:
        port = opened(erl, made_of(output=output))
        erl.spawn(lambda: erl.port_command(port, b""), scheduler=2)
        usleep(1000)
        erl.send(port, (erl.self(), "close"))
        asked: dict[str, Callable[[], object]] = {
            "command": lambda: erl.port_command(port, b""),
            "control": lambda: erl.port_control(port, 0, b""),
            "call": lambda: erl.port_call(port, 0, ()),
            "close": lambda: erl.port_close(port),
            "connect": lambda: erl.port_connect(port, erl.self()),
        }
        with refused() as caught:
            asked[ask]()
        assert "#Port<0.1> is closing or closed" in str(caught.value)
        assert erl.trace.order("output", "exit") == ["output", "exit"]


def test_a_driver_may_be_given_up_while_open_port_waits_for_its_lock() -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        usleep(5000)

    with Emulator(schedulers=3) as erl:
        erl.process_flag("trap_exit", True)
        driver = made_of(output=output)
        gate = Gate()

        def loader() -> None:
            port = opened(erl, driver)
            gate.pass_through()
            erl.spawn(lambda: erl.port_command(port, b""), scheduler=2)
            usleep(2000)
            erl.erl_ddll.unload_driver("d")

        erl.spawn(loader, scheduler=3)
        gate.await_arrival()
        gate.open()
        usleep(1000)
        with refused() as caught:
            erl.open_port(("spawn_driver", "d"))
        assert str(caught.value) == "badarg: open_port: no driver 'd' is loaded"
        assert erl.trace.order("start") == ["start"]


# Several commands at once.


@both
@pytest.mark.rule("busy.accepted")
def test_a_second_command_is_accepted_while_the_first_job_runs(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Worker()
        port = opened(erl, driver)
        assert erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        assert erl.port_command(port, b"second")
        assert driver.ids == [1, 2]
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(2)] == [b"wait", b"second"]
        order = erl.trace.order("output", "driver_async", "async_return")
        assert order[:4] == ["output", "driver_async(1)", "output", "driver_async(2)"]


@both
@pytest.mark.rule("busy.not-tagged")
def test_with_two_threads_and_no_key_the_second_reply_may_come_first(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=2) as erl:
        driver = Worker()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"quick")
        assert erl.receive() == (port, ("data", b"quick"))
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
        assert erl.trace.order("ready_async") == ["ready_async(2)", "ready_async(1)"]


@both
@pytest.mark.rule("busy.same-key-waits")
def test_with_one_key_the_second_job_waits_for_the_first(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=2) as erl:
        driver = Worker()
        driver.key = 7
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_command(port, b"quick")
        assert erl.receive(timeout=1) is None
        driver.work_gate.open()
        assert [erl.receive()[1][1] for _ in range(2)] == [b"wait", b"quick"]
        assert erl.trace.order("async_invoke", "async_return") == [
            "async_invoke(1)",
            "async_return(1)",
            "async_invoke(2)",
            "async_return(2)",
        ]


@both
@pytest.mark.rule("busy.waits-for-lock-only")
def test_a_command_waits_for_the_callback_and_not_for_its_job(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Worker()
        port = opened(erl, driver)
        assert erl.port_command(port, b"wait")  # and back, with the job's thread still at the gate
        assert erl.trace.order("ready_async", "async_return") == []
        driver.work_gate.open()
        erl.receive()


# Busy.

LOW, HIGH = 4096, 8192
OFF = ERL_DRV_BUSY_MSGQ_DISABLED
READ_ONLY = ERL_DRV_BUSY_MSGQ_READ_ONLY


@both
@pytest.mark.parametrize(
    ("low", "high", "now"),
    [
        (READ_ONLY, READ_ONLY, (LOW, HIGH)),
        (None, None, (LOW, HIGH)),
        (5, None, (5, HIGH)),
        (None, 10, (10, 10)),
        (READ_ONLY, 10, (10, 10)),
        (100, 20_000, (100, 20_000)),
        (20_000, 100, (100, 100)),
        (20_000, READ_ONLY, (20_000, 20_000)),
        (20_000, None, (20_000, 20_000)),
        (OFF, READ_ONLY, (OFF, OFF)),
        (3, OFF, (OFF, OFF)),
        (None, OFF, (OFF, OFF)),
    ],
)
def test_the_low_limit_of_waiting_commands_never_exceeds_the_high_one(
    threads: Kind, low: int | None, high: int | None, now: tuple[int, int]
) -> None:
    """What an emulator of Erlang/OTP 25 answers to the same calls."""
    given = [None if value is None else Key(value) for value in (low, high)]

    def limits(port: ErlDrvPort) -> list[int]:
        erl_drv_busy_msgq_limits(port, *given)
        read = Key(READ_ONLY), Key(READ_ONLY)
        erl_drv_busy_msgq_limits(port, *read)
        return [key.value for key in read]

    with Emulator(threads=threads) as erl:
        assert do(erl, opened(erl, scripted(limits)), 0) == str([*now])
    turned_off = OFF in (low, high)  # then nothing is written back
    for key, before, value in zip(given, (low, high), now, strict=True):
        assert key is None or key.value == (before if turned_off else value)


@both
def test_a_closed_port_has_no_limits(threads: Kind) -> None:
    low, high = Key(7), Key(8)

    def limits(port: ErlDrvPort) -> list[int]:
        driver_failure_eof(port)
        erl_drv_busy_msgq_limits(port, low, high)
        return [low.value, high.value]

    with Emulator(threads=threads) as erl:
        assert do(erl, opened(erl, scripted(limits)), 0) == str([OFF, OFF])
