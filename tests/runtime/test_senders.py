"""A busy port: which senders it suspends, and when they go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from scripted import made_of
from support import (
    Kind,
    both,
    opened,
    received,
    refused,
    suspended,
)

from driverref import Driver, Emulator, Pid, Port, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_output,
    set_busy_port,
)
from driverref.errors import Deadlock, ErlangError
from driverref.explore import Outcomes
from driverref.posix import usleep


def echo(port: ErlDrvPort, buf: memoryview) -> None:
    driver_output(port, bytes(buf))


# Busy.


def busy_driver(flags: int = 0, **callbacks: Any) -> Any:
    """`b` makes the port busy, any other command is echoed; a control ends it."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"b":
            set_busy_port(port, 1)
        else:
            echo(port, buf)

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
        set_busy_port(port, 0)

    return made_of(flags=flags, output=output, control=control, **callbacks)


@both
@pytest.mark.rule("busy.suspends")
def test_a_busy_port_suspends_the_next_sender_until_it_is_not(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, busy_driver())
        owner = erl.self()
        assert erl.port_command(port, b"b") is True
        _, first = suspended(erl, lambda: erl.port_command(port, b"1"))
        _, second = suspended(erl, lambda: erl.send(port, (owner, ("command", b"2"))))
        assert erl.receive(timeout=0) is None
        erl.port_control(port, 0, b"")
        assert first() is True
        assert second() == (owner, ("command", b"2"))
        assert {erl.receive(), erl.receive()} == {
            (port, ("data", b"1")),
            (port, ("data", b"2")),
        }
        order = erl.trace.order("set_busy_port", "suspended", "resumed")
        assert order == [
            "set_busy_port",
            "suspended",
            "suspended",
            "set_busy_port",
            *["resumed"] * 2,
        ]


@both
@pytest.mark.rule("busy.suspends")
def test_no_data_bad_data_and_a_stranger_s_command_wait_too(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, busy_driver())
        owner = erl.self()
        erl.port_command(port, b"b")
        sends: list[tuple[Callable[[], object], object]] = [
            (lambda: erl.port_command(port, b""), True),
            (lambda: erl.port_command(port, ["bad"]), "badarg"),
            (lambda: erl.send(port, (owner, ("command", ["bad"]))), (owner, ("command", ["bad"]))),
            (lambda: erl.send(port, (Pid(9), ("command", b""))), (Pid(9), ("command", b""))),
        ]
        results = [(suspended(erl, send)[1], expected) for send, expected in sends]
        assert erl.receive(timeout=0) is None
        erl.port_control(port, 0, b"")
        for result, expected in results:
            assert result() == expected
        assert sorted(map(repr, received(erl))) == [
            *["{#Port<0.1>,{data,<<>>}}"],
            *["{'EXIT',#Port<0.1>,badsig}"] * 2,
        ]


@both
@pytest.mark.rule("busy.nosuspend")
def test_nosuspend_is_false_while_the_port_is_busy(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, busy_driver())
        assert erl.port_command(port, b"1", ["nosuspend"]) is True
        erl.port_command(port, b"b")
        assert erl.port_command(port, b"2", ["nosuspend"]) is False
        assert erl.port_command(port, ["bad"], ["nosuspend"]) is False
        erl.port_control(port, 0, b"")
        assert erl.port_command(port, b"3", ("nosuspend",)) is True
        assert received(erl) == [(port, ("data", b"1")), (port, ("data", b"3"))]


@both
@pytest.mark.rule("busy.force")
def test_force_needs_a_driver_that_allows_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        hard = opened(erl, busy_driver())
        with refused("notsup"):
            erl.port_command(hard, b"x", ["force"])  # busy or not
        erl.port_command(hard, b"b")
        with refused("notsup") as caught:
            erl.port_command(hard, b"x", ["force", "nosuspend"])
        assert str(caught.value) == "notsup: port_command: driver 'd' lacks SOFT_BUSY"
    with Emulator(threads=threads) as erl:
        soft = opened(erl, busy_driver(ERL_DRV_FLAG_SOFT_BUSY))
        erl.port_command(soft, b"b")
        assert erl.port_command(soft, b"x", ["force"]) is True
        assert erl.port_command(soft, b"y", ["force", "nosuspend"]) is True
        assert erl.port_command(soft, b"z", ["nosuspend"]) is False
        assert received(erl) == [(soft, ("data", b"x")), (soft, ("data", b"y"))]


