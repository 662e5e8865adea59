"""Play the drivers that are broken on purpose on the real emulator: alone, and under the tools there are.

Each driver of `tests/hosting/broken.py` plays its scene a hundred times in OTP, with pauses at random, and so does each
unbroken one: alone, under valgrind, and compiled for AddressSanitizer and ThreadSanitizer.  `faults.json` is the
record, from which the book makes its table; `make bench-faults` writes it anew, `faults.py valgrind` only the part of
that tool.  It takes about forty minutes.  It needs a Linux with Erlang, gcc with its sanitizers, and valgrind.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path += [str(HERE), str(TESTS), str(TESTS / "hosting")]
from broken import BOOK, CASES, Broken, Scene  # noqa: E402
from fault_plays import TOOLS, Played, Player, Tool, missing, steps  # noqa: E402
from otp import Missing, Tools, call, tools  # noqa: E402

RECORD = HERE / "faults.json"
JOBS = int(os.environ.get("JOBS", "2"))
"""Emulators at a time; they sleep for the most part."""


def scenes() -> dict[str, Scene]:
    """The scenes, by a name: the driver's, and a number if it has several."""
    named: dict[str, Scene] = {}
    for scene in dict.fromkeys(case.scene for case in CASES):
        driver = Path(scene.driver).stem
        number = 1 + sum(name.partition(" ")[0] == driver for name in named)
        named[f"{driver} {number}"] = scene
    return named


def messages(played: Played) -> set[str]:
    """What the plays have seen: messages, errors and what was returned."""
    return {one for seen in played.seen.values() for one in seen.split(" | ")}


def found(played: Played, line: int | None) -> dict[str, Any]:
    """What a tool has found: in how many plays it named the line, and what it said besides.

    `line` is None if any line of the driver will do.
    """
    named = [one for one in played.reports if line is None or line in one.lines]
    others = [one for one in played.reports if line is not None and line not in one.lines]
    plays = {one.play for one in named}
    return {
        "named": len(plays - {None}),
        "at the end": None in plays,
        "said": list(dict.fromkeys(one.kind for one in named)),
        "of other lines": sorted({one.kind for one in others}),
    }


def counts(played: Played) -> dict[str, Any]:
    """How often a driver was played, and how often the emulator died or stood still."""
    return {"plays": played.plays, "died": played.died, "hung": played.hung}


def versions(found_tools: Tools) -> dict[str, str]:
    """Which emulator and which tools these are."""
    gcc = call(["gcc", "-dumpfullversion"], HERE).strip()
    return {
        "emulator": f"OTP {found_tools.release}, ERTS {found_tools.erts}",
        "machine": f"{platform.system()} {platform.machine()}",
        "valgrind": call(["valgrind", "--version"], HERE).strip().replace("-", " "),
        "AddressSanitizer": f"gcc {gcc}",
        "ThreadSanitizer": f"gcc {gcc}",
    }


class Desk:
    """Plays drivers, each in a folder of its own, and says what came of it."""

    def __init__(self, folder: Path) -> None:
        self.tools = tools("asked", folder)._replace(cc="gcc")
        where = "io:put_chars(code:root_dir()), halt()."
        root = call([self.tools.erl, "-noinput", "-eval", where], folder)
        self.player = Player(self.tools, root, folder)
        self.folder = folder
        self.allowed: dict[Scene, set[str]] = {}
        """What is seen of the unbroken driver in a scene."""

    def play(self, tool: Tool, name: str, scene: Scene, text: str) -> Played:
        """Build a driver from its text and play it."""
        folder = self.folder / re.sub(r"\W", "_", f"{tool.name} {name}")
        folder.mkdir()
        source = folder / Path(scene.driver).name
        source.write_text(text, "utf-8")
        tool.build(self.tools, source)
        done = steps(scene.play)
        played = self.player.play(tool, source, done, scene.async_threads, scene.schedulers)
        print(f"{tool.name:16} {name:45} {counts(played)}", flush=True)
        return played

    def unbroken(self, tool: Tool, name: str, scene: Scene) -> dict[str, Any]:
        """Play an unbroken driver: what is reported of it is the noise that the tool makes."""
        played = self.play(tool, name, scene, (BOOK / scene.driver).read_text("utf-8"))
        if tool.name == "none":
            self.allowed[scene] = messages(played)
            return counts(played)
        return counts(played) | found(played, None)

    def broken(self, tool: Tool, case: Broken) -> dict[str, Any]:
        """Play a broken driver."""
        played = self.play(tool, case.name, case.scene, case.source())
        if tool.name == "none":
            allowed = self.allowed[case.scene]
            wrong = sum(bool(set(seen.split(" | ")) - allowed) for seen in played.seen.values())
            return counts(played) | {"wrong": wrong}
        return counts(played) | found(played, case.line() if case.at else None)


def measure(names: Sequence[str], only: str, keep: Callable[[dict[str, Any]], None]) -> None:
    """Play under the tools of these names; `keep` gets each part of the record as soon as it is there."""
    with TemporaryDirectory() as name, ThreadPoolExecutor(JOBS) as pool:
        desk = Desk(Path(name))
        known = {"versions": versions(desk.tools)}
        for tool in (one for one in TOOLS if one.name in names):
            of_scenes = {pool.submit(desk.unbroken, tool, *one): one[0] for one in scenes().items()}
            for done in as_completed(of_scenes):
                keep(known | {"unbroken": {of_scenes[done]: {tool.name: done.result()}}})
            of_cases = {
                pool.submit(desk.broken, tool, one): one for one in CASES if only in one.name
            }
            for done in as_completed(of_cases):
                case = of_cases[done]
                parts = {"fault": case.fault, tool.name: done.result()}
                keep(known | {"broken": {case.name: parts}})


def joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A record with the parts of another one in their places; drivers that are no more are left out."""
    known: dict[str, list[str]] = {"unbroken": list(scenes()), "broken": [c.name for c in CASES]}
    return {"versions": new["versions"]} | {
        part: {
            name: {
                one: both[one] for one in ("fault", *(tool.name for tool in TOOLS)) if one in both
            }
            for name in names
            if (both := old.get(part, {}).get(name, {}) | new.get(part, {}).get(name, {}))
        }
        for part, names in known.items()
    }


def written(record: dict[str, Any]) -> str:
    """The record as text: a line for each driver and tool."""
    text = json.dumps(record, indent=1)
    return re.sub(r"\n {4,}|\n {3}\}", lambda at: "}" if "}" in at[0] else " ", text) + "\n"


def shown(part: dict[str, Any]) -> None:
    """Print a part of the record."""
    print(
        *(
            f"{name}: {what}"
            for kind in ("unbroken", "broken")
            for name, what in part.get(kind, {}).items()
        )
    )


def recorded(part: dict[str, Any]) -> None:
    """Put a part into the record."""
    old = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else {}
    RECORD.write_text(written(joined(old, part)), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    every = [tool.name for tool in TOOLS]
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"one of {', '.join(every)}")
    parser.add_argument("--only", default="", help="drivers with this in their name; no record")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.tools) - set(every):
        parser.error(f"no tool {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    if lacking := missing():
        print(f"no {', no '.join(lacking)} (Debian: apt install valgrind util-linux gcc)")
        return 2
    try:
        measure(asked.tools or every, asked.only, shown if asked.only else recorded)
    except Missing as lack:
        print(lack)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
