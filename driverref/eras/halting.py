"""How emulators halted before R15B01 (ERTS 5.9.1).

No port is closed, and jobs may or may not run first.
"""

from __future__ import annotations

from driverref.runtime.halting import Halting, join_pool
from driverref.runtime.process import Process


class Exiting(Halting):
    """Stops where it is, as R7B to R9C do."""

    def flush(self, process: Process, deadline: int | None) -> bool:
        """Do nothing."""
        return True


class Joining(Exiting):
    """Lets the queued jobs run if the status is 0, and hands nothing over."""

    def jobs_first(self, process: Process, status: int) -> None:
        """End the async threads when they have run what is queued."""
        if status == 0:
            join_pool(process, None)
