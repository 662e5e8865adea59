"""The judge of values: what each BIF and each call returns, on the emulator and on the model.

`values/cases.py` has the cases.  The emulator plays each of them several times, the model once.
`values/values.json` records by release what the emulators showed.  `values/known.json` lists the
cases in which the model is known to differ, by reason, and has no others.

    run_values.py                        play every case on the emulator at hand, write the record
    run_values.py --missing              play what the record lacks of it, and add that
    run_values.py --only WORDS           play the cases with these words in their name
    run_values.py --differences RELEASE  play nothing: what differs between record and model
    run_values.py --known                play nothing: write known.json anew

An emulator that crashes is replaced, and the run counts as crashed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1]))
from otp import call, tools
from run import Crashed, Hung, Missing, lines_of, own_library
from values.cases import CASES
from values.player import outcome
from values.steps import Case, S, text
from values.twin import LOADED, VERSIONS

HERE = Path(__file__).resolve().parent / "values"
RECORD = HERE / "values.json"
KNOWN = HERE / "known.json"
RELEASES = ("25", "27", "29")
VARIANTS = {
    "values": "PORT",
    "values_lock": "0",
    "values_soft": "PORT|ERL_DRV_FLAG_SOFT_BUSY",
    "values_bare": "PORT -DBARE",
    "values_v": "PORT -DOUTPUTV",
    "values_ack": "PORT|ERL_DRV_FLAG_USE_INIT_ACK",
    "values_spare": "PORT",
    "values_refuses": "PORT -DREFUSES",
    "next/values_spare": 'PORT -DINIT="next"',
    "refused/values_spare": "PORT -DREFUSES",
    "newer/values_spare": "PORT -DMARKER=ERL_DRV_EXTENDED_MARKER -DMAJOR=3 -DMINOR=4",
    **{
        f"values_{name}": f"{flags} -DMARKER={marker} -DMAJOR={major} -DMINOR={minor}"
        for name, (flags, marker, major, minor) in VERSIONS.items()
    },
}
"""The drivers that `values_drv.c` is compiled to, with their flags; PORT stands for port locking."""
OPTIONS = "+S 4:4 +sbwt none +sbwtdcpu none +sbwtdio none +scl false -noinput"
"""Four schedulers, which do not spin: most of the time is spent waiting."""
PATIENCE = 100
"""Milliseconds after which a BIF that has not returned is said to wait."""
RUNS = 10
EMULATORS = 6
"""How many play at once."""
CRASHES = 3
"""Runs of a case that crashes the emulator."""

Outcomes = dict[str, Counter[str]]
"""By case: how often each outcome was seen."""


class Judge:
    """The compiled judge: plays cases on emulators."""

    def __init__(self, directory: Path, erl: str, release: str, erts: str) -> None:
        self.directory = directory
        self.erl = erl
        self.release = release
        self.erts = erts

    def play(self, cases: list[Case], runs: int) -> Outcomes:
        """Play each case so many times."""
        seen: Outcomes = {case.name: Counter() for case in cases}
        alone = [[case] for case in cases if case.alone for _ in range(min(runs, CRASHES))]
        together = [case for case in cases if not case.alone]
        # Neighbours take about equally long, so they are dealt out.
        groups = [together[n::EMULATORS] for n in range(EMULATORS)]
        with ThreadPoolExecutor(EMULATORS) as pool:
            done = [pool.submit(self._play, group, runs, seen) for group in groups if group]
            done += [pool.submit(self._play, group, 1, seen) for group in alone]
            for one in done:
                one.result()
        return seen

    def _play(self, cases: list[Case], runs: int, seen: Outcomes) -> None:
        """Play cases in one emulator after the other, until all are played."""
        left: list[list[Any]] = [[case, runs] for case in cases]
        while left:
            before = len(left), left[0][1]
            try:
                for name, _, found in (line.partition("\t") for line in self._lines(left)):
                    assert name == left[0][0].name, f"{left[0][0].name}: the emulator said {name!r}"
                    seen[name][found] += 1
                    _played(left)
            except (Hung, Crashed) as end:
                # A last case may crash the emulator after it has said its outcome.
                name = left[0][0].name if left else cases[-1].name
                seen[name]["hangs" if isinstance(end, Hung) else "crashes"] += 1
                if left:
                    _played(left)
                if left and left[0][0].name == name and seen[name].total() >= CRASHES:
                    left.pop(0)
            if left and (len(left), left[0][1]) == before:
                raise RuntimeError(f"{left[0][0].name}: the emulator ended and said nothing")

    def _lines(self, left: list[list[Any]]) -> Iterator[str]:
        with TemporaryDirectory(dir=self.directory) as folder:
            cases = Path(folder, "cases")
            drivers = text(("drivers", [S(driver) for driver in LOADED]))
            lines = [f"{drivers}.", *(case.erlang(times) for case, times in left)]
            cases.write_text("\n".join(lines) + "\n", "utf-8")
            main = ["-pa", str(self.directory), "-run", "values", "main", str(self.directory)]
            command = [self.erl, *OPTIONS.split(), *main, str(cases), str(PATIENCE)]
            yield from lines_of(command, self.directory)


def _played(left: list[list[Any]]) -> None:
    left[0][1] -= 1
    if not left[0][1]:
        left.pop(0)


@contextlib.contextmanager
def compiled() -> Iterator[Judge]:
    """Compile the judge into a temporary directory.  `Missing` if a tool or a header is not there."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        found = tools("asked", directory)
        log, rpath = own_library(directory, found)
        commands = [found.compile_erlang(HERE / "values.erl")]
        for driver, how in VARIANTS.items():
            flags, *others = how.replace("PORT", "ERL_DRV_FLAG_USE_PORT_LOCKING").split()
            (directory / driver).parent.mkdir(exist_ok=True)
            macros = [f"-DVALUES={Path(driver).name}", f"-DFLAGS={flags}", *others]
            files = ["-o", f"{driver}.so", str(HERE / "values_drv.c"), log]
            commands.append(found.compile_c("-pthread", *macros, *files, rpath))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda command: call(command, directory), commands))
        yield Judge(directory, found.erl, found.release, found.erts)


