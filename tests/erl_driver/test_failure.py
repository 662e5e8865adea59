"""`failure.py`: the name of an errno, as each release has it.  What a failure does is in `test_port_failure`."""

from __future__ import annotations

import errno

import pytest
from scripted import do, made_of, scripted
from support import opened, received

from driverref import Emulator
from driverref.erl_driver import (
    ERL_DRV_ERROR_ERRNO,
    ErlDrvPort,
    driver_exit,
    driver_failure_posix,
    erl_errno_id,
    set_errno,
)
from driverref.errors import ErlangError


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
