"""The port's timer in earlier releases."""

from __future__ import annotations

from driverref.runtime.port_timer import PortTimer
from driverref.runtime.scheduler import Action


class StandingTimer(PortTimer):
    """A timer that runs stands: `driver_set_timer` does nothing meanwhile.

    Until ERTS 5.4.13 (OTP-5942).
    """

    __slots__ = ()

    def set(self, milliseconds: int, due: Action) -> None:
        """Start the timer, unless it runs."""
        if not self.runs():
            super().set(milliseconds, due)


class TickingTimer(PortTimer):
    """A timeout of 0 ms waits for the next tick, and stands in no line.

    Until OTP 21.2 (OTP-15472).
    """

    __slots__ = ()

    def set(self, milliseconds: int, due: Action) -> None:
        """Start the timer; a scheduler finds it due."""
        super().set(milliseconds, due)
        self.set_to_0_by = None


class StandingTickingTimer(StandingTimer, TickingTimer):
    """Both."""

    __slots__ = ()
