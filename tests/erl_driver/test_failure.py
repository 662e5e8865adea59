"""`failure.py`: the name of an errno, and a port that is acknowledged.

What a failure does is in `test_port_failure`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from scripted import do, made_of, scripted
from support import Kind, both, opened, received

from driverref import Driver, Emulator, explore
from driverref.erl_driver import (
    ERL_DRV_ERROR_BADARG,
    ERL_DRV_ERROR_ERRNO,
    ERL_DRV_ERROR_GENERAL,
    ERL_DRV_FLAG_USE_INIT_ACK,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_exit,
    driver_failure_atom,
    driver_failure_eof,
    driver_failure_posix,
    erl_drv_init_ack,
    erl_errno_id,
    set_errno,
)
from driverref.errors import ErlangError, Misuse


@pytest.mark.rule("era.unknown-errno")
@pytest.mark.parametrize(
    ("release", "reason"),
    [("R7B-3", "unknown"), ("25", "unknown"), ("27", "unknown"), ("29", "errno_9999")],
)
def test_an_errno_without_a_name_is_unknown_or_has_its_number(release: str, reason: str) -> None:
    """What emulators of Erlang/OTP 25, 27 and 29 were seen to do."""

    def start(port: ErlDrvPort, command: str) -> int:
        set_errno(9999)
        return ERL_DRV_ERROR_ERRNO

    with Emulator(release=release) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, scripted(lambda port: driver_failure_posix(port, 9999)))
        assert do(erl, port, 0) == "0"
        assert received(erl) == [("EXIT", port, reason)]
        leaving = made_of("leaves", output=lambda port, buf: driver_exit(port, 9999))
        erl.erl_ddll.load_driver(leaving)
        port, me = erl.open_port(("spawn_driver", "leaves")), erl.self()

        def linked() -> None:
            erl.process_flag("trap_exit", True)
            erl.link(port)
            erl.send(me, "linked")
            erl.send(me, erl.receive())

        erl.spawn(linked)
        assert erl.receive() == "linked"
        erl.port_command(port, b"")
        assert erl.receive() == ("EXIT", port, reason)
        erl.erl_ddll.load_driver(made_of("refuses", start=start))
        with pytest.raises(ErlangError) as refused:
            erl.open_port(("spawn_driver", "refuses"))
        assert refused.value.reason == reason


@pytest.mark.rule("era.unknown-errno")
@pytest.mark.parametrize(
    ("release", "names"),
    [
        ("R7B-3", ["enoent", "edeadlk", "unknown", "unknown", "unknown", "unknown"]),
        ("25", ["enoent", "edeadlk", "unknown", "unknown", "unknown", "unknown"]),
        ("29", ["enoent", "edeadlk", "errno_0", "errno_-2", "errno_9999", "ecanceled"]),
    ],
)
def test_an_errno_is_named_as_the_emulator_names_it(release: str, names: list[str]) -> None:
    """What emulators of Erlang/OTP 25, 27 and 29 were seen to do."""
    numbers = (errno.ENOENT, errno.EDEADLK, 0, -2, 9999, errno.ECANCELED)
    with Emulator(release=release):
        assert [erl_errno_id(number) for number in numbers] == names


class Slow(Driver):
    """A driver whose port is ready when its first job is back."""

    driver_name = "slow"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_USE_INIT_ACK
    answer: object = "ready"
    """What it acknowledges."""

    def start(self, port: ErlDrvPort, command: str) -> object:
        erl_drv_init_ack(port, "too early")  # is not heard
        driver_async(port, None, str, port)
        return "not ready"

    def ready_async(self, drv_data: object, port: ErlDrvPort) -> None:
        set_errno(errno.ENOENT)
        erl_drv_init_ack(port, self.answer)
        erl_drv_init_ack(port, "too late")

    def control(self, drv_data: object, command: int, buf: memoryview) -> bytes:
        return str(drv_data).encode()

    def stop(self, drv_data: object) -> None:
        """Seen in the trace."""


@both
@pytest.mark.rule("port.init-ack")
def test_open_port_waits_until_the_driver_has_acknowledged(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Slow())
        assert erl.trace.order("ready_async", "erl_drv_init_ack") == [
            "ready_async(1)",
            "erl_drv_init_ack",
        ]
        reply = erl.port_control(port, 0, b"")
        assert isinstance(reply, list)
        assert bytes(reply) == b"ready"


@both
@pytest.mark.rule("port.init-ack")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ERL_DRV_ERROR_GENERAL, "einval"),
        (ERL_DRV_ERROR_ERRNO, "enoent"),
        (ERL_DRV_ERROR_BADARG, "badarg"),
    ],
)
def test_an_error_that_is_acknowledged_is_raised_by_open_port(
    threads: Kind, answer: int, reason: str
) -> None:
    driver = Slow()
    driver.answer = answer
    with Emulator(threads=threads) as erl:
        with pytest.raises(ErlangError, match="'slow' acknowledged an error") as refused:
            opened(erl, driver)
        assert refused.value.reason == reason
        assert erl.trace.order("erl_drv_init_ack", "stop") == ["erl_drv_init_ack", "stop"]
        assert erl.receive(timeout=0) is None


@pytest.mark.rule("port.init-ack")
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize("traps", [True, False])
def test_open_port_waits_for_ever_if_another_process_closes_the_port(
    schedulers: int, traps: bool
) -> None:
    """As emulators of Erlang/OTP 25, 27 and 29 were seen to do; an exit signal may end the caller."""

    def story(erl: Emulator) -> str:
        erl.erl_ddll.load_driver(Slow())
        me = erl.self()

        def opens() -> None:
            erl.process_flag("trap_exit", traps)
            erl.open_port(("spawn_driver", "slow"))
            erl.send(me, "opened")

        pid = erl.spawn(opens)
        ref = erl.monitor("process", pid)
        for port in erl.ports():
            erl.exit(port, "closed")
        message = erl.receive()
        return message if message == "opened" else "ended" if message[1] == ref else "other"

    outcomes = explore(story, schedulers=schedulers, async_threads=1)
    assert outcomes.complete
    ended = {fault.name for fault in outcomes.faults}
    assert ended == ({"Deadlock"} if traps else set())
    assert {*outcomes} - {*outcomes.faults} == ({"opened"} if traps else {"opened", "ended"})


@both
@pytest.mark.rule("port.init-ack")
@pytest.mark.parametrize(
    "fail", [driver_failure_eof, lambda port: driver_failure_atom(port, "bad")]
)
@pytest.mark.parametrize("options", [["binary"], ["binary", "eof"]])
def test_a_driver_that_fails_the_port_lets_its_opener_go_on(
    threads: Kind, fail: Callable[[ErlDrvPort], int], options: list[str]
) -> None:
    class Failing(Slow):
        def ready_async(self, drv_data: object, port: ErlDrvPort) -> None:
            fail(port)

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(Failing())
        port = erl.open_port(("spawn_driver", "slow"), options)
        message = erl.receive()
        assert port in message


@pytest.mark.rule("port.init-ack")
def test_without_the_flag_or_before_it_was_known_nothing_is_acknowledged() -> None:
    class Plain(Slow):
        driver_flags = 0

    with Emulator() as erl:
        port = opened(erl, Plain())
        reply = erl.port_control(port, 0, b"")
        assert isinstance(reply, list)
        assert bytes(reply) == b"not ready"
    with Emulator(release="R16B") as erl:
        with pytest.raises(Misuse, match="erl_drv_init_ack: .*it came with 19.0"):
            opened(erl, Slow())
        erl.stop()
