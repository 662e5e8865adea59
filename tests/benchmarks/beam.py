"""The real emulator's side of the benchmark: `bench_drv.c` and `bench.erl`, built here and run by `erl`.

Each measurement is an emulator of its own, since the figures of one emulator agree with each other better than with
the next one's.  It says how long the jobs took; its start and its end are not counted.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCES = Path(__file__).resolve().parents[1] / "beam"
CFLAGS = "-std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared"
COMPILERS = ("cc", "gcc", "clang")
PATIENCE = 120
"""Seconds after which a tool that has not ended is given up."""


class Missing(Exception):
    """The emulator cannot be asked: one line with what is missing and how to install it."""

    def __init__(self, *what: str) -> None:
        super().__init__(
            f"the real emulator was not measured: no {', no '.join(what)}"
            " (Debian, Ubuntu: apt install erlang-base erlang-dev gcc; macOS: brew install erlang)"
        )


@contextmanager
def built() -> Iterator[Callable[[int, int], float]]:
    """Compile both sources into a temporary directory; the value is `run(jobs, window)`, seconds a job.

    `Missing` if a tool or `erl_driver.h` is not there.
    """
    erl, erlc = shutil.which("erl"), shutil.which("erlc")
    cc = next(filter(None, map(shutil.which, COMPILERS)), None)
    if erl is None or erlc is None or cc is None:
        tools = {"erl": erl, "erlc": erlc, "C compiler": cc}
        raise Missing(*(name for name, path in tools.items() if path is None))
    with TemporaryDirectory() as name:
        directory = Path(name)
        say_root = "io:put_chars(code:root_dir()), halt()."
        include = Path(call([erl, "-noinput", "-eval", say_root], directory), "usr", "include")
        if not (include / "erl_driver.h").is_file():
            raise Missing(f"erl_driver.h in {include}")
        flags = CFLAGS + (" -undefined dynamic_lookup" if sys.platform == "darwin" else "")
        driver = ["-isystem", str(include), "-o", "bench_drv.so", str(SOURCES / "bench_drv.c")]
        call([cc, *shlex.split(flags), *driver], directory)
        call([erlc, "+warnings_as_errors", str(SOURCES / "bench.erl")], directory)

        def run(jobs: int, window: int) -> float:
            main = ["-run", "bench", "main", str(jobs), str(window), "-s", "erlang", "halt"]
            done, nanoseconds = call([erl, "+A", "1", "-noinput", *main], directory).split()
            assert int(done) == jobs
            return int(nanoseconds) / 1e9 / jobs

        yield run


def call(command: list[str], directory: Path) -> str:
    """What a command prints; `RuntimeError` with what it said if it fails."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout
