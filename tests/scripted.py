"""Drivers made of functions, for stories in which the callbacks are a line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driverref import Driver, Emulator, Port
from driverref.erl_driver import ErlDrvPort


def made_of(name: str = "d", flags: int = 0, **callbacks: Callable[..., Any]) -> Driver:
    """A driver with these callbacks and no others; its driver data is the port, unless it has a `start`."""

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    members = {"start": start, **callbacks}
    body = {key: staticmethod(function) for key, function in members.items()}
    entry = type(name, (Driver,), {"driver_name": name, "driver_flags": flags, **body})()
    assert isinstance(entry, Driver)
    return entry


class Box:
    """Where a callback puts what it has seen, for the story to look at."""

    def __init__(self) -> None:
        self.value: Any = None

    def put(self, value: Any) -> None:
        self.value = value


def steps(*parts: Callable[[], object]) -> Callable[[], None]:
    """A function that does these one after the other."""

    def run() -> None:
        for part in parts:
            part()

    return run


Act = Callable[[ErlDrvPort], object]


def scripted(*acts: Act, **callbacks: Any) -> Any:
    """A driver whose `control` number n does `acts[n]` and replies what that returned, as text."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return repr(acts[command](port)).encode()

    return made_of(control=control, **callbacks)


def do(erl: Emulator, port: Port, number: int) -> str:
    """The text that operation `number` of a driver made by `scripted` replies."""
    reply = erl.port_control(port, number, b"")
    assert isinstance(reply, list)
    return bytes(reply).decode()
