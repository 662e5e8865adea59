"""The options of `open_port`.

For a linked-in driver few of them do anything.  Those that are about programs of the operating
system are accepted, as the emulator accepts them, and change nothing; `exit_status`, `args` and
`arg0` are refused, as there.

Source: `erl_bif_port.c:open_port`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeGuard

from driverref.errors import ErlangError, badarg, is_int
from driverref.release import Release
from driverref.since import check_bif

_NO_EFFECT = frozenset(
    "stream in out hide use_stdio nouse_stdio stderr_to_stdout overlapped_io".split()
)

DEFAULT_LINE = 512
"""The size of a line with the option `line`, in bytes."""


@dataclass(slots=True)
class PortOptions:
    """What the options of one `open_port` say."""

    binary: bool = False
    """Whether data arrives as a binary, and not as a list of bytes."""
    eof: bool = False
    """Whether the port stays open at the end of file."""
    line: int = 0
    """The longest line in bytes; 0 if data is not cut into lines."""
    packet: bool = False
    """Whether `{packet, N}` was given, which excludes `line`."""
    parallelism: bool = False
    """What `port_info` says; for the scheduling of ports, which is not modelled."""
    msgq_limits: tuple[int, int] | Literal["disabled"] | None = None
    """The limits of the command data that may wait for the port, in bytes; `None`: the default."""


def port_options(release: Release, options: object) -> PortOptions:
    """Read the options.  Raises `badarg` for one that is unknown or has a wrong value."""
    if not isinstance(options, list | tuple):
        raise badarg("open_port", "options", "a list", options)
    found = PortOptions()
    for option in options:
        _read(release, found, option)
    if found.line and found.packet:
        raise badarg("open_port", "options", "without packet if line is there", options)
    return found


def _read(release: Release, found: PortOptions, option: object) -> None:
    match option:
        case "binary":
            found.binary = True
        case "eof":
            found.eof = True
        case "line":
            found.line = DEFAULT_LINE
        case ("line", size) if is_int(size) and size > 0:
            found.line = size
        case ("packet", 1 | 2 | 4):
            found.packet = True
        case ("parallelism", bool(value)):
            check_bif(release, "open_port's `parallelism`", "R16A")
            found.parallelism = value
        case ("busy_limits_msgq", "disabled"):
            check_bif(release, "open_port's `busy_limits_msgq`", "23.0")
            found.msgq_limits = "disabled"
        case ("busy_limits_msgq", (low, high)) if _is_limit(low) and _is_limit(high):
            check_bif(release, "open_port's `busy_limits_msgq`", "23.0")
            found.msgq_limits = min(low, high), high
        case ("busy_limits_port", _):
            # It is about the emulator's own drivers, which decide for themselves when to be busy.
            text = "open_port: busy_limits_port is not for a driver that was loaded"
            raise ErlangError("badarg", text)
        case _ if not _has_no_effect(option):
            expected = 'of "binary", "eof", "stream", "in", "out", "hide", ("line", N), ...'
            raise badarg("open_port", "options", expected, option)


def _has_no_effect(option: object) -> bool:
    """Whether the option is one for programs of the operating system."""
    match option:
        case ("cd", str() | bytes()):
            return True
        case ("env", list(variables)):
            return all(map(_is_variable, variables))
    return isinstance(option, str) and option in _NO_EFFECT


def _is_variable(value: object) -> bool:
    """Whether `value` sets a variable of the environment, or with `False` unsets it."""
    match value:
        case (str() | bytes(), str() | bytes() | False):
            return True
    return False


def _is_limit(value: object) -> TypeGuard[int]:
    return is_int(value) and 1 <= value < 2**64 - 1
