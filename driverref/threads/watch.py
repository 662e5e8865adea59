"""What is said of a run that goes on and on: while it does, and when Ctrl-C ends it.

A simulated run may never end.  A loop in a job makes no step, so nothing in the simulation notices
it.  `time.sleep`, and a lock or a queue of Python's, stop the OS thread that all simulated threads
share.  So another OS thread looks at the run from outside.

    with watching():                    # an exploration, or one run
        began("a scenario", threads)    # each run says that it begins
        ended()                         # and that it has ended

* `_look`, on a thread of its own, looks every second, and prints where each thread stands if the
  run has gone on for `PATIENCE` seconds, and again each time that its age has doubled.
* `_interrupted` takes Ctrl-C in place of Python's own handler, and raises `KeyboardInterrupt` as
  that does, with the same text as a note.

The watch reads only what makes no step: the search must not notice that it was looked at.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from driverref.diagnostics import standing, where
from driverref.threads.steps import SimulatedThread, Steps

PATIENCE = 3.0
"""How many seconds a run may go on before it is told."""

EVERY = 1.0
"""How many seconds lie between two looks, and how long a run has to be for Ctrl-C to tell of it."""

STILL = """\
  It makes no step: the running thread loops or computes, or waits for
  time.sleep, a lock or a queue of Python's, which stop every simulated thread.
  A driver sleeps with usleep and waits with erl_drv_mutex_lock or
  erl_drv_cond_wait."""

MOVING = """\
  It makes steps: something may poll or sleep in a loop that has no end."""

LIMITED = """\
  A run of more steps than step_limit (--step-limit) ends as a Livelock."""

MORE = """\
  The search goes on with the other schedules, and such a loop has very many."""


class Watch:
    """Looks at the runs that one OS thread makes, one after the other."""

    def __init__(self) -> None:
        self._reader = threading.get_ident()
        self._over = threading.Event()
        # Held while the run is looked at: it is taken apart when it has ended.  Ctrl-C may come
        # while its own thread holds it.
        self._lock = threading.RLock()
        self._runs = 0
        self._what = ""
        self._steps: Steps | None = None
        self._began = 0.0
        self._livelock = ""
        # How many steps there were at the last look, and since when they have been as many.
        self._made, self._since = -1, 0.0

    def begin(self, name: str, steps: Steps | None) -> None:
        """Something begins that may go on for ever: a run, with its threads, or other work."""
        with self._lock:
            if steps is not None:
                self._runs += 1
                name = f"run {self._runs:,} of {name}"
            self._what, self._steps, self._began, self._made = name, steps, time.monotonic(), -1

    def end(self, livelock: str) -> None:
        """It has ended; `livelock` says how, if `step_limit` has ended it."""
        with self._lock:
            if livelock and not self._livelock:
                self._livelock = f"{self._what} has ended in a {livelock}\n{MORE}"
            self._what, self._steps = "", None

    def story(self, frame: FrameType | None = None) -> str:
        """Return what has gone on for a while, and where each thread stands; `""` if nothing has.

        `frame` is where the running thread stands, if the caller knows.
        """
        with self._lock:
            now = time.monotonic()
            if not self._what or now - self._began < EVERY:
                return ""
            frame = frame or sys._current_frames().get(self._reader)
            head = f"{self._what} has gone on for {now - self._began:.0f} s"
            if self._steps is None:
                place = standing(frame)
                return f"{head}; it stands at {where(place)}" if place else head
            made = self._steps.made
            head += f", {made:,} steps and {self._steps.time / 1e9:g} s of virtual time"
            lines = [f"{head}:", *standing_of(self._steps, frame)]
            if made != self._made:
                if self._made >= 0:
                    lines += [MOVING, LIMITED]
                self._made, self._since = made, now
            elif now - self._since >= EVERY / 2:
                lines.append(STILL)
            return "\n".join(lines)

    def _look(self) -> None:
        """Tell of a run that goes on, until the watch is over."""
        first = time.monotonic()
        told, after, livelock_told = 0.0, PATIENCE, False
        while not self._over.wait(EVERY):
            now = time.monotonic()
            with self._lock:
                if told != self._began:
                    told, after = self._began, PATIENCE
                story = self.story()
                if self._livelock and not livelock_told and now - first >= PATIENCE:
                    # Each run ends, and there are as many of them as the loop has turns.
                    story, livelock_told = self._livelock, True
                elif story and now - self._began >= after:
                    after *= 2
                else:
                    continue
            tell_of(story)


def tell_of(story: str) -> None:
    """Print the story of what goes on and on, and how to end it."""
    tell(f"{story}\n  Ctrl-C ends it.")


def tell(text: str) -> None:
    """Print a text on the error output, if it takes one."""
    with suppress(OSError):  # a full disk, a closed pipe
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def standing_of(steps: Steps, frame: FrameType | None) -> Iterator[str]:
    """Return a line for each thread: what it does, and where in the program it stands."""
    running = steps.running
    for thread in [running, *(t for t in steps.threads.copy().values() if t is not running)]:
        place = standing(frame) if thread is running else thread.coroutine.standing()
        at = f"; it stands at {where(place)}" if place else ""
        yield f"  {thread.name} {'goes on' if thread is running else _waits(thread)}{at}"


def _waits(thread: SimulatedThread) -> str:
    """Return what a thread waits for.

    Words that are found only when they are asked for make steps.
    """
    what = thread.waits_for or thread.what
    return f"waits for {what}" if isinstance(what, str) else "waits"


class _Own(threading.local):
    """The watch of the running OS thread."""

    watch: Watch | None = None


_own = _Own()


def began(name: str, steps: Steps | None = None) -> None:
    """Tell the watch of this OS thread, if there is one, that something begins, such as a run."""
    if _own.watch is not None:
        _own.watch.begin(name, steps)


def ended(livelock: str = "") -> None:
    """Tell the watch of this OS thread, if there is one, that it has ended."""
    if _own.watch is not None:
        _own.watch.end(livelock)


def under_way(frame: FrameType | None = None) -> str:
    """Return what the watch of this OS thread says of its run; `""` if there is nothing to say."""
    return "" if _own.watch is None else _own.watch.story(frame)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """Take Ctrl-C: raise `KeyboardInterrupt`, with where each thread stands as a note."""
    error = KeyboardInterrupt()
    if story := under_way(frame):
        error.add_note(story)
    raise error


@contextmanager
def watching() -> Iterator[None]:
    """Watch what this OS thread does in the block.

    Ctrl-C, or another signal that is to mean the same, is taken only on the main thread, and only
    if nothing else takes it.
    """
    watch, around = Watch(), _own.watch
    thread = threading.Thread(target=watch._look, name="watch", daemon=True)
    ours = []
    if threading.current_thread() is threading.main_thread():
        means_ctrl_c = (signal.SIGINT, signal.SIGTERM)
        ours = [s for s in means_ctrl_c if signal.getsignal(s) is signal.default_int_handler]
    _own.watch = watch
    try:
        with suppress(RuntimeError):  # no thread is left; the run is as good without a watch
            thread.start()
        for number in ours:
            signal.signal(number, _interrupted)
        yield
    finally:
        watch._over.set()
        _own.watch = around
        for number in ours:
            signal.signal(number, signal.default_int_handler)
        if thread.ident is not None:
            thread.join()
