"""A story in every era: the marks that tell it in each, a port table that is soon full, a port data lock."""

from __future__ import annotations

import dataclasses

import pytest
from support import Gate

from driverref import Emulator
from driverref.erl_driver import (
    ErlDrvPDL,
    ErlDrvPort,
    driver_async,
    driver_pdl_create,
    driver_pdl_get_refc,
)
from driverref.release import ERAS, R7B_3

every_era = pytest.mark.parametrize("release", ERAS, ids=lambda release: str(release.name))
"""The story is told in every era."""


smp_eras = pytest.mark.parametrize("release", ERAS[1:], ids=lambda release: str(release.name))
"""The story needs two schedulers, which R7B does not have."""


TWO_SLOTS = dataclasses.replace(R7B_3, slots=2)
"""R7B with a port table of 2 places in place of 1024, so that a story need not open a thousand ports."""


class DataLocked:
    """A `start` that makes a port data lock, and a gate at which a job of the port waits.

    Of two ports, the lock and the gate are those of the one that was opened last.
    """

    gate: Gate
    pdl: ErlDrvPDL

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        self.gate, self.pdl = Gate(), pdl
        return port

    def wait(self, port: ErlDrvPort, buf: memoryview) -> None:
        """An `output`: schedule a job that waits at the gate."""
        driver_async(port, 0, lambda job: self.gate.pass_through(), "first")

    def wait_with_another(self, port: ErlDrvPort, buf: memoryview) -> None:
        """An `output`: the same, and a second job of the same key behind it."""
        self.wait(port, buf)
        driver_async(port, 0, lambda job: None, "second")

    def refc(self) -> int:
        """The references to the lock."""
        return driver_pdl_get_refc(self.pdl)


def settle(erl: Emulator) -> None:
    """Let everybody else go as far as they can.  On simulated threads."""
    erl.receive(lambda _: False, timeout=1)
