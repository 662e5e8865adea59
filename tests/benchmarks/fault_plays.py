"""A driver of `tests/hosting/broken.py` in the real emulator, played many times, alone or under a tool.

1. `steps` records what a scene does, by playing it on a `Recorder`: `scenes.erl` does the same to the emulator, so
   there is no second telling that might differ.
2. `Tool.build` compiles the driver, and `Tool.command` starts the emulator: under valgrind, or with the library of a
   sanitizer loaded first.
3. `Player.play` plays a scene many times in one emulator, and starts another one if it died or stood still.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fault_reports
from otp import Tools, call

HERE = Path(__file__).resolve().parent
CFLAGS = "-std=gnu11 -D_GNU_SOURCE -w -g -O0 -fno-omit-frame-pointer -fPIC -shared"
MARKS = re.compile(rb"#(?:play|seen|end)\b")
"""What `scenes.erl` writes between two plays."""
STAYS = "-Wl,-z,nodelete"
"""The driver stays mapped when it is unloaded: a report at the end finds the names of its functions."""


class Recorder:
    """Stands for the emulator, and notes what a scene does to it."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.port = object()

    def process_flag(self, *_: object) -> None:
        """`scenes.erl` traps exits in any case."""

    def open_port(self, name: tuple[str, str], options: Sequence[str] = ()) -> object:
        self.steps.append(("open", name[1], list(options)))
        return self.port

    def receive(self) -> tuple[object]:
        self.steps.append(("receive",))
        return (self.port,)

    def spawn(self, function: Callable[[], object]) -> None:
        outer, self.steps = self.steps, []
        function()
        inner, self.steps = self.steps, outer
        self.steps.append(("spawn", inner))

    def link(self, _: None) -> None:
        """`scenes.erl` links what it spawns."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in ("port_command", "port_control", "port_call", "port_close", "exit"):
            raise AttributeError(name)
        return lambda _port, *data: self.steps.append((name, *data))


def steps(play: Callable[[Any], object]) -> list[tuple[Any, ...]]:
    """What a scene does, step by step, if all goes well."""
    recorder = Recorder()
    play(recorder)
    return recorder.steps


def erlang(value: object) -> str:
    """A value as Erlang writes it; the first of a tuple, and what is in a list of words, is an atom."""
    match value:
        case bytes():
            return f"<<{','.join(map(str, value))}>>"
        case int():
            return str(value)
        case str():
            return f'"{value}"'
        case tuple():
            name, *rest = value
            words = [f"'{one}'" if name == "exit" else erlang(one) for one in rest]
            return f"{{{','.join([f'{chr(39)}{name}{chr(39)}', *words])}}}"
        case list():
            return f"[{','.join(one if isinstance(one, str) else erlang(one) for one in value)}]"
    raise TypeError(value)


@dataclass(frozen=True)
class Tool:
    """A way to run the emulator."""

    name: str
    plays: int
    patience: float
    """Seconds: an answer that has not come is no longer waited for."""
    still: float
    """Seconds: an emulator in which no play has begun or ended is taken to have stopped."""
    deaths: int
    """A driver that has ended so many emulators is played no more, nor one that has stopped three."""
    cflags: str = ""
    library: str = ""
    """Loaded before the emulator's own."""
    options: tuple[tuple[str, str], ...] = ()
    before: tuple[str, ...] = ()
    """The command that runs the emulator."""

    def build(self, tools: Tools, source: Path) -> None:
        """Compile the driver beside its source."""
        told = ["-include", str(HERE / "tell_tsan.h")] if self.name == "ThreadSanitizer" else []
        flags = [*CFLAGS.split(), *self.cflags.split(), "-isystem", str(tools.include), *told]
        made = str(source.with_suffix(".so"))
        flags += [STAYS] if self.name != "none" else []
        call([tools.cc, *flags, "-o", made, str(source), "-lpthread"], source.parent)

    def environment(self, cc: str) -> dict[str, str]:
        """What the tool needs to be told, or `RuntimeError` if its library is not there."""
        found = dict(self.options)
        if self.library:
            path = call([cc, f"-print-file-name={self.library}"], HERE).strip()
            if path == self.library:
                raise RuntimeError(f"{cc} has no {self.library}")
            found["LD_PRELOAD"] = path
        return found


ASAN = (
    "detect_leaks=1:halt_on_error=0:suppress_equal_pcs=0:fast_unwind_on_malloc=0:handle_abort=1"
    ":allocator_may_return_null=1:exitcode=0"
)
TSAN = (
    "detect_deadlocks=0:halt_on_error=0:suppress_equal_stacks=0:suppress_equal_addresses=0"
    ":history_size=5:handle_abort=1:exitcode=0"
)
VALGRIND = (
    "--smc-check=all --error-limit=no --leak-check=full --fair-sched=yes --vgdb=no --num-callers=24"
)
TOOLS = (
    Tool("none", 100, 0.3, 5, 100),
    Tool("valgrind", 100, 1, 60, 1, before=("valgrind", *VALGRIND.split())),
    Tool(
        *("AddressSanitizer", 100, 0.5, 15, 10),
        cflags="-fsanitize=address -fsanitize-recover=address",
        library="libasan.so",
        options=(("ASAN_OPTIONS", ASAN), ("LSAN_OPTIONS", "exitcode=0")),
    ),
    Tool(
        *("ThreadSanitizer", 100, 0.5, 15, 10),
        cflags="-fsanitize=thread",
        library="libtsan.so",
        options=(("TSAN_OPTIONS", TSAN),),
        before=("setarch", "-R"),
    ),
)


