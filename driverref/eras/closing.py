"""The end of a port in R7B."""

from __future__ import annotations

from driverref.runtime.closing import Closing
from driverref.runtime.port import ErlDrvPort


class ClosedFirst(Closing):
    """`{Port, closed}` is sent before `stop` runs.

    R7B `io.c:terminate_port`; after it since OTP-6437.
    """

    def terminate(self, port: ErlDrvPort) -> None:
        """Send the reply, then run `stop`."""
        self.say_closed(port)
        super().terminate(port)
