"""`make beam`: play every scenario on the real emulator, and ask the model whether it may do so.

Emulators are started with 1, 2 and 4 async threads and 1 and 2 schedulers; each plays every
scenario many times, because it takes longer to start one than to play.  A scenario that takes its
emulator with it has one for every run; one in which the emulator was seen to crash has emulators
that play nothing else.

On Linux a library, `judge_poll.c`, holds up an emulator's poll thread now and then: some orders of
`ready_input` and other callbacks would be too rare otherwise.

An emulator that says nothing for a while hangs: it is killed, the run is counted as hung, and
another emulator goes on with the next.  The same goes for one that crashes.  Neither is dropped: it
stands in the record.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import selectors
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from otp import INSTALL as INSTALL
from otp import Missing as Missing
from otp import Tools, call, tools
from scenarios import ASYNC_THREADS, SCENARIOS, SCHEDULERS, Scenario
from unseen import reasons

from driverref.conformance import admits
from driverref.explore import Order, explore

HERE = Path(__file__).resolve().parent
RECORD = HERE / "record.json"
VARIANTS = {
    "judge": "PORT",
    "judge_other": "PORT",
    "judge_lock": "0",
    "judge_bare": "PORT -DBARE",
    "judge_no_ready": "PORT -DNO_READY_ASYNC",
    "judge_no_flush": "PORT -DNO_FLUSH",
    "judge_soft": "PORT|ERL_DRV_FLAG_SOFT_BUSY",
    "judge_unloaded": "PORT",
}
"""The drivers that `judge_drv.c` is compiled to, with their flags; PORT stands for port locking."""
SLOW_POLL = "judge_poll.so"
"""What holds up an emulator's poll thread, where the linker can load it before other libraries."""
PATIENCE = 10
"""Seconds after which an emulator that says nothing hangs."""
RUNS = 240
"""Runs of each scenario, at least, over all emulators."""
LIMIT = 5000
"""Schedules; a scenario has a few hundred at most."""

Events = tuple[str, ...]


class Broken(Exception):
    """The judge itself does not work: what does not, and what was said."""


class Hung(Exception):
    """An emulator says nothing any more."""


class Crashed(Exception):
    """A signal has ended an emulator."""


@dataclass
class Runs:
    """What one kind of emulator did in one scenario."""

    async_threads: int
    schedulers: int
    orders: Counter[tuple[str, ...]] = field(default_factory=Counter)
    hung: int = 0
    crashed: int = 0

    @property
    def options(self) -> str:
        return f"+A {self.async_threads} +S {self.schedulers}"

    @property
    def runs(self) -> int:
        return self.orders.total() + self.hung + self.crashed