# The record.


def record(data: dict[str, Any], judge: Judge, seen: Outcomes, runs: int) -> dict[str, Any]:
    """The record, with what this emulator showed in place of what it showed before."""
    emulators = data["emulators"] | {judge.release: {"erts": judge.erts, "runs": runs}}
    values: dict[str, dict[str, dict[str, int]]] = {}
    for case in CASES:
        outcomes = values[case.name] = {}
        for found, times in data["values"].get(case.name, {}).items():
            kept = case.name not in seen
            if rest := {name: n for name, n in times.items() if kept or name != judge.release}:
                outcomes[found] = rest
        for found, n in seen.get(case.name, Counter[str]()).most_common():
            outcomes[found] = dict(sorted({**outcomes.get(found, {}), judge.release: n}.items()))
    return {"emulators": dict(sorted(emulators.items())), "values": values}


def readable(data: dict[str, Any]) -> str:
    """The record as JSON.

    A case in which every emulator showed the same in every run is one line with this outcome; else
    each outcome is a line, with how often which emulator showed it.
    """
    dumps = json.dumps
    blocks = []
    for name, outcomes in data["values"].items():
        rows = [f"   {dumps(found)}: {dumps(times)}" for found, times in outcomes.items()]
        if len(outcomes) == 1 and set(data["emulators"]) == set(*outcomes.values()):
            blocks.append(f"  {dumps(name)}: {dumps(*outcomes)}")
        else:
            blocks.append(f"  {dumps(name)}: {{\n" + ",\n".join(rows) + "\n  }")
    emulators, joined = dumps(data["emulators"]), ",\n".join(blocks)
    return f'{{\n "emulators": {emulators},\n "values": {{\n{joined}\n }}\n}}\n'


def read() -> dict[str, Any]:
    """The record, with every outcome and how often which emulator showed it."""
    data: dict[str, Any] = {"emulators": {}, "values": {}}
    if RECORD.is_file():
        data = json.loads(RECORD.read_text("utf-8"))
        alone = {case.name for case in CASES if case.alone}
        for name, outcomes in data["values"].items():
            if isinstance(outcomes, str):
                data["values"][name] = {
                    outcomes: {
                        release: min(of["runs"], CRASHES) if name in alone else of["runs"]
                        for release, of in data["emulators"].items()
                    }
                }
    return data


def seen_on(data: dict[str, Any], release: str) -> Outcomes:
    """What an emulator showed, of the cases that still exist."""
    return {
        case.name: Counter(
            {
                found: times[release]
                for found, times in data["values"].get(case.name, {}).items()
                if release in times
            }
        )
        for case in CASES
    }


# The model.


def agrees(seen: Iterable[str], model: str) -> bool:
    """Whether the model's outcome is one that was seen.

    A fault of the driver stands for a crash, or for a call that does not return.
    """
    fatal = any(found == "crashes" or found.startswith("does not return") for found in seen)
    return model in seen or (model == "Misuse" and fatal)


# The differences.

Key = tuple[str, str]
"""A question and a state."""


class Difference(NamedTuple):
    """A case in which the model's outcome was not seen on an emulator."""

    case: Case
    seen: Counter[str]
    model: str

    @property
    def key(self) -> Key:
        return self.case.key

    def __str__(self) -> str:
        rows = [f"  seen {times:>4}: {found}" for found, times in self.seen.most_common()]
        return "\n".join([self.case.name, *rows, f"  the model: {self.model}"])