@dataclass
class Played:
    """What came of a driver under a tool."""

    plays: int = 0
    died: int = 0
    hung: int = 0
    seen: dict[int, str] = field(default_factory=dict)
    reports: list[fault_reports.Report] = field(default_factory=list)


class Player:
    """Plays on one emulator."""

    def __init__(self, tools: Tools, root: str, folder: Path) -> None:
        self.tools = tools
        self.root = root
        self.folder = folder
        call(tools.compile_erlang(HERE / "scenes.erl"), folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def command(self, tool: Tool, async_threads: int, schedulers: int) -> list[str]:
        """How the emulator itself is started, without the programs that start it."""
        flags = ["+A", str(async_threads), "+S", f"{schedulers}:{schedulers}"]
        flags += ["+SDcpu", "1:1", "+SDio", "1", "-kernel", "logger_level", "none"]
        if tool.name != "none":
            flags += ["+Mea", "min", "+hms", "200000"]
        flags += ["-noinput", "-pa", str(self.folder), "-run", "scenes", "main"]
        words = call([self.tools.erl, "-emu_args_exit", *flags], self.folder).splitlines()
        program = f"{self.root}/erts-{self.tools.erts}/bin/beam.smp"
        return [*tool.before, program, *words, "-boot", f"{self.root}/bin/start_clean"]

    def play(
        self,
        tool: Tool,
        source: Path,
        scene: list[tuple[Any, ...]],
        async_threads: int,
        schedulers: int,
    ) -> Played:
        """Play a driver's scene as often as the tool says."""
        command = self.command(tool, async_threads, schedulers)
        played, never = Played(), 0
        while (
            played.plays < tool.plays
            and played.died < tool.deaths
            and played.hung < min(tool.deaths, 3)
        ):
            first = played.plays + 1
            log, how = self.emulator(tool, command, source, scene, first)
            if not log.begun:
                never += 1
                if never == 3:
                    text = (source.parent / "log").read_text("utf-8", "replace")
                    raise RuntimeError(f"no play began under {tool.name}\n{text[-3000:]}")
                continue
            played.plays = log.begun[-1]
            played.died += how == "died"
            played.hung += how == "hung"
            played.seen |= log.seen
            played.reports += log.reports
        return played

    def emulator(
        self, tool: Tool, command: list[str], source: Path, scene: list[Any], first: int
    ) -> tuple[fault_reports.Log, str]:
        """Run one emulator; how it ended is `ended`, `died` or `hung`."""
        name = source.stem
        patience = int(tool.patience * 1000)
        terms = f'{{{name},{erlang(scene)},{first},{tool.plays},{patience},"log"}}.\n'
        (source.parent / "play.terms").write_text(terms, "utf-8")
        path = source.parent / "log"
        binaries = f"{self.root}/erts-{self.tools.erts}/bin"
        where = {"ROOTDIR": self.root, "BINDIR": binaries, "EMU": "beam", "PROGNAME": "erl"}
        quiet = {"ERL_CRASH_DUMP_BYTES": "0", "HOME": str(source.parent)}
        with path.open("wb") as empty:
            empty.truncate()
        with path.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=source.parent,
                env=os.environ | where | quiet | tool.environment(self.tools.cc),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        hung = not ends(process, path, tool.still)
        text = path.read_text("utf-8", "replace")
        log = fault_reports.read(
            text, name, lambda offset: line_at(source.with_suffix(".so"), offset)
        )
        if hung:
            return log, "hung"
        return log, "ended" if log.ended and process.returncode == 0 else "died"


@cache
def line_at(library: Path, offset: int) -> int:
    """The line of the driver's file at a place in its library, 0 if it is none of this file's."""
    function, place = call(["addr2line", "-f", "-e", str(library), hex(offset)], HERE).splitlines()
    found = re.search(rf"{library.stem}\.c:(\d+)", place)
    return int(found[1]) if found and not function.startswith("told_") else 0


def ends(process: subprocess.Popen[bytes], log: Path, still: float) -> bool:
    """Whether it ends by itself.  It is killed once no play has begun or ended for so many seconds.

    A report does not show that a play goes on: an endless loop may make one in each round.
    """
    since = time.monotonic()
    with log.open("rb") as output:
        while process.poll() is None:
            time.sleep(0.02)
            if MARKS.search(output.read()):
                since = time.monotonic()
            elif time.monotonic() - since > still:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return False
    return True


def missing() -> list[str]:
    """The programs that are needed and not there."""
    return [
        name for name in ("valgrind", "setarch", "gcc", "addr2line") if shutil.which(name) is None
    ]
