"""Descriptors that the emulator watches for drivers: `driver_select` and its callbacks.

A port *selects* a descriptor for reading, for writing, or for both:

    select: the poll watches the descriptor
        -> it is ready: the poll's thread leaves a signal for the port
        -> a scheduler, under the port's lock: `ready_output`, then `ready_input`
        -> the descriptor is watched again, if the port still selects it

So a callback that does not read what is there is called again.  The signal stands in line with the
other signals of the port.  If the port gives the descriptor up meanwhile, no callback is called.

The report that a descriptor is ready may be outdated when the callback runs, because the port may
have read the data in another callback.  So a callback may find nothing to read.

A port that gives the descriptor up for good says so with `ERL_DRV_USE`.  Then `stop_select` is
called, and the descriptor may be closed.  On some systems the emulator has to wait for its poll
thread first.  On Linux it need not, so `stop_select` runs before `driver_select` returns.

Source: `erl_check_io.c`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from driverref.diagnostics import caller, where
from driverref.errors import Misuse
from driverref.posix import Socket
from driverref.runtime.senders import signal
from driverref.threads import Poll, running

if TYPE_CHECKING:
    from driverref.runtime.core import Runtime
    from driverref.runtime.port import ErlDrvPort

ERL_DRV_READ = 1 << 0
ERL_DRV_WRITE = 1 << 1
ERL_DRV_USE = 1 << 2
ERL_DRV_USE_NO_CALLBACK = ERL_DRV_USE | 1 << 3

_WAYS = {ERL_DRV_WRITE: "ready_output", ERL_DRV_READ: "ready_input"}
"""The callback of each way.  If a descriptor is ready for both, they are called in this order."""


class Selected:
    """One way in which a port waits for a descriptor: to read or to write."""

    __slots__ = ("_place", "due", "port", "scheduler")

    def __init__(self, port: ErlDrvPort) -> None:
        self.port = port
        # The callback runs on the scheduler that has selected last.
        self.scheduler = running().scheduler
        # The line that has called `driver_select`.
        self._place = caller()
        # Whether the callback is on its way.  Then the descriptor is not watched for it.
        self.due = False

    @property
    def place(self) -> str:
        """The text of the line that has called `driver_select`."""
        return where(self._place)


class CheckIo:
    """The descriptors that an emulator watches.  One for each emulator."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # Made with the first call: most drivers select nothing, and then there is no such thread.
        self._poll: Poll | None = None
        self._thread: Any = None
        self._lock = runtime.threads.guard("the poll")
        # A release without `stop_select` knows none of the bits that go with it.
        release = runtime.release
        known = "stop_select" in release.callbacks
        self._modes = ERL_DRV_USE_NO_CALLBACK * known | ERL_DRV_READ | ERL_DRV_WRITE

    # `driver_select`, in a callback of the port.

    def select(self, port: ErlDrvPort, event: Socket, mode: int, on: bool) -> None:
        """Have the port wait for the descriptor in the ways of `mode`, or no longer."""
        mode &= self._modes
        stop = not on and mode & ERL_DRV_USE_NO_CALLBACK == ERL_DRV_USE
        # Without a callback the ways have to be named, as in C.
        if stop:
            mode |= ERL_DRV_READ | ERL_DRV_WRITE
        with event.guard:
            ways = [way for way in _WAYS if mode & way]
            for way in ways:
                self._check_owner(port, event, way)
            for way in ways:
                if on:
                    selected = event.selected.setdefault(way, Selected(port))
                    selected.scheduler = running().scheduler
                    port.events[event] = None
                else:
                    event.selected.pop(way, None)
            if all(selected.port is not port for selected in event.selected.values()):
                port.events.pop(event, None)
            self._watch(event)
        if stop:
            self._stop_select(port, event)

    def _check_owner(self, port: ErlDrvPort, event: Socket, way: int) -> None:
        """Raise `Misuse` if another port has selected the descriptor in this way."""
        selected = event.selected.get(way)
        if selected is not None and selected.port is not port:
            raise Misuse(
                f"driver_select: {port.id} takes {event} from {selected.port.id}, which "
                f"has selected it at {selected.place} and will hear of it no more"
            )

    def _stop_select(self, port: ErlDrvPort, event: Socket) -> None:
        """Call `stop_select`: the descriptor may be closed."""
        stop_select = port.driver.entry.stop_select
        if stop_select is None:
            raise Misuse(
                "driver_select: with ERL_DRV_USE and 0 it calls stop_select, which the driver does "
                "not have; so the descriptor is never closed"
            )
        self._runtime.note(running().lane, "stop_select", event)
        stop_select(event, None)

    def _wanted(self, event: Socket) -> int:
        """The ways that the ports wait for."""
        return sum(way for way, selected in event.selected.items() if not selected.due)

    def _watch(self, event: Socket) -> None:
        """Watch the descriptor for what the ports wait for.  With its guard held."""
        ways = self._wanted(event)
        if self._poll is None:
            if not ways:
                return
            self._begin()
        assert self._poll is not None
        self._poll.watch(event.end, ways, event)

    # The poll's thread.

    def _begin(self) -> None:
        with self._lock:
            # The ports of two schedulers may select their first at once.
            if self._poll is None:  # pragma: no branch
                threads = self._runtime.threads
                self._poll = threads.poll("a descriptor to be ready")
                self._thread = threads.start("poll", self._run, self._runtime.crash, settle=True)

    def _run(self) -> None:
        running().runtime = self._runtime
        assert self._poll is not None
        while (report := self._poll.wait()) is not None:
            event, ready = report
            due = []
            with event.guard:
                for way in _WAYS:
                    # The port may have given it up since the report was made.
                    selected = event.selected.get(way)
                    if ready & way and selected is not None and not selected.due:
                        selected.due = True
                        due.append((way, selected))
                # A report ends the watch for both ways.  If neither is left, there is nothing to
                # do; the port may have selected the descriptor anew since the report was made, and
                # then that watch goes on.
                if self._wanted(event):
                    self._watch(event)
            for way, selected in due:
                selected.scheduler.work.add(partial(self._ready, event, way, selected))

    def stop(self) -> None:
        """End the poll's thread, if there is one."""
        if self._poll is not None:
            self._poll.end()
            self._runtime.threads.join(self._thread)

    # On a scheduler.

    def _ready(self, event: Socket, way: int, selected: Selected) -> None:
        """Work for a scheduler: leave the port a signal that the descriptor is ready."""
        signal(selected.port, partial(self._call, event, way, selected))

    def _call(self, event: Socket, way: int, selected: Selected) -> None:
        """Run the callback, with the port's lock held."""
        port, name = selected.port, _WAYS[way]
        with event.guard:
            # The port has given it up, or has selected it anew, since it was found ready.
            if event.selected.get(way) is not selected:
                return
        if getattr(port.driver.entry, name) is None:
            raise Misuse(
                f"{event}, selected by {port.id} at {selected.place}, is ready, and the "
                f"driver has no {name}"
            )
        port.callback(name, port.drv_data, event)
        with event.guard:
            selected.due = False
            self._watch(event)

    # The end of a port.

    def port_gone(self, port: ErlDrvPort) -> None:
        """Raise `Misuse` if a port that is closed still waits for a descriptor.

        The emulator finds that out later or never: it logs "driver gone away without deselecting"
        when the descriptor is ready or is selected again.
        """
        for event in port.events:
            with event.guard:
                places = {s.place for s in event.selected.values() if s.port is port}
            raise Misuse(
                f"{port.id} is closed and still selects {event}, since "
                f"{' and '.join(sorted(places))}; in stop call driver_select with ERL_DRV_USE and 0"
            )
