"""What Python does in the page: the blocks of a page, run as a prompt runs them.

This module runs in the reader's browser, in a Worker, and knows nothing of the book's build. The
Worker calls `Session.run` with the texts of the page's blocks, down to the one that is to be run.
What there is to show is sent as it comes: `send(kind, block, *parts)`, where `block` is the number
of the block:

    text      what has been printed
    outcomes  a table of outcomes: its text, its HTML, its game as JSON, or ""
    picture   a trace: its text, its timeline as SVG
    progress  how far an exploration is, in words

A page is one program. So the blocks above the one that is asked for are run before it, but for
those that have been run already: `Session` goes on from there if none of their texts has changed,
and begins anew otherwise. If an emulator was left running, it is the Worker that has to be begun
anew: `stale`.
"""

from __future__ import annotations

import ast
import builtins
import gc
import io
import linecache
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import CodeType
from typing import Any

from driverref.explore import Comparison, Outcomes, strategy
from driverref.explore.outcomes import Tally
from driverref.player import game, script
from driverref.player.page import MOST
from driverref.threads import OUTSIDE, running
from driverref.timeline import svg
from driverref.trace import Trace

Send = Callable[..., object]

EVERY = 0.1
"""How many seconds lie between two messages of what has been printed, and of progress."""

MOST_TEXT = 300_000
"""How many characters of a block's output are shown."""

PROGRAM = "program"
"""What a program is called where a place in it is told; a block has its number."""

MODULES = "Python's standard library and driverref are all that there is in a browser."
OS_THREADS = "A browser has no OS threads, which this example needs: run it with Python."


class Printed(io.TextIOBase):
    """The standard output of a block. It is sent from time to time, and in the end."""

    def __init__(self, send: Send, block: int) -> None:
        self._send = send
        self._block = block
        self._waiting: list[str] = []
        self._sent = 0
        self._at = time.monotonic()

    def write(self, text: str) -> int:
        """Keep a text, and send it with others."""
        self._waiting.append(text)
        if time.monotonic() - self._at > EVERY:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what has been printed."""
        self._at = time.monotonic()
        text = "".join(self._waiting)
        self._waiting.clear()
        if not text or self._sent > MOST_TEXT:
            return
        left = MOST_TEXT - self._sent
        self._sent += len(text)
        more = "" if len(text) <= left else "\n... and more, which is not shown\n"
        self._send("text", self._block, text[:left] + more)

    def show(self, kind: str, *parts: str) -> None:
        """Send something else, after what has been printed before."""
        self.flush()
        self._send(kind, self._block, *parts)


class Session:
    """A prompt for one page after the other. There is one in each Worker."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._done: list[str] = []
        self._names: dict[str, object] = {}

    def run(self, texts: Sequence[str], whole: bool = False) -> str:
        """Run the last of the texts, after those above it that have not been run.

        Returns `done`, or `stale` if the run needs a new Worker. With `whole` the text is a program
        and not a block: it ends where it fails, and does not go on from the last run.
        """
        kept = len(self._done)
        if whole or kept >= len(texts) or self._done != texts[:kept]:
            if running() is not OUTSIDE:
                return "stale"
            kept, self._done, self._names = 0, [], {"__name__": "__main__"}
        with _progress(self._send, len(texts) - 1):
            for block, text in enumerate(texts[kept:], kept):
                self._block(block, text, whole)
                self._done.append(text)
        if whole:
            self._done = [""]  # so that the next run begins anew
        gc.collect()
        return "done"

    def _block(self, block: int, text: str, whole: bool) -> None:
        out = Printed(self._send, block)
        name = PROGRAM if whole else f"block {block + 1}"
        # So that tracebacks and games show its lines.
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        show, display = builtins.print, sys.displayhook
        builtins.print = _print(out)
        sys.displayhook = _display(out)
        try:
            with redirect_stdout(out), redirect_stderr(out):
                for code in _statements(text, name, out):
                    try:
                        exec(code, self._names)
                    except BaseException as error:
                        _fail(error, out)
                        if whole:
                            break
        finally:
            builtins.print, sys.displayhook = show, display
            out.flush()


def _statements(text: str, name: str, out: Printed) -> Iterator[CodeType]:
    """Yield the statements of a text, each to be run as a prompt runs it."""
    try:
        tree = ast.parse(text, name)
        for statement in tree.body:
            yield compile(ast.Interactive([statement]), name, "single", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        out.write("".join(traceback.format_exception_only(error)))


def _fail(error: BaseException, out: Printed) -> None:
    """Print an exception as a prompt does, without the frames of this module."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    out.write("".join(traceback.format_exception(type(error), error, trace)))
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        out.write(f"{OS_THREADS}\n")
    if isinstance(error, ModuleNotFoundError):
        out.write(f"{MODULES}\n")


def _display(out: Printed) -> Callable[[object], None]:
    """Return what shows the value of an expression that stands alone."""

    def display(value: object) -> None:
        if value is not None and not _shown(value, repr(value), out):
            out.write(f"{value!r}\n")

    return display


def _print(out: Printed) -> Callable[..., None]:
    """Return a `print` that shows a table or a picture in place of their text."""
    show = builtins.print

    def print_(*values: object, **options: Any) -> None:
        if len(values) != 1 or options or not _shown(values[0], str(values[0]), out):
            show(*values, **options)

    return print_


def _shown(value: object, text: str, out: Printed) -> bool:
    """Show a value as more than text, if it is of such a kind."""
    match value:
        case Outcomes():
            # While an emulator runs, none of the runs can be made again.
            plays = running() is OUTSIDE and value.inequivalent <= MOST
            data = script(game(value)) if plays else ""
            out.show("outcomes", f"{text}\n", value.table(), data)
        case Comparison():
            out.show("outcomes", f"{text}\n", value._repr_html_(), "")
        case Trace() if len(value):
            out.show("picture", f"{text}\n", svg(value))
        case _:
            return False
    return True


@contextmanager
def _progress(send: Send, block: int) -> Iterator[None]:
    """Have an exploration tell how far it is, in place of the bar that a terminal has."""
    rooms: Any = strategy
    bar = rooms.progress_bar

    @contextmanager
    def told(wanted: bool | None, name: str) -> Iterator[Callable[[Tally], object]]:
        at = time.monotonic()

        def tell(tally: Tally) -> None:
            nonlocal at
            if time.monotonic() - at > EVERY:
                at = time.monotonic()
                found = len(tally.found)
                ways = "1 outcome" if found == 1 else f"{found} outcomes"
                send("progress", block, f"{name}: {tally.schedules:,} schedules, {ways}")

        yield tell

    rooms.progress_bar = told
    try:
        yield
    finally:
        rooms.progress_bar = bar
