"""What other tools find in the drivers that are broken on purpose, when the real emulator runs them.

`python tests/benchmarks/faults.py [--runs 100] [--only flow]` compiles each driver of `tests/hosting/broken.py` three
times, for the emulator as it is, for AddressSanitizer and for ThreadSanitizer, plays its scene so many times on each,
and writes the table of `docs/faults-found.md`.

A sanitizer's library is preloaded into the emulator, which was not compiled for it.  `+Mea min` has the emulator take
every block from `malloc`, so that AddressSanitizer sees those of `driver_alloc`.  ThreadSanitizer does not know the
emulator's own locks and tells of races where there are none; so only what names the line of the mistake counts, and
that the driver without the mistake does not get.  valgrind 3.19 cannot run an emulator with the JIT of OTP 25.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "hosting"))
from broken import CASES, Broken

from driverref.hosting.tools import header_folder

PAGE = Path(__file__).resolve().parents[2] / "docs/faults-found.md"
PATIENCE = 20
"""The seconds after which a run counts as one that hangs."""

TOOLS = {"the emulator": "", "AddressSanitizer": "address", "ThreadSanitizer": "thread"}
"""By its name, what the compiler calls it."""


class Script:
    """Stands for the emulator in a scene, and writes down in Erlang what the scene does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.port = 0

    def process_flag(self, flag: str, value: object) -> None:
        self.lines.append("process_flag(trap_exit, true)")

    def open_port(self, name: tuple[str, str], options: object = ()) -> int:
        self.port += 1
        self.lines.append(f'P{self.port} = open_port({{spawn_driver, "{name[1]}"}}, [binary])')
        return self.port

    def port_command(self, port: int, data: bytes) -> None:
        self.lines.append(f"port_command(P{port}, {_bytes(data)})")

    def port_control(self, port: int, operation: int, data: bytes) -> None:
        self.lines.append(f"port_control(P{port}, {operation}, {_bytes(data)})")

    def port_call(self, port: int, operation: int, data: bytes) -> None:
        self.lines.append(f"erlang:port_call(P{port}, {operation}, {_bytes(data)})")

    def port_close(self, port: int) -> None:
        self.lines.append(f"port_close(P{port})")

    def exit(self, port: int, reason: str) -> None:
        self.lines.append(f"exit(P{port}, {reason})")

    def receive(self, *arguments: object, **options: object) -> tuple[int]:
        self.lines.append("receive _ -> ok after 1000 -> ok end")
        return (self.port,)

    def spawn(self, function: Callable[[], object]) -> str:
        outer, self.lines = self.lines, []
        function()
        outer.append(f"spawn_link(fun() -> {', '.join(self.lines)} end)")
        self.lines = outer
        return "the process"

    def link(self, pid: str) -> None:
        """`spawn` has linked it."""


def _bytes(data: bytes) -> str:
    return f"<<{', '.join(map(str, data))}>>"


def script(case: Broken) -> str:
    """The scene of a case, as a module in Erlang."""
    written: Any = Script()
    case.scene.play(written)
    name = Path(case.scene.driver).stem
    return f"""-module(scene).
-export([main/0]).
main() ->
    ok = erl_ddll:load_driver(".", {name}),
    catch begin {", ".join(written.lines)} end,
    timer:sleep(100),
    catch erl_ddll:unload_driver({name}),
    timer:sleep(100),
    init:stop().
"""


