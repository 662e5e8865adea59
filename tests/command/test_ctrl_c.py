"""Ctrl-C at a terminal: one ends any command, at once, with the status 130 and with where it stood."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from book import ROOT

pytestmark = pytest.mark.slow

HEAD = """\
import queue, threading
from driverref import Atomic, Driver
from driverref.erl_driver import driver_async, driver_output
from driverref.posix import usleep

class D(Driver):
    driver_name = "d"
    def start(self, port, command):
        self.lock, self.queue, self.flag = threading.Lock(), queue.Queue(), Atomic(0)
        return port
    def output(self, port, buf):
        driver_async(port, None, self.work, [bytes(buf)], None)
    def ready_async(self, port, job):
        driver_output(port, job[0])
    def work(self, job):
        WORK

def sc(erl):
    erl.erl_ddll.load_driver(D())
    port = erl.open_port(("spawn_driver", "d"))
    erl.port_command(port, b"x")
    erl.port_command(port, b"y")
    first = erl.receive()[1][1]
    while first == LAST:
        pass
"""

LOOPS = {
    "endless": "while True: pass",
    "gets": "self.queue.get()",
    "locks": "with self.lock: usleep(1000)",
}
LATE = "late"
"""Not the first run goes on for ever, but one of those that the workers make."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the scenarios, and a test of each."""
    for name, work in LOOPS.items():
        text = HEAD.replace("WORK", work).replace("LAST", "None")
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / f"{LATE}.py").write_text(HEAD.replace("WORK", "pass").replace("LAST", 'b"x"'))
    (tmp_path / "imported.py").write_text("while True:\n    pass\n")
    (tmp_path / "test_two.py").write_text(
        "from driverref import assert_outcomes\nfrom endless import sc\n"
        "def test_one(): assert_outcomes(sc, async_threads=2)\n"
        "def test_two(): assert_outcomes(sc, async_threads=2)\n"
    )
    return tmp_path


def take_terminal() -> None:
    """Make the terminal of the input the session's own, so that it gets Ctrl-C.

    A shell ignores the signal in what it starts in the background, such as these tests.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.close(os.open(os.ttyname(0), os.O_RDWR))


class Session:
    """A program at a terminal of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.terminal, end = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=environment,
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - it calls nothing that takes a lock
        )
        os.close(end)
        self.shown = ""

    def read(self) -> Iterator[None]:
        """What it shows, part by part, until it has ended."""
        while True:
            try:
                part = os.read(self.terminal, 10_000)
            except OSError:  # the terminal has no other end any more
                return
            if not part:
                return
            self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", part.decode(errors="replace"))
            yield

    def interrupted(self, when: str) -> int:
        """Type Ctrl-C as soon as this is shown, and return the exit status."""
        typed = False
        for _ in self.read():
            if when in self.shown and not typed:
                typed = bool(os.write(self.terminal, b"\x03"))
        os.close(self.terminal)
        assert typed, self.shown
        return self.process.wait()


@pytest.mark.rule("explore.told-while-it-goes-on", "explore.ctrl-c")
@pytest.mark.parametrize("command", ["explore", "compare", "timeline"])
@pytest.mark.parametrize("name", LOOPS)
def test_a_run_without_end_is_told_and_one_ctrl_c_ends_it(
    command: str, name: str, folder: Path
) -> None:
    session = Session(folder, "driverref", command, f"{name}.py", "--async-threads", "2")
    assert session.interrupted("Ctrl-C ends it.") == 130
    told, _, after = session.shown.partition("^C")
    line = HEAD.splitlines().index("        WORK") + 1
    for text in (told, after):
        assert re.search(
            r"run 1 of sc\S* has gone on for \d+ s, \d+ steps and 0 s of virtual", text
        )
        assert f"; it stands at {name}.py:{line} in work" in text
        assert "It makes no step: " in text
    assert "interrupted" in after
    assert ("0 schedules, 0 outcomes" in told) == (command != "timeline")


@pytest.mark.rule("explore.ctrl-c")
def test_one_ctrl_c_ends_the_workers_too_and_they_say_where_they_stood(folder: Path) -> None:
    words = ("explore", f"{LATE}.py", "--async-threads", "2", "--jobs", "2")
    session = Session(folder, "driverref", *words)
    assert session.interrupted("Ctrl-C ends it.") == 130
    told, _, after = session.shown.partition("^C")
    for text in (told, after):
        assert "process <0.1.0> goes on; it stands at late.py:" in text
    assert "then interrupted; there may be others" in after
    assert "Traceback" not in session.shown


def test_a_signal_to_the_command_alone_ends_its_workers(folder: Path) -> None:
    words = ("explore", f"{LATE}.py", "--async-threads", "2", "--jobs", "2")
    session = Session(folder, "driverref", *words)
    for _ in session.read():
        if "Ctrl-C ends it." in session.shown:
            session.process.send_signal(signal.SIGINT)
            break
    for _ in session.read():
        pass  # until no process has the terminal any more
    assert session.process.wait() == 130


def test_a_file_that_never_ends_is_told(folder: Path) -> None:
    session = Session(folder, "driverref", "explore", "imported.py")
    assert session.interrupted("Ctrl-C ends it.") == 130
    assert "loading imported.py has gone on for " in session.shown
    assert "; it stands at imported.py:" in session.shown


@pytest.mark.rule("explore.ctrl-c")
def test_one_ctrl_c_ends_a_session_of_pytest(folder: Path) -> None:
    session = Session(folder, "pytest", "-s", "-p", "no:cacheprovider", "test_two.py")
    assert session.interrupted("Ctrl-C ends it.") == pytest.ExitCode.INTERRUPTED
    assert re.search("KeyboardInterrupt|Interrupted", session.shown)
    assert not re.search(" (passed|failed)", session.shown)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the workers: Linux")
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_command_that_is_killed_leaves_no_worker(ended_by: signal.Signals, folder: Path) -> None:
    words = ("explore", f"{LATE}.py", "--async-threads", "2", "--jobs", "2")
    command = subprocess.Popen(
        [sys.executable, "-m", "driverref", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    next(line for line in command.stderr if "Ctrl-C ends it." in line)
    command.send_signal(ended_by)
    assert command.wait() == -ended_by
    # The pipe is at its end when no process has its other end any more.
    command.stderr.read()
    command.stderr.close()