@both
@pytest.mark.rule("busy.control-gets-through")
def test_control_call_connect_and_close_get_through_to_a_busy_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = made_of(
            output=lambda port, buf: set_busy_port(port, 1),
            control=lambda port, command, buf: b"through",
            call=lambda port, command, term: b"through",
        )
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.port_control(port, 0, b"") == list(b"through")
        assert erl.port_call(port, 0, 1) == b"through"
        assert erl.port_connect(port, erl.self())
        erl.send(port, (erl.self(), ("connect", erl.self())))
        erl.send(port, "garbage")
        erl.send(port, (erl.self(), "close"))
        assert received(erl) == [
            (port, "connected"),
            ("EXIT", port, "badsig"),
            ("EXIT", port, "normal"),
            (port, "closed"),
        ]
        assert erl.trace.order("suspended") == []


@both
@pytest.mark.rule("busy.close-resumes")
def test_a_suspended_sender_gets_badarg_when_the_port_closes(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, busy_driver())
        owner = erl.self()
        erl.port_command(port, b"b")
        _, command = suspended(erl, lambda: erl.port_command(port, b"1"))
        _, message = suspended(erl, lambda: erl.send(port, (owner, ("command", b"2"))))
        erl.port_close(port)
        assert command() == "badarg"
        assert message() == (owner, ("command", b"2"))
        assert erl.trace.order("output", "exit", "resumed") == ["output", "exit", *["resumed"] * 2]


def test_a_port_that_is_never_free_again_names_who_waits_for_it() -> None:
    def story() -> None:
        with Emulator() as erl:
            port = opened(erl, busy_driver())
            erl.port_command(port, b"b")
            erl.port_command(port, b"1")

    with pytest.raises(Deadlock) as caught:
        story()
    waits = "process <0.1.0> waits for #Port<0.1>, which is busy; it stands at test_senders.py:"
    assert caught.value.waiting[0].startswith(waits)


@pytest.mark.parametrize("seed", range(60))
def test_no_sender_is_forgotten_in_whatever_order(seed: int) -> None:
    """A busy port, a lock that others hold, messages from two processes: all arrive, nobody waits for ever."""
    with Emulator(seed=seed, schedulers=3) as erl:
        port = opened(erl, busy_driver(ERL_DRV_FLAG_USE_PORT_LOCKING))
        owner = erl.self()

        def send() -> None:
            for _ in range(3):
                erl.send(port, (owner, ("command", b"x")))

        for scheduler in (2, 3):
            erl.spawn(send, scheduler=scheduler)
        for _ in range(3):
            erl.port_command(port, b"b")
            erl.port_control(port, 0, b"")
        for _ in range(6):
            assert erl.receive() == (port, ("data", b"x"))


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
    # Nothing is left of those that have waited: they would be woken for nothing ever after.
    assert not erl.runtime.waiters.value
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


# Exit signals in the wait.


def at_busy_port(
    erl: Emulator,
    how: str,
    *ends: Callable[[Port, Pid], object],
    trap_exit: bool = False,
    linked: bool = True,
) -> tuple[tuple[object, ...], object]:
    """A sender that sends to a busy port, and what happens then, one after the other.

    What it has after its command, if it comes so far: the result, and the first message.  And the
    reason of its end.
    """
    erl.process_flag("trap_exit", True)
    port, owner = opened(erl, busy_driver(ERL_DRV_FLAG_USE_PORT_LOCKING)), erl.self()
    erl.port_command(port, b"b")
    after: list[object] = []

    def sender() -> None:
        erl.process_flag("trap_exit", trap_exit)
        if linked:
            erl.link(port)
        try:
            if how == "port_command":
                after.append(erl.port_command(port, b"x"))
            else:
                after.append(erl.send(port, (owner, ("command", b"x"))))
        except ErlangError as error:
            after.append(error.reason)
        after.append(erl.receive(timeout=0))

    pid = erl.spawn(sender, scheduler=min(2, erl.system_info("schedulers")))
    ref = erl.monitor("process", pid)
    for end in ends:
        end(port, pid)
    down = erl.receive(lambda message: message[1] == ref)
    return tuple(after), down[4]