@dataclass
class Emulator:
    """The real emulator's files."""

    root: Path
    bin: Path

    @classmethod
    def found(cls) -> Emulator:
        root = header_folder().parents[1]
        return cls(root, next(root.glob("erts-*/bin")))

    def command(self, case: Broken, sanitizer: str) -> list[str]:
        """How to run a scene in the folder that has it."""
        flags = [
            "-A",
            str(case.scene.async_threads),
            "-S",
            f"{max(2, case.scene.schedulers)}",
            "-Mea",
            "min",
        ]
        boot = ["-root", self.root, "-bindir", self.bin, "-progname", "erl", "-home", "."]
        last = ["-noshell", "-noinput", "-s", "scene", "main"]
        program = map(str, [self.bin / "beam.smp", *flags, "--", *boot, "--", *last])
        # ThreadSanitizer needs the addresses where it expects them.
        return ["setarch", "-R", *program] if sanitizer == "thread" else [*program]

    def environment(self, sanitizer: str) -> dict[str, str]:
        """The variables that `erl` would set, and the sanitizer's."""
        path = f"{self.bin}:/usr/bin:/bin"
        own = {"ROOTDIR": str(self.root), "BINDIR": str(self.bin), "EMU": "beam", "PROGNAME": "erl"}
        own |= {"PATH": path, "HOME": "/tmp", "ERL_CRASH_DUMP_BYTES": "0"}
        if sanitizer:
            short = {"address": "asan", "thread": "tsan"}[sanitizer]
            name = ["gcc", f"-print-file-name=lib{short}.so"]
            own["LD_PRELOAD"] = subprocess.check_output(name, text=True).strip()
        return own | {
            "ASAN_OPTIONS": "fast_unwind_on_malloc=0",
            "TSAN_OPTIONS": "report_thread_leaks=0",
        }


def played(emulator: Emulator, case: Broken, sanitizer: str, runs: int) -> str:
    """What so many runs come to, in a few words."""
    with tempfile.TemporaryDirectory() as name:
        folder, driver = Path(name), Path(case.scene.driver)
        (folder / driver.name).write_text(case.source())
        (folder / "scene.erl").write_text(script(case))
        flags = ["-g", "-O1", "-fPIC", "-shared", "-w", f"-I{header_folder()}"]
        flags += [f"-fsanitize={sanitizer}"] if sanitizer else []
        subprocess.check_call(["gcc", *flags, "-o", f"{driver.stem}.so", driver.name], cwd=folder)
        subprocess.check_call(["erlc", "scene.erl"], cwd=folder)
        line = rf"{re.escape(driver.name)}:{case.line()}\b" if case.at else r"(?!)"
        named = died = hung = 0
        for _ in range(runs):
            try:
                done = subprocess.run(
                    emulator.command(case, sanitizer),
                    env=emulator.environment(sanitizer),
                    cwd=folder,
                    capture_output=True,
                    timeout=PATIENCE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                hung += 1
                continue
            said = (done.stdout + done.stderr).decode(errors="replace")
            named += bool(sanitizer and re.search(line, said))
            # A sanitizer tells of the emulator itself, too, and then the exit status is not 0.
            died += done.returncode != 0 and (not sanitizer or f"{driver.name}:" in said)
    what = "names another line" if sanitizer else "dies"
    counts = {"names the line": named, what: died - named, "hangs": hung}
    return ", ".join(f"{what} {count}" for what, count in counts.items() if count) or "-"


HEAD = """# What other tools find

The {cases} C drivers that `tests/hosting/broken.py` breaks on purpose, each played {runs} times on OTP 25.
`driverref explore` finds each one, with the class and the line that stand here; the tests hold that.
The other columns say in how many of the {runs} runs the emulator died or hung, and in how many a sanitizer named the line of the mistake.

`make bench-faults` makes this page: `tests/benchmarks/faults.py` says how the tools are run under the emulator.
valgrind is not among them: version 3.19 stops at the code that the emulator's JIT writes.

| the mistake | `driverref` | the emulator | AddressSanitizer | ThreadSanitizer |
|---|---|---|---|---|
"""


def main() -> None:
    """Play the cases, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--only", default="", help="the beginning of the names of the cases")
    asked = parser.parse_args()
    if missing := [tool for tool in ("gcc", "erlc", "setarch") if shutil.which(tool) is None]:
        sys.exit(f"no {', '.join(missing)}")
    emulator, cases = Emulator.found(), [c for c in CASES if c.name.startswith(asked.only)]

    def row(case: Broken) -> str:
        found = [played(emulator, case, sanitizer, asked.runs) for sanitizer in TOOLS.values()]
        line = f"`{case.fault}`, line {case.line()}" if case.at else f"`{case.fault}`"
        print(f"{case.name}: {found}", flush=True)
        return f"| {' | '.join([case.name, line, *found])} |\n"

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(row, cases))
    if not asked.only:
        PAGE.write_text(HEAD.format(cases=len(cases), runs=asked.runs) + "".join(rows))


if __name__ == "__main__":
    main()
