"""What the retold cases of OTP's test suites (`tests/otp/`) share: a driver, and a few sentences.

A case of OTP waits some hundred milliseconds so that others come first, and repeats itself a
thousand times.  A retold one waits for what the others do, or explores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driverref import Driver, Emulator, Pid, Port
from driverref.erl_driver import ErlDrvPort, driver_output

Seen = Callable[[Any], bool]


class Echo(Driver):
    """Sends back what is sent to it: by `output`, by `control` and by `call`.

    What follows a `-` in the command of `open_port` is sent at once.
    """

    driver_name = "echo"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        _, dash, greeting = command.partition("-")
        if dash:
            driver_output(port, greeting.encode())
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_output(port, buf)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return bytes(buf)

    def call(self, port: ErlDrvPort, command: int, term: object) -> object:
        return term


def loaded(erl: Emulator, driver: Driver, options: object = ("binary",)) -> Port:
    """A port of a driver that this loads."""
    assert erl.erl_ddll.load_driver(driver) == "ok"
    return port_of(erl, driver.driver_name, options)


def port_of(erl: Emulator, command: str = "echo", options: Any = ("binary",)) -> Port:
    """A port of a driver that is loaded."""
    return erl.open_port(("spawn_driver", command), options)


def command(erl: Emulator, port: Port | str, data: object) -> None:
    """`Port ! {self(), {command, Data}}`."""
    erl.send(port, (erl.self(), ("command", data)))


def close(erl: Emulator, port: Port | str) -> None:
    """`Port ! {self(), close}`, and the answer."""
    erl.send(port, (erl.self(), "close"))
    erl.receive(lambda message: message[1:] == ("closed",))


def down(erl: Emulator, ref: object) -> Any:
    """The `'DOWN'` of a monitor."""
    return erl.receive(lambda message: message[:2] == ("DOWN", ref))


def exit_of(erl: Emulator, dead: Port | Pid) -> Any:
    """The reason of the `'EXIT'` message from a port or a process."""
    return erl.receive(lambda message: message[:2] == ("EXIT", dead))[2]


def silent(erl: Emulator) -> bool:
    """Whether the mailbox is empty.  What is on its way has come before: a BIF asks the port."""
    return erl.receive(timeout=0) is None


class Stepping:
    """A process that does one thing after the other, each when it is told to.

    Made by a process.  `go` has it do the next; `step` also waits until that is done.
    """

    def __init__(self, erl: Emulator, *acts: Callable[[], object], **options: Any) -> None:
        self._erl, self._maker = erl, erl.self()
        self.seen: list[Any] = []
        """What the acts returned."""
        self.pid = erl.spawn(self._live, acts, **options)

    def _live(self, acts: tuple[Callable[[], object], ...]) -> None:
        for act in acts:
            self._erl.receive(lambda message: message == "go")
            self.seen.append(act())
            self._erl.send(self._maker, ("done", self._erl.self()))

    def go(self) -> None:
        """Have the process do what is next."""
        self._erl.send(self.pid, "go")

    def step(self) -> Any:
        """Have the process do what is next, and return what came of it."""
        self.go()
        self._erl.receive(lambda message: message == ("done", self.pid))
        return self.seen[-1]
