"""What is said of an emulator that keeps its program waiting.

A program makes an `Emulator` without a search, calls a BIF, and the call does not return: a job
loops, or polls and sleeps for ever, and `stop` waits for it.  Simulated threads share one OS
thread, so the program can notice nothing.  Another OS thread looks at the emulator from outside.

* `look_after` is given each such emulator.  It starts the thread, if there is none.
* `Onlookers._look` looks every `EVERY` seconds, and ends when there is no emulator any more.
* `Stall.told` compares two looks: the program waits if another thread runs and the program's thread
  has not been chosen in between, or if a callback on the program's own thread makes no step.

A program that does something else, or that waits for its user, is not told anything.  A run of
`explore` is looked at by a `Watch`, which knows when the run began.
"""

from __future__ import annotations

import sys
import threading
import time
from weakref import WeakKeyDictionary

from driverref.threads import watch
from driverref.threads.steps import Steps


class Stall:
    """What one emulator's threads have done since they were looked at."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._os_thread = threading.get_ident()
        self._seen: object = None
        self._since = self._after = 0.0
        self._first = self._last = 0

    def told(self, steps: Steps, now: float) -> str:
        """Return what is to be said at `now`, in seconds; `""` if nothing is."""
        main, made = steps.main, steps.made
        elsewhere = steps.running is not main
        # The program's thread has not gone on if it began its wait at the same step as before.
        seen = (main.arrival, None if elsewhere else made)
        if seen != self._seen or not (elsewhere or main.process is None):
            self._seen, self._since, self._after = seen, now, watch.PATIENCE
            self._first = self._last = made
            return ""
        last, self._last = self._last, made
        if now - self._since < self._after:
            return ""
        self._after *= 2
        lines = [
            f"{self.name} has kept the program waiting for {now - self._since:.0f} s,"
            f" {made - self._first:,} steps; its virtual time is {steps.time / 1e9:g} s:",
            *watch.standing_of(steps, sys._current_frames().get(self._os_thread)),
            watch.STILL if made == last else watch.MOVING,
        ]
        return "\n".join(lines)


class Onlookers:
    """The emulators that are looked at, and the thread that does it.  Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # An emulator that its program has lost is not kept.
        self._stalls: WeakKeyDictionary[Steps, Stall] = WeakKeyDictionary()
        self._thread: threading.Thread | None = None

    def add(self, steps: Steps, name: str) -> None:
        """Look at these threads from now on, until they are closed."""
        with self._lock:
            self._stalls[steps] = Stall(name)
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._look, name="onlooker", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no thread is left; the emulator is as good without it
                    return
                self._thread = thread

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(watch.EVERY)
            with self._lock:
                for steps in [s for s in self._stalls if not s.threads]:
                    del self._stalls[steps]
                if not self._stalls:
                    self._thread = None
                    return
                now = time.monotonic()
                stories = [stall.told(steps, now) for steps, stall in self._stalls.items()]
            for story in filter(None, stories):
                watch.tell_of(story)


look_after = Onlookers().add
