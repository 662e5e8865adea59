"""The judge of orders: play every scenario on the real emulator, and ask the model whether it may.

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from otp import INSTALL as INSTALL
from otp import Missing as Missing
from otp import Tools, call, tools
from scenarios import ASYNC_THREADS, SCENARIOS, SCHEDULERS, Scenario
from verdict import list_unseen, report

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
RUNS = {"25": 240}
"""Runs of each scenario, at least, over all options, by release."""
FEWER_RUNS = 48
"""For the other releases, which are asked whether they do the same."""


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
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
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


def record(data: dict[str, Any], judge: Judge, result: dict[str, list[Runs]]) -> dict[str, Any]:
    """The record, with what this emulator did in place of what it did before."""
    machine = f"{platform.system()} {platform.machine()}"
    emulators = data["emulators"] | {judge.release: {"erts": judge.erts, "machine": machine}}
    return {
        "emulators": dict(sorted(emulators.items())),
        "scenarios": {
            name: sorted(
                [
                    *(e for e in data["scenarios"].get(name, ()) if e["release"] != judge.release),
                    *(entry(judge.release, runs) for runs in several),
                ],
                key=lambda entry: str(entry["release"]),
            )
            for name, several in result.items()
        },
    }


def entry(release: str, runs: Runs) -> dict[str, Any]:
    """What is written down of one kind of emulator in one scenario."""
    orders = sorted(runs.orders.items(), key=lambda item: (-item[1], item[0]))
    return {
        "release": release,
        "options": runs.options,
        "async_threads": runs.async_threads,
        "schedulers": runs.schedulers,
        "runs": runs.runs,
        "hung": runs.hung,
        "crashed": runs.crashed,
        "orders": [[list(order), times] for order, times in orders],
    }


def read() -> dict[str, Any]:
    """The record."""
    data: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return data


def readable(data: dict[str, Any]) -> str:
    """The record as JSON, one order a line."""
    dumps = json.dumps
    lines = ["{", f' "emulators": {dumps(data["emulators"])},', ' "scenarios": {']
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, help="runs of each scenario")
    parser.add_argument("--only", nargs="*", help="only these scenarios; nothing is written")
    parser.add_argument(
        "--new", action="store_true", help="only scenarios that the record lacks; they are added"
    )
    parser.add_argument("--unseen", action="store_true", help="play nothing: what was never seen")
    given = parser.parse_args(arguments)
    chosen = [s for s in SCENARIOS if given.only is None or s.name in given.only]
    old = read()
    if given.unseen:
        return list_unseen(chosen, old)
    try:
        with compiled() as judge:
            if given.new:
                chosen = [s for s in chosen if not played_on(judge.release, old, s)]
                erts = old["emulators"].get(judge.release, {}).get("erts", judge.erts)
                if erts != judge.erts:
                    print(f"the record of OTP {judge.release} is of ERTS {erts}: play everything")
                    return 1
            runs = given.runs or RUNS.get(judge.release, FEWER_RUNS)
            data = record(old, judge, ask(judge, chosen, runs, progress=True))
    except Missing as missing:
        print(missing)
        return 1
    if given.only is None:
        scenarios = old["scenarios"] | data["scenarios"]
        in_order = {s.name: scenarios[s.name] for s in SCENARIOS if s.name in scenarios}
        RECORD.write_text(readable({**data, "scenarios": in_order}), "utf-8")
    return report(chosen, data, judge.release)


def played_on(release: str, data: dict[str, Any], scenario: Scenario) -> bool:
    """Whether the record says what an emulator of this release did in the scenario."""
    return any(entry["release"] == release for entry in data["scenarios"].get(scenario.name, ()))


if __name__ == "__main__":
    sys.exit(main())