class Judge:
    """The compiled judge: plays scenarios on emulators."""

    def __init__(self, directory: Path, erl: str, release: str, erts: str) -> None:
        self.directory = directory
        self.erl = erl
        self.release = release
        self.erts = erts

    def command(self, runs: Runs, *arguments: str) -> list[str]:
        options = f"+A {runs.async_threads} +S {runs.schedulers}:{runs.schedulers} -noinput"
        main = ["-run", "judge", "main", str(self.directory), *arguments]
        return [self.erl, *options.split(), "-pa", str(self.directory), *main]

    def play(self, plan: list[tuple[Scenario, Runs]], times: int) -> None:
        """Play all scenarios of a plan, which have the same options, so many times, in as few emulators as possible."""
        together = [(*item, times) for item in plan if not (item[0].once or item[0].crashes)]
        apart = [[(*item, times)] for item in plan if item[0].crashes]
        for group in [together, *apart]:
            todo = group
            while todo:
                todo = self._play(todo)
        alone = [item for item in plan if item[0].once for _ in range(times)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            ends = pool.map(lambda item: self._play_once(*item), alone)
            for (_, runs), end in zip(alone, ends, strict=True):
                runs.hung += end is Hung
                runs.crashed += end is Crashed
                if isinstance(end, tuple):
                    runs.orders[end] += 1

    def _play(self, todo: list[tuple[Scenario, Runs, int]]) -> list[tuple[Scenario, Runs, int]]:
        """Play as much as one emulator can.  What it could not."""
        items = [f"{scenario.erlang}:{times}" for scenario, _, times in todo]
        status = "ended"
        lines = lines_of(self.command(todo[0][1], "many", *items), self.directory)
        left = list(todo)
        try:
            for line in lines:
                scenario, runs, times = left[0]
                name, _, events = line.partition("\t")
                if name != scenario.erlang:
                    raise Broken(f"{scenario.name}: the emulator said {line!r}")
                runs.orders[observed(events, scenario)] += 1
                left[0] = (scenario, runs, times - 1)
                if times == 1:
                    left.pop(0)
        except Hung:
            status = "hung"
        except Crashed:
            status = "crashed"
        if left and status == "ended":
            status = "crashed"
        if left:
            scenario, runs, times = left[0]
            runs.hung += status == "hung"
            runs.crashed += status == "crashed"
            left[0] = (scenario, runs, times - 1)
            if times == 1:
                left.pop(0)
        return left

    def _play_once(
        self, scenario: Scenario, runs: Runs
    ) -> tuple[str, ...] | type[Hung] | type[Crashed]:
        """Play a scenario that ends its emulator.  The order, or what came instead."""
        events: list[str] = []
        try:
            lines = lines_of(self.command(runs, "once", scenario.erlang), self.directory)
            events += [line.removeprefix("+") for line in lines]
        except (Hung, Crashed) as end:
            return type(end)
        return observed(" ".join(events), scenario)


def lines_of(command: list[str], directory: Path) -> Iterator[str]:
    """What an emulator prints, line by line.

    `Hung` if it says nothing for long, `Crashed` if a signal ends it.
    """
    environment = {
        **os.environ,
        "ERL_CRASH_DUMP": os.devnull,
        "ERL_FLAGS": "",
        "ERL_AFLAGS": "",
        "ERL_ZFLAGS": "",
    }
    if (slow := directory / SLOW_POLL).exists():
        environment["LD_PRELOAD"] = str(slow)
    with (
        subprocess.Popen(
            command,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as emulator,
        selectors.DefaultSelector() as selector,
    ):
        assert emulator.stdout is not None
        selector.register(emulator.stdout, selectors.EVENT_READ)
        try:
            rest = b""
            while True:
                if not selector.select(PATIENCE):
                    raise Hung
                chunk = os.read(emulator.stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode()
            with contextlib.suppress(subprocess.TimeoutExpired):
                if emulator.wait(PATIENCE) < 0:
                    raise Crashed
                return
            raise Hung
        finally:
            emulator.kill()


def observed(events: str, scenario: Scenario) -> tuple[str, ...]:
    """Those events of a run that the scenario is about.

    What must never happen is kept: no model admits it.
    """
    return tuple(
        event
        for event in events.split()
        if event.partition("(")[0] in scenario.observe
        or event.startswith(("!", "wrong-thread", "bad-script"))
    )


@contextlib.contextmanager
def compiled() -> Iterator[Judge]:
    """Compile the judge into a temporary directory.

    `Missing` if a tool or a header is not there.
    """
    with TemporaryDirectory() as name:
        directory = Path(name)
        found = tools("asked", directory)
        build(directory, found)
        yield Judge(directory, found.erl, found.release, found.erts)


def build(directory: Path, found: Tools) -> None:
    """Compile the log, every variant of the driver, and the module."""
    log, rpath = own_library(directory, found)
    commands = [found.compile_erlang(HERE / "judge.erl")]
    for name, how in VARIANTS.items():
        defined, *others = how.replace("PORT", "ERL_DRV_FLAG_USE_PORT_LOCKING").split()
        macros = [f"-DJUDGE={name}", f"-DFLAGS={defined}", *others]
        files = ["-o", f"{name}.so", str(HERE / "judge_drv.c"), log]
        commands.append(found.compile_c("-pthread", *macros, *files, rpath))
    if sys.platform == "linux":
        commands.append(found.compile_c("-o", SLOW_POLL, str(HERE / "judge_poll.c"), "-ldl"))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda command: call(command, directory), commands))


def own_library(directory: Path, found: Tools) -> tuple[str, str]:
    """Compile the log, which is a library: its name, and the option that links a driver to it."""
    own, rpath = (
        ("-install_name", "-Wl,-rpath,@loader_path")
        if sys.platform == "darwin"
        else ("-soname", "-Wl,-rpath,$ORIGIN")
    )
    log = "judge_log.so"
    source = str(HERE / "judge_log.c")
    call(found.compile_c("-pthread", f"-Wl,{own},{log}", "-o", log, source), directory)
    return log, rpath


def ask(
    judge: Judge, scenarios: list[Scenario], runs: int, progress: bool = False
) -> dict[str, list[Runs]]:
    """Play every scenario `runs` times, or as often again as it asks for, spread over the kinds of emulators."""
    result: dict[str, list[Runs]] = {scenario.name: [] for scenario in scenarios}
    for async_threads in ASYNC_THREADS:
        for schedulers in SCHEDULERS:
            plan = []
            for scenario in scenarios:
                if schedulers in scenario.schedulers and async_threads in scenario.async_threads:
                    plan.append((scenario, Runs(async_threads, schedulers)))
                    result[scenario.name].append(plan[-1][1])
            by_times: dict[int, list[tuple[Scenario, Runs]]] = {}
            for item in plan:
                kinds = len(item[0].async_threads) * len(item[0].schedulers)
                by_times.setdefault(-(-runs * item[0].times // kinds), []).append(item)
            for times, items in by_times.items():
                judge.play(items, times)
            if progress:
                print(f"played with +A {async_threads} +S {schedulers}", file=sys.stderr)
    return result


def record(judge: Judge, result: dict[str, list[Runs]]) -> dict[str, Any]:
    """What is written down."""
    return {
        "release": judge.release,
        "erts": judge.erts,
        "machine": f"{platform.system()} {platform.machine()}",
        "scenarios": {
            name: [
                {
                    "options": runs.options,
                    "async_threads": runs.async_threads,
                    "schedulers": runs.schedulers,
                    "runs": runs.runs,
                    "hung": runs.hung,
                    "crashed": runs.crashed,
                    "orders": [
                        [list(order), times]
                        for order, times in sorted(runs.orders.items(), key=lambda i: (-i[1], i[0]))
                    ],
                }
                for runs in several
            ]
            for name, several in result.items()
        },
    }


def readable(data: dict[str, Any]) -> str:
    """The record as JSON, one order a line."""
    dumps = json.dumps
    lines = ["{"]
    lines += [f" {dumps(key)}: {dumps(data[key])}," for key in ("release", "erts", "machine")]
    lines.append(' "scenarios": {')
    blocks = []
    for name, several in data["scenarios"].items():
        entries = []
        for entry in several:
            head = ", ".join(f"{dumps(k)}: {dumps(v)}" for k, v in entry.items() if k != "orders")
            orders = ",\n".join(f"    {dumps(order)}" for order in entry["orders"])
            entries.append(f'   {{{head}, "orders": [\n{orders}\n   ]}}')
        blocks.append(f"  {dumps(name)}: [\n" + ",\n".join(entries) + "\n  ]")
    lines.append(",\n".join(blocks))
    lines += [" }", "}", ""]
    return "\n".join(lines)


@cache
def misused(scenario: Scenario, async_threads: int, schedulers: int) -> bool:
    """Whether the model calls it a `Misuse` in every schedule.  Then the emulator may do anything."""
    found = explore(
        scenario.model,
        observe=scenario.observe,
        limit=LIMIT,
        progress=False,
        async_threads=async_threads,
        schedulers=schedulers,
    )
    return found.complete and {getattr(end, "name", None) for end in found} == {"Misuse"}


def refused(
    scenario: Scenario, async_threads: int, schedulers: int, seen: Iterable[Events]
) -> set[Events]:
    """Those of the orders that were seen that the model does not admit."""
    if scenario.crashes and misused(scenario, async_threads, schedulers):
        return set()
    return set(seen) - orders(scenario, async_threads, schedulers)


@cache
def orders(scenario: Scenario, async_threads: int, schedulers: int) -> frozenset[Events]:
    """Every order of events that the model has.

    `Broken` if a schedule ends in a fault, or not all were tried.
    """
    found = explore(
        scenario.model,
        observe=scenario.observe,
        limit=LIMIT,
        progress=False,
        async_threads=async_threads,
        schedulers=schedulers,
    )
    if found.faults or not found.complete:
        raise Broken(f"{scenario.name} with +A {async_threads} +S {schedulers}:\n{found}")
    return frozenset(tuple(order) for order in found if isinstance(order, Order))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each scenario")
    parser.add_argument("--only", nargs="*", help="only these scenarios; nothing is written")
    parser.add_argument(
        "--new", action="store_true", help="only scenarios that the record lacks; they are added"
    )
    parser.add_argument("--unseen", action="store_true", help="play nothing: what was never seen")
    given = parser.parse_args(arguments)
    chosen = [s for s in SCENARIOS if given.only is None or s.name in given.only]
    if given.unseen:
        return list_unseen(chosen, json.loads(RECORD.read_text("utf-8")))
    kept = json.loads(RECORD.read_text("utf-8")) if given.new else {"scenarios": {}}
    chosen = [s for s in chosen if s.name not in kept["scenarios"]]
    try:
        with compiled() as judge:
            if given.new and (judge.release, judge.erts) != (kept["release"], kept["erts"]):
                print(f"the record is of OTP {kept['release']}, ERTS {kept['erts']}")
                return 1
            data = record(judge, ask(judge, chosen, given.runs, progress=True))
    except Missing as missing:
        print(missing)
        return 1
    if given.only is None:
        played = kept["scenarios"] | data["scenarios"]
        in_order = {s.name: played[s.name] for s in SCENARIOS if s.name in played}
        RECORD.write_text(readable(data | {"scenarios": in_order}), "utf-8")
    return report(chosen, data)


def report(chosen: list[Scenario], data: dict[str, Any]) -> int:
    """Compare, print, and say whether the model admits everything."""
    total = lost = wrong = distinct = 0
    for scenario in chosen:
        for entry in data["scenarios"][scenario.name]:
            total += entry["runs"]
            lost += entry["hung"] + entry["crashed"]
            seen_here = [tuple(order) for order, _ in entry["orders"]]
            for order in refused(scenario, entry["async_threads"], entry["schedulers"], seen_here):
                print(f"{scenario.name}: {entry['options']}: not admitted: {' '.join(order)}")
                print(why_not(scenario, order, entry))
                wrong += 1
            for what in ("hung", "crashed"):
                if entry[what]:
                    print(f"{scenario.name}: {entry['options']}: {entry[what]} {what}")
        seen, others = compared(scenario, data)
        distinct += len(seen)
        print(f"{scenario.name}: {len(seen)} orders seen, {len(others)} more in the model")
    verdict = "the model admits every one" if not wrong else f"the model does not admit {wrong}"
    print(
        f"{len(chosen)} scenarios, {total:,} runs, {lost} hung or crashed, {distinct} distinct orders: {verdict}"
    )
    return 1 if wrong else 0


def compared(scenario: Scenario, data: dict[str, Any]) -> tuple[set[Events], set[Events]]:
    """The orders of a scenario that were seen, and those that the model has besides."""
    entries = data["scenarios"][scenario.name]
    seen = {tuple(order) for entry in entries for order, _ in entry["orders"]}
    known = {
        order
        for entry in entries
        if not (scenario.crashes and misused(scenario, entry["async_threads"], entry["schedulers"]))
        for order in orders(scenario, entry["async_threads"], entry["schedulers"])
    }
    return seen, known - seen


def list_unseen(chosen: list[Scenario], data: dict[str, Any]) -> int:
    """Print the orders that the model has and that were never seen.

    1 if one has no reason, or a reason no order.
    """
    wrong = 0
    for scenario in chosen:
        _, others = compared(scenario, data)
        given = {tuple(order.split()): reason for order, reason in reasons(scenario.name).items()}
        for order in sorted(others | given.keys()):
            why: str = given[order].kind if order in given else "no reason is given"
            if order not in others:
                why = "a reason is given, but it was seen or the model does not have it"
            wrong += order not in others or order not in given
            print(f"{scenario.name}: {' '.join(order)}: {why}")
    return 1 if wrong else 0


def why_not(scenario: Scenario, order: tuple[str, ...], entry: dict[str, Any]) -> str:
    """How far the model comes."""
    if strange := [event for event in order if event.partition("(")[0] not in scenario.observe]:
        return f"nothing may say {' '.join(strange)}"
    return str(
        admits(
            scenario.model,
            order,
            observe=scenario.observe,
            async_threads=entry["async_threads"],
            schedulers=entry["schedulers"],
        )
    )


if __name__ == "__main__":
    sys.exit(main())
