"""The poll on OS threads: a selector, which only the thread that waits uses.

A selector is not made for several threads.  So `watch` and `end` leave a request in a queue and
ring a bell, which is a socket that the selector watches too.  The waiting thread carries the
requests out in the order in which they came.
"""

from __future__ import annotations

import queue
import selectors
import socket
from collections import deque
from contextlib import suppress

from driverref.threads.sockets import Report, Socket

assert (selectors.EVENT_READ, selectors.EVENT_WRITE) == (1, 2)  # READABLE and WRITABLE


Request = tuple[Socket, int, object]
"""What `watch` was called with."""


class NativePoll:
    """A poll on OS threads."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._reports: deque[Report | None] = deque()
        self._button, self._bell = socket.socketpair()
        self._button.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def watch(self, socket: Socket, what: int, name: object) -> None:
        self._ask((socket, what, name))

    def end(self) -> None:
        self._ask(None)

    def _ask(self, request: Request | None) -> None:
        self._requests.put(request)
        # If there is no room for another ring, the thread has not heard the earlier ones yet.  If
        # the bell is closed, no thread waits any more.
        with suppress(OSError):
            self._button.send(b"!")

    def wait(self) -> Report | None:
        while not self._reports:
            rung = False
            for key, ready in self._selector.select():
                if key.fileobj is self._bell:
                    rung = True
                else:
                    self._selector.unregister(key.fileobj)
                    self._reports.append((key.data, ready))
            # After the reports, since a request may take away a socket that is ready.
            if rung:
                # Before the requests are looked for: a later one rings again.
                self._bell.recv(4096)
                self._heed()
        report = self._reports.popleft()
        if report is None:
            self._close()
        return report

    def _heed(self) -> None:
        """Carry out the requests."""
        with suppress(queue.Empty):
            while True:
                request = self._requests.get_nowait()
                if request is None:
                    self._reports.append(None)
                    continue
                socket, what, name = request
                # A socket that was reported, or never watched, or is closed, is not there.
                with suppress(KeyError, ValueError):
                    self._selector.unregister(socket)  # type: ignore[arg-type]
                # A socket that was closed since will never be ready.
                with suppress(ValueError):
                    if what:
                        self._selector.register(socket, what, name)  # type: ignore[arg-type]

    def _close(self) -> None:
        """Give back what the poll has of the operating system."""
        self._selector.close()
        self._button.close()
        self._bell.close()
