"""What `open_port` takes: the command, and the options."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import Box, made_of
from support import Kind, both

from driverref import Driver, Emulator
from driverref.erl_driver import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ErlDrvPort,
    Key,
    driver_output,
    erl_drv_busy_msgq_limits,
)
from driverref.errors import ErlangError


def limits_of(port: ErlDrvPort) -> tuple[int, int]:
    low, high = Key(0), Key(0)
    erl_drv_busy_msgq_limits(port, low, high)
    return low.value, high.value


def driver(seen: Box, flags: int = 0) -> Driver:
    """A driver that tells its command and, in `control`, its limits."""

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        seen.put(command)
        return port

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
        seen.put(limits_of(port))

    return made_of(flags=flags, start=start, control=control, output=driver_output)


@pytest.mark.rule("port.command-name")
@pytest.mark.parametrize("command", ["d", "d ", "d  a  b", b"d x", "d \t"])
@both
def test_start_gets_the_whole_command(command: Any, threads: Kind) -> None:
    seen = Box()
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver(seen))
        port = erl.open_port(("spawn_driver", command))
        text = command if isinstance(command, str) else command.decode()
        assert seen.value == text
        assert erl.port_info(port, "name") == ("name", text)


@pytest.mark.rule("port.command-name")
@pytest.mark.parametrize("command", ["", " d", "d\tx", "d\nx", "dx"])
@both
def test_only_a_blank_ends_the_driver_s_name(command: str, threads: Kind) -> None:
    seen = Box()
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver(seen))
        with pytest.raises(ErlangError, match="badarg"):
            erl.open_port(("spawn_driver", command))
        # Anything but nothing might be a program.
        with pytest.raises(ErlangError, match="enoent" if command else "badarg"):
            erl.open_port(("spawn", command))
        assert (seen.value, erl.ports()) == (None, [])


NO_EFFECT: list[object] = [
    *"stream in out hide use_stdio nouse_stdio stderr_to_stdout overlapped_io".split(),
    ("packet", 4),
    ("cd", "/"),
    ("env", [("A", b"1"), ("B", False)]),
]


@pytest.mark.parametrize("option", NO_EFFECT)
@both
def test_an_option_about_programs_changes_nothing(option: object, threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver(Box()))
        port = erl.open_port(("spawn_driver", "d"), [option, "binary"])
        erl.port_command(port, b"ab\ncd")
        assert erl.receive() == (port, ("data", b"ab\ncd"))


LIMITS: dict[Any, tuple[int, int]] = {
    (100, 200): (100, 200),
    (200, 100): (100, 100),
    "disabled": (ERL_DRV_BUSY_MSGQ_DISABLED, ERL_DRV_BUSY_MSGQ_DISABLED),
}


@pytest.mark.parametrize("value", LIMITS)
@both
def test_the_limits_of_the_message_queue_can_be_given(value: object, threads: Kind) -> None:
    seen = Box()
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver(seen))
        port = erl.open_port(("spawn_driver", "d"), [("busy_limits_msgq", value)])
        erl.port_control(port, 0, b"")
        assert seen.value == LIMITS[value]


def test_but_not_to_a_driver_that_has_none() -> None:
    with Emulator() as erl:
        erl.erl_ddll.load_driver(driver(Box(), ERL_DRV_FLAG_NO_BUSY_MSGQ))
        with pytest.raises(ErlangError, match="'d' has NO_BUSY_MSGQ"):
            erl.open_port(("spawn_driver", "d"), [("busy_limits_msgq", (1, 2))])
        erl.open_port(("spawn_driver", "d"), [("busy_limits_msgq", "disabled")])


@both
def test_parallelism_is_told(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver(Box()))
        port = erl.open_port(("spawn_driver", "d"), [("parallelism", True)])
        assert erl.port_info(port, "parallelism") == ("parallelism", True)


@pytest.mark.rule("era.calls")
@pytest.mark.parametrize(
    ("release", "option"),
    [
        ("R14B04", ("parallelism", True)),
        ("R16B", ("busy_limits_msgq", (1, 2))),
        ("R16B", ("busy_limits_msgq", "disabled")),
    ],
)
def test_an_option_of_open_port_came_with_a_release(release: str, option: Any) -> None:
    with Emulator(release=release) as erl:
        erl.erl_ddll.load_driver(driver(Box()))
        with pytest.raises(ErlangError, match=f"undef: open_port's `{option[0]}`: {release}"):
            erl.open_port(("spawn_driver", "d"), [option])
