"""What the runtime costs on OS threads, side by side with the standard library and the real emulator in one run.

And what a search costs, side by side with frontrun (see `exploring.py`), and that of a driver in C, side by side
with its twin in Python (see `in_c.py`).

`python tests/benchmarks/bench.py [--quick]` prints a line per figure: ours, theirs, the ratio and the bar; writes
`build/bench.json`; and ends with status 1 if a figure falls short of its bar.

A machine's speed drifts, so ours and theirs are measured in turn, round by round, and the figure is the median of
the rounds' ratios.  Numbers in seconds are for orientation only.

The last rows are against the real emulator and have no bar.  Where its tools are not installed, a line says what is
missing instead (see `beam.py`).
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

import beam
import blast
import exploring
import in_c

from driverref import Driver, Emulator
from driverref.erl_driver import driver_async, driver_output

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


@dataclass(frozen=True)
class Figure:
    """One line of the table.  `ratio` is at least, or at most, `bar`; `None` is no bar."""

    name: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    bar: float | None = None
    at_least: bool = True

    @property
    def good(self) -> bool:
        if self.bar is None:
            return True
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar


class Empty(Driver):
    """A job that does nothing and a reply of two bytes: what the machinery costs by itself."""

    driver_name = "empty"

    def start(self, port, command):  # type: ignore[no-untyped-def]
        return port

    def output(self, port, buf):  # type: ignore[no-untyped-def]
        driver_async(port, None, nothing, None, None)

    def ready_async(self, port, data):  # type: ignore[no-untyped-def]
        driver_output(port, b"ok")


def nothing(data: object) -> None:
    """An empty job."""


class Gate(Empty):
    """As `Empty`, but a command `b"gate"` is a job that waits until the gate is opened."""

    driver_name = "gate"

    def __init__(self) -> None:
        self.opened: SimpleQueue[None] = SimpleQueue()

    def output(self, port, buf):  # type: ignore[no-untyped-def]
        driver_async(port, 0, self.wait if buf == b"gate" else nothing, None, None)

    def wait(self, data: object) -> None:
        self.opened.get()


def ours(jobs: int, window: int, threads: int = 1, trace: bool = False) -> float:
    """Seconds a job with `window` commands outstanding:

    a new command for each reply.  As in `bench.erl`.

    With a window of all the jobs it is the commands first, then the messages; with 1, one job at a
    time.
    """
    with Emulator(async_threads=threads, threads="native", trace=trace) as erl:
        erl.erl_ddll.load_driver(Empty())
        port = erl.open_port(("spawn_driver", "empty"))
        begin = perf_counter()
        for _ in range(window):
            erl.port_command(port, b"x")
        for _ in range(jobs - window):
            erl.receive()
            erl.port_command(port, b"x")
        for _ in range(window):
            erl.receive()
        return (perf_counter() - begin) / jobs


def theirs(jobs: int, window: int, threads: int = 1) -> float:
    """The same with `ThreadPoolExecutor`: submit, a done callback, a queue."""
    replies: SimpleQueue[object] = SimpleQueue()

    def done(future: Future[None]) -> None:
        replies.put((future.result(), b"ok"))

    with ThreadPoolExecutor(threads) as executor:
        begin = perf_counter()
        for _ in range(window):
            executor.submit(nothing, None).add_done_callback(done)
        for _ in range(jobs - window):
            replies.get()
            executor.submit(nothing, None).add_done_callback(done)
        for _ in range(window):
            replies.get()
        return (perf_counter() - begin) / jobs


def queued(jobs: int) -> float:
    """Seconds a job when `jobs` of them are queued before the first one runs."""
    gate = Gate()
    with Emulator(async_threads=1, threads="native", trace=False) as erl:
        erl.erl_ddll.load_driver(gate)
        port = erl.open_port(("spawn_driver", "gate"))
        erl.port_command(port, b"gate")
        begin = perf_counter()
        for _ in range(jobs):
            erl.port_command(port, b"x")
        gate.opened.put(None)
        for _ in range(jobs + 1):
            erl.receive()
        return (perf_counter() - begin) / jobs


def bytes_per_job(jobs: int) -> float:
    """Bytes that a queued job takes."""
    gate = Gate()
    with Emulator(async_threads=1, threads="native", trace=False) as erl:
        erl.erl_ddll.load_driver(gate)
        port = erl.open_port(("spawn_driver", "gate"))
        erl.port_command(port, b"gate")
        gc.collect()
        tracemalloc.start()
        for _ in range(jobs):
            erl.port_command(port, b"x")
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gate.opened.put(None)
        return size / jobs


def bytes_per_port(ports: int) -> float:
    """Bytes that an open port takes."""
    with Emulator(threads="native", trace=False) as erl:
        erl.erl_ddll.load_driver(Empty())
        gc.collect()
        tracemalloc.start()
        for _ in range(ports):
            erl.open_port(("spawn_driver", "empty"))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size / ports


def bytes_per_process(processes: int) -> float:
    """Bytes that a process takes which waits for a message, on simulated threads."""
    with Emulator(trace=False) as erl:
        gc.collect()
        tracemalloc.start()
        for _ in range(processes):
            erl.spawn(erl.receive)
        erl.receive(timeout=1)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size / processes


def compare(
    rounds: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[float, float, float]:
    """The medians of both, in seconds, and the median of other / one, measured in turn."""
    pairs = []
    for _ in range(rounds):
        gc.collect()
        a = one()
        gc.collect()
        pairs.append((a, other()))
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )


def figures(quick: bool) -> list[Figure]:
    """Every figure, in the order of the table."""
    rounds, jobs, trips = (3, 5_000, 300) if quick else (15, 10_000, 1_000)
    table = []
    for trace, bar in ((False, 4.0), (True, 2.5)):
        for threads in (1, 4):
            a, b, ratio = compare(
                rounds,
                lambda t=threads, on=trace: ours(jobs, jobs, t, on),  # type: ignore[misc]
                lambda t=threads: theirs(jobs, jobs, t),  # type: ignore[misc]
            )
            name = f"throughput, {threads} thread{'s' * (threads > 1)}, trace {'on' if trace else 'off'}"
            table.append(Figure(name, 1 / a, 1 / b, "jobs/s", ratio, bar))
    a, b, ratio = compare(rounds, lambda: ours(trips, 1), lambda: theirs(trips, 1))
    table.append(Figure("one job at a time", a * 1e6, b * 1e6, "us", 1 / ratio, 1.2, False))
    few, many = (1_000, 50_000) if quick else (10_000, 1_000_000)
    few_times = max(1, 100_000 // few // (10 if quick else 1))
    a, b, ratio = compare(
        3 if quick else 7,
        lambda: queued(many),
        lambda: statistics.mean(queued(few) for _ in range(few_times)),
    )
    name = f"time a job, {many:,} queued against {few:,}"
    table.append(Figure(name, a * 1e6, b * 1e6, "us", 1 / ratio, 1.3, False))
    size = bytes_per_job(few)
    table.append(Figure("memory a queued job", size, 400, "bytes", size / 400, 1.0, False))
    size = bytes_per_port(200 if quick else 1_000)
    table.append(Figure("memory an open port", size, 4096, "bytes", size / 4096, 1.0, False))
    waiting = 300 if quick else 3_000
    size = bytes_per_process(waiting)
    name = f"memory a simulated process, of {waiting:,}"
    table.append(Figure(name, size, 16_384, "bytes", size / 16_384, 1.0, False))
    for kind in blast.KINDS:
        size = blast.bytes_left(10_000 if quick else 100_000, 100, kind)
        name = f"memory that a blast leaves, {kind}"
        table.append(Figure(name, size, 2**18, "bytes", size / 2**18, 1.0, False))
    return table


def search_figures(quick: bool) -> list[Figure]:
    """Schedules a second: against frontrun, and against what a reader who waits for a table can bear."""
    rounds, times = (1, 20) if quick else (5, 100)
    exploring.ours(times)  # so that nobody pays for the first time
    pairs = [(exploring.ours(times), exploring.theirs_apart()) for _ in range(rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    what = "two jobs, one key, one close"
    return [
        Figure(f"{what}: explored, frontrun", ours, theirs, "/s", ratio, 10.0),
        Figure(f"{what}: explored, bar", ours, 3_000, "/s", ours / 3_000, 1.0),
    ]


def hosting_figures(quick: bool) -> list[Figure]:
    """A driver in C against its bars; a `CompileError` where none can be compiled."""
    in_c.pair()  # compiled, and warm
    pairs = [in_c.pair() for _ in range(1 if quick else 7)]
    ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    use, left = in_c.use_of_memory(), in_c.left_behind(500 if quick else 10_000)
    return [
        Figure("a driver in C: explored, its twin in Python", ours, theirs, "/s", ratio, 0.8),
        Figure("a driver in C: a use of memory, bar", use, 100, "ns", use / 100, 1.0, False),
        Figure("a driver in C: left by runs, bar", left, 2**20, "bytes", left / 2**20, 1.0, False),
    ]


def emulator_figures(quick: bool) -> list[Figure]:
    """The figures against the real emulator: no bar.  `beam.Missing` where it cannot be asked."""
    rounds, trips, jobs, window = (3, 500, 4_000, 1_000) if quick else (7, 5_000, 50_000, 10_000)
    with beam.built("bench") as run:
        a, b, ratio = compare(rounds, lambda: ours(trips, 1), lambda: run(trips, 1))
        name = "one job at a time, against the emulator"
        table = [Figure(name, a * 1e6, b * 1e6, "us", 1 / ratio)]
        a, b, ratio = compare(rounds, lambda: ours(jobs, window), lambda: run(jobs, window))
        name = f"{window:,} in flight, against the emulator"
        table.append(Figure(name, 1 / a, 1 / b, "jobs/s", ratio))
    rounds, jobs, ports = (1, 10_000, 100) if quick else (3, 1_000_000, 100)
    with beam.built("blast") as run:
        for kind in blast.KINDS:
            a, b, ratio = compare(
                rounds,
                lambda on=kind: blast.ours(jobs, ports, on),  # type: ignore[misc]
                lambda: run(jobs, ports),
            )
            name = f"blast, {kind}, against the emulator"
            table.append(Figure(name, 1 / a, 1 / b, "jobs/s", ratio))
    return table


def show(table: list[Figure]) -> None:
    """Print a line per figure."""
    for f in table:
        sign = ">=" if f.at_least else "<="
        bar = "" if f.bar is None else f"  {sign} {f.bar}" + ("" if f.good else "  MISSED")
        print(f"{f.name:44} {f.ours:12,.1f} {f.theirs:12,.1f} {f.unit:7} {f.ratio:6.2f}{bar}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the file, say whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, for a look")
    quick = parser.parse_args(arguments).quick
    print(f"{'figure':44} {'ours':>12} {'theirs':>12} {'':7} {'ratio':>6}  bar")
    table = figures(quick) + search_figures(quick)
    show(table)
    for more in (hosting_figures, emulator_figures):
        try:
            against = more(quick)
        except (beam.Missing, in_c.Missing) as missing:
            print(missing)
        else:
            show(against)
            table += against
    OUTPUT.parent.mkdir(exist_ok=True)
    rows = [{k: asdict(f)[k] for k in ("name", "ours", "theirs", "unit", "ratio")} for f in table]
    OUTPUT.write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if all(f.good for f in table) else 1


if __name__ == "__main__":
    sys.exit(main())
