"""Mistakes in a driver, each below the code that mypy reports for it and the rule of pyright."""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import override

from driverref import Driver, Emulator, erl_driver, explore
from driverref.erl_driver import (
    ErlDrvPort,
    ErlIOVec,
    Key,
    driver_async,
    driver_output,
    driver_set_timer,
)

# Callbacks that take something else.


class Takes(Driver):
    driver_name = "takes"

    # error: override, reportIncompatibleMethodOverride
    def init(self, port: ErlDrvPort) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def start(self, port: ErlDrvPort) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def output(self, buf: memoryview) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def outputv(self, port: ErlDrvPort, ev: memoryview) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def control(self, port: ErlDrvPort, command: str, buf: memoryview) -> bytes:
        return b""

    # error: override, reportIncompatibleMethodOverride
    def ready_async(self, port: ErlDrvPort) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def timeout(self, port: ErlDrvPort, t: int) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def process_exit(self, port: ErlDrvPort, monitor: int) -> None: ...


# Callbacks that return something else.


class Returns(Driver):
    # error: assignment, reportAssignmentType
    driver_name = 5

    # error: override, reportIncompatibleMethodOverride
    def init(self) -> str:
        return "ok"

    # error: override, reportIncompatibleMethodOverride
    async def output(self, port: ErlDrvPort, buf: memoryview) -> None: ...

    # error: override, reportIncompatibleMethodOverride
    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> Iterator[int]:
        yield 0

    # error: override, reportIncompatibleMethodOverride
    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> str:
        return ""

    # error: override, reportIncompatibleMethodOverride
    def timeout(self, port: ErlDrvPort) -> int:
        return 0


# A callback that is misspelt, and calls that are wrong.


class Calls(Driver):
    driver_name = "calls"

    @override
    # error: misc, reportGeneralTypeIssues
    def redy_async(self, port: ErlDrvPort, job: bytes) -> None: ...

    @override
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        # error: call-arg, reportCallIssue
        driver_output(port)
        # error: arg-type, reportArgumentType
        driver_set_timer(port, 0.5)
        # error: arg-type, reportArgumentType
        driver_async(port, "key", self.work, None)
        # error: arg-type, reportArgumentType
        driver_async(port, Key("1"), self.work, None)
        # error: arg-type, reportArgumentType
        driver_async(port, None, buf, None)
        # error: attr-defined, reportAttributeAccessIssue
        port.no_such_attribute()

        # error: attr-defined, reportAttributeAccessIssue
        erl_driver.no_such_call(port)
        # error: attr-defined, reportPrivateImportUsage
        print(erl_driver.types)

    def work(self, job: bytes) -> None: ...


def scenario(erl: Emulator) -> bytes:
    # error: arg-type, reportArgumentType
    erl.erl_ddll.load_driver(Calls)
    # error: call-arg, reportCallIssue
    erl.open_port(("spawn_driver", "calls"), binary=True)
    # error: arg-type, reportArgumentType
    erl.port_command(5, b"")
    # error: arg-type, reportArgumentType
    erl.receive(timeout="soon")
    return b""


# error: arg-type, reportArgumentType
explore(b"")
# error: arg-type, reportArgumentType
Emulator(threads="simulate")
