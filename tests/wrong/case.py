"""What a wrong driver is, and what all of them are made of.

A case holds two drivers and a story.  The wrong driver has one mistake, which somebody has made in
earnest; the right one is a subclass that takes it back and does the same otherwise.  The story is
Erlang's side.  It takes the number of jobs, so that the least number which shows the mistake can be
told.

What two threads share stands in a `Struct`, a `Memory` or an `Atomic`.  What is in an attribute of
the driver, a global variable in C, is written by `init` only, or by callbacks of one lock.

Few stories close the port.  The emulator does when it stops, and it does that whatever the jobs are
at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from support import opened

from driverref import Driver, Emulator, Struct
from driverref.erl_driver import ErlDrvPort, driver_alloc, driver_async, driver_free
from driverref.errors import DriverFault

Story: TypeAlias = Callable[[Emulator, Driver, int], object]
Scenario: TypeAlias = Callable[[Emulator], object]
S = TypeVar("S", bound=Struct)


def commands(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open a port and send it as many commands as there are to be jobs."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, b"work")


def control_after(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Send the commands, then call `control` once, if there was a command."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, b"work")
    if jobs:
        erl.port_control(port, 1, b"")


def control_after_each(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Call `control` after each command."""
    port = opened(erl, driver)
    for _ in range(jobs):
        erl.port_command(port, b"work")
        erl.port_control(port, 1, b"")


def one_command(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open a port and send it a command, for drivers without jobs."""
    erl.port_command(opened(erl, driver), b"work")


@dataclass(frozen=True)
class Wrong:
    """A wrong driver, what it leads to, and the driver that does the same thing right."""

    name: str
    why: str
    """What the author got wrong, and where people met it."""
    fault: type[DriverFault]
    """What must be found."""
    jobs: int
    """The least number of jobs that shows it: with one fewer no schedule has this fault."""
    wrong: type[Driver]
    right: type[Driver]
    """Has no fault in any schedule."""
    story: Story = commands
    async_threads: int = 1
    schedulers: int = 1

    def __str__(self) -> str:
        return self.name

    @property
    def emulator(self) -> dict[str, Any]:
        """The options of the emulator that runs it."""
        return {"async_threads": self.async_threads, "schedulers": self.schedulers}

    def scenario(self, driver: type[Driver], jobs: int) -> Scenario:
        """The story of `driver`, with so many jobs."""

        def told(erl: Emulator) -> None:
            self.story(erl, driver(), jobs)

        return told


def new(kind: type[S], **fields: object) -> S:
    """A block in which these fields have been written, and no others."""
    block = driver_alloc(kind)
    assert block is not None
    for name, value in fields.items():
        setattr(block, name, value)
    return block


class Empty(Struct):
    """What a job carries that carries nothing."""


class Runner(Driver):
    """Has a job done for every command, and has no mistake.  The driver data is the port.

    Most of the wrong drivers differ from it in what makes them wrong.
    """

    driver_name = "runner"

    def start(self, port: ErlDrvPort, command: str) -> Any:
        return port

    def output(self, port: Any, buf: memoryview) -> None:
        self.submit(port, new(Empty))

    def submit(self, port: ErlDrvPort, job: Any) -> None:
        driver_async(port, None, self.work, job, self.async_free)

    def work(self, job: Any) -> None:
        pass

    def ready_async(self, port: Any, job: Any) -> None:
        self.async_free(job)

    def async_free(self, job: Any) -> None:
        driver_free(job)
