"""The real emulator's side of the benchmark: `bench_drv.c` and `bench.erl`, or `blast`, built and run.

Each measurement is an emulator of its own, since the figures of one emulator agree with each other
better than with the next one's.  It says how long the jobs took; its start and its end are not
counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS))
from otp import Missing as Missing  # noqa: E402
from otp import call as call  # noqa: E402
from otp import tools  # noqa: E402

SOURCES = TESTS / "beam"


@contextmanager
def built(program: str) -> Iterator[Callable[[int, int], float]]:
    """Compile both sources into a temporary directory; the value is `run(jobs, number)`, seconds a job.

    What the second number is the program says: `bench` takes a window, `blast` the ports.
    `Missing` if a tool or `erl_driver.h` is not there.
    """
    with TemporaryDirectory() as name:
        directory = Path(name)
        found = tools("measured", directory)
        driver = str(SOURCES / f"{program}_drv.c")
        call(found.compile_c("-o", f"{program}_drv.so", driver), directory)
        call(found.compile_erlang(SOURCES / f"{program}.erl"), directory)

        def run(jobs: int, number: int) -> float:
            main = ["-run", program, "main", str(jobs), str(number), "-s", "erlang", "halt"]
            done, nanoseconds = call([found.erl, "+A", "1", "-noinput", *main], directory).split()
            assert int(done) == jobs
            return int(nanoseconds) / 1e9 / jobs

        yield run