def differences(seen: Outcomes, release: str) -> list[Difference]:
    """The cases that were played and in which the model did something else."""
    found = []
    for case in CASES:
        if outcomes := seen.get(case.name):
            ours = outcome(case, release)
            if not agrees(outcomes, ours):
                found.append(Difference(case, outcomes, ours))
    return found


class Known(NamedTuple):
    """Cases in which the model is known to differ from some releases."""

    why: str
    releases: list[str]
    cases: dict[str, list[str]]
    """States, by question."""


def known() -> list[Known]:
    """The known differences, by reason."""
    return [Known(**group) for group in json.loads(KNOWN.read_text("utf-8"))]


def known_of(release: str) -> dict[Key, str]:
    """The known differences from a release, with the reason of each."""
    return {
        (question, state): group.why
        for group in known()
        if release in group.releases
        for question, states in group.cases.items()
        for state in states
    }


def write_known(data: dict[str, Any]) -> None:
    """Bring `known.json` up to date: what differs no more leaves it, what is new has no reason yet."""
    whys = {key: why for release in RELEASES for key, why in known_of(release).items()}
    releases: dict[Key, list[str]] = {}
    for release in data["emulators"]:
        for difference in differences(seen_on(data, release), release):
            releases.setdefault(difference.key, []).append(release)
    groups: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = {}
    for (question, state), differs in releases.items():
        group = groups.setdefault((whys.get((question, state), ""), tuple(differs)), {})
        group.setdefault(question, []).append(state)
    blocks = []
    for (why, found), cases in sorted(groups.items()):
        rows = [
            f"   {json.dumps(question)}: {json.dumps(states)}" for question, states in cases.items()
        ]
        head = f'  "why": {json.dumps(why)},\n  "releases": {json.dumps(found)},\n  "cases": {{\n'
        blocks.append(" {\n" + head + ",\n".join(rows) + "\n  }\n }")
    KNOWN.write_text("[\n" + ",\n".join(blocks) + "\n]\n", "utf-8")


def grouped(found: list[Difference]) -> Iterator[str]:
    """The differences in short: what only the emulator has, what only the model has, and where."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for difference in found:
        theirs = _parts(difference.seen.most_common(1)[0][0])
        ours = _parts(difference.model)
        only = "; ".join(part for part in theirs if part not in ours)
        lacks = "; ".join(part for part in ours if part not in theirs)
        question, state = difference.key
        groups.setdefault((only, lacks), {}).setdefault(question, []).append(state)
    for (only, lacks), places in sorted(
        groups.items(), key=lambda i: -sum(map(len, i[1].values()))
    ):
        yield f"emulator: {only}\nmodel:    {lacks}"
        for question, states in places.items():
            yield f"    {question}: {' | '.join(states)}"


def _parts(found: str) -> list[str]:
    before, driver, said = found.partition("driver: ")
    return [
        *filter(None, before.removesuffix("; ").split("; ")),
        *([driver + said] if driver else []),
    ]


def report(seen: Outcomes, release: str) -> int:
    """Compare what was seen with the model and with the known differences; print what is new."""
    whys = known_of(release)
    found = {difference.key: difference for difference in differences(seen, release)}
    asked = {case.key: case for case in CASES if seen.get(case.name)}
    new = [difference for key, difference in found.items() if key not in whys]
    mended = [asked[key].name for key in whys if key in asked and key not in found]
    for difference in new:
        print(difference)
    for name in mended:
        print(f"{name}: it does not differ any more: run_values.py --known")
    runs = sum(outcomes.total() for outcomes in seen.values())
    print(
        f"OTP {release}: {len(asked):,} cases, {runs:,} runs: the model has the value in "
        f"{len(asked) - len(found):,}, is known to differ in {len(found) - len(new):,}, "
        f"and differs besides in {len(new):,}"
    )
    return 1 if new or mended else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run_values.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each case")
    parser.add_argument("--only", metavar="WORDS", help="only cases with these words in their name")
    parser.add_argument("--missing", action="store_true", help="only what the record lacks")
    parser.add_argument("--differences", metavar="RELEASE", help="play nothing: list what differs")
    parser.add_argument("--known", action="store_true", help="play nothing: write known.json anew")
    given = parser.parse_args(arguments)
    if given.known:
        write_known(read())
        return 0
    if given.differences:
        print(
            *grouped(differences(seen_on(read(), given.differences), given.differences)), sep="\n"
        )
        return 0
    chosen = [case for case in CASES if given.only is None or given.only in case.name]
    try:
        with compiled() as judge:
            if given.missing:
                there = seen_on(read(), judge.release)
                chosen = [case for case in chosen if not there[case.name]]
            seen = judge.play(chosen, given.runs)
    except Missing as missing:
        print(missing)
        return 1
    if given.only is None:
        RECORD.write_text(readable(record(read(), judge, seen, given.runs)), "utf-8")
    return report(seen, judge.release)


if __name__ == "__main__":
    sys.exit(main())
