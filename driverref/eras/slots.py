"""The port table of R7B: 1,024 slots.

An identifier leads to a slot, and a job knows its port by the slot.  So both lead to the port that
has the slot by then: the identifier of a closed port to a later port, and a job's data to the wrong
driver.

Source: R7B `io.c:get_free_port`, `erl_async.c:check_async_ready`.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from driverref.eras.drivers import unload_if_jobless
from driverref.runtime.async_pool import Job
from driverref.runtime.completions import Completions
from driverref.runtime.entities import PortTable
from driverref.runtime.port import ErlDrvPort
from driverref.terms import Port
from driverref.threads import Thread, Threads


class SlotTable(PortTable):
    """A port table with `size` slots."""

    def __init__(self, threads: Threads, size: int) -> None:
        super().__init__(threads)
        self.size = size
        self._slots: MutableMapping[int, ErlDrvPort | None] = threads.table()
        self._last = threads.cell(0)

    def new_number(self) -> int | None:
        """The number of the next port; `None` if every slot is taken.

        It is the next free one after the last that was given, never that one; each time round, the
        size is added.
        """
        last = self._last.value
        for number in range(last + 1, last + self.size):
            if self._slots.get(number % self.size) is None:
                self._last.value = number
                return number
        return None

    def find(self, id: Port) -> ErlDrvPort | None:
        """The port that has the slot of `id` now, or `None`."""
        return self._slots.get(id.number % self.size)

    def enter(self, port: ErlDrvPort) -> None:
        """From now on the identifiers of the slot lead to `port`."""
        super().enter(port)
        self._slots[port.number % self.size] = port

    def remove(self, port: ErlDrvPort) -> None:
        """From now on they lead nowhere."""
        super().remove(port)
        self._slots[port.number % self.size] = None


class SlotCompletions(Completions):
    """Completes a job at the port that has the slot of its port by then."""

    def complete(self, job: Job, thread: Thread) -> None:
        """Call `ready_async` of the port that has the slot, `async_free` if it is free."""
        port = job.port.runtime.ports.find(job.port.id)
        if port is None:
            self.give_back(job)
        else:
            with port:
                self.hand_over(port, job)
            self.settle(job)
        unload_if_jobless(job.port.driver)


class LeakyCompletions(Completions):
    """Forgets the data of a job whose port is gone.

    So R11B-3 to R12B-5 do (until ERTS 5.7, OTP-7784).
    """

    def give_back(self, job: Job) -> None:
        """Count the job off, and call nothing."""
        self.settle(job)