def once_suspended(erl: Emulator) -> Callable[[Port, Pid], None]:
    """Wait until the sender is suspended."""

    def wait(port: Port, pid: Pid) -> None:
        while not erl.trace.select("suspended"):
            erl.receive(lambda message: False, timeout=1)  # let others run

    return wait


def suspended_first(outcomes: Outcomes) -> set[object]:
    """The results of the runs in which the sender was suspended before the port ended."""
    found: list[Any] = list(outcomes)
    return {result for result, order in found if order[0] == "suspended"}


how_sent = pytest.mark.parametrize("how", ["port_command", "!"])


@both
@how_sent
@pytest.mark.rule("busy.exit-signal")
def test_an_exit_signal_ends_a_suspended_sender_while_the_port_stays_busy(
    threads: Kind, how: str
) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        ends = once_suspended(erl), lambda port, pid: erl.exit(pid, "foo")
        assert at_busy_port(erl, how, *ends) == ((), "foo")
        assert erl.trace.order("resumed") == []


@both
@how_sent
@pytest.mark.rule("busy.exit-signal")
def test_a_signal_that_came_before_the_port_was_free_comes_first(threads: Kind, how: str) -> None:
    """The command is not carried out, although the port takes it again."""
    with Emulator(threads=threads, schedulers=2) as erl:

        def signal_and_free(port: Port, pid: Pid) -> None:
            erl.exit(pid, "foo")
            erl.port_control(port, 0, b"")

        ends = once_suspended(erl), signal_and_free
        assert at_busy_port(erl, how, *ends, linked=False) == ((), "foo")
        assert [event.detail for event in erl.trace.select("output")] == [b"b"]


@both
@how_sent
@pytest.mark.rule("busy.exit-signal")
def test_a_suspended_sender_that_traps_exits_is_deaf_to_all_but_kill(
    threads: Kind, how: str
) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:

        def not_yet(port: Port, pid: Pid) -> None:
            erl.exit(pid, "foo")
            assert erl.receive(timeout=1) is None
            assert erl.trace.order("resumed") == []

        def free(port: Port, pid: Pid) -> None:
            erl.port_control(port, 0, b"")

        after, reason = at_busy_port(erl, how, once_suspended(erl), not_yet, free, trap_exit=True)
        assert after[1:] == (("EXIT", erl.self(), "foo"),)
        assert reason == "normal"

    with Emulator(threads=threads, schedulers=2) as erl:
        kill = once_suspended(erl), lambda port, pid: erl.exit(pid, "kill")
        assert at_busy_port(erl, how, *kill, trap_exit=True) == ((), "killed")


def pairs_of(outcomes: Outcomes) -> list[Any]:
    """The outcomes, each what the scenario returned and the order of the observed events."""
    return list(outcomes)


@both
@pytest.mark.rule("busy.linked-sender")
@pytest.mark.parametrize(("reason", "told"), [("die", "die"), ("kill", "killed")])
def test_the_port_s_end_is_in_the_mailbox_before_badarg(
    threads: Kind, reason: str, told: str
) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        ports: list[Port] = []

        def end(port: Port, pid: Pid) -> None:
            ports.append(port)
            erl.exit(port, reason)

        after, down = at_busy_port(erl, "port_command", once_suspended(erl), end, trap_exit=True)
        assert after == ("badarg", ("EXIT", *ports, told))
        assert down == "normal"


@pytest.mark.rule("busy.linked-sender")
@pytest.mark.parametrize(("reason", "told"), [("die", "die"), ("kill", "killed")])
def test_a_sender_that_dies_with_its_port_never_sees_badarg(reason: str, told: str) -> None:
    """Of 5,000 runs on OTP 25 none saw it."""

    def story(erl: Emulator) -> object:
        return at_busy_port(erl, "port_command", lambda port, _: erl.exit(port, reason))

    outcomes = explore(story, observe=("suspended", "exit"), schedulers=2)
    assert outcomes.complete
    assert suspended_first(outcomes) == {((), told)}


@pytest.mark.rule("busy.linked-sender", "busy.close-resumes")
def test_a_sender_that_survives_its_port_gets_badarg() -> None:
    """A port that closes normally takes no process along."""

    def story(erl: Emulator) -> object:
        return at_busy_port(erl, "port_command", lambda port, _: erl.port_close(port))

    outcomes = explore(story, observe=("suspended", "exit"), schedulers=2)
    assert outcomes.complete
    assert suspended_first(outcomes) == {(("badarg", None), "normal")}
