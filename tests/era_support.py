"""A story in every era: the marks that tell it in each, and a port table that is soon full."""

from __future__ import annotations

import dataclasses

import pytest

from driverref import Emulator
from driverref.release import ERAS, R7B_3

every_era = pytest.mark.parametrize("release", ERAS, ids=lambda release: str(release.name))
"""The story is told in every era."""


smp_eras = pytest.mark.parametrize("release", ERAS[1:], ids=lambda release: str(release.name))
"""The story needs two schedulers, which R7B does not have."""


TWO_SLOTS = dataclasses.replace(R7B_3, slots=2)
"""R7B with a port table of 2 places in place of 1024, so that a story need not open a thousand ports."""


def settle(erl: Emulator) -> None:
    """Let everybody else go as far as they can.  On simulated threads."""
    erl.receive(lambda _: False, timeout=1)
